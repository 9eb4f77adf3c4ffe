//! Sums, products, quotients and roots in every rounding.
//!
//! Nearest in f32 and f64 is the host's own arithmetic. Narrower formats, and
//! f32 in the other directions, go through f64 rounded to odd: with at least
//! two bits to spare, rounding that once more is the same as rounding the
//! exact result once (Boldo and Melquiond, 2008). f64 in the other directions
//! is computed in software.

use half::{bf16, f16};
use rustc_apfloat::ieee::Double;
use rustc_apfloat::{Float, Round};

use super::Convert;
use crate::table::Rounding as Mode;

/// Arithmetic with a written rounding.
pub(in crate::table) trait Arith: Copy + std::ops::Neg<Output = Self> {
    fn add_in(self, b: Self, mode: Mode) -> Self;
    fn mul_in(self, b: Self, mode: Mode) -> Self;
    fn fma_in(self, b: Self, c: Self, mode: Mode) -> Self;
    fn div_in(self, b: Self, mode: Mode) -> Self;
    fn sqrt_in(self, mode: Mode) -> Self;
    fn sub_in(self, b: Self, mode: Mode) -> Self {
        self.add_in(-b, mode)
    }
}

/// Makes `x`, the nearest f64 to an exact value, odd: where the value lies
/// `error` away from it (only the sign counts), the neighbour on that side if
/// `x` is even.
fn to_odd(x: f64, error: f64) -> f64 {
    if error == 0.0 || error.is_nan() || x.is_infinite() || x.to_bits() & 1 == 1 {
        x
    } else if error > 0.0 {
        x.next_up()
    } else {
        x.next_down()
    }
}

/// `a + b` to odd, with the sign that an exact zero has in `mode`.
pub(in crate::table) fn add_odd(a: f64, b: f64, mode: Mode) -> f64 {
    let sum = a + b;
    if sum == 0.0 {
        let positive = a.to_bits() == 0 && b.to_bits() == 0;
        return if mode == Mode::Down && !positive { -0.0 } else { sum };
    }
    // Knuth's two-sum.
    let b_part = sum - a;
    let error = (a - (sum - b_part)) + (b - b_part);
    to_odd(sum, error)
}

fn div_odd(a: f64, b: f64) -> f64 {
    let q = a / b;
    if q == 0.0 || b.is_infinite() {
        return q;
    }
    let rest = (-q).mul_add(b, a);
    to_odd(q, if b < 0.0 { -rest } else { rest })
}

fn sqrt_odd(a: f64) -> f64 {
    let root = a.sqrt();
    to_odd(root, (-root).mul_add(root, a))
}

macro_rules! through_f64 {
    ($t:ty, $nearest:expr, |$x:ident| $($native:tt)*) => {
        impl Arith for $t {
            fn add_in(self, b: Self, mode: Mode) -> Self {
                if $nearest && mode == Mode::NearestEven {
                    return self + b;
                }
                Self::narrow(add_odd(self.widen(), b.widen(), mode), mode)
            }
            fn mul_in(self, b: Self, mode: Mode) -> Self {
                if $nearest && mode == Mode::NearestEven {
                    return self * b;
                }
                Self::narrow(self.widen() * b.widen(), mode)
            }
            fn fma_in(self, b: Self, c: Self, mode: Mode) -> Self {
                $(if mode == Mode::NearestEven {
                    return self.$native(b, c);
                })*
                Self::narrow(add_odd(self.widen() * b.widen(), c.widen(), mode), mode)
            }
            fn div_in(self, b: Self, mode: Mode) -> Self {
                if $nearest && mode == Mode::NearestEven {
                    return self / b;
                }
                Self::narrow(div_odd(self.widen(), b.widen()), mode)
            }
            fn sqrt_in(self, mode: Mode) -> Self {
                Self::narrow(sqrt_odd(self.widen()), mode)
            }
        }
    };
}
through_f64!(f32, true, |x| mul_add);
through_f64!(f16, false, |x|);
through_f64!(bf16, false, |x|);

fn direction(mode: Mode) -> Round {
    match mode {
        Mode::NearestEven => Round::NearestTiesToEven,
        Mode::Zero => Round::TowardZero,
        Mode::Down => Round::TowardNegative,
        Mode::Up => Round::TowardPositive,
    }
}

fn soft(x: f64) -> Double {
    Double::from_bits(u128::from(x.to_bits()))
}

fn hard(x: Double) -> f64 {
    f64::from_bits(x.to_bits() as u64)
}

impl Arith for f64 {
    fn add_in(self, b: Self, mode: Mode) -> Self {
        if mode == Mode::NearestEven {
            return self + b;
        }
        hard(soft(self).add_r(soft(b), direction(mode)).value)
    }
    fn mul_in(self, b: Self, mode: Mode) -> Self {
        if mode == Mode::NearestEven {
            return self * b;
        }
        hard(soft(self).mul_r(soft(b), direction(mode)).value)
    }
    fn fma_in(self, b: Self, c: Self, mode: Mode) -> Self {
        if mode == Mode::NearestEven {
            return self.mul_add(b, c);
        }
        hard(soft(self).mul_add_r(soft(b), soft(c), direction(mode)).value)
    }
    fn div_in(self, b: Self, mode: Mode) -> Self {
        if mode == Mode::NearestEven {
            return self / b;
        }
        hard(soft(self).div_r(soft(b), direction(mode)).value)
    }
    fn sqrt_in(self, mode: Mode) -> Self {
        // Small arguments are scaled by an even power of two, so that the
        // residual below is exact.
        const SCALE: f64 = (1u128 << 100) as f64;
        let (x, scale) = if self < 1e-200 { (self * SCALE * SCALE, SCALE) } else { (self, 1.0) };
        let root = x.sqrt();
        let rest = (-root).mul_add(root, x);
        let root = match mode {
            Mode::Zero | Mode::Down if rest < 0.0 => root.next_down(),
            Mode::Up if rest > 0.0 => root.next_up(),
            _ => root,
        };
        root / scale
    }
}
