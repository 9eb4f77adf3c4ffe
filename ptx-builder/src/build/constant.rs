//! Constants that an operator cannot mean: rustc refuses them of Rust's integers, and PTX gives a result without a word.

use super::{Scalar, Val};
use crate::table::Op;
use crate::types::Kind;

/// What a shift of a `T` by a constant needs: an amount less than its width.
///
/// # Panics
/// If the amount is a constant of the width or more.
#[track_caller]
pub(super) fn check_shift<T: Scalar>(operator: &str, amount: Val<u32>) {
    let bits = T::TY.bits();
    if let Some(n) = amount.constant().filter(|&n| n >= u64::from(bits)) {
        let result = match operator {
            ">>" if T::TY.kind() == Kind::Signed => "only copies of the sign are",
            _ => "nothing is",
        };
        panic!(
            "`{operator} {n}` of {bits} bits: {result} left; shift by 0 to {}, or convert to a wider type first \
             (`.to::<u64>()`)",
            bits - 1
        );
    }
}

/// What a quotient or remainder of integers needs: a divisor other than 0. (That of floats is infinite or NaN.)
///
/// # Panics
/// If the divisor is the constant 0 and `T` an integer.
#[track_caller]
pub(super) fn check_divisor<T: Scalar>(op: Op, divisor: Val<T>) {
    let divides = matches!(op, Op::Div | Op::Rem) && T::TY.kind() != Kind::Float;
    assert!(
        !divides || divisor.constant() != Some(0),
        "an integer is divided by the constant 0, which PTX does not define"
    );
}

/// What the step of a loop needs: to be no constant 0.
///
/// # Panics
/// If it is.
#[track_caller]
pub(super) fn check_step(step: Val<u32>) {
    assert!(step.constant() != Some(0), "the step of this for_ is 0, so the loop would never end: give at least 1");
}
