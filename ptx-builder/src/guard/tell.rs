//! Reports a thread's first violation, and leaves the kernel.

use super::access::Way;
use super::emit::Emit;
use super::site::at;
use super::writer::{Label, Writer, memory, unless, when};
use crate::ir::{Inst, Operand};
use crate::table::{Async, Meaning, Mod, Op, SpecialReg};
use crate::types::{RegClass, ScalarType};
use ScalarType::{U32, U64};

impl Emit<'_> {
    /// After a wait that violations of other threads may keep from ending: it ends once one is reported.
    pub(super) fn poll(&mut self, inst: &Inst) {
        let Meaning::Async(Async::MbarrierWait { .. }) = inst.form().meaning else { return };
        let Some(record) = self.record.filter(|_| self.plan.checks.iter().any(|c| c.way == Way::SkipAndTell)) else {
            return;
        };
        let Some(Operand::Reg(done)) = inst.operands.first().copied() else { return };
        let told = self.w.reg(RegClass::B32);
        self.w.clear(None, told, 0);
        let waiting = inst.guard.or(unless(done));
        let volatile = [Mod::Volatile, Mod::Global, Mod::Ty(U32)];
        self.w.emit(waiting, Op::Ld, &volatile, &[told.into(), memory(record, at::CLAIMED)]);
        let sources = [done.into(), Operand::None, told.into(), Operand::Imm(0), done.into()];
        self.w.emit(inst.guard, Op::SetpBool, &[Mod::Ne, Mod::Or, Mod::Ty(U32)], &sources);
    }

    /// The exit of all threads.
    pub(super) fn leave(&mut self) {
        let (Some(exit), Some((site, _))) = (self.exit, self.noted) else { return };
        self.w.loc = self.original.loc.clone();
        self.w.place(exit);
        let end = self.w.new_label();
        let clean = self.w.test(Mod::Eq, U32, site.into(), Operand::Imm(0), None);
        self.w.branch(when(clean), end);
        self.tell(Operand::Imm(0), end);
        self.w.place(end);
        self.w.emit(None, Op::Ret, &[], &[]);
    }

    /// Writes the record, unless another thread has; continues at `after`, which follows.
    pub(super) fn tell(&mut self, bytes: Operand, after: Label) {
        let (Some(record), Some((site, value))) = (self.record, self.noted) else { return };
        let sources = [memory(record, at::CLAIMED), Operand::Imm(1)];
        let claimed =
            self.w.compute(RegClass::B32, Op::Atom, &[Mod::Global, Mod::Exch, Mod::Ty(ScalarType::B32)], &sources);
        let late = self.w.test(Mod::Ne, U32, claimed.into(), Operand::Imm(0), None);
        self.w.branch(when(late), after);
        let store = |w: &mut Writer, ty: ScalarType, offset: i32, value: Operand| {
            w.emit(None, Op::St, &[Mod::Global, Mod::Ty(ty)], &[memory(record, offset), value]);
        };
        store(&mut self.w, U32, at::SITE, site.into());
        store(&mut self.w, U64, at::VALUE, value.into());
        store(&mut self.w, U32, at::BYTES, bytes);
        use SpecialReg::{CtaidX, CtaidY, CtaidZ, TidX, TidY, TidZ};
        for (first, specials) in [(at::BLOCK, [CtaidX, CtaidY, CtaidZ]), (at::THREAD, [TidX, TidY, TidZ])] {
            for (offset, special) in (first..).step_by(4).zip(specials) {
                let read = self.w.compute(RegClass::B32, Op::Mov, &[Mod::Ty(U32)], &[Operand::Special(special)]);
                store(&mut self.w, U32, offset, read.into());
            }
        }
        let release = [Mod::Release, Mod::ScopeSys, Mod::Global, Mod::Ty(U32)];
        self.w.emit(None, Op::St, &release, &[memory(record, at::DONE), Operand::Imm(1)]);
    }
}
