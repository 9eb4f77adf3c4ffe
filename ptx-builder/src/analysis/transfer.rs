//! What each instruction makes of what is known of its sources.

use super::value::{Origin, Uniformity, Value, low};
use crate::ir::{Base, Inst, Kernel, Module, Operand, Symbol};
use crate::table::{Barrier, Form, Meaning, Memory, Order, Relation, Shuffle, SpecialReg, Vote, Word};
use crate::types::{Kind, RegClass, ScalarType, Space};

/// What is known of the block's shape.
///
/// Without launch bounds, blocks are taken to be rows of whole warps: then
/// `%tid.x / 32` is the same in a warp. Bounds that say otherwise are believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    required: Option<[u32; 3]>,
    shape: Option<[u32; 3]>,
}

impl Geometry {
    pub(super) fn new(kernel: &Kernel) -> Geometry {
        let required = kernel.bounds.required;
        Geometry { required, shape: required.or(kernel.bounds.max_threads) }
    }

    /// Whether each warp lies in one row of the block.
    fn rows_of_warps(self) -> bool {
        self.shape.is_none_or(|[x, y, z]| x % 32 == 0 || y * z == 1)
    }

    /// Whether every warp has all of its lanes.
    fn is_whole_warps(self) -> bool {
        self.required.is_none_or(|[x, y, z]| x * y * z % 32 == 0)
    }

    fn special(self, s: SpecialReg) -> Value {
        use SpecialReg::*;
        let extent = |axis: usize| self.required.map(|shape| shape[axis]);
        match s {
            TidX | TidY | TidZ => {
                let axis = s as usize - TidX as usize;
                if self.shape.is_some_and(|shape| shape[axis] == 1) {
                    Value::constant(0)
                } else if axis == 0 && self.rows_of_warps() {
                    Value { lane_bits: 31, warp_bits: !31 & low(32), ..Value::unknown(Uniformity::Block) }
                } else if self.rows_of_warps() && self.shape.is_some() {
                    Value::unknown(Uniformity::Warp).truncated(32)
                } else {
                    Value::unknown(Uniformity::Divergent).truncated(32)
                }
            }
            NtidX | NtidY | NtidZ => match extent(s as usize - NtidX as usize) {
                Some(n) => Value::constant(u64::from(n)),
                None if s == NtidX => Value::constant(0).known_to(5),
                None => Value::unknown(Uniformity::Block),
            },
            Laneid => Value { lane_bits: 31, ..Value::unknown(Uniformity::Block) },
            LanemaskEq | LanemaskLe | LanemaskLt | LanemaskGe | LanemaskGt => {
                Value { lane_bits: low(32), ..Value::unknown(Uniformity::Block) }
            }
            Warpid => Value::unknown(Uniformity::Warp),
            // Lanes need not read them at the same time.
            Clock | ClockHi | Clock64 | Globaltimer | GlobaltimerLo | GlobaltimerHi => {
                Value::unknown(Uniformity::Divergent)
            }
            CtaidX | CtaidY | CtaidZ | NctaidX | NctaidY | NctaidZ | Nwarpid | Smid | Nsmid | Gridid
            | TotalSmemSize | DynamicSmemSize => Value::unknown(Uniformity::Block),
            // Registers about the cluster, and those that the driver sets (`%envreg0` to `%envreg31`).
            _ => Value::unknown(Uniformity::Block),
        }
    }
}

/// The surroundings of an instruction.
pub(super) struct Context<'k> {
    pub(super) module: &'k Module,
    pub(super) kernel: &'k Kernel,
    pub(super) geometry: Geometry,
}

