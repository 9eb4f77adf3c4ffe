//! Every kernel in every variant, in the shape that reads well.

use ptxgen::{
    builder::{
        ir::Module,
        print::{PrintOptions, print},
        target::Target,
        verify::{Validated, verify},
    },
    dsl::{
        catalogue::{Built, CATALOGUE, Entry, KernelId, Request, Role, TYPICAL, find},
        precision::Policy,
    },
};

/// A kernel and its text.
pub struct Case {
    pub built: Built,
    pub module: Validated,
    pub text: String,
}

impl Case {
    fn new(entry: &'static Entry, policy: Policy, target: Target) -> Case {
        let built = entry.build(&Request::for_reading(entry, policy, target)).unwrap_or_else(|e| panic!("{e}"));
        let module = built.finish().unwrap_or_else(|e| panic!("{}: {e}", built.title()));
        let text = print(&module, &PrintOptions::default());
        Case { built, module, text }
    }

    /// The kernel of this name under this policy.
    pub fn of(name: &str, policy: &str, target: Target) -> Case {
        let entry = find(name).unwrap_or_else(|e| panic!("{e}"));
        Case::new(entry, policy.parse().unwrap_or_else(|e| panic!("{e}")), target)
    }

    /// The same with another module, which must verify.
    pub fn with(self, module: Module) -> Case {
        let module = verify(module).unwrap_or_else(|e| panic!("{}: {e}", self.built.title()));
        let text = print(&module, &PrintOptions::default());
        Case { module, text, ..self }
    }
}

/// The products with matrices of the types whose kernels differ from the typical ones only in how blocks are decoded.
pub fn by_type(target: Target) -> impl Iterator<Item = Case> {
    let others = CATALOGUE.iter().filter(|e| TYPICAL.iter().all(|t| t.name != e.name));
    let products = others.filter(|e| matches!(e.id, KernelId::Matrix(Role::Product, _)));
    products.flat_map(move |e| e.policies().into_iter().map(move |p| Case::new(e, p, target)))
}

/// One of each kind.
pub fn all(target: Target) -> impl Iterator<Item = Case> {
    TYPICAL.iter().flat_map(move |e| e.policies().into_iter().map(move |p| Case::new(e, p, target)))
}
