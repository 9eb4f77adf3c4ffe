//! Binary floating-point formats, and rounding to them.

use half::{bf16, f16};

use crate::table::Rounding as Mode;

/// A binary interchange format (or bf16).
#[derive(Clone, Copy)]
pub(in crate::table) struct Format {
    /// Significand bits, with the hidden one.
    precision: u32,
    /// Exponent of the least normal number.
    least: i32,
    /// Exponent of the greatest number.
    greatest: i32,
    /// Bits in all.
    width: u32,
}

impl Format {
    pub(in crate::table) const F16: Format = Format { precision: 11, least: -14, greatest: 15, width: 16 };
    pub(in crate::table) const BF16: Format = Format { precision: 8, least: -126, greatest: 127, width: 16 };
    pub(in crate::table) const F32: Format = Format { precision: 24, least: -126, greatest: 127, width: 32 };
    pub(in crate::table) const F64: Format = Format { precision: 53, least: -1022, greatest: 1023, width: 64 };

    const fn infinity(self) -> u64 {
        ((self.greatest - self.least + 2) as u64) << (self.precision - 1)
    }

    const fn sign(self, negative: bool) -> u64 {
        (negative as u64) << (self.width - 1)
    }

    /// The bits of `significand * 2^exponent`, rounded. The significand is at
    /// least 1 and below 2^126.
    fn round(self, negative: bool, significand: u128, exponent: i32, mode: Mode) -> u64 {
        let top = 127 - significand.leading_zeros() as i32;
        let normal = (exponent + top).max(self.least);
        // The exponent of the result's last bit, and how far the significand must move to it.
        let shift = normal - (self.precision as i32 - 1) - exponent;
        let kept = if shift <= 0 {
            significand << -shift
        } else {
            let (kept, rest, half) = if shift > 127 {
                (0, significand, u128::MAX)
            } else {
                let kept = significand >> shift;
                (kept, significand - (kept << shift), 1 << (shift - 1))
            };
            let up = match mode {
                Mode::NearestEven => rest > half || (rest == half && kept & 1 == 1),
                Mode::Zero => false,
                Mode::Down => negative && rest != 0,
                Mode::Up => !negative && rest != 0,
            };
            kept + u128::from(up)
        };
        // The hidden bit, and a carry out of the significand, add themselves to the exponent.
        let magnitude = (((normal - self.least) as u64) << (self.precision - 1)) + kept as u64;
        let overflow = match mode {
            Mode::NearestEven => self.infinity(),
            Mode::Zero => self.infinity() - 1,
            Mode::Down => self.infinity() - u64::from(!negative),
            Mode::Up => self.infinity() - u64::from(negative),
        };
        self.sign(negative) | if magnitude >= self.infinity() { overflow } else { magnitude }
    }

    /// The bits of an f64 rounded to this format. A NaN stays one.
    pub(in crate::table) fn round_f64(self, x: f64, mode: Mode) -> u64 {
        let (bits, negative) = (x.to_bits(), x.is_sign_negative());
        if x.is_nan() {
            return self.infinity() + 1;
        } else if x.is_infinite() {
            return self.sign(negative) | self.infinity();
        } else if x == 0.0 {
            return self.sign(negative);
        }
        let field = (bits >> 52 & 0x7ff) as i32;
        let fraction = bits & ((1 << 52) - 1);
        let significand = if field == 0 { fraction } else { fraction | 1 << 52 };
        self.round(negative, u128::from(significand), field.max(1) - 1075, mode)
    }

    /// The bits of an integer rounded to this format.
    pub(in crate::table) fn round_int(self, x: i128, mode: Mode) -> u64 {
        if x == 0 { 0 } else { self.round(x < 0, x.unsigned_abs(), 0, mode) }
    }
}

/// A float of some format, by way of f64, which holds each exactly.
pub(in crate::table) trait Convert: Copy {
    /// Rounds an f64.
    fn narrow(x: f64, mode: Mode) -> Self;
    /// Rounds an integer.
    fn from_int(x: i128, mode: Mode) -> Self;
    /// The same value.
    fn widen(self) -> f64;
}

macro_rules! convert {
    ($($t:ty: $bits:ty, $format:ident, |$x:ident| $widen:expr $(, $nearest:expr)?;)*) => {$(
        impl Convert for $t {
            fn narrow($x: f64, mode: Mode) -> Self {
                let x = $x;
                $(if mode == Mode::NearestEven {
                    return $nearest;
                })?
                Self::from_bits(Format::$format.round_f64(x, mode) as $bits)
            }
            fn from_int(x: i128, mode: Mode) -> Self {
                Self::from_bits(Format::$format.round_int(x, mode) as $bits)
            }
            fn widen(self) -> f64 {
                let $x = self;
                $widen
            }
        }
    )*};
}
convert! {
    f16: u16, F16, |x| x.to_f64();
    bf16: u16, BF16, |x| x.to_f64();
    f32: u32, F32, |x| f64::from(x), x as f32;
    f64: u64, F64, |x| x, x;
}

/// The integral value next to `x` in a direction.
pub(in crate::table) fn round_to_integral(x: f64, mode: Mode) -> f64 {
    match mode {
        Mode::NearestEven => x.round_ties_even(),
        Mode::Zero => x.trunc(),
        Mode::Down => x.floor(),
        Mode::Up => x.ceil(),
    }
}
