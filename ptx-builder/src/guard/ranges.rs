//! How large a register's value can be, and what it is a multiple of.
//!
//! Nothing is believed here but the instructions themselves and the launch bounds, which a launch is
//! checked against.

use crate::analysis::{InstId, KernelInfo};
use crate::ir::{Inst, Kernel, Operand, Reg};
use crate::table::{Meaning, Mod, Op, SpecialReg};
use crate::types::{Kind, RegClass, ScalarType, Space};

/// What is known of an unsigned value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Range {
    /// It is at most this.
    pub most: u64,
    /// It is a multiple of 2^zeros.
    pub zeros: u32,
}

/// Rounds of the analysis after which what still changes is taken to be anything.
const ROUNDS: u32 = 6;

fn low(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

impl Range {
    fn any(bits: u32) -> Range {
        Range { most: low(bits), zeros: 0 }
    }

    fn constant(value: u64) -> Range {
        Range { most: value, zeros: value.trailing_zeros() }
    }

    fn join(self, other: Range) -> Range {
        Range { most: self.most.max(other.most), zeros: self.zeros.min(other.zeros) }
    }

    /// The result of an operation in `bits` bits, whose exact value is at most `most` if that is known.
    fn wrapped(most: Option<u64>, zeros: u32, bits: u32) -> Range {
        Range { most: most.filter(|&m| m <= low(bits)).unwrap_or(low(bits)), zeros: zeros.min(64) }
    }

    fn plus(self, other: Range, bits: u32) -> Range {
        Range::wrapped(self.most.checked_add(other.most), self.zeros.min(other.zeros), bits)
    }

    fn times(self, other: Range, bits: u32) -> Range {
        Range::wrapped(self.most.checked_mul(other.most), self.zeros + other.zeros, bits)
    }
}

/// Ranges of every definition of a kernel.
pub(super) struct Ranges<'k> {
    kernel: &'k Kernel,
    info: &'k KernelInfo,
    values: Vec<Option<Range>>,
}

