//! Writes the guarded kernel.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::access::{Size, Way};
use super::address::Object;
use super::plan::{Check, How, Plan, buffers, static_bytes};
use super::ranges::{address_type, is_narrow};
use super::site::at;
use super::writer::{Label, Writer, memory, unless, when};
use super::{Extra, GuardError, GuardedKernel, limit};
use crate::analysis::KernelInfo;
use crate::ir::{Address, Base, BlockId, Guard, Inst, Kernel, Module, Operand, Param, Reg, Symbol, Variable};
use crate::table::{Async, Matrix, Meaning, Mod, Op, SpecialReg};
use crate::types::{RegClass, ScalarType, Space};
use ScalarType::{B64, U32, U64};

/// Bytes of parameters that every driver takes.
const MOST_PARAM_BYTES: usize = 4096;

/// What a check found: where the access is inside, and where it is a violation.
#[derive(Clone, Copy)]
struct Found {
    inside: Reg,
}

struct Emit<'k> {
    module: &'k Module,
    original: &'k Kernel,
    plan: &'k Plan,
    w: Writer,
    extras: Vec<(Extra, Reg)>,
    /// Bases of objects, by space and width.
    bases: HashMap<(Object, bool, bool), Reg>,
    found: Vec<Option<Found>>,
    record: Option<Reg>,
    /// The first violation of the thread: the check, from 1, and its value.
    noted: Option<(Reg, Reg)>,
    spare: Option<u32>,
    exit: Option<Label>,
}

