//! The predicates of checks: whether an access is in bounds.

use smallvec::SmallVec;

use super::access::{Size, Way};
use super::address::Object;
use super::address::{address_type, is_narrow};
use super::emit::Emit;
use super::plan::{Check, How};
use super::writer::Writer;
use crate::ir::{Base, Guard, Operand, Reg};
use crate::table::{Matrix, Meaning, Mod, Op, SpecialReg};
use crate::types::{RegClass, ScalarType};
use ScalarType::{B64, U32, U64};

impl Emit<'_> {
    /// The predicate of a violation: the access is executed and is not in bounds.
    pub(super) fn violated(&mut self, check: &Check, inside: Reg) -> Operand {
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

    /// The lanes whose addresses a matrix load uses, if these are not all.
    pub(super) fn matrix_rows(&mut self, check: &Check) -> Option<Reg> {
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

    /// A guard as a predicate without negation.
    pub(super) fn plain_guard(&mut self, guard: Guard) -> Reg {
        if !guard.negated {
            return guard.reg;
        }
        self.w.compute(RegClass::Pred, Op::Not, &[Mod::Ty(ScalarType::Pred)], &[guard.reg.into()])
    }

    /// Whether a check's bytes are in bounds, and the value that locates them.
    pub(super) fn inside(&mut self, check: &Check) -> (Reg, Operand) {
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

    pub(super) fn by_address(&mut self, check: &Check) -> (Reg, Operand) {
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
            // There is no buffer.
            None => self.w.test(Mod::Ne, ty, start.into(), start.into(), None),
        };
        if check.align > 1 {
            let bits = if narrow { ScalarType::B32 } else { B64 };
            let mask = Operand::Imm(u64::from(check.align) - 1);
            let off = self.w.compute(class, Op::And, &[Mod::Ty(bits)], &[start.into(), mask]);
            inside = self.w.test(Mod::Eq, ty, off.into(), Operand::Imm(0), Some((Mod::And, inside.into())));
        }
        if let Size::Bulk(n) = check.size {
            // A constant that is not a multiple of 16 is also moved to a register first.
            let n = self.w.compute(RegClass::B32, Op::Mov, &[Mod::Ty(U32)], &[n]);
            let mask = [n.into(), Operand::Imm(15)];
            let off = self.w.compute(RegClass::B32, Op::And, &[Mod::Ty(ScalarType::B32)], &mask);
            inside = self.w.test(Mod::Eq, U32, off.into(), Operand::Imm(0), Some((Mod::And, inside.into())));
        }
        (inside, value.into())
    }

    /// Whether an access at a distance from an object's start is inside it.
    pub(super) fn within(&mut self, check: &Check, object: Object, distance: Reg) -> Reg {
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
        // An access of zero bytes touches nothing.
        self.w.test(Mod::Eq, U32, count, Operand::Imm(0), Some((Mod::Or, both.into())))
    }
}
