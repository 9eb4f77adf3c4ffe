//! Generates the guarded kernel.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::access::{Size, Way};
use super::address::{Object, is_narrow};
use super::plan::{Check, Plan, buffers};
use super::writer::{Label, Writer, memory, unless, when};
use super::{Extra, GuardError, GuardedKernel};
use crate::analysis::KernelInfo;
use crate::ir::{Base, BlockId, Inst, Kernel, Module, Operand, Reg, Symbol};
use crate::table::{Async, Meaning, Mod, Op};
use crate::types::{RegClass, ScalarType, Space};
use ScalarType::{B64, U32, U64};

/// Bytes of parameters that every driver accepts.
const MOST_PARAM_BYTES: usize = 4096;

/// The result of a check: predicates for an access in bounds, and for a violation.
#[derive(Clone, Copy)]
struct Found {
    inside: Reg,
}

pub(super) struct Emit<'k> {
    pub(super) module: &'k Module,
    pub(super) original: &'k Kernel,
    pub(super) plan: &'k Plan,
    pub(super) w: Writer,
    pub(super) extras: Vec<(Extra, Reg)>,
    /// Bases of objects, by space and width.
    pub(super) bases: HashMap<(Object, bool, bool), Reg>,
    found: Vec<Option<Found>>,
    pub(super) record: Option<Reg>,
    /// The first violation of the thread: the check's number, from 1, and its value.
    pub(super) noted: Option<(Reg, Reg)>,
    pub(super) spare: Option<u32>,
    pub(super) exit: Option<Label>,
}

/// The kernel with its checks, and the data for launches. A kernel whose accesses are all proved is unchanged.
pub(super) fn rewrite(
    module: &Module,
    kernel: &Kernel,
    info: &KernelInfo,
    plan: Plan,
) -> Result<(Kernel, GuardedKernel), GuardError> {
    let is_buffer = |i: u32| buffers(kernel).any(|b| b == i);
    let mut guarded = GuardedKernel {
        extras: Vec::new(),
        writes: plan.writes.clone(),
        buffers: (0..kernel.params.len() as u32).map(is_buffer).collect(),
        checks: plan.checks.len(),
        proved: plan.proved,
        sites: plan.checks.iter().map(Check::site).collect(),
    };
    if plan.checks.is_empty() && plan.dropped.is_empty() {
        return Ok((kernel.clone(), guarded));
    }
    let mut emit = Emit {
        module,
        original: kernel,
        plan: &plan,
        w: Writer::new(kernel),
        extras: Vec::new(),
        bases: HashMap::new(),
        found: vec![None; plan.checks.len()],
        record: None,
        noted: None,
        spare: None,
        exit: None,
    };
    // Blocks are processed in dominance order, because checks are reused, so that a check's register is known before
    // its use. The order of the text may differ.
    emit.reserve();
    for (b, block) in kernel.blocks.iter().enumerate() {
        let b = BlockId(b as u32);
        let label = emit.w.original(b);
        emit.w.place(label);
        for (i, inst) in block.insts.iter().enumerate() {
            emit.w.loc = inst.loc.clone();
            let id = info.cfg.inst_id(b, i);
            if plan.dropped.contains(&id) {
                continue;
            }
            for (n, check) in plan.checks.iter().enumerate().filter(|(_, c)| c.at == id) {
                emit.check(n, check);
            }
            match plan.needs.get(&id) {
                Some((way, needs)) => emit.access(inst, *way, needs),
                None => emit.plain(inst),
            }
            emit.poll(inst);
        }
    }
    emit.leave();
    guarded.extras = emit.extras.iter().map(|(extra, _)| *extra).collect();
    let bytes: usize = guarded.extras.iter().map(|e| e.bytes()).sum();
    if bytes > MOST_PARAM_BYTES / 2 {
        let (limits, most) = (guarded.extras.len(), MOST_PARAM_BYTES / 16);
        return Err(GuardError::TooMany { kernel: kernel.name.clone(), limits, most });
    }
    Ok((emit.w.finish(), guarded))
}

