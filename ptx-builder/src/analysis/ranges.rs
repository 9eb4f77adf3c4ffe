//! How large a register's value can be, and what it is a multiple of.
//!
//! Nothing is believed here but the instructions themselves and the launch bounds, which a launch is
//! checked against.

use super::value::low;
use super::{Cfg, DefId, DefUse, InstId};
use crate::ir::{Address, Base, Inst, Kernel, Operand, Reg, Symbol};
use crate::table::{Form, Meaning, Memory, SpecialReg, Word};
use crate::types::{Kind, ScalarType, Space};

/// What is known of an unsigned value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Range {
    /// It is at most this.
    pub most: u64,
    /// It is a multiple of 2^zeros.
    pub zeros: u32,
}

/// Rounds of the analysis after which what still changes is taken to be anything.
const ROUNDS: u32 = 6;

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

    /// The same extended by its sign to `bits` bits.
    fn extended(self, from: Option<ScalarType>, bits: u32) -> Range {
        let positive = from.is_some_and(|ty| self.most <= low(ty.bits() - 1));
        if positive { self } else { Range { most: low(bits), zeros: self.zeros } }
    }

    fn times(self, other: Range, bits: u32) -> Range {
        Range::wrapped(self.most.checked_mul(other.most), self.zeros + other.zeros, bits)
    }
}

/// Ranges of every definition of a kernel.
pub(crate) struct Ranges<'k> {
    kernel: &'k Kernel,
    cfg: &'k Cfg,
    defuse: &'k DefUse,
    values: Vec<Option<Range>>,
}

