//! Control flow (PTX ISA 9.7.12).

use super::precision::{always, nothing};
use super::{Builder, any, one, opt, spec, ty, types};
use crate::table::slot::{constant, dst, function, label, one_of, passed, src, src_reg, text};
use crate::table::{Access, MOST_OPAQUE_OPERANDS, MOST_OPAQUE_RESULTS, Meaning, Mod, Op, Precision};
use crate::types::ScalarType::{U32, U64};

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
    stack(t);
    t.row(Op::Trap, "9.7.19.4", "Ends the grid with an error.", nothing, &[], |_| Some(spec([], Meaning::Trap)));
}

/// Powers of two up to 2^23.
const POWERS: &[i64] = &{
    let mut powers = [1; 24];
    let mut i = 1;
    while i < powers.len() {
        powers[i] = powers[i - 1] * 2;
        i += 1;
    }
    powers
};

/// The interpreter gives a thread as much local memory as its arrays take, so that it has no stack.
fn stack(t: &mut Builder) {
    let words = || types(&[U32, U64]);
    let opaque = || always(Precision::Opaque);
    let doc = "Takes bytes of local memory from the stack, aligned to immAlign bytes.";
    t.row(Op::Alloca, "9.7.18.3", doc, opaque(), &[words()], |m| {
        let t = ty(m, 0);
        let slots = [dst(t).named("ptr"), src("size", t), one_of("immAlign", U32, POWERS).optional()];
        Some(spec(slots, Meaning::Foreign).since(73, 52))
    });
    t.row(Op::Stacksave, "9.7.18.1", "The place of the stack.", opaque(), &[words()], |m| {
        Some(spec([dst(ty(m, 0))], Meaning::Foreign).since(73, 52))
    });
    t.row(Op::Stackrestore, "9.7.18.2", "Gives back what was taken from the stack since.", opaque(), &[words()], |m| {
        Some(spec([src_reg("a", ty(m, 0))], Meaning::Foreign).since(73, 52))
    });
}

/// Text that the table does not know: it stands in the kernel, and is printed with the operands in it.
pub(super) fn opaque(t: &mut Builder) {
    let places = [opt(&[Mod::Volatile]), opt(&[Mod::Aligned])];
    t.row(Op::Opaque, "", "Whatever a text says.", always(Precision::Opaque), &places, |m| {
        let (memory, aligned) = (m.contains(&Mod::Volatile), m.contains(&Mod::Aligned));
        let results = (0..MOST_OPAQUE_RESULTS).map(|_| passed("result", Access::Write));
        let operands = (0..MOST_OPAQUE_OPERANDS).map(|_| passed("operand", Access::Read));
        let slots: Vec<_> = std::iter::once(text()).chain(results).chain(operands).collect();
        Some(spec(slots, Meaning::Opaque { memory, aligned }))
    });
}
