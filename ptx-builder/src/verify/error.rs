//! What the verifier reports.

use std::fmt;

use super::Rule;
use crate::ir::{Inst, Kernel, Loc, Module};

/// What the verifier does about what it cannot decide, such as a barrier under
/// a condition that may or may not be uniform, which only a run can decide.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Doubts {
    /// Warns: [`Validated::warnings`](super::Validated::warnings). The interpreter decides.
    #[default]
    Warn,
    /// Rejects, as if it were wrong.
    Refuse,
}

/// One violation of a rule or, among warnings, a possible one.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct VerifyError {
    /// The rule.
    pub rule: Rule,
    /// The kernel's name; `None` for the module's own declarations.
    pub kernel: Option<String>,
    /// The instruction as written in PTX; `None` for declarations.
    pub instruction: Option<String>,
    /// The line in the source; `None` if it was not recorded.
    pub loc: Option<Loc>,
    /// What is wrong, what was expected and what to do.
    pub message: String,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.loc {
            Some(loc) => write!(f, "{loc}: ")?,
            None => f.write_str("unknown line: ")?,
        }
        write!(f, "{}", self.message)?;
        if let Some(inst) = &self.instruction {
            write!(f, "\n  in `{inst}`")?;
        }
        if let Some(kernel) = &self.kernel {
            write!(f, "\n  in kernel '{kernel}'")?;
        }
        write!(f, " [{}]", self.rule)
    }
}

/// All errors of a module, in writing order; never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyErrors(pub(super) Vec<VerifyError>);

impl VerifyErrors {
    /// The verifier reports at most this many errors of a module, and at most this many warnings.
    pub const MOST: usize = 1000;
}

impl std::error::Error for VerifyErrors {}

impl std::ops::Deref for VerifyErrors {
    type Target = [VerifyError];
    fn deref(&self) -> &[VerifyError] {
        &self.0
    }
}

impl fmt::Display for VerifyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

/// Collects errors.
pub(super) struct Errors<'m> {
    module: &'m Module,
    doubts: Doubts,
    all: Vec<VerifyError>,
    warnings: Vec<VerifyError>,
    /// Their number, reported or not.
    total: usize,
}

impl<'m> Errors<'m> {
    /// No errors yet.
    pub(super) fn new(module: &'m Module, doubts: Doubts) -> Self {
        Errors { module, doubts, all: Vec::new(), warnings: Vec::new(), total: 0 }
    }

    /// Of the module's declarations.
    pub(super) fn module(&mut self, rule: Rule, message: String) {
        self.push(|_| VerifyError { rule, kernel: None, instruction: None, loc: None, message });
    }

    /// Of a kernel's declarations.
    pub(super) fn kernel(&mut self, kernel: &Kernel, rule: Rule, message: String) {
        let (name, loc) = (Some(kernel.name.clone()), kernel.loc.clone());
        self.push(|_| VerifyError { rule, kernel: name, instruction: None, loc, message });
    }

    /// Of an instruction.
    pub(super) fn inst(&mut self, kernel: &Kernel, inst: &Inst, rule: Rule, message: String) {
        self.push(|errors| errors.of(kernel, inst, rule, message));
    }

    /// Counts an error, and reports it if there are not too many.
    fn push(&mut self, make: impl FnOnce(&Self) -> VerifyError) {
        // mutants: same [1 to 2], a count that is only compared with what it was
        self.total += 1;
        if self.all.len() < VerifyErrors::MOST {
            let error = make(self);
            self.all.push(error);
        }
    }

    /// Of an instruction, if a run shows it to be so.
    pub(super) fn doubt(&mut self, kernel: &Kernel, inst: &Inst, rule: Rule, message: String) {
        match self.doubts {
            Doubts::Warn if self.warnings.len() < VerifyErrors::MOST => {
                let doubt = self.of(kernel, inst, rule, message);
                self.warnings.push(doubt);
            }
            Doubts::Warn => {}
            Doubts::Refuse => self.inst(kernel, inst, rule, message),
        }
    }

    fn of(&self, kernel: &Kernel, inst: &Inst, rule: Rule, message: String) -> VerifyError {
        VerifyError {
            rule,
            kernel: Some(kernel.name.clone()),
            instruction: Some(crate::print::inst(self.module, kernel, inst)),
            loc: inst.loc.clone(),
            message,
        }
    }

    /// The number so far.
    pub(super) fn len(&self) -> usize {
        self.total
    }

    /// The errors and the warnings.
    pub(super) fn into_parts(self) -> (Vec<VerifyError>, Vec<VerifyError>) {
        (self.all, self.warnings)
    }

    /// All errors or, if the module is valid, the warnings.
    pub(super) fn finish(self) -> Result<Vec<VerifyError>, VerifyErrors> {
        if self.all.is_empty() { Ok(self.warnings) } else { Err(VerifyErrors(self.all)) }
    }
}
