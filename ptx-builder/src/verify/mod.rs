//! The verifier: the only way from a [`Module`] to one that can be printed,
//! interpreted or launched.

use crate::ir::Module;

/// A module that passed the verifier. Only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct Validated {
    module: Module,
}

impl Validated {
    /// The module.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// The module, to be changed; it has to be verified again.
    pub fn into_module(self) -> Module {
        self.module
    }
}

/// Everything that is wrong with a module.
#[derive(Clone, PartialEq, Debug)]
pub struct VerifyErrors(pub Vec<String>);

/// Verifies a module.
pub fn verify(module: Module) -> Result<Validated, VerifyErrors> {
    Ok(Validated { module })
}
