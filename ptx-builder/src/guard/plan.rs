//! The checks that a kernel needs: one for each access that is not proved to be in bounds, as few as possible.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::GuardError;
use super::access::{Access, Size, Way, accesses};
use super::address::{Linear, Object, Trace};
use super::site::{Member, Site, Touch};
use crate::analysis::ranges::Ranges;
use crate::analysis::{InstId, KernelInfo, Origin};
use crate::ir::{Address, Base, BlockId, Guard, Inst, Kernel, Module, Operand, Reg, Symbol};
use crate::types::Space;

/// The form of a checked address. For a register with several definitions, the number of its writes in the block is
/// part of the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum How {
    /// A constant distance from the object's start.
    Constant,
    /// An unsigned 32-bit index times a scale.
    Index(Reg, u64, u32),
    /// The address itself.
    Address(Base, u32),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Key {
    object: Option<Object>,
    space: Space,
    how: How,
    guard: Option<(Guard, u32)>,
    way: Way,
    /// The required alignment of the address, if it is not proved, and the offset modulo that.
    align: (u32, i64),
    /// Checks of sizes in operands are not shared.
    alone: Option<(InstId, usize)>,
}

/// A check.
#[derive(Debug)]
pub(super) struct Check {
    pub object: Option<Object>,
    pub space: Space,
    pub how: How,
    pub guard: Option<Guard>,
    pub way: Way,
    pub align: u32,
    pub size: Size,
    /// The bytes that it covers, from the index times its scale or from the address.
    pub lo: i64,
    pub hi: i64,
    pub members: Vec<Member>,
    /// The access from whose address it computes; the first of all its accesses.
    pub at: InstId,
}

impl Check {
    /// The scale of the recorded value.
    pub fn scale(&self) -> u64 {
        if let How::Index(_, scale, _) = self.how { scale } else { 1 }
    }

    /// The form for the host.
    pub fn site(&self) -> Site {
        let shift = if let How::Address(..) = self.how { self.lo } else { 0 };
        Site { object: self.object, scale: self.scale(), shift, members: self.members.clone() }
    }
}

/// The checks of a kernel, and those of each instruction's accesses.
#[derive(Default, Debug)]
pub(super) struct Plan {
    pub checks: Vec<Check>,
    pub needs: HashMap<InstId, (Way, SmallVec<[usize; 3]>)>,
    /// Hints with an unknown address.
    pub dropped: Vec<InstId>,
    /// By parameter, whether the kernel writes to its buffer.
    pub writes: Vec<bool>,
    /// Accesses that need no check of their own.
    pub proved: usize,
}

/// A kernel during planning.
struct Planner<'k> {
    module: &'k Module,
    kernel: &'k Kernel,
    info: &'k KernelInfo,
    trace: Trace<'k>,
    ranges: Ranges<'k>,
    may_write: &'k dyn Fn(usize) -> bool,
    plan: Plan,
    /// Checks of finished blocks, which are reused where they dominate.
    done: HashMap<Key, Vec<(BlockId, usize)>>,
}

/// Plans a kernel. `may_write` returns whether the buffer of a parameter may be written.
pub(super) fn plan(
    module: &Module,
    kernel: &Kernel,
    info: &KernelInfo,
    may_write: &dyn Fn(usize) -> bool,
) -> Result<Plan, GuardError> {
    let plan = Plan { writes: vec![false; kernel.params.len()], ..Plan::default() };
    let trace = Trace { kernel, info };
    let ranges = Ranges::new(kernel, &info.cfg, &info.defuse);
    let mut planner = Planner { module, kernel, info, trace, ranges, may_write, plan, done: HashMap::new() };
    for &b in info.cfg.order() {
        planner.block(b)?;
    }
    Ok(planner.plan)
}

/// Plans one access.
enum Decision {
    Proved,
    Nowhere,
    Check(Key, i64),
}

