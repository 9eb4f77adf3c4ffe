//! Instructions as text, for reports.

use crate::ir::{Inst, Kernel, Module};

/// One instruction as PTX.
pub(super) fn inst(module: &Module, kernel: &Kernel, inst: &Inst) -> String {
    crate::print::inst(module, kernel, inst)
}
