//! Reasons why a kernel cannot be guarded.

use thiserror::Error;

use crate::ir::{Inst, Kernel, Loc, Module};
use crate::print;
use crate::verify::VerifyErrors;

/// A kernel that cannot check its accesses.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GuardError {
    /// An address that cannot be traced to a buffer or array.
    #[error(
        "{kernel}: the address of `{text}`{} cannot be followed to a buffer or array, so a checked launch \
         cannot bound it; compute it from one parameter or array, or launch the kernel unchecked, which is `unsafe`",
        place(.loc)
    )]
    Unknown {
        /// The kernel.
        kernel: String,
        /// The instruction.
        text: String,
        /// The author's line.
        loc: Option<Loc>,
    },
    /// An instruction whose accesses no check can bound.
    #[error(
        "{kernel}: what `{text}`{} touches cannot be bounded by a check; do without it, or launch the kernel unchecked, \
         which is `unsafe`",
        place(.loc)
    )]
    Unbounded {
        /// The kernel.
        kernel: String,
        /// The instruction.
        text: String,
        /// The author's line.
        loc: Option<Loc>,
    },
    /// A write to a buffer that is declared to be read only.
    #[error("{kernel}: `{text}`{} writes to `{param}`, which is an `In` buffer; make it `Out` or `InOut`", place(.loc))]
    ReadOnly {
        /// The kernel.
        kernel: String,
        /// The parameter.
        param: String,
        /// The instruction.
        text: String,
        /// The author's line.
        loc: Option<Loc>,
    },
    /// More checks than there is room for limits among the parameters.
    #[error(
        "{kernel}: a checked launch would need {limits} limits as parameters, and {most} fit; split the kernel, or \
         launch it unchecked, which is `unsafe`"
    )]
    TooMany {
        /// The kernel.
        kernel: String,
        /// Required number.
        limits: usize,
        /// Maximum number.
        most: usize,
    },
    /// The rewritten module does not verify: an error in this library.
    #[error("the kernel with its checks does not verify, which is a mistake of ptxgen:\n{0}")]
    Verify(#[from] VerifyErrors),
}

impl GuardError {
    pub(super) fn unknown(module: &Module, kernel: &Kernel, inst: &Inst) -> GuardError {
        let text = print::inst(module, kernel, inst);
        GuardError::Unknown { kernel: kernel.name.clone(), text, loc: inst.loc.clone() }
    }

    pub(super) fn unbounded(module: &Module, kernel: &Kernel, inst: &Inst) -> GuardError {
        let text = print::inst(module, kernel, inst);
        GuardError::Unbounded { kernel: kernel.name.clone(), text, loc: inst.loc.clone() }
    }

    pub(super) fn read_only(module: &Module, kernel: &Kernel, inst: &Inst, param: usize) -> GuardError {
        let text = print::inst(module, kernel, inst);
        let param = kernel.params.get(param).map_or_else(String::new, |p| p.name.clone());
        GuardError::ReadOnly { kernel: kernel.name.clone(), param, text, loc: inst.loc.clone() }
    }
}

/// ` at FILE:LINE:COLUMN`, if it is known.
fn place(loc: &Option<Loc>) -> String {
    loc.as_ref().map_or_else(String::new, |l| format!(" at {l}"))
}
