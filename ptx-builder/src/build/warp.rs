//! Warp operations: shuffles, votes, reductions. All lanes of the mask take part.

use super::pred::test;
use super::state::emit;
use super::val::compute;
use super::{Body, Pred, Scalar, Val};
use crate::ir::Operand;
use crate::table::{Mod, Op};
use crate::types::ScalarType;

/// All lanes.
const FULL: u32 = 0xffff_ffff;

/// The operand that limits a shuffle's segment to the whole warp. `up` clamps at lane 0, the others at lane 31 (PTX ISA
/// 9.7.9.6).
fn clamp(mode: Mod) -> u32 {
    if mode == Mod::Up { 0 } else { 31 }
}

/// Types that a shuffle can move: 32 bits in one instruction, 64 in two.
#[diagnostic::on_unimplemented(
    message = "a shuffle does not move `{Self}`",
    note = "convert it to a 32- or 64-bit type first"
)]
pub trait Shuffled: Scalar {}

impl Shuffled for u32 {}
impl Shuffled for i32 {}
impl Shuffled for f32 {}
impl Shuffled for u64 {}
impl Shuffled for i64 {}
impl Shuffled for f64 {}
impl Shuffled for super::F16x2 {}
impl Shuffled for super::Bf16x2 {}

/// The types of [`Body::redux_add`] and [`Body::redux_max`]: u32 and i32.
#[diagnostic::on_unimplemented(
    message = "no reduction over a warp of `{Self}`",
    note = "redux takes `u32` and `i32`; sum others over `shuffle_xor`, in a written order"
)]
pub trait Reduced: Scalar {}

impl Reduced for u32 {}
impl Reduced for i32 {}

#[track_caller]
fn shuffle32(mode: Mod, a: Operand, lane: Operand, mask: Operand) -> Val<u32> {
    let c = Operand::Imm(u64::from(clamp(mode)));
    compute(Op::ShflSync, &[mode, Mod::Ty(ScalarType::B32)], &[Operand::None, a, lane, c, mask])
}

#[track_caller]
fn shuffle<T: Shuffled>(mode: Mod, a: Val<T>, lane: Val<u32>, mask: Val<u32>) -> Val<T> {
    let (lane, mask) = (lane.operand(), mask.operand());
    if T::TY.bits() == 32 {
        let d = Val::<T>::fresh();
        let c = Operand::Imm(u64::from(clamp(mode)));
        let operands = [d.operand(), Operand::None, a.operand(), lane, c, mask];
        emit(Op::ShflSync, &[mode, Mod::Ty(ScalarType::B32)], &operands);
        return d;
    }
    let m = [Mod::Ty(ScalarType::B64)];
    let (lo, hi) = (Val::<u32>::fresh(), Val::<u32>::fresh());
    emit(Op::Unpack, &m, &[lo.operand(), hi.operand(), a.operand()]);
    let lo = shuffle32(mode, lo.operand(), lane, mask);
    let hi = shuffle32(mode, hi.operand(), lane, mask);
    compute(Op::Pack, &m, &[lo.operand(), hi.operand()])
}

impl Body {
    /// The value of the lane whose index is this lane's index xor `lanes`, over the whole warp.
    #[track_caller]
    pub fn shuffle_xor<T: Shuffled>(&self, value: Val<T>, lanes: impl Into<Val<u32>>) -> Val<T> {
        shuffle(Mod::Bfly, value, lanes.into(), FULL.into())
    }

    /// The value of lane `lane`, over the whole warp.
    #[track_caller]
    pub fn shuffle_idx<T: Shuffled>(&self, value: Val<T>, lane: impl Into<Val<u32>>) -> Val<T> {
        shuffle(Mod::Idx, value, lane.into(), FULL.into())
    }

    /// The value of the lane `lanes` above this one; the top lanes keep theirs.
    #[track_caller]
    pub fn shuffle_down<T: Shuffled>(&self, value: Val<T>, lanes: impl Into<Val<u32>>) -> Val<T> {
        shuffle(Mod::Down, value, lanes.into(), FULL.into())
    }

    /// The value of the lane `lanes` below this one; the bottom lanes keep theirs.
    #[track_caller]
    pub fn shuffle_up<T: Shuffled>(&self, value: Val<T>, lanes: impl Into<Val<u32>>) -> Val<T> {
        shuffle(Mod::Up, value, lanes.into(), FULL.into())
    }

    /// The value of the lane whose index is this lane's index xor `lanes`, among the lanes of `mask`.
    #[track_caller]
    pub fn shuffle_xor_masked<T: Shuffled>(
        &self,
        value: Val<T>,
        lanes: impl Into<Val<u32>>,
        mask: impl Into<Val<u32>>,
    ) -> Val<T> {
        shuffle(Mod::Bfly, value, lanes.into(), mask.into())
    }

    /// Whether the predicate holds on every lane of the warp.
    #[track_caller]
    pub fn all(&self, holds: Pred) -> Pred {
        test(Op::VoteSync, &[Mod::All, Mod::Ty(ScalarType::Pred)], &[holds.operand(), Operand::Imm(u64::from(FULL))])
    }

    /// Whether the predicate holds on any lane of the warp.
    #[track_caller]
    pub fn any(&self, holds: Pred) -> Pred {
        test(Op::VoteSync, &[Mod::Any, Mod::Ty(ScalarType::Pred)], &[holds.operand(), Operand::Imm(u64::from(FULL))])
    }

    /// The mask of lanes where the predicate holds.
    #[track_caller]
    pub fn ballot(&self, holds: Pred) -> Val<u32> {
        let sources = [holds.operand(), Operand::Imm(u64::from(FULL))];
        compute(Op::VoteSync, &[Mod::Ballot, Mod::Ty(ScalarType::B32)], &sources)
    }

    /// The mask of lanes that hold the same value as this one.
    #[track_caller]
    pub fn match_any(&self, value: Val<u32>) -> Val<u32> {
        let m = [Mod::Any, Mod::Sync, Mod::Ty(ScalarType::B32)];
        compute(Op::MatchSync, &m, &[value.operand(), Operand::Imm(u64::from(FULL))])
    }

    /// The sum over the warp, wrapping (sm_80).
    #[track_caller]
    pub fn redux_add<T: Reduced>(&self, value: Val<T>) -> Val<T> {
        let m = [Mod::AtomAdd, Mod::Ty(T::TY)];
        compute(Op::ReduxSync, &m, &[value.operand(), Operand::Imm(u64::from(FULL))])
    }

    /// The largest value in the warp (sm_80).
    #[track_caller]
    pub fn redux_max<T: Reduced>(&self, value: Val<T>) -> Val<T> {
        let m = [Mod::AtomMax, Mod::Ty(T::TY)];
        compute(Op::ReduxSync, &m, &[value.operand(), Operand::Imm(u64::from(FULL))])
    }

    /// The mask of lanes that execute this instruction together at this moment.
    #[track_caller]
    pub fn active_mask(&self) -> Val<u32> {
        compute(Op::Activemask, &[Mod::Ty(ScalarType::B32)], &[])
    }
}