impl Context<'_> {
    /// The address of a symbol.
    pub(super) fn symbol(&self, symbol: Symbol, offset: i32) -> Value {
        let align = match symbol {
            Symbol::Param(i) => self.kernel.params.get(i as usize).map(|p| p.align.unwrap_or(p.ty.bytes())),
            Symbol::Kernel(i) => self.kernel.variables.get(i as usize).map(|v| v.align),
            Symbol::Module(i) => self.module.variables.get(i as usize).map(|v| v.align),
        };
        Value::address(Origin::Symbol(symbol), align.unwrap_or(1), i64::from(offset))
    }

    /// An operand, given what registers hold.
    pub(super) fn operand(&self, operand: &Operand, reg: &mut impl FnMut(crate::ir::Reg) -> Value) -> Value {
        match *operand {
            Operand::Reg(r) => reg(r),
            Operand::NotPred(r) => {
                let v = reg(r);
                v.bitwise(Value::constant(1), 1, |a, b| a ^ b)
            }
            Operand::Imm(bits) => Value::constant(bits),
            Operand::Special(s) => self.geometry.special(s),
            Operand::Symbol(symbol, offset) => self.symbol(symbol, offset),
            Operand::Address(a) => match a.base {
                Base::Reg(r) => {
                    let width = if r.class == RegClass::B32 { 32 } else { 64 };
                    reg(r).plus(Value::constant(i64::from(a.offset) as u64 & low(width)), false, width)
                }
                Base::Symbol(s) => self.symbol(s, a.offset),
            },
            Operand::Label(_) | Operand::Function(_) | Operand::Text(_) | Operand::None => Value::constant(0),
        }
    }

    /// The results of an instruction, one for all of its result registers,
    /// from its sources in operand order. `control` is the level at which it
    /// is executed.
    pub(super) fn result(&self, inst: &Inst, sources: &[Value], control: Uniformity) -> Value {
        let form = inst.form();
        let width = form.slots.first().and_then(|s| s.ty()).map_or(64, ScalarType::bits);
        let all = || sources.iter().fold(Value::constant(0), |a, &b| a.mixed(b, 64));
        match &form.meaning {
            Meaning::Lane(_) => extended(inst, lane(form, sources, width)),
            Meaning::Approx(..) => all(),
            Meaning::Load(memory) => self.load(inst, memory, sources),
            Meaning::Shuffle(mode) => {
                let fixed = *mode == Shuffle::Idx && sources.get(1).is_some_and(|b| b.as_constant().is_some());
                let whole =
                    control < Uniformity::Divergent && sources.get(3).and_then(Value::as_constant) == Some(low(32));
                let one_segment = sources.get(2).and_then(Value::as_constant).is_some_and(|c| c >> 8 & 31 == 0);
                let same = sources.first().is_some_and(|a| a.lane_bits == 0);
                if same || fixed && whole && one_segment { warp(all()) } else { all().at_least(Uniformity::Divergent) }
            }
            Meaning::Vote(vote) => self.vote(*vote, sources, control),
            Meaning::ActiveMask => Value::unknown(control.max(Uniformity::Warp)),
            // All threads at a barrier get the same result: the block, or the counted warps.
            Meaning::Barrier(Barrier::Reduce { .. }) => {
                let of_block = !form.slots.iter().any(|s| s.name == "b");
                let number = sources.first().map_or(Uniformity::Divergent, Value::level);
                let level = if of_block { Uniformity::Block } else { Uniformity::Warp };
                Value::unknown(level.max(number).max(control))
            }
            Meaning::Atomic(..)
            | Meaning::Async(_)
            | Meaning::Matrix(_)
            | Meaning::Call
            | Meaning::Foreign
            | Meaning::Opaque { .. }
            // These have no results.
            | Meaning::Barrier(_)
            | Meaning::Store(_)
            | Meaning::Prefetch(_)
            | Meaning::Discard(_)
            | Meaning::Fence(_)
            | Meaning::Branch
            | Meaning::Exit
            | Meaning::Trap
            | Meaning::Pause => Value::unknown(Uniformity::Divergent),
        }
    }

    /// A combination over the lanes of a mask, which comes last.
    fn vote(&self, vote: Vote, sources: &[Value], control: Uniformity) -> Value {
        let level = sources.iter().map(Value::level).max().unwrap_or(Uniformity::Divergent);
        let mask = sources.last().map_or(Uniformity::Divergent, Value::level);
        let together = control < Uniformity::Divergent && mask < Uniformity::Divergent;
        Value::unknown(match vote {
            Vote::MatchAny | Vote::Elect => Uniformity::Divergent,
            _ if !together => Uniformity::Divergent,
            Vote::All | Vote::Any | Vote::Uni if level == Uniformity::Block => level,
            // These also depend on the number of lanes.
            Vote::Ballot | Vote::MatchAll | Vote::Redux(_)
                if level == Uniformity::Block && self.geometry.is_whole_warps() =>
            {
                level
            }
            Vote::All | Vote::Any | Vote::Uni | Vote::Ballot | Vote::MatchAll | Vote::Redux(_) => Uniformity::Warp,
        })
    }

    /// Whether an address may lie in local memory, where each thread sees its own.
    fn may_be_local(&self, space: Space, address: Value) -> bool {
        let local = |v: &crate::ir::Variable| v.space == Space::Local;
        match space {
            Space::Local => true,
            Space::Generic => match address.origin {
                Some(Origin::Pointer(_)) => false,
                Some(Origin::Symbol(Symbol::Kernel(i))) => self.kernel.variables.get(i as usize).is_none_or(local),
                Some(Origin::Symbol(Symbol::Module(i))) => self.module.variables.get(i as usize).is_none_or(local),
                Some(Origin::Symbol(Symbol::Param(_))) => false,
                None => self.kernel.variables.iter().chain(&self.module.variables).any(local),
            },
            Space::Global | Space::Shared | Space::Const | Space::Param => false,
        }
    }

    fn load(&self, inst: &Inst, memory: &Memory, sources: &[Value]) -> Value {
        let address = sources.first().copied().unwrap_or(Value::unknown(Uniformity::Divergent));
        if memory.space == Space::Param {
            return self.load_param(inst, memory, address);
        }
        if memory.order != Order::Weak || self.may_be_local(memory.space, address) || address.lane_bits != 0 {
            return Value::unknown(Uniformity::Divergent);
        }
        Value::unknown(address.level())
    }

    /// A 64-bit integer parameter may be a pointer.
    fn load_param(&self, inst: &Inst, memory: &Memory, address: Value) -> Value {
        let whole = inst.operands.iter().find_map(|op| match op {
            Operand::Address(a) if a.offset == 0 => Some(a.base),
            _ => None,
        });
        if let Some(Base::Symbol(Symbol::Param(i))) = whole
            && memory.len == 1
            && memory.ty.bits() == 64
            && memory.ty.kind() != Kind::Float
            && let Some(p) = self.kernel.params.get(i as usize)
            && p.len.is_none()
        {
            return Value::address(Origin::Pointer(i), p.pointer.map_or(1, |(_, align)| align), 0);
        }
        Value::unknown(address.level())
    }
}

