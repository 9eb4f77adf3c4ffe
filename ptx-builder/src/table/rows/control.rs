//! Control flow (PTX ISA 9.7.12).

use super::precision::nothing;
use super::{Builder, opt, spec};
use crate::table::slot::label;
use crate::table::{Meaning, Mod, Op};

pub(super) fn rows(t: &mut Builder) {
    t.row(Op::Bra, "9.7.12.3", "Jumps to a block.", nothing, &[opt(&[Mod::Uni])], |_| {
        Some(spec([label()], Meaning::Branch))
    });
    t.row(Op::Ret, "9.7.12.6", "Returns; ends the thread in a kernel.", nothing, &[opt(&[Mod::Uni])], |_| {
        Some(spec([], Meaning::Exit))
    });
    t.row(Op::Exit, "9.7.12.7", "Ends the thread.", nothing, &[], |_| Some(spec([], Meaning::Exit)));
    t.row(Op::Trap, "9.7.19.4", "Ends the grid with an error.", nothing, &[], |_| Some(spec([], Meaning::Trap)));
}
