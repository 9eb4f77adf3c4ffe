//! Where addresses point, lane by lane: how far from the start of an array or of a parameter's buffer.

use super::exact::{DEPTH, Exact, Numbers, Search, When, narrow};
use crate::analysis::{InstId, Origin};
use crate::ir::{Address, Base, Module, Operand, Reg};
use crate::table::{WARP, Word};
use crate::types::RegClass;

/// A number of 64 bits, or an address's distance from its start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wide {
    pub number: Numbers,
    /// The lanes of which a source wrapped, what it would have been, and the instruction.
    pub wrapped: Option<(u32, Numbers, InstId)>,
    /// When it is so.
    pub when: When,
}

impl Wide {
    fn constant(number: i64) -> Wide {
        Wide { number: [number; WARP], wrapped: None, when: When::ALWAYS }
    }

    fn with(self, other: Wide, f: impl Fn(i64, i64) -> i64) -> Wide {
        Wide {
            number: std::array::from_fn(|l| f(self.number[l], other.number[l])),
            wrapped: self.wrapped.or(other.wrapped),
            when: self.when.and(other.when),
        }
    }

    fn plus(self, other: Wide) -> Wide {
        self.with(other, i64::saturating_add)
    }

    fn times(self, other: Wide) -> Wide {
        self.with(other, i64::saturating_mul)
    }
}

/// An index where it becomes a number of 64 bits.
fn widened(index: Exact, signed: bool) -> Wide {
    let number: Numbers = index.held.map(|bits| if signed { i64::from(bits as u32 as i32) } else { bits as i64 });
    let lanes = (0..WARP).filter(|&l| number[l] != index.number[l]).fold(0, |mask, l| mask | 1 << l);
    let wrapped = index.maker.filter(|_| lanes != 0).map(|maker| (lanes, index.number, maker));
    Wide { number, wrapped, when: index.when }
}

/// An index where addresses have 32 bits, too, and wrap as it does.
fn exact(index: Exact) -> Wide {
    Wide { number: index.number, wrapped: None, when: index.when }
}