impl<'k> Ranges<'k> {
    pub(super) fn new(kernel: &'k Kernel, info: &'k KernelInfo) -> Ranges<'k> {
        let mut ranges = Ranges { kernel, info, values: vec![None; info.defuse.def_count()] };
        let mut round = 0;
        while ranges.round(round >= ROUNDS) {
            round += 1;
        }
        ranges
    }

    /// Evaluates every instruction once; whether anything changed.
    fn round(&mut self, widen: bool) -> bool {
        let mut changed = false;
        for &b in self.info.cfg.order() {
            for (i, inst) in self.kernel.blocks[b.0 as usize].insts.iter().enumerate() {
                let id = self.info.cfg.inst_id(b, i);
                for (def, reg) in self.info.defuse.defs(id).zip(inst.defs()) {
                    let new = self.result(id, inst, reg);
                    let old = self.values[def.index()];
                    let joined = old.map_or(new, |old| old.join(new));
                    if old != Some(joined) {
                        changed = true;
                        let settled = if widen { Range::any(reg.class.bits()) } else { joined };
                        self.values[def.index()] = Some(settled);
                    }
                }
            }
        }
        changed
    }

    /// What is known of a register where an instruction uses it.
    pub(super) fn of(&self, at: InstId, reg: Reg) -> Range {
        let defs = self.info.defuse.reaching(at, reg);
        let known = defs.iter().filter_map(|d| self.values[d.index()]).reduce(Range::join);
        // Where nothing reaches yet, the least, to be joined later; where nothing ever does, anything.
        known.unwrap_or(if defs.is_empty() { Range::any(reg.class.bits()) } else { Range::constant(0) })
    }

    /// What is known of a register wherever it is written.
    pub(super) fn ever(&self, reg: Reg) -> Range {
        let known = self.info.defuse.defs_of(reg).iter().filter_map(|d| self.values[d.index()]);
        known.reduce(Range::join).unwrap_or(Range::any(reg.class.bits()))
    }

    fn operand(&self, at: InstId, operand: &Operand) -> Range {
        match *operand {
            Operand::Reg(r) => self.of(at, r),
            Operand::Imm(bits) => Range::constant(bits),
            Operand::Special(s) => self.special(s),
            _ => Range::any(64),
        }
    }

    fn special(&self, s: SpecialReg) -> Range {
        use SpecialReg::*;
        let required = self.kernel.bounds.required;
        let axis = |first: SpecialReg| s as usize - first as usize;
        match s {
            TidX | TidY | TidZ => {
                let most = required.map_or([1023, 1023, 63][axis(TidX)], |r| r[axis(TidX)].saturating_sub(1));
                Range { most: most.into(), zeros: 0 }
            }
            NtidX | NtidY | NtidZ => match required {
                Some(shape) => Range::constant(shape[axis(NtidX)].into()),
                None => Range { most: [1024, 1024, 64][axis(NtidX)], zeros: 0 },
            },
            CtaidX => Range { most: (1 << 31) - 2, zeros: 0 },
            CtaidY | CtaidZ => Range { most: 65534, zeros: 0 },
            NctaidX => Range { most: (1 << 31) - 1, zeros: 0 },
            NctaidY | NctaidZ => Range { most: 65535, zeros: 0 },
            Laneid => Range { most: 31, zeros: 0 },
            _ => Range::any(s.ty().bits()),
        }
    }

    /// What an instruction's result in `reg` can be.
    fn result(&self, at: InstId, inst: &Inst, reg: Reg) -> Range {
        let bits = reg.class.bits();
        let any = Range::any(bits);
        match inst.form().meaning {
            Meaning::Lane(_) => self.lane(at, inst).unwrap_or(any),
            Meaning::Load(m) if m.space == Space::Param && m.len == 1 => match inst.operands.get(1) {
                // Pointers are bound to buffers that are aligned so, and lead nowhere otherwise.
                Some(Operand::Address(a)) if a.offset == 0 && m.ty.bits() == 64 => match a.base {
                    crate::ir::Base::Symbol(crate::ir::Symbol::Param(i))
                        if self.kernel.params.get(i as usize).is_some_and(|p| p.pointer.is_some()) =>
                    {
                        Range { most: u64::MAX, zeros: 4 }
                    }
                    _ => any,
                },
                _ => any,
            },
            Meaning::Load(m) if m.ty.bits() < bits && matches!(m.ty.kind(), Kind::Unsigned | Kind::Bits) => {
                Range::any(m.ty.bits())
            }
            _ => any,
        }
    }

    fn lane(&self, at: InstId, inst: &Inst) -> Option<Range> {
        let form = inst.form();
        let ty = form.mods.iter().rev().find_map(|m| if let Mod::Ty(t) = m { Some(*t) } else { None })?;
        if matches!(ty.kind(), Kind::Float | Kind::Pred) || form.slots.iter().any(|s| s.width() != 1) {
            return None;
        }
        let (bits, signed) = (ty.bits(), ty.is_signed());
        let has = |m: Mod| form.mods.contains(&m);
        let nth = |i: usize| inst.operands.get(i + 1).map(|op| self.operand(at, op)).map(|r| clipped(r, bits));
        // A signed value that cannot be negative is the same unsigned one.
        let positive = |r: Range| (!signed || r.most <= low(bits - 1)).then_some(r);
        let constant = |i: usize| match inst.operands.get(i + 1) {
            Some(Operand::Imm(c)) => Some(*c & low(bits)),
            _ => None,
        };
        let wide = bits * 2;
        Some(match form.op {
            Op::Mov => self.moved(inst).unwrap_or(nth(0)?),
            Op::Cvta => Range { most: u64::MAX, zeros: nth(0)?.zeros },
            Op::Cvt if form.mods.len() == 2 => {
                let Mod::Ty(to) = form.mods[0] else { return None };
                if to.kind() == Kind::Float {
                    return None;
                }
                let a = nth(0)?;
                let fits = low(to.bits() - u32::from(to.is_signed()));
                match positive(a) {
                    Some(a) if a.most <= fits => a,
                    _ if !to.is_signed() => Range { most: low(to.bits()), zeros: a.zeros.min(bits) },
                    _ => return None,
                }
            }
            Op::Add if !has(Mod::Sat) => nth(0)?.plus(nth(1)?, bits),
            Op::Sub if !has(Mod::Sat) => Range { most: low(bits), zeros: nth(0)?.zeros.min(nth(1)?.zeros) },
            Op::Mul if has(Mod::Lo) => nth(0)?.times(nth(1)?, bits),
            Op::Mul if has(Mod::Wide) => positive(nth(0)?)?.times(positive(nth(1)?)?, wide),
            Op::Mad if has(Mod::Lo) && !has(Mod::Sat) => nth(0)?.times(nth(1)?, bits).plus(nth(2)?, bits),
            Op::Mad if has(Mod::Wide) => {
                let addend = inst.operands.get(3).map(|op| self.operand(at, op))?;
                match (positive(nth(0)?), positive(nth(1)?)) {
                    (Some(a), Some(b)) => a.times(b, wide).plus(addend, wide),
                    _ => Range { most: low(wide), zeros: (nth(0)?.zeros + nth(1)?.zeros).min(64).min(addend.zeros) },
                }
            }
            Op::Shl => match constant(1) {
                Some(by) if by < u64::from(bits) => nth(0)?.times(Range::constant(1 << by), bits),
                _ => return None,
            },
            Op::Shr => match constant(1) {
                Some(by) if by < u64::from(bits) => {
                    let a = positive(nth(0)?)?;
                    Range { most: a.most >> by, zeros: a.zeros.saturating_sub(by as u32) }
                }
                _ => return None,
            },
            Op::And => {
                let (a, b) = (nth(0)?, nth(1)?);
                Range { most: a.most.min(b.most), zeros: a.zeros.max(b.zeros) }
            }
            Op::Or | Op::Xor => {
                let (a, b) = (nth(0)?, nth(1)?);
                let most = low(64 - (a.most | b.most).leading_zeros());
                Range { most, zeros: a.zeros.min(b.zeros) }
            }
            Op::Div if !signed => match constant(1) {
                Some(by) if by > 0 => Range { most: nth(0)?.most / by, zeros: 0 },
                _ => return None,
            },
            Op::Rem if !signed => match constant(1) {
                Some(by) if by > 0 => {
                    let a = nth(0)?;
                    Range { most: a.most.min(by - 1), zeros: a.zeros.min(by.trailing_zeros()) }
                }
                _ => return None,
            },
            Op::Min if !signed => {
                let (a, b) = (nth(0)?, nth(1)?);
                Range { most: a.most.min(b.most), zeros: a.zeros.min(b.zeros) }
            }
            Op::Max if !signed => nth(0)?.join(nth(1)?),
            Op::Selp => nth(0)?.join(nth(1)?),
            _ => return None,
        })
    }

    /// The address of an array is aligned as it is declared.
    fn moved(&self, inst: &Inst) -> Option<Range> {
        match inst.operands.get(1) {
            Some(Operand::Symbol(crate::ir::Symbol::Kernel(i), offset)) => {
                let align = self.kernel.variables.get(*i as usize)?.align.trailing_zeros();
                Some(Range { most: u64::MAX, zeros: align.min(offset.trailing_zeros()) })
            }
            Some(Operand::Symbol(..)) => Some(Range { most: u64::MAX, zeros: 0 }),
            _ => None,
        }
    }
}

/// A source as an instruction of `bits` bits sees it.
fn clipped(r: Range, bits: u32) -> Range {
    Range { most: if r.most <= low(bits) { r.most } else { low(bits) }, zeros: r.zeros }
}

/// The class of 32-bit integers, for addresses in shared and local memory.
pub(super) fn is_narrow(reg: Reg) -> bool {
    reg.class == RegClass::B32
}

/// The type of an address register.
pub(super) fn address_type(reg: Reg) -> ScalarType {
    if is_narrow(reg) { ScalarType::U32 } else { ScalarType::U64 }
}