/// The kernel with its checks, and what launches need to know. A kernel whose accesses are all proved is
/// what it was.
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
    // Blocks in dominance order come first where checks are used again, so a check's register is known
    // before it is used: the text's order may differ, and registers do not mind.
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
    /// Makes the registers that all blocks share.
    fn reserve(&mut self) {
        for n in 0..self.plan.checks.len() {
            let inside = self.w.reg(RegClass::Pred);
            self.found[n] = Some(Found { inside });
        }
        if self.plan.checks.iter().any(|c| c.way != Way::Hint) {
            let (site, value) = (self.w.reg(RegClass::B32), self.w.reg(RegClass::B64));
            self.prologue(Op::Mov, &[Mod::Ty(U32)], &[site.into(), Operand::Imm(0)]);
            self.prologue(Op::Mov, &[Mod::Ty(U64)], &[value.into(), Operand::Imm(0)]);
            self.noted = Some((site, value));
            let record = self.extra(Extra::Record);
            let global = self.w.reg(RegClass::B64);
            self.prologue(Op::Cvta, &[Mod::To, Mod::Global, Mod::Ty(U64)], &[global.into(), record.into()]);
            self.record = Some(global);
            self.exit = Some(self.w.new_label());
        }
    }

    /// Adds an instruction to the kernel's start.
    fn prologue(&mut self, op: Op, mods: &[Mod], operands: &[Operand]) {
        self.w.prologue(op, mods, operands);
    }

    /// The register that an extra parameter is loaded into.
    fn extra(&mut self, extra: Extra) -> Reg {
        if let Some((_, reg)) = self.extras.iter().find(|(e, _)| *e == extra) {
            return *reg;
        }
        let ty = if extra.bytes() == 8 { U64 } else { U32 };
        let name = format!("{}_guard{}", self.original.name, self.extras.len());
        let params = &mut self.w.kernel.params;
        params.push(Param { name, ty, len: None, align: None, pointer: None });
        let symbol = Symbol::Param(params.len() as u32 - 1);
        let reg = self.w.reg(if ty == U64 { RegClass::B64 } else { RegClass::B32 });
        let address = Operand::Address(Address { base: Base::Symbol(symbol), offset: 0 });
        self.prologue(Op::Ld, &[Mod::Param, Mod::Ty(ty)], &[reg.into(), address]);
        self.extras.push((extra, reg));
        reg
    }

    /// How many indices of `scale` have `bytes` bytes within an object.
    fn limit(&mut self, object: Object, scale: u64, bytes: u64, wide: bool) -> Operand {
        match static_bytes(self.module, self.original, object) {
            Some(len) => {
                let count = limit(len, scale, bytes);
                Operand::Imm(if wide { count } else { count.min(u32::MAX.into()) })
            }
            None => self.extra(Extra::Limit { object, scale, bytes, wide }).into(),
        }
    }

    /// The address of an object's start as addresses of a space have it.
    fn base(&mut self, object: Object, space: Space, narrow: bool) -> Reg {
        let generic = space == Space::Generic;
        if let Some(&reg) = self.bases.get(&(object, generic, narrow)) {
            return reg;
        }
        let (class, ty) = if narrow { (RegClass::B32, U32) } else { (RegClass::B64, U64) };
        let mut reg = self.w.reg(class);
        let symbol = match object {
            Object::Buffer(i) => {
                let address = Operand::Address(Address { base: Base::Symbol(Symbol::Param(i)), offset: 0 });
                self.prologue(Op::Ld, &[Mod::Param, Mod::Ty(U64)], &[reg.into(), address]);
                if !generic {
                    let (from, to) = (reg, self.w.reg(RegClass::B64));
                    self.prologue(Op::Cvta, &[Mod::To, Mod::Global, Mod::Ty(U64)], &[to.into(), from.into()]);
                    reg = to;
                }
                None
            }
            Object::Array(symbol) => Some(symbol),
            Object::Dynamic => self.dynamic(),
        };
        if let Some(symbol) = symbol {
            self.prologue(Op::Mov, &[Mod::Ty(ty)], &[reg.into(), Operand::Symbol(symbol, 0)]);
            if generic && let Some(space) = self.space_of(symbol) {
                let (from, to) = (reg, self.w.reg(RegClass::B64));
                self.prologue(Op::Cvta, &[space, Mod::Ty(U64)], &[to.into(), from.into()]);
                reg = to;
            }
        }
        self.bases.insert((object, generic, narrow), reg);
        reg
    }

    fn dynamic(&self) -> Option<Symbol> {
        let is = |v: &Variable| v.space == Space::Shared && v.len.is_none();
        self.module.variables.iter().position(is).map(|i| Symbol::Module(i as u32))
    }

    fn space_of(&self, symbol: Symbol) -> Option<Mod> {
        let space = match symbol {
            Symbol::Kernel(i) => self.w.kernel.variables.get(i as usize)?.space,
            Symbol::Module(i) => self.module.variables.get(i as usize)?.space,
            Symbol::Param(_) => Space::Param,
        };
        Some(match space {
            Space::Shared => Mod::Shared,
            Space::Local => Mod::Local,
            Space::Const => Mod::Const,
            Space::Param => Mod::Param,
            Space::Global | Space::Generic => Mod::Global,
        })
    }

    /// Writes a check: the predicate that holds where the access is inside, and the note where it is not.
    fn check(&mut self, n: usize, check: &Check) {
        let Some(Found { inside }) = self.found[n] else { return };
        let (test, value) = self.inside(check);
        // The register was promised to all blocks.
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

    /// Where a check is a violation: where its access is executed and is not inside.
    fn violated(&mut self, check: &Check, inside: Reg) -> Operand {
        let mut executed = check.guard.map(|g| self.plain_guard(g));
        if let Some(rows) = self.matrix_rows(check) {
            executed = Some(match executed {
                None => rows,
                Some(g) => {
                    self.w.compute(RegClass::Pred, Op::And, &[Mod::Ty(ScalarType::Pred)], &[g.into(), rows.into()])
                }
            });
        }
        match executed {
            None => Operand::NotPred(inside),
            Some(g) => {
                let pred = [Mod::Ty(ScalarType::Pred)];
                let outside = self.w.compute(RegClass::Pred, Op::Not, &pred, &[inside.into()]);
                self.w.compute(RegClass::Pred, Op::And, &pred, &[outside.into(), g.into()]).into()
            }
        }
    }

    /// The lanes whose addresses a matrix load uses, where those are not all.
    fn matrix_rows(&mut self, check: &Check) -> Option<Reg> {
        if check.way != Way::Redirect {
            return None;
        }
        let inst = self.original.insts().nth(check.at.0 as usize).map(|(_, _, inst)| inst)?;
        let Meaning::Matrix(Matrix::Load { count, .. }) = inst.form().meaning else { return None };
        if count >= 4 {
            return None;
        }
        let lane = self.w.compute(RegClass::B32, Op::Mov, &[Mod::Ty(U32)], &[Operand::Special(SpecialReg::Laneid)]);
        Some(self.w.test(Mod::Lt, U32, lane.into(), Operand::Imm(u64::from(count) * 8), None))
    }

    /// A guard as a predicate that is not negated.
    fn plain_guard(&mut self, guard: Guard) -> Reg {
        if !guard.negated {
            return guard.reg;
        }
        self.w.compute(RegClass::Pred, Op::Not, &[Mod::Ty(ScalarType::Pred)], &[guard.reg.into()])
    }

    /// Whether a check's bytes are inside, and the value that tells where they are.
    fn inside(&mut self, check: &Check) -> (Reg, Operand) {
        match check.how {
            How::Constant => {
                let Some(object) = check.object else { return self.by_address(check) };
                let limit = self.limit(object, 1, check.hi as u64, false);
                (self.w.test(Mod::Ne, U32, limit, Operand::Imm(0), None), Operand::Imm(0))
            }
            How::Index(reg, scale, _) => {
                let Some(object) = check.object else { return self.by_address(check) };
                let limit = self.limit(object, scale, check.hi as u64, false);
                (self.w.test(Mod::Lt, U32, reg.into(), limit, None), reg.into())
            }
            How::Address(..) => self.by_address(check),
        }
    }

    fn by_address(&mut self, check: &Check) -> (Reg, Operand) {
        let How::Address(base, _) = check.how else { unreachable!("only addresses have no object") };
        let narrow = match base {
            Base::Reg(r) => is_narrow(r),
            Base::Symbol(_) => false,
        };
        let (class, ty) = if narrow { (RegClass::B32, U32) } else { (RegClass::B64, U64) };
        let address = match base {
            Base::Reg(r) => r,
            Base::Symbol(s) => self.w.compute(class, Op::Mov, &[Mod::Ty(ty)], &[Operand::Symbol(s, 0)]),
        };
        let moved = |w: &mut Writer, from: Reg| {
            if check.lo == 0 {
                return from;
            }
            let bytes = Operand::Imm(if narrow { u64::from(check.lo as u32) } else { check.lo as u64 });
            w.compute(class, Op::Add, &[Mod::Ty(ty)], &[from.into(), bytes])
        };
        let mut objects: SmallVec<[Object; 4]> = SmallVec::new();
        match check.object {
            Some(object) => objects.push(object),
            None => objects.extend(self.candidates(check.space)),
        }
        let mut inside: Option<Reg> = None;
        let mut value = moved(&mut self.w, address);
        let start = value;
        for object in objects {
            let base = self.base(object, check.space, narrow);
            let distance = self.w.compute(class, Op::Sub, &[Mod::Ty(ty)], &[start.into(), base.into()]);
            if check.object.is_some() {
                value = distance;
            }
            let this = self.within(check, object, distance);
            inside = Some(match inside {
                None => this,
                Some(p) => {
                    self.w.compute(RegClass::Pred, Op::Or, &[Mod::Ty(ScalarType::Pred)], &[p.into(), this.into()])
                }
            });
        }
        let mut inside = match inside {
            Some(p) => p,
            // No buffer at all.
            None => self.w.test(Mod::Ne, ty, start.into(), start.into(), None),
        };
        if check.align > 1 {
            let bits = if narrow { ScalarType::B32 } else { B64 };
            let mask = Operand::Imm(u64::from(check.align) - 1);
            let off = self.w.compute(class, Op::And, &[Mod::Ty(bits)], &[start.into(), mask]);
            inside = self.w.test(Mod::Eq, ty, off.into(), Operand::Imm(0), Some((Mod::And, inside.into())));
        }
        if let Size::Bulk(n) = check.size {
            // A constant that is no multiple of 16, too, is a register first.
            let n = self.w.compute(RegClass::B32, Op::Mov, &[Mod::Ty(U32)], &[n]);
            let mask = [n.into(), Operand::Imm(15)];
            let off = self.w.compute(RegClass::B32, Op::And, &[Mod::Ty(ScalarType::B32)], &mask);
            inside = self.w.test(Mod::Eq, U32, off.into(), Operand::Imm(0), Some((Mod::And, inside.into())));
        }
        (inside, value.into())
    }

    /// Whether an access at a distance from an object's start is inside of it.
    fn within(&mut self, check: &Check, object: Object, distance: Reg) -> Reg {
        let narrow = is_narrow(distance);
        let bytes = (check.hi - check.lo) as u64;
        let count = match check.size {
            Size::Fixed(_) => {
                let limit = self.limit(object, 1, bytes, !narrow);
                return self.w.test(Mod::Lt, address_type(distance), distance.into(), limit, None);
            }
            Size::UpTo(most, n) => {
                let most = Operand::Imm(most.into());
                self.w.compute(RegClass::B32, Op::Min, &[Mod::Ty(U32)], &[n, most]).into()
            }
            Size::Bulk(n) => n,
        };
        let widen = |w: &mut Writer, x: Operand| w.compute(RegClass::B64, Op::Cvt, &[Mod::Ty(U64), Mod::Ty(U32)], &[x]);
        let distance = if narrow { widen(&mut self.w, distance.into()) } else { distance };
        let wide = match count {
            Operand::Imm(n) => Operand::Imm(n),
            count => widen(&mut self.w, count).into(),
        };
        let limit = self.limit(object, 1, 0, true);
        let starts = self.w.test(Mod::Lt, U64, distance.into(), limit, None);
        let end = self.w.compute(RegClass::B64, Op::Add, &[Mod::Ty(U64)], &[distance.into(), wide]);
        let both = self.w.test(Mod::Lt, U64, end.into(), limit, Some((Mod::And, starts.into())));
        // Nothing is touched where there are no bytes.
        self.w.test(Mod::Eq, U32, count, Operand::Imm(0), Some((Mod::Or, both.into())))
    }

    /// What an address of a space may lead to where that cannot be told.
    fn candidates(&self, space: Space) -> Vec<Object> {
        let mut objects: Vec<Object> = Vec::new();
        if space == Space::Global {
            objects.extend(buffers(self.original).map(Object::Buffer));
        }
        let of = |v: &Variable| v.space == space && v.len.is_some();
        let module = (0u32..).zip(&self.module.variables).filter(|(_, v)| of(v));
        objects.extend(module.map(|(i, _)| Object::Array(Symbol::Module(i))).filter(|_| space == Space::Global));
        let own = (0u32..).zip(&self.original.variables).filter(|(_, v)| of(v));
        objects.extend(own.map(|(i, _)| Object::Array(Symbol::Kernel(i))));
        if space == Space::Shared && self.dynamic().is_some() {
            objects.push(Object::Dynamic);
        }
        objects
    }

    /// Writes an instruction that accesses memory, where its checks hold.
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

    /// A matrix load, which all lanes execute: those outside read spare memory.
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

    /// 16 bytes of shared memory that nothing else uses.
    fn spare(&mut self) -> u32 {
        let variables = &mut self.w.kernel.variables;
        *self.spare.get_or_insert_with(|| {
            variables.push(Variable {
                name: "guard_spare".to_owned(),
                space: Space::Shared,
                align: 16,
                ty: ScalarType::B8,
                len: Some(16),
                init: Vec::new(),
                linkage: crate::ir::Linkage::Internal,
            });
            variables.len() as u32 - 1
        })
    }

    /// An instruction as it was; the thread leaves through the block that tells of violations.
    fn plain(&mut self, inst: &Inst) {
        match (inst.form().meaning, self.exit) {
            (Meaning::Exit, Some(exit)) => self.w.branch(inst.guard, exit),
            _ => self.w.push(inst.clone()),
        }
    }

    /// After a wait that others' violations may keep from ending: it ends once one is told of.
    fn poll(&mut self, inst: &Inst) {
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

    /// The way out of all threads.
    fn leave(&mut self) {
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

    /// Writes the record, unless another thread has; then, or if so, goes on at `after`, which follows.
    fn tell(&mut self, bytes: Operand, after: Label) {
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
