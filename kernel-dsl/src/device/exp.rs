//! The contract's "exp", step by step as the host's
//! [`reference::exp_f32`](crate::reference) and `exp_f64` do it.

use ptxgen_builder::build::{Rounding, Val};

use super::DeviceFloat;
use crate::reference::exp::{f32_constants, f64_constants};

/// Types with the contract's exponential.
pub trait DeviceExp: DeviceFloat {
    /// e^x, by IEEE operations only.
    fn exponential(x: Val<Self>) -> Val<Self>;
}

macro_rules! exponential {
    ($t:ty, $constants:ident, |$n:ident| $power:expr) => {
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
                let p = POLY[1..].iter().fold(first, |p, &c| p.fma(r, c));
                let half = n >> 1;
                let power = |$n: Val<i32>| -> Val<$t> { $power };
                let y = p * power(half) * power(n - half);
                let y = Val::from(<$t>::INFINITY).select(x.gt(OVERFLOW), y);
                Val::from(0.0).select(x.lt(UNDERFLOW), y)
            }
        }
    };
}

exponential!(f32, f32_constants, |n| ((n + 127) << 23).bitcast());
exponential!(f64, f64_constants, |n| {
    let high: Val<u32> = ((n + 1023) << 20).bitcast();
    Val::from(0u32).pack(high).bitcast()
});
