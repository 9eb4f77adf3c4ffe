//! Constants that an operator cannot mean: rustc refuses them of Rust's integers, and PTX gives a result without a word.

use crate::table::Op;
use crate::types::{Kind, ScalarType};

/// What a shift of a value of type `ty` needs: an amount less than its width.
///
/// # Panics
/// If the amount is a constant of the width or more.
#[track_caller]
pub(super) fn check_shift(operator: &str, ty: ScalarType, amount: Option<u64>) {
    let bits = ty.bits();
    if let Some(n) = amount.filter(|&n| n >= u64::from(bits)) {
        let result = match operator {
            ">>" if ty.is_signed() => "only copies of the sign are",
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
/// If the divisor is the constant 0 and `ty` an integer.
#[track_caller]
pub(super) fn check_divisor(op: Op, ty: ScalarType, divisor: Option<u64>) {
    let divides = matches!(op, Op::Div | Op::Rem) && ty.kind() != Kind::Float;
    assert!(!divides || divisor != Some(0), "an integer is divided by the constant 0, which PTX does not define");
}

/// What the step of a loop needs: to be no constant 0.
///
/// # Panics
/// If it is.
#[track_caller]
pub(super) fn check_step(step: Option<u64>) {
    assert!(step != Some(0), "the step of this for_ is 0, so the loop would never end: give at least 1");
}