impl Search<'_> {
    /// The start and the distance of an access's address.
    pub fn place(&mut self, module: &Module, at: InstId, address: &Address) -> Option<(Origin, Wide)> {
        let (origin, distance) = match address.base {
            Base::Symbol(s) => (Origin::Symbol(s), Wide::constant(0)),
            Base::Reg(r) => self.address(module, at, r, DEPTH)?,
        };
        Some((origin, distance.plus(Wide::constant(address.offset.into()))))
    }

    fn address(&mut self, module: &Module, at: InstId, reg: Reg, depth: u32) -> Option<(Origin, Wide)> {
        let known = self.info.operand(module, self.kernel, at, &Operand::Reg(reg));
        let origin = known.origin?;
        // What is known of an address of 32 bits is known as it wraps.
        let constant = || known.offset().map(|offset| (origin, Wide::constant(offset)));
        if reg.class != RegClass::B32 && known.offset().is_some() {
            return constant();
        }
        self.sum(module, at, reg, depth).map(|distance| (origin, distance)).or_else(constant)
    }

    /// The distance of an address that is a sum.
    fn sum(&mut self, module: &Module, at: InstId, reg: Reg, depth: u32) -> Option<Wide> {
        let (def, when) = self.def(at, reg).filter(|_| depth > 0)?;
        let inst = self.inst(def);
        let form = inst.form();
        let nth = |i: usize| inst.operands.get(i + 1);
        let (a, b) = (nth(0)?, nth(1));
        let depth = depth - 1;
        let found = match form.word() {
            Word::Copy | Word::Rebase => self.address(module, def, register(a)?, depth)?.1,
            Word::Add => {
                let first = self.info.operand(module, self.kernel, def, a).origin.is_some();
                let (address, number) = if first { (a, b?) } else { (b?, a) };
                let (_, distance) = self.address(module, def, register(address)?, depth)?;
                distance.plus(self.number(def, number, depth)?)
            }
            Word::Sub => {
                let (_, distance) = self.address(module, def, register(a)?, depth)?;
                let less = self.number(def, b?, depth)?;
                distance.with(less, i64::saturating_sub)
            }
            Word::Mad | Word::WideMad { .. } => {
                let (_, distance) = self.address(module, def, register(nth(2)?)?, depth)?;
                let number = self.product(def, inst, depth)?;
                distance.plus(number)
            }
            Word::Resize { .. }
            | Word::InWindow
            | Word::Mul
            | Word::WideMul { .. }
            | Word::Shl
            | Word::Shr { .. }
            | Word::Div { .. }
            | Word::Rem { .. }
            | Word::And
            | Word::Or
            | Word::Xor
            | Word::Min { .. }
            | Word::Max { .. }
            | Word::Select
            | Word::Compare { .. }
            | Word::Other => return None,
        };
        Some(Wide { when: found.when.and(when), ..found })
    }

    /// The first two sources of a product, of 32 or 64 bits.
    fn product(&mut self, def: InstId, inst: &crate::ir::Inst, depth: u32) -> Option<Wide> {
        let (a, b) = (inst.operands.get(1)?, inst.operands.get(2)?);
        if matches!(inst.form().word(), Word::WideMul { .. } | Word::WideMad { .. }) {
            let ty = inst.form().last_type().filter(|ty| ty.bits() == 32)?;
            let mut wide = |op| Some(widened(self.operand(def, op, ty.is_signed(), depth)?, ty.is_signed()));
            return Some(wide(a)?.times(wide(b)?));
        }
        Some(self.number(def, a, depth)?.times(self.number(def, b, depth)?))
    }

    /// A number that is added to an address, of 32 or 64 bits.
    fn number(&mut self, at: InstId, operand: &Operand, depth: u32) -> Option<Wide> {
        let reg = match *operand {
            Operand::Reg(reg) => reg,
            // Distances in an address of 32 bits wrap at the same place.
            Operand::Imm(bits) if narrow(self.inst(at)).is_some() => {
                return Some(Wide::constant(i64::from(bits as u32 as i32)));
            }
            Operand::Imm(bits) => return Some(Wide::constant(bits as i64)),
            _ => return None,
        };
        if reg.class == RegClass::B32 {
            return self.operand(at, operand, false, depth).map(exact);
        }
        let (def, when) = self.def(at, reg).filter(|_| depth > 0)?;
        let inst = self.inst(def);
        let form = inst.form();
        let nth = |i: usize| inst.operands.get(i + 1);
        let depth = depth - 1;
        let found = match form.word() {
            Word::Resize { .. } => {
                let ty = inst.form().last_type().filter(|ty| ty.bits() == 32)?;
                widened(self.operand(def, nth(0)?, ty.is_signed(), depth)?, ty.is_signed())
            }
            Word::Copy => self.number(def, nth(0)?, depth)?,
            Word::Add => self.number(def, nth(0)?, depth)?.plus(self.number(def, nth(1)?, depth)?),
            Word::Sub => {
                let (a, b) = (self.number(def, nth(0)?, depth)?, self.number(def, nth(1)?, depth)?);
                a.with(b, i64::saturating_sub)
            }
            Word::Mul | Word::WideMul { .. } => self.product(def, inst, depth)?,
            Word::Mad | Word::WideMad { .. } => {
                self.product(def, inst, depth)?.plus(self.number(def, nth(2)?, depth)?)
            }
            Word::Shl => match nth(1)? {
                Operand::Imm(by @ 0..=32) => self.number(def, nth(0)?, depth)?.times(Wide::constant(1 << by)),
                _ => return None,
            },
            // Of others, what they hold is what they are.
            Word::Shr { .. }
            | Word::Rebase
            | Word::InWindow
            | Word::Div { .. }
            | Word::Rem { .. }
            | Word::And
            | Word::Or
            | Word::Xor
            | Word::Min { .. }
            | Word::Max { .. }
            | Word::Select
            | Word::Compare { .. }
            | Word::Other => {
                let all = self.operand(at, operand, false, depth)?;
                Wide { number: all.held.map(|bits| bits as i64), wrapped: None, when: all.when }
            }
        };
        Some(Wide { when: found.when.and(when), ..found })
    }
}

fn register(operand: &Operand) -> Option<Reg> {
    if let Operand::Reg(reg) = operand { Some(*reg) } else { None }
}