impl Planner<'_> {
    fn block(&mut self, b: BlockId) -> Result<(), GuardError> {
        let mut open: HashMap<Key, usize> = HashMap::new();
        let mut written: HashMap<Reg, u32> = HashMap::new();
        for (i, inst) in self.kernel.blocks[b.0 as usize].insts.iter().enumerate() {
            let id = self.info.cfg.inst_id(b, i);
            let (way, list) = accesses(inst);
            if way == Way::Unbounded {
                return Err(GuardError::unbounded(self.module, self.kernel, inst));
            }
            let mut needs: SmallVec<[usize; 3]> = SmallVec::new();
            for access in list.iter().filter(|a| !is_named_parameter(inst, a)) {
                match self.decide(id, inst, way, access, &written)? {
                    Decision::Proved => self.plan.proved += 1,
                    Decision::Nowhere => self.plan.dropped.push(id),
                    Decision::Check(key, lo) => {
                        let hi = lo + self.fixed(access.size);
                        let check = match self.dominating(b, &key, lo, hi) {
                            Some(check) => {
                                self.plan.proved += 1;
                                check
                            }
                            None => self.widen(&mut open, key, id, inst, access, lo, hi),
                        };
                        needs.push(check);
                    }
                }
            }
            if !needs.is_empty() {
                self.plan.needs.insert(id, (way, needs));
            }
            for reg in inst.defs() {
                *written.entry(reg).or_default() += 1;
            }
        }
        for (key, check) in open {
            self.done.entry(settled(key)).or_default().push((b, check));
        }
        Ok(())
    }

    /// Bytes of an access, as far as they are constant.
    fn fixed(&self, size: Size) -> i64 {
        match size {
            Size::Fixed(n) => n.into(),
            Size::UpTo(..) | Size::Bulk(_) => 0,
        }
    }

    /// A check of a block that dominates this one and covers these bytes.
    fn dominating(&self, b: BlockId, key: &Key, lo: i64, hi: i64) -> Option<usize> {
        if key.alone.is_some() || key.way == Way::Redirect {
            return None;
        }
        // Any check may be reused if it is not under a guard and reports violations.
        let single = |reg: Reg| {
            let defs = self.info.defuse.defs_of(reg);
            defs.len() == 1 && !self.info.defuse.is_guarded(defs[0])
        };
        let stable = match key.how {
            How::Constant | How::Address(Base::Symbol(_), _) => true,
            How::Index(reg, ..) | How::Address(Base::Reg(reg), _) => single(reg),
        };
        if !stable {
            return None;
        }
        let ways = if key.way == Way::Hint { &[Way::Skip, Way::Hint][..] } else { &[Way::Skip][..] };
        ways.iter().find_map(|&way| {
            let known = self.done.get(&settled(Key { guard: None, way, ..*key }))?;
            let mut at = b;
            while let Some(dominator) = self.info.cfg.immediate_dominator(at) {
                at = dominator;
                let covers = |c: &Check| c.lo <= lo && hi <= c.hi;
                let found = known.iter().find(|(block, check)| *block == at && covers(&self.plan.checks[*check]));
                if let Some((_, check)) = found {
                    return Some(*check);
                }
            }
            None
        })
    }

    /// Adds an access to the block's check with this key, or to a new one.
    #[allow(clippy::too_many_arguments)]
    fn widen(
        &mut self,
        open: &mut HashMap<Key, usize>,
        key: Key,
        id: InstId,
        inst: &Inst,
        access: &Access,
        lo: i64,
        hi: i64,
    ) -> usize {
        let member = self.member(inst, access, lo);
        if let Some(&at) = open.get(&key) {
            let check = &mut self.plan.checks[at];
            (check.lo, check.hi) = (check.lo.min(lo), check.hi.max(hi));
            check.members.push(member);
            return at;
        }
        let at = self.plan.checks.len();
        self.plan.checks.push(Check {
            object: key.object,
            space: key.space,
            how: key.how,
            guard: key.guard.map(|(g, _)| g),
            way: key.way,
            align: key.align.0,
            size: access.size,
            lo,
            hi,
            members: vec![member],
            at: id,
        });
        open.insert(key, at);
        at
    }

    fn member(&self, inst: &Inst, access: &Access, lo: i64) -> Member {
        let (bytes, element) = match (inst.form().memory(), access.size) {
            (Some(m), _) => (Some(m.bytes()), m.ty.bytes()),
            (None, Size::Fixed(n) | Size::UpTo(n, _)) => (Some(n), n),
            (None, Size::Bulk(_)) => (None, 16),
        };
        let touch = match (access.reads, access.writes) {
            (true, true) => Touch::Updates,
            (_, true) => Touch::Writes,
            _ => Touch::Reads,
        };
        let text = crate::print::inst(self.module, self.kernel, inst);
        Member { lo, bytes, align: access.align, element, touch, text, loc: inst.loc.clone() }
    }

    fn decide(
        &mut self,
        id: InstId,
        inst: &Inst,
        way: Way,
        access: &Access,
        written: &HashMap<Reg, u32>,
    ) -> Result<Decision, GuardError> {
        let Some(Operand::Address(address)) = inst.operands.get(access.operand).copied() else {
            return Ok(Decision::Proved);
        };
        let linear = self.trace.linear(id, &address);
        let value = self.info.operand(self.module, self.kernel, id, &Operand::Address(address));
        let origin = linear.map(|l| l.origin).or(value.origin);
        let object = origin.map(|o| Object::of(self.module, o));
        if object.is_none() && way == Way::Hint {
            return Ok(Decision::Nowhere);
        }
        let known = match (object, access.space) {
            (Some(Object::Array(Symbol::Param(_))), _) => false,
            (Some(_), _) | (None, Space::Global | Space::Shared) => true,
            (None, _) => false,
        };
        if !known || way == Way::Redirect && object.is_none() {
            return Err(GuardError::unknown(self.module, self.kernel, inst));
        }
        if access.writes {
            self.writing(inst, object, access.space)?;
        }
        let aligned = self.zeros(id, &address, linear, origin) >= access.align.trailing_zeros();
        if aligned
            && let (Some(l), Some(object), Size::Fixed(n)) = (linear, object, access.size)
            && self.is_inside(l, object, n)
        {
            return Ok(Decision::Proved);
        }
        let epoch = |reg: Reg| written.get(&reg).copied().unwrap_or(0);
        let fixed = matches!(access.size, Size::Fixed(_));
        let (how, lo) = match (linear, address.base) {
            (Some(Linear { index: Some((reg, scale)), offset, .. }), _) if fixed && aligned && offset >= 0 => {
                (How::Index(reg, scale, epoch(reg)), offset)
            }
            (Some(Linear { index: None, offset, .. }), _) if fixed && aligned && offset >= 0 => (How::Constant, offset),
            (_, Base::Reg(reg)) => (How::Address(address.base, epoch(reg)), address.offset.into()),
            (_, Base::Symbol(_)) => (How::Address(address.base, 0), address.offset.into()),
        };
        let align = if aligned { (1, 0) } else { (access.align, lo.rem_euclid(access.align.into())) };
        let guard = inst.guard.map(|g| (g, epoch(g.reg)));
        let alone = (!fixed || way == Way::Redirect).then_some((id, access.operand));
        let key = Key { object, space: access.space, how, guard, way, align, alone };
        Ok(Decision::Check(key, lo))
    }

    /// Records what is written, and rejects writes to read-only buffers.
    fn writing(&mut self, inst: &Inst, object: Option<Object>, space: Space) -> Result<(), GuardError> {
        let params: Vec<u32> = match (object, space) {
            (Some(Object::Buffer(i)), _) => vec![i],
            (None, Space::Global) => buffers(self.kernel).collect(),
            _ => Vec::new(),
        };
        for i in params {
            let i = i as usize;
            if !(self.may_write)(i) {
                return Err(GuardError::read_only(self.module, self.kernel, inst, i));
            }
            if let Some(writes) = self.plan.writes.get_mut(i) {
                *writes = true;
            }
        }
        Ok(())
    }

    /// The number of low bits of an address that are known to be 0.
    fn zeros(&self, id: InstId, address: &Address, linear: Option<Linear>, origin: Option<Origin>) -> u32 {
        let own = match address.base {
            Base::Reg(r) => self.ranges.of(id, r).zeros.min(address.offset.trailing_zeros()),
            Base::Symbol(_) => 0,
        };
        let declared = match origin {
            // Every buffer is bound at a multiple of 16 bytes.
            Some(Origin::Pointer(_)) => 4,
            Some(Origin::Symbol(Symbol::Kernel(i))) => {
                self.kernel.variables.get(i as usize).map_or(0, |v| v.align.trailing_zeros())
            }
            Some(Origin::Symbol(Symbol::Module(i))) => {
                self.module.variables.get(i as usize).map_or(0, |v| v.align.trailing_zeros())
            }
            Some(Origin::Symbol(Symbol::Param(_))) | None => 0,
        };
        let summed = linear.map_or(0, |l| {
            let index = l.index.map_or(64, |(reg, scale)| self.ranges.ever(reg).zeros + scale.trailing_zeros());
            index.min(l.offset.trailing_zeros()).min(declared)
        });
        own.max(summed)
    }

    /// Whether an access is inside an array of known size for any index.
    fn is_inside(&self, l: Linear, object: Object, bytes: u32) -> bool {
        let Some(len) = static_bytes(self.module, self.kernel, object) else { return false };
        let most = l.index.map_or(Some(0), |(reg, scale)| self.ranges.ever(reg).most.checked_mul(scale));
        let end = most.and_then(|m| m.checked_add(u64::try_from(l.offset).ok()?)?.checked_add(bytes.into()));
        l.offset >= 0 && end.is_some_and(|end| end <= len)
    }
}

