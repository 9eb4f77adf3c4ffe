//! Control flow (PTX ISA 9.7.12).

use super::precision::{always, nothing};
use super::{Builder, any, one, opt, spec, types};
use crate::table::slot::{constant, function, label, passed};
use crate::table::{Access, Meaning, Mod, Op, Precision};
use crate::types::ScalarType::U32;

pub(super) fn rows(t: &mut Builder) {
    t.row(Op::Bra, "9.7.12.3", "Jumps to a block.", nothing, &[opt(&[Mod::Uni])], |_| {
        Some(spec([label()], Meaning::Branch))
    });
    let doc = "Calls another module's function; d is what it gives.";
    t.row(Op::Call, "9.7.12.5", doc, always(Precision::Opaque), &[], |_| {
        let mut slots = vec![function(), passed("d", Access::Write)];
        slots.extend(["a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"].map(|name| passed(name, Access::Read)));
        Some(spec(slots, Meaning::Call))
    });
    t.row(Op::Ret, "9.7.12.6", "Returns; ends the thread in a kernel.", nothing, &[opt(&[Mod::Uni])], |_| {
        Some(spec([], Meaning::Exit))
    });
    t.row(Op::Exit, "9.7.12.7", "Ends the thread.", nothing, &[], |_| Some(spec([], Meaning::Exit)));
    let doc = "Stops for a debugger; without one it goes on.";
    t.row(Op::Brkpt, "9.7.19.1", doc, nothing, &[], |_| Some(spec([], Meaning::Pause)));
    let doc = "Counts an event for a profiler.";
    t.row(Op::Pmevent, "9.7.19.3", doc, nothing, &[], |_| Some(spec([constant("a", U32, 0, 15)], Meaning::Pause)));
    let places = [any(&[Mod::Inc, Mod::Dec]), one(Mod::Sync), one(Mod::Aligned), types(&[U32])];
    let doc = "Asks for more registers a thread, or gives some back.";
    t.row(Op::Setmaxnreg, "9.7.19.5", doc, nothing, &places, |_| {
        Some(spec([constant("imm-reg-count", U32, 24, 256)], Meaning::Pause).since(80, 90).specific())
    });
    t.row(Op::Trap, "9.7.19.4", "Ends the grid with an error.", nothing, &[], |_| Some(spec([], Meaning::Trap)));
}
