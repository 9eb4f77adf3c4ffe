//! What each instruction makes of what is known of its sources.

use super::value::{Origin, Uniformity, Value, low};
use crate::ir::{Base, Inst, Kernel, Module, Operand, Symbol};
use crate::table::{Async, Barrier, Form, Matrix, Meaning, Memory, Mod, Op, Order, Shuffle, SpecialReg, Vote};
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
            Warpid | Clock | ClockHi | Clock64 | Globaltimer | GlobaltimerLo | GlobaltimerHi => {
                Value::unknown(Uniformity::Warp)
            }
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
            Operand::Label(_) | Operand::None => Value::constant(0),
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
            Meaning::Lane(_) => lane(form, sources, width),
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
            Meaning::Vote(Vote::MatchAny | Vote::Elect) => Value::unknown(Uniformity::Divergent),
            Meaning::Vote(_) if control < Uniformity::Divergent => {
                if all().level() == Uniformity::Block {
                    all()
                } else {
                    Value::unknown(Uniformity::Warp)
                }
            }
            Meaning::Vote(_) => Value::unknown(Uniformity::Divergent),
            Meaning::ActiveMask => Value::unknown(control.max(Uniformity::Warp)),
            Meaning::Barrier(Barrier::Reduce { .. }) if form.op == Op::BarRed || form.op == Op::BarrierRed => {
                Value::unknown(Uniformity::Block)
            }
            Meaning::Barrier(_) => Value::unknown(Uniformity::Warp),
            Meaning::Async(Async::MbarrierWait { .. }) => Value::unknown(Uniformity::Divergent),
            Meaning::Matrix(Matrix::Load { .. } | Matrix::FloatMma { .. } | Matrix::IntMma { .. }) => {
                Value::unknown(Uniformity::Divergent)
            }
            _ => Value::unknown(Uniformity::Divergent),
        }
    }

    fn load(&self, inst: &Inst, memory: &Memory, sources: &[Value]) -> Value {
        let address = sources.first().copied().unwrap_or(Value::unknown(Uniformity::Divergent));
        if memory.space == Space::Param {
            return self.load_param(inst, memory, address);
        }
        if memory.order != Order::Weak || memory.space == Space::Local || address.lane_bits != 0 {
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

fn lane(form: &Form, s: &[Value], width: u32) -> Value {
    let nth = |i: usize| s.get(i).copied().unwrap_or(Value::unknown(Uniformity::Divergent));
    let generic = || s.iter().fold(Value::constant(0), |a, &b| a.mixed(b, width.max(1)));
    let ty = form.mods.iter().rev().find_map(|m| if let Mod::Ty(t) = m { Some(*t) } else { None });
    let signed = ty.is_some_and(ScalarType::is_signed);
    let float = ty.is_some_and(|t| t.kind() == Kind::Float);
    if float && !matches!(form.op, Op::Mov) {
        return generic();
    }
    let source_width = ty.map_or(width, ScalarType::bits);
    let has = |m: Mod| form.mods.contains(&m);
    let power = |v: Value| v.as_constant().filter(|c| c.is_power_of_two()).map(u64::trailing_zeros);
    let factor = |v: Value| if signed { v.sign_extended(source_width) } else { v.truncated(source_width) };
    match form.op {
        Op::Mov if s.len() == 1 && form.slots.iter().all(|s| s.width() == 1) => nth(0),
        Op::Cvta => nth(0),
        Op::Cvt if form.mods.len() == 2 => {
            let float_result = matches!(form.mods[0], Mod::Ty(t) if t.kind() == Kind::Float);
            match (float_result, signed) {
                (true, _) => generic(),
                (_, true) => nth(0).sign_extended(source_width).truncated(width),
                _ => nth(0).truncated(source_width).truncated(width),
            }
        }
        Op::Add if !has(Mod::Sat) => nth(0).plus(nth(1), false, width),
        Op::Sub if !has(Mod::Sat) => nth(0).plus(nth(1), true, width),
        Op::Mul if has(Mod::Lo) => nth(0).times(nth(1), width),
        Op::Mul if has(Mod::Wide) => factor(nth(0)).times(factor(nth(1)), width),
        Op::Mad if has(Mod::Lo) => nth(0).times(nth(1), width).plus(nth(2), false, width),
        Op::Mad if has(Mod::Wide) => factor(nth(0)).times(factor(nth(1)), width).plus(nth(2), false, width),
        Op::Shl => match nth(1).as_constant() {
            Some(by) => nth(0).shifted_left(by.min(64) as u32, width),
            None => generic(),
        },
        Op::Shr => match nth(1).as_constant() {
            Some(by) => nth(0).shifted_right(by.min(63) as u32, width, signed),
            None => generic(),
        },
        Op::Div if !signed => match power(nth(1)) {
            Some(by) => nth(0).shifted_right(by, width, false),
            None => generic(),
        },
        Op::Rem if !signed => match power(nth(1)) {
            Some(by) => nth(0).and(Value::constant(low(by)), width),
            None => generic(),
        },
        Op::And => nth(0).and(nth(1), width),
        Op::Or => nth(0).bitwise(nth(1), width, |a, b| a | b),
        Op::Xor => nth(0).bitwise(nth(1), width, |a, b| a ^ b),
        Op::Setp => compare(form, nth(0), nth(1)).unwrap_or_else(generic),
        _ => generic(),
    }
}

/// A comparison with a constant at a multiple of the warp's size does not
/// depend on the low bits: `%tid.x < 64`.
fn compare(form: &Form, a: Value, b: Value) -> Option<Value> {
    if a.lane_bits == 0 {
        return None;
    }
    let below = form.mods.iter().find_map(|m| match m {
        Mod::Lt | Mod::Ge | Mod::LoCmp | Mod::Hs => Some(0),
        Mod::Le | Mod::Gt | Mod::Ls | Mod::HiCmp => Some(1),
        _ => None,
    })?;
    let limit = b.as_constant()?.wrapping_add(below);
    let top = 64 - a.lane_bits.leading_zeros();
    if limit & low(top) != 0 {
        return None;
    }
    let warp_bits = u64::from(a.warp_bits != 0);
    Some(Value { lane_bits: 0, warp_bits, ..Value::constant(0) }.known_to(0))
}
