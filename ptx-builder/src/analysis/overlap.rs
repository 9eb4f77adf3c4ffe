//! What a kernel does before it waits for the kernels before it.
//!
//! Under programmatic dependent launch a kernel may start while the previous one is running, until
//! `griddepcontrol.wait`. What it reads until then must not be written by a kernel that may still be running, and what it
//! writes must be neither read nor written by one. This analysis finds which parameters' memory that concerns; a plan of
//! launches is checked with it.

use super::reached::Reached;
use super::roots::Roots;
use super::{InstId, KernelInfo, Origin};
use crate::ir::{Inst, Kernel, Module};
use crate::table::{Form, Meaning, Mod, Op};
use crate::types::Space;

/// What a kernel may do to the memory that a parameter points to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Uses {
    /// It may read it.
    pub reads: bool,
    /// It may write it.
    pub writes: bool,
}

impl Uses {
    /// Whether it may touch it at all.
    pub fn any(self) -> bool {
        self.reads || self.writes
    }

    /// Whether the order matters of these uses and `other` of the same memory.
    pub fn clash(self, other: Uses) -> bool {
        self.writes && other.any() || self.any() && other.writes
    }

    fn add(&mut self, other: Uses) {
        self.reads |= other.reads;
        self.writes |= other.writes;
    }
}

/// How a kernel may overlap with the kernels before and after it, in programmatic dependent launch.
///
/// Memory is identified by parameter, in their order. An address that is not known to come from one parameter counts as every
/// parameter's. The module's own variables belong to none.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Overlap {
    /// Whether it waits for the kernels before this one, on some way at least, so that it may start before they have ended.
    /// It is taken for granted that some thread of every grid comes there, or the kernel could end before those before it;
    /// the interpreter says so where none does.
    pub waits: bool,
    /// Whether every thread waits, whatever way it takes.
    pub always_waits: bool,
    /// What a thread may do before it waits, by parameter; everything on ways on which it does not.
    pub early: Vec<Uses>,
    /// What it may do after it has waited, by parameter.
    pub later: Vec<Uses>,
    /// Whether kernels after this one may start before it has waited itself. They may then overlap with the kernels
    /// before it, too.
    pub is_eager: bool,
    /// Whether kernels after this one may start before it has made its last write.
    pub releases_before_writes: bool,
}

impl Overlap {
    /// What the kernel may do anywhere, by parameter.
    pub fn ever(&self) -> Vec<Uses> {
        let mut ever = self.early.clone();
        ever.iter_mut().zip(&self.later).for_each(|(a, b)| a.add(*b));
        ever
    }

    pub(crate) fn new(module: &Module, kernel: &Kernel, info: &KernelInfo) -> Overlap {
        let before_wait = Reached::before(kernel, &info.cfg, |inst| is_always(inst, Mod::Wait));
        let after_wait = Reached::after(kernel, &info.cfg, |inst| controls(inst.form(), Mod::Wait));
        let releases = |inst: &Inst| controls(inst.form(), Mod::LaunchDependents);
        let after_release = Reached::after(kernel, &info.cfg, releases);
        let roots = Roots::new(module, kernel, info);
        let mut overlap = Overlap {
            waits: waits(kernel),
            always_waits: !before_wait.ends,
            early: vec![Uses::default(); kernel.params.len()],
            later: vec![Uses::default(); kernel.params.len()],
            is_eager: false,
            releases_before_writes: false,
        };
        for (block, index, inst) in kernel.insts() {
            let id = info.cfg.inst_id(block, index);
            overlap.is_eager |= releases(inst) && before_wait.holds(block, index);
            for (params, uses) in touched(module, kernel, info, &roots, id) {
                overlap.releases_before_writes |= uses.writes && after_release.holds(block, index);
                let (early, later) = (before_wait.holds(block, index), after_wait.holds(block, index));
                for i in params {
                    if early {
                        overlap.early[i].add(uses);
                    }
                    if later {
                        overlap.later[i].add(uses);
                    }
                }
            }
        }
        overlap
    }
}

/// Whether a kernel waits for the kernels before it, on some way at least.
pub(crate) fn waits(kernel: &Kernel) -> bool {
    kernel.insts().any(|(.., inst)| controls(inst.form(), Mod::Wait))
}

/// Whether an instruction is `griddepcontrol` of this kind.
pub(crate) fn controls(form: &Form, what: Mod) -> bool {
    form.op == Op::Griddepcontrol && form.mods.contains(&what)
}

/// The same, whatever its guard says.
fn is_always(inst: &Inst, what: Mod) -> bool {
    controls(inst.form(), what) && inst.guard.is_none()
}

/// The parameters whose memory an instruction may touch, access by access.
fn touched(module: &Module, kernel: &Kernel, info: &KernelInfo, roots: &Roots, id: InstId) -> Vec<(Vec<usize>, Uses)> {
    let inst = info.inst(kernel, id);
    let everything = || (0..kernel.params.len()).collect::<Vec<_>>();
    // A function of another module may do anything with the pointers that it is given.
    if matches!(inst.form().meaning, Meaning::Call) {
        return vec![(everything(), Uses { reads: true, writes: true })];
    }
    let mut touched = Vec::new();
    for access in inst.form().accesses() {
        if !matches!(access.space, Space::Global | Space::Generic) {
            continue;
        }
        let operand = inst.slots().find(|(slot, _)| slot.name == access.slot).and_then(|(_, ops)| ops.first());
        let origins = operand.map(|o| roots.all(info.operand(module, kernel, id, o).origin, info, id, o));
        let pointer = |origin: &Origin| match origin {
            Origin::Pointer(i) => Some(*i as usize),
            Origin::Symbol(_) => None,
        };
        let params = match origins {
            Some(origins) if !origins.is_empty() => origins.iter().filter_map(pointer).collect(),
            _ => everything(),
        };
        touched.push((params, Uses { reads: access.reads, writes: access.writes }));
    }
    touched
}