/// The same value in the lanes of a warp.
fn warp(mut v: Value) -> Value {
    v.warp_bits |= v.lane_bits;
    v.lane_bits = 0;
    v.known_to(0)
}

/// A result as it is in its register: where that is wider, extended by the type's sign.
fn extended(inst: &Inst, value: Value) -> Value {
    let ty = inst.form().slots.first().and_then(|s| s.ty()).filter(|ty| ty.is_signed());
    match (ty, inst.operands.first()) {
        (Some(ty), Some(Operand::Reg(r))) if ty.bits() < r.class.bits() => {
            value.sign_extended(ty.bits()).truncated(r.class.bits())
        }
        _ => value,
    }
}

fn lane(form: &Form, s: &[Value], width: u32) -> Value {
    let nth = |i: usize| s.get(i).copied().unwrap_or(Value::unknown(Uniformity::Divergent));
    let generic = || s.iter().fold(Value::constant(0), |a, &b| a.mixed(b, width.max(1)));
    let source_width = form.word_bits();
    let power = |v: Value| v.as_constant().filter(|c| c.is_power_of_two()).map(u64::trailing_zeros);
    let factor = |v: Value, signed| if signed { v.sign_extended(source_width) } else { v.truncated(source_width) };
    match form.word() {
        Word::Copy => nth(0),
        Word::Rebase => nth(0).rebased(),
        Word::Resize { signed } => factor(nth(0), signed).truncated(width),
        Word::Add => nth(0).plus(nth(1), false, width),
        Word::Sub => nth(0).plus(nth(1), true, width),
        Word::Mul => nth(0).times(nth(1), width),
        Word::WideMul { signed } => factor(nth(0), signed).times(factor(nth(1), signed), width),
        Word::Mad => nth(0).times(nth(1), width).plus(nth(2), false, width),
        Word::WideMad { signed } => {
            factor(nth(0), signed).times(factor(nth(1), signed), width).plus(nth(2), false, width)
        }
        Word::Shl => match nth(1).as_constant() {
            Some(by) => nth(0).shifted_left(u32::try_from(by).unwrap_or(u32::MAX), width),
            None => generic(),
        },
        Word::Shr { signed } => match nth(1).as_constant() {
            Some(by) if !signed && by >= u64::from(width) => Value::constant(0),
            Some(by) => nth(0).shifted_right(u32::try_from(by).unwrap_or(u32::MAX), width, signed),
            None => generic(),
        },
        Word::Div { signed: false } => match power(nth(1)) {
            Some(by) => nth(0).shifted_right(by, width, false),
            None => generic(),
        },
        Word::Rem { signed: false } => match power(nth(1)) {
            Some(by) => nth(0).and(Value::constant(low(by)), width),
            None => generic(),
        },
        Word::And => nth(0).and(nth(1), width),
        Word::Or => nth(0).bitwise(nth(1), width, |a, b| a | b),
        Word::Xor => nth(0).bitwise(nth(1), width, |a, b| a ^ b),
        Word::Compare { relation, signed } => {
            compare(relation, nth(0), nth(1), if signed { source_width - 1 } else { 64 }).unwrap_or_else(generic)
        }
        Word::Div { signed: true }
        | Word::Rem { signed: true }
        | Word::InWindow
        | Word::Min { .. }
        | Word::Max { .. }
        | Word::Select
        | Word::Other => generic(),
    }
}

/// A comparison with a constant at a multiple of the warp's size does not
/// depend on the low bits: `%tid.x < 64`. Below `sign` all bits are worth
/// what they are in an unsigned number.
fn compare(relation: Relation, a: Value, b: Value, sign: u32) -> Option<Value> {
    if a.lane_bits == 0 {
        return None;
    }
    let below = match relation {
        Relation::Lt | Relation::Ge => 0,
        Relation::Le | Relation::Gt => 1,
        Relation::Eq | Relation::Ne => return None,
    };
    let limit = b.as_constant()?.wrapping_add(below);
    let top = 64 - a.lane_bits.leading_zeros();
    if limit & low(top) != 0 || top > sign {
        return None;
    }
    let warp_bits = u64::from(a.warp_bits != 0);
    Some(Value { lane_bits: 0, warp_bits, ..Value::constant(0) }.known_to(0))
}