/// Whether an access reads a parameter by its name, which the verifier has checked.
fn is_named_parameter(inst: &Inst, access: &Access) -> bool {
    let named = |op: &Operand| matches!(op, Operand::Address(Address { base: Base::Symbol(Symbol::Param(_)), .. }));
    access.space == Space::Param && inst.operands.get(access.operand).is_some_and(named)
}

/// A key without counts of writes in a block: for a register with one definition.
fn settled(key: Key) -> Key {
    let how = match key.how {
        How::Index(reg, scale, _) => How::Index(reg, scale, 0),
        How::Address(base, _) => How::Address(base, 0),
        How::Constant => How::Constant,
    };
    Key { how, ..key }
}

/// Bytes of an array that is declared with a size.
pub(super) fn static_bytes(module: &Module, kernel: &Kernel, object: Object) -> Option<u64> {
    match object {
        Object::Array(Symbol::Kernel(i)) => kernel.variables.get(i as usize)?.bytes(),
        Object::Array(Symbol::Module(i)) => module.variables.get(i as usize)?.bytes(),
        Object::Array(Symbol::Param(_)) | Object::Buffer(_) | Object::Dynamic => None,
    }
}

/// The parameters that may be a buffer: those declared as pointers, or if there are none, all of 64 bits.
pub(super) fn buffers(kernel: &Kernel) -> impl Iterator<Item = u32> {
    let declared = kernel.params.iter().any(|p| p.pointer.is_some());
    let is = move |p: &crate::ir::Param| match declared {
        true => p.pointer.is_some(),
        false => p.len.is_none() && p.ty.bits() == 64,
    };
    (0u32..).zip(&kernel.params).filter(move |(_, p)| is(p)).map(|(i, _)| i)
}