impl<'k> Ranges<'k> {
    pub(crate) fn new(kernel: &'k Kernel, cfg: &'k Cfg, defuse: &'k DefUse) -> Ranges<'k> {
        Ranges::widened_after(ROUNDS, kernel, cfg, defuse)
    }

    fn widened_after(rounds: u32, kernel: &'k Kernel, cfg: &'k Cfg, defuse: &'k DefUse) -> Ranges<'k> {
        let mut ranges = Ranges { kernel, cfg, defuse, values: vec![None; defuse.def_count()] };
        let mut round = 0;
        while ranges.round(round >= rounds) {
            round += 1;
        }
        ranges
    }

    /// Evaluates every instruction once; whether anything changed.
    fn round(&mut self, widen: bool) -> bool {
        let mut changed = false;
        for &b in self.cfg.order() {
            for (i, inst) in self.kernel.blocks[b.0 as usize].insts.iter().enumerate() {
                let id = self.cfg.inst_id(b, i);
                for (def, reg) in self.defuse.defs(id).zip(inst.defs()) {
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
    pub(crate) fn of(&self, at: InstId, reg: Reg) -> Range {
        let defs = self.defuse.reaching(at, reg);
        let known = defs.iter().filter_map(|d| self.values[d.index()]).reduce(Range::join);
        // Where nothing reaches yet, the least, to be joined later; where nothing ever does, anything.
        known.unwrap_or(if defs.is_empty() { Range::any(reg.class.bits()) } else { Range::constant(0) })
    }

    /// What is known of a definition's value.
    pub(crate) fn of_def(&self, def: DefId) -> Range {
        self.values[def.index()].unwrap_or(Range::any(64))
    }

    /// What is known of a register wherever it is written.
    pub(crate) fn ever(&self, reg: Reg) -> Range {
        let known = self.defuse.defs_of(reg).iter().filter_map(|d| self.values[d.index()]);
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

    pub(crate) fn special(&self, s: SpecialReg) -> Range {
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
        let (form, bits) = (inst.form(), reg.class.bits());
        let any = Range::any(bits);
        match &form.meaning {
            Meaning::Lane(_) => match self.lane(at, inst) {
                Some(range) if is_sign_extended(form, reg) => range.extended(form.slots[0].ty(), bits),
                Some(range) => range,
                None => any,
            },
            Meaning::Load(m) => self.load(inst, m, bits),
            Meaning::Approx(..)
            | Meaning::Store(_)
            | Meaning::Atomic(..)
            | Meaning::Prefetch(_)
            | Meaning::Discard(_)
            | Meaning::Shuffle(_)
            | Meaning::Vote(_)
            | Meaning::ActiveMask
            | Meaning::Barrier(_)
            | Meaning::Fence(_)
            | Meaning::Async(_)
            | Meaning::Matrix(_)
            | Meaning::Call
            | Meaning::Foreign
            | Meaning::Opaque { .. }
            | Meaning::Branch
            | Meaning::Exit
            | Meaning::Trap
            | Meaning::Pause => any,
        }
    }

    fn load(&self, inst: &Inst, m: &Memory, bits: u32) -> Range {
        let param = match inst.operands.get(1) {
            Some(Operand::Address(Address { base: Base::Symbol(Symbol::Param(i)), offset: 0 })) => {
                self.kernel.params.get(*i as usize)
            }
            _ => None,
        };
        if m.space == Space::Param && m.len == 1 && m.ty.bits() == 64 && param.is_some_and(|p| p.pointer.is_some()) {
            // Pointers are bound to buffers that are aligned so, and lead nowhere otherwise.
            return Range { most: u64::MAX, zeros: 4 };
        }
        let narrow = m.ty.bits() < bits && matches!(m.ty.kind(), Kind::Unsigned | Kind::Bits);
        Range::any(if narrow { m.ty.bits() } else { bits })
    }

    /// The result of a function of words, before it is extended to its register; none: anything.
    fn lane(&self, at: InstId, inst: &Inst) -> Option<Range> {
        let form = inst.form();
        let to = form.slots.first()?.ty()?.bits();
        let bits = form.word_bits();
        if matches!(form.slots.first()?.ty()?.kind(), Kind::Float | Kind::Pred) {
            return None;
        }
        let source = |i: usize| inst.operands.get(i + 1).map(|op| self.operand(at, op));
        let nth = |i: usize| source(i).map(|r| clipped(r, bits));
        // A signed value that cannot be negative is the same unsigned one.
        let positive = |r: Range, signed: bool| (!signed || r.most <= low(bits - 1)).then_some(r);
        let constant = |i: usize| match inst.operands.get(i + 1) {
            Some(Operand::Imm(c)) => Some(*c & low(bits)),
            _ => None,
        };
        let both = || Some((nth(0)?, nth(1)?));
        Some(match form.word() {
            Word::Copy => self.moved(inst).unwrap_or(nth(0)?),
            Word::Rebase => Range { most: u64::MAX, zeros: nth(0)?.zeros.min(12) },
            Word::Resize { signed } => {
                let a = nth(0)?;
                match positive(a, signed) {
                    Some(a) if a.most <= low(to) => a,
                    _ => Range { most: low(to), zeros: a.zeros.min(bits) },
                }
            }
            Word::Add => nth(0)?.plus(nth(1)?, bits),
            Word::Sub => Range { most: low(bits), zeros: nth(0)?.zeros.min(nth(1)?.zeros) },
            Word::Mul => nth(0)?.times(nth(1)?, bits),
            Word::WideMul { signed } => positive(nth(0)?, signed)?.times(positive(nth(1)?, signed)?, to),
            Word::Mad => nth(0)?.times(nth(1)?, bits).plus(nth(2)?, bits),
            Word::WideMad { signed } => {
                let (a, b) = both()?;
                let c = clipped(source(2)?, to);
                match (positive(a, signed), positive(b, signed)) {
                    (Some(a), Some(b)) => a.times(b, to).plus(c, to),
                    _ => Range { most: low(to), zeros: (a.zeros + b.zeros).min(64).min(c.zeros) },
                }
            }
            Word::Shl => match constant(1) {
                Some(by) if by < u64::from(bits) => nth(0)?.times(Range::constant(1 << by), bits),
                _ => return None,
            },
            Word::Shr { signed } => match constant(1) {
                Some(by) if by < u64::from(bits) => {
                    let a = positive(nth(0)?, signed)?;
                    Range { most: a.most >> by, zeros: a.zeros.saturating_sub(by as u32) }
                }
                _ => return None,
            },
            Word::And => {
                let (a, b) = both()?;
                Range { most: a.most.min(b.most), zeros: a.zeros.max(b.zeros) }
            }
            Word::Or | Word::Xor => {
                let (a, b) = both()?;
                let most = low(64 - (a.most | b.most).leading_zeros());
                Range { most, zeros: a.zeros.min(b.zeros) }
            }
            Word::Div { signed: false } => match constant(1) {
                Some(by) if by > 0 => Range { most: nth(0)?.most / by, zeros: 0 },
                _ => return None,
            },
            Word::Rem { signed: false } => match constant(1) {
                Some(by) if by > 0 => {
                    let a = nth(0)?;
                    Range { most: a.most.min(by - 1), zeros: a.zeros.min(by.trailing_zeros()) }
                }
                _ => return None,
            },
            Word::Min { signed: false } => {
                let (a, b) = both()?;
                Range { most: a.most.min(b.most), zeros: a.zeros.min(b.zeros) }
            }
            Word::Max { signed: false } | Word::Select => nth(0)?.join(nth(1)?),
            Word::Div { signed: true }
            | Word::Rem { signed: true }
            | Word::Min { signed: true }
            | Word::Max { signed: true }
            | Word::InWindow
            | Word::Compare { .. }
            | Word::Other => return None,
        })
    }

    /// The address of an array is aligned as it is declared.
    fn moved(&self, inst: &Inst) -> Option<Range> {
        match inst.operands.get(1) {
            Some(Operand::Symbol(Symbol::Kernel(i), offset)) => {
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

/// Whether a result is extended by its sign to the register that it is written to.
fn is_sign_extended(form: &Form, reg: Reg) -> bool {
    form.slots.first().and_then(|s| s.ty()).is_some_and(|ty| ty.is_signed() && ty.bits() < reg.class.bits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    /// What is known of the kernel's definitions of `reg`, in order.
    fn ranges(rounds: u32, reg: &str, body: &str) -> Vec<Range> {
        let head = ".version 7.0 .target sm_80 .address_size 64 .entry k() { .reg .pred %p; .reg .b32 %a, %b, %c; ";
        let module = parse("t", &format!("{head}{body} ret; }}")).unwrap_or_else(|e| panic!("{e}"));
        let kernel = &module.kernels[0];
        let cfg = Cfg::new(kernel);
        let defuse = DefUse::new(kernel, &cfg);
        let ranges = Ranges::widened_after(rounds, kernel, &cfg, &defuse);
        let named = |r: &Reg| kernel.names.get(r).is_some_and(|name| name == reg);
        let insts = kernel.insts().filter(|(_, _, inst)| inst.defs().any(|r| named(&r)));
        insts.flat_map(|(b, i, _)| defuse.defs(cfg.inst_id(b, i))).map(|def| ranges.of_def(def)).collect()
    }

    /// What a loop makes larger in each round is anything in the end; what settles before that is known.
    #[test]
    fn what_goes_on_changing_is_anything() {
        let known = |most, zeros| Range { most, zeros };
        let counts = "mov.u32 %a, 8; L: add.u32 %a, %a, 4; @%p bra L;";
        assert_eq!(ranges(3, "%a", counts), [known(8, 3), known(u32::MAX.into(), 0)]);
        // The sum is 2, 3 and 4, and then the same for ever.
        let settles = "mov.u32 %a, 1; L: add.u32 %b, %a, 1; and.b32 %a, %b, 3; @%p bra L;";
        let most: Vec<_> = (0..5).map(|rounds| ranges(rounds, "%b", settles)[0].most).collect();
        assert_eq!(most, [low(32), low(32), low(32), 4, 4]);
    }

    /// What a round reads before anything has reached it counts for nothing once something has.
    #[test]
    fn what_has_not_been_reached_is_joined_later() {
        let later = "L: add.u32 %a, %b, 4; mov.u32 %b, 8; @%p bra L;";
        assert_eq!(ranges(6, "%a", later), [Range { most: 12, zeros: 2 }]);
    }
}
