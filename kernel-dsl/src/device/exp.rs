//! The contract's "exp", step by step as the host's
//! [`reference::exp_f32`](crate::reference) and `exp_f64` do it.

use ptxgen_builder::build::{Rounding, Val, at_caller};

use super::DeviceFloat;
use crate::reference::exp::{f32_constants, f64_constants};

/// Types with the contract's exponential.
pub trait DeviceExp: DeviceFloat {
    /// e^x, by IEEE operations only.
    fn exponential(x: Val<Self>) -> Val<Self>;

    /// About `1 / (1 + e^-x)`, with `ex2.approx` and `rcp.approx`, which exist in
    /// f32 only: outside of the bit contract.
    fn sigmoid_approx(x: Val<Self>) -> Val<Self>;
}

macro_rules! exponential {
    ($t:ty, $constants:ident, |$n:ident| $power:expr, |$x:ident| $sigmoid:expr) => {
        impl DeviceExp for $t {
            #[track_caller]
            fn exponential(x: Val<$t>) -> Val<$t> {
                use $constants::*;
                let nf = (x * LOG2_E).round(Rounding::NearestEven);
                let n: Val<i32> = nf.to_int(Rounding::NearestEven);
                let minus_n = -nf;
                let r = minus_n.fma(LN2_HI, x);
                let r = minus_n.fma(LN2_LO, r);
                let first = Val::from(POLY[0]);
                let p = at_caller(|| POLY[1..].iter().fold(first, |p, &c| p.fma(r, c)));
                let half = n >> 1;
                let power = |$n: Val<i32>| -> Val<$t> { $power };
                let y = at_caller(|| p * power(half) * power(n - half));
                let y = Val::from(<$t>::INFINITY).select(x.gt(OVERFLOW), y);
                Val::from(0.0).select(x.lt(UNDERFLOW), y)
            }

            #[track_caller]
            fn sigmoid_approx($x: Val<$t>) -> Val<$t> {
                $sigmoid
            }
        }
    };
}

exponential!(f32, f32_constants, |n| ((n + 127) << 23).bitcast(), |x| {
    let e = (x * -std::f32::consts::LOG2_E).ex2_approx();
    (e + 1.0).recip_approx()
});
exponential!(f64, f64_constants, |n| power_of_two(n), |x| {
    // The hardware's exponential gets a fraction of at most 1/2, so that its
    // argument's rounding to f32 is 2^-26; one step of Newton's brings the
    // hardware's reciprocal to more digits than the exponential has.
    let t = (x * -std::f64::consts::LOG2_E).max(-1000.0).min(1000.0);
    let nf = t.round(Rounding::NearestEven);
    let e = f64::widen(f64::narrow(t - nf).ex2_approx()) * power_of_two(nf.to_int(Rounding::NearestEven));
    let denominator = e + 1.0;
    let r = f64::widen(f64::narrow(denominator).recip_approx());
    (-denominator).fma(r, 1.0).fma(r, r)
});

/// 2^n as an f64, for exponents of normal numbers.
#[track_caller]
fn power_of_two(n: Val<i32>) -> Val<f64> {
    let high: Val<u32> = ((n + 1023) << 20).bitcast();
    Val::from(0u32).pair(high).bitcast()
}