impl Emit<'_> {
    /// Creates the registers that all blocks share.
    fn reserve(&mut self) {
        for n in 0..self.plan.checks.len() {
            let inside = self.w.reg(RegClass::Pred);
            self.found[n] = Some(Found { inside });
        }
        if self.plan.checks.iter().any(|c| c.way != Way::Hint) {
            let (site, value) = (self.w.reg(RegClass::B32), self.w.reg(RegClass::B64));
            self.w.prologue(Op::Mov, &[Mod::Ty(U32)], &[site.into(), Operand::Imm(0)]);
            self.w.prologue(Op::Mov, &[Mod::Ty(U64)], &[value.into(), Operand::Imm(0)]);
            self.noted = Some((site, value));
            let record = self.extra(Extra::Record);
            let global = self.w.reg(RegClass::B64);
            self.w.prologue(Op::Cvta, &[Mod::To, Mod::Global, Mod::Ty(U64)], &[global.into(), record.into()]);
            self.record = Some(global);
            self.exit = Some(self.w.new_label());
        }
    }

    /// Emits a check: the predicate for an access in bounds, and the record of a violation.
    fn check(&mut self, n: usize, check: &Check) {
        let Some(Found { inside }) = self.found[n] else { return };
        let (test, value) = self.inside(check);
        // The register was reserved for all blocks.
        self.w.emit(None, Op::Mov, &[Mod::Ty(ScalarType::Pred)], &[inside.into(), test.into()]);
        if check.way == Way::Hint {
            return;
        }
        let violated = self.violated(check, inside);
        let Some((site, noted)) = self.noted else { return };
        let first = self.w.test(Mod::Eq, U32, site.into(), Operand::Imm(0), Some((Mod::And, violated)));
        self.w.emit(when(first), Op::Mov, &[Mod::Ty(U32)], &[site.into(), Operand::Imm(n as u64 + 1)]);
        match value {
            Operand::Reg(r) if is_narrow(r) => {
                self.w.emit(when(first), Op::Cvt, &[Mod::Ty(U64), Mod::Ty(U32)], &[noted.into(), value]);
            }
            _ => self.w.emit(when(first), Op::Mov, &[Mod::Ty(U64)], &[noted.into(), value]),
        }
        if check.way == Way::SkipAndTell {
            let after = self.w.new_label();
            let skip = match violated {
                Operand::NotPred(p) => when(p),
                Operand::Reg(p) => unless(p),
                _ => None,
            };
            self.w.branch(skip, after);
            let bytes = match check.size {
                Size::Bulk(n) => n,
                Size::Fixed(_) | Size::UpTo(..) => Operand::Imm(0),
            };
            self.tell(bytes, after);
            self.w.place(after);
        }
    }

    /// Emits an instruction that accesses memory, under its checks.
    fn access(&mut self, inst: &Inst, way: Way, needs: &[usize]) {
        let pred = [Mod::Ty(ScalarType::Pred)];
        let mut inside: Option<Reg> = None;
        for Found { inside: this } in needs.iter().filter_map(|&n| self.found[n]).collect::<SmallVec<[Found; 3]>>() {
            inside = Some(match inside {
                None => this,
                Some(p) => self.w.compute(RegClass::Pred, Op::And, &pred, &[p.into(), this.into()]),
            });
        }
        let Some(inside) = inside else { return self.plain(inst) };
        if way == Way::Redirect {
            return self.redirected(inst, inside);
        }
        let (runs, missing) = match inst.guard {
            None => (inside, unless(inside)),
            Some(guard) => {
                let guard = self.plain_guard(guard);
                let outside = self.w.compute(RegClass::Pred, Op::Not, &pred, &[inside.into()]);
                let missing = self.w.compute(RegClass::Pred, Op::And, &pred, &[outside.into(), guard.into()]);
                (self.w.compute(RegClass::Pred, Op::And, &pred, &[inside.into(), guard.into()]), when(missing))
            }
        };
        let waits = matches!(inst.form().meaning, Meaning::Async(Async::MbarrierWait { .. }));
        let results: SmallVec<[Reg; 4]> = inst.defs().collect();
        // A result may also be a source: then it is cleared afterwards.
        let early = results.iter().all(|r| inst.uses().all(|u| u != *r));
        let clear = |w: &mut Writer, guard| {
            for &reg in &results {
                let done = u64::from(waits && reg.class == RegClass::Pred);
                w.clear(guard, reg, done);
            }
        };
        if early {
            // Under its own guard everywhere, or everywhere.
            clear(&mut self.w, inst.guard.and(missing));
        }
        let mut inst = Inst { guard: when(runs), ..inst.clone() };
        self.limit_size(&mut inst);
        self.w.push(inst);
        if !early {
            clear(&mut self.w, missing);
        }
    }

    /// `cp.async` reads no more than it writes.
    fn limit_size(&mut self, inst: &mut Inst) {
        if let Meaning::Async(Async::Copy) = inst.form().meaning
            && let [_, _, Operand::Imm(most), n @ Operand::Reg(_)] = inst.operands[..]
        {
            let least = self.w.compute(RegClass::B32, Op::Min, &[Mod::Ty(U32)], &[n, Operand::Imm(most)]);
            inst.operands[3] = least.into();
        }
    }

    /// A matrix load, which all lanes execute: lanes out of bounds read spare memory.
    fn redirected(&mut self, inst: &Inst, inside: Reg) {
        let mut inst = inst.clone();
        let found = inst.operands.iter().position(|op| matches!(op, Operand::Address(_)));
        let Some(operand) = found else { return self.w.push(inst) };
        let Operand::Address(address) = inst.operands[operand] else { return self.w.push(inst) };
        let generic = inst.form().slots.iter().any(|s| s.shape == crate::table::Shape::Address(Space::Generic));
        let narrow = matches!(address.base, Base::Reg(r) if is_narrow(r));
        let (class, ty, bits) = if narrow { (RegClass::B32, U32, ScalarType::B32) } else { (RegClass::B64, U64, B64) };
        let spare = Symbol::Kernel(self.spare());
        let mut safe = self.w.compute(class, Op::Mov, &[Mod::Ty(ty)], &[Operand::Symbol(spare, 0)]);
        if generic {
            safe = self.w.compute(class, Op::Cvta, &[Mod::Shared, Mod::Ty(U64)], &[safe.into()]);
        }
        let own = match address.base {
            Base::Reg(r) => r,
            Base::Symbol(s) => self.w.compute(class, Op::Mov, &[Mod::Ty(ty)], &[Operand::Symbol(s, 0)]),
        };
        let own = if address.offset == 0 {
            own
        } else {
            let offset = i64::from(address.offset);
            let bytes = Operand::Imm(if narrow { u64::from(offset as u32) } else { offset as u64 });
            self.w.compute(class, Op::Add, &[Mod::Ty(ty)], &[own.into(), bytes])
        };
        let chosen = self.w.compute(class, Op::Selp, &[Mod::Ty(bits)], &[own.into(), safe.into(), inside.into()]);
        inst.operands[operand] = memory(chosen, 0);
        self.w.push(inst);
    }

    /// The unchanged instruction; the thread leaves through the block that reports violations.
    fn plain(&mut self, inst: &Inst) {
        match (inst.form().meaning, self.exit) {
            (Meaning::Exit, Some(exit)) => self.w.branch(inst.guard, exit),
            _ => self.w.push(inst.clone()),
        }
    }
}
