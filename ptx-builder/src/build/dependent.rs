//! Kernels for programmatic dependent launch.

use smallvec::SmallVec;

use super::kernel::{AnyKernel, Kernel};
use crate::analysis::controls;
use crate::ir::{self, Inst, Loc, Operand};
use crate::table::{FormId, Mod, Op, table};

impl<A> Kernel<A> {
    /// Whether it waits for the previous kernels itself, so that programmatic dependent launch may start it before they
    /// have ended.
    pub fn waits(&self) -> bool {
        self.kernel.insts().any(|(_, _, i)| controls(i.form(), Mod::Wait))
    }

    /// The same kernel for programmatic dependent launch (sm_90). If it does not wait anywhere, it waits first and then
    /// lets the next kernel start. Its inputs may have been written after it started, so it does not load them through
    /// the read-only path.
    #[must_use]
    pub fn waiting(mut self) -> Self {
        if !self.waits() {
            wait_first(&mut self.kernel);
        }
        self
    }

    /// The same kernel, but it lets the next one start before it waits itself. The next kernel can then rely only on
    /// what was complete when this one could start.
    #[must_use]
    pub fn eager(mut self) -> Self {
        let launches = |i: &Inst| controls(i.form(), Mod::LaunchDependents);
        let loc = self.kernel.loc.clone();
        for block in &mut self.kernel.blocks {
            block.insts.retain(|i| !launches(i));
        }
        if let Some(entry) = self.kernel.blocks.first_mut() {
            entry.insts.insert(0, control(Mod::LaunchDependents, loc));
        }
        self
    }
}

impl AnyKernel {
    /// As [`Kernel::eager`].
    #[must_use]
    pub fn eager(self) -> Self {
        self.changed(Kernel::eager)
    }

    /// As [`Kernel::waiting`].
    #[must_use]
    pub fn waiting(self) -> Self {
        self.changed(Kernel::waiting)
    }
}

/// Loads nothing through the read-only path.
pub(super) fn load_coherently(kernel: &mut ir::Kernel) {
    for inst in kernel.blocks.iter_mut().flat_map(|b| &mut b.insts) {
        if inst.form().op == Op::LdNc {
            inst.form = ordinary_load(&inst.form().mods);
        }
    }
}

fn wait_first(kernel: &mut ir::Kernel) {
    load_coherently(kernel);
    let both = [Mod::Wait, Mod::LaunchDependents].map(|what| control(what, kernel.loc.clone()));
    if let Some(entry) = kernel.blocks.first_mut() {
        entry.insts.splice(0..0, both);
    }
}

fn control(what: Mod, loc: Option<Loc>) -> Inst {
    Inst {
        form: known(table().find(Op::Griddepcontrol, &[what])),
        guard: None,
        operands: SmallVec::<[Operand; 5]>::new(),
        loc,
    }
}

/// The load with these modifiers, but not through the read-only path; without hints if there is none with them.
fn ordinary_load(mods: &[Mod]) -> FormId {
    let without_nc: Vec<Mod> = mods.iter().copied().filter(|m| *m != Mod::Nc).collect();
    let plain = || {
        let kept = |m: &Mod| matches!(m, Mod::Global | Mod::V2 | Mod::V4 | Mod::Ty(_));
        let plain: Vec<Mod> = mods.iter().copied().filter(kept).collect();
        table().find(Op::Ld, &plain)
    };
    known(table().find(Op::Ld, &without_nc).or_else(plain))
}

fn known(form: Option<FormId>) -> FormId {
    form.unwrap_or_else(|| unreachable!("the table has it: see the test below"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::{In, Out, kernel};
    use crate::print::{PrintOptions, print};
    use crate::target::Target;

    #[test]
    fn every_read_only_load_has_an_ordinary_one() {
        for form in table().forms().iter().filter(|f| f.op == Op::LdNc) {
            let ordinary = ordinary_load(&form.mods).get();
            assert_eq!(ordinary.op, Op::Ld, "{}", form.name);
            let shapes = |f: &crate::table::Form| f.slots.iter().map(|s| s.width()).collect::<Vec<_>>();
            assert_eq!(shapes(ordinary), shapes(form), "{}", form.name);
        }
    }

    #[test]
    fn it_waits_before_it_reads() {
        let copy = kernel::<(In<f32>, Out<f32>)>("copy", ["x", "y"], |k, (x, y)| {
            let i = k.thread_x();
            let v = x.at(i).load(k);
            y.at(i).store(k, v);
        });
        assert!(!copy.waits());
        let copy = copy.waiting();
        assert!(copy.waits());
        let text = print(&copy.verify(Target::SM_90).unwrap(), &PrintOptions::default());
        let wait = text.find("griddepcontrol.wait").unwrap();
        assert!(wait < text.find("griddepcontrol.launch_dependents").unwrap());
        assert!(wait < text.find("ld.global.f32").unwrap(), "{text}");
        // Once is enough.
        let again = print(&copy.waiting().verify(Target::SM_90).unwrap(), &PrintOptions::default());
        assert_eq!(again, text);
    }
}
