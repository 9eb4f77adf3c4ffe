//! Arithmetic in the accumulator's type, for device functions that are generic
//! over it. Every operation is one instruction, rounded to nearest even.

use half::f16;
use ptxgen_builder::build::{Body, Float, Ordered, SameSize, Scalar, Shared, Shuffled, Val};

use crate::reference::Accumulator;

/// f32 or f64 as the type of a kernel's sums.
pub trait DeviceFloat: Accumulator + Float + Ordered + Shuffled + SameSize<Self> {
    /// Widens (exact; nothing in f32).
    fn widen(v: Val<f32>) -> Val<Self>;
    /// Widens a half (exact).
    fn of_half(v: Val<f16>) -> Val<Self>;
    /// An integer, rounded to nearest even (exact in f64).
    fn of_int(v: Val<i32>) -> Val<Self>;
    /// Rounds to f32 (nothing in f32).
    fn narrow(v: Val<Self>) -> Val<f32>;
    /// `a + b`.
    fn sum(a: Val<Self>, b: Val<Self>) -> Val<Self>;
    /// `a * b`.
    fn product(a: Val<Self>, b: Val<Self>) -> Val<Self>;
    /// `a / b`.
    fn quotient(a: Val<Self>, b: Val<Self>) -> Val<Self>;
    /// `-a`.
    fn negated(a: Val<Self>) -> Val<Self>;
    /// The larger; the other one where one is NaN.
    fn larger_of(a: Val<Self>, b: Val<Self>) -> Val<Self>;
    /// A constant, exact in f32.
    fn constant(v: f32) -> Val<Self>;
    /// `2 + q / 8` for the quant `q` (below 16) in byte `i` of a word of
    /// [`nibbles`](Self::nibbles): a bit pattern, no conversion.
    fn quant4(word: Val<u32>, i: u32) -> Val<Self>;
    /// The low and the high nibbles of a word's bytes, each in a byte, placed
    /// as [`quant4`](Self::quant4) wants them.
    fn nibbles(word: Val<u32>) -> (Val<u32>, Val<u32>);
    /// A value that differs from the quant `q` (below 64) in byte `i` of
    /// `word` by an affine map with exact coefficients: a bit pattern.
    fn quant6(word: Val<u32>, i: u32) -> Val<Self>;
    /// The map of [`quant6`](Self::quant6): it gives `2 + q / SCALE6`.
    const SCALE6: f32;
    /// Byte `i` of `word`, less `less`, which is below 2^16: exact, and no conversion.
    fn byte_less(word: Val<u32>, i: u32, less: u32) -> Val<Self>;
    /// Stores four values at a 16-byte boundary of shared memory.
    fn store4(k: &Body, at: Shared<Self>, v: [Val<Self>; 4]);
    /// Loads four values from a 16-byte boundary of shared memory.
    fn load4(k: &Body, at: Shared<Self>) -> [Val<Self>; 4];
}

/// The word `0x40 00 00 00`: bytes 4 to 6 of a `prmt` with it are zero, byte 7
/// is the top of 2.0.
const TWO: u32 = 0x4000_0000;

impl DeviceFloat for f32 {
    #[track_caller]
    fn widen(v: Val<f32>) -> Val<f32> {
        v
    }
    #[track_caller]
    fn of_half(v: Val<f16>) -> Val<f32> {
        v.to()
    }
    #[track_caller]
    fn of_int(v: Val<i32>) -> Val<f32> {
        v.to_rn()
    }
    #[track_caller]
    fn narrow(v: Val<f32>) -> Val<f32> {
        v
    }
    #[track_caller]
    fn sum(a: Val<f32>, b: Val<f32>) -> Val<f32> {
        a + b
    }
    #[track_caller]
    fn product(a: Val<f32>, b: Val<f32>) -> Val<f32> {
        a * b
    }
    #[track_caller]
    fn quotient(a: Val<f32>, b: Val<f32>) -> Val<f32> {
        a / b
    }
    #[track_caller]
    fn negated(a: Val<f32>) -> Val<f32> {
        -a
    }
    #[track_caller]
    fn larger_of(a: Val<f32>, b: Val<f32>) -> Val<f32> {
        a.max(b)
    }
    #[track_caller]
    fn constant(v: f32) -> Val<f32> {
        Val::from(v)
    }
    /// Byte 2 of an f32 holds the exponent's last bit and the upper 7 bits of
    /// the mantissa, so `8 q` there represents `q / 8`.
    #[track_caller]
    fn quant4(word: Val<u32>, i: u32) -> Val<f32> {
        word.prmt(TWO, 0x7044 | i << 8).bitcast()
    }
    #[track_caller]
    fn nibbles(word: Val<u32>) -> (Val<u32>, Val<u32>) {
        ((word << 3) & 0x7878_7878, (word >> 1) & 0x7878_7878)
    }
    #[track_caller]
    fn quant6(word: Val<u32>, i: u32) -> Val<f32> {
        word.prmt(TWO, 0x7044 | i << 8).bitcast()
    }
    const SCALE6: f32 = 64.0;
    /// The lowest byte of 2^23's mantissa counts ones.
    #[track_caller]
    fn byte_less(word: Val<u32>, i: u32, less: u32) -> Val<f32> {
        let more: Val<f32> = word.prmt(0x4b00_0000, 0x7440 | i).bitcast();
        more - ((1 << 23) + less) as f32
    }
    #[track_caller]
    fn store4(k: &Body, at: Shared<f32>, v: [Val<f32>; 4]) {
        at.store_vec(k, v);
    }
    #[track_caller]
    fn load4(k: &Body, at: Shared<f32>) -> [Val<f32>; 4] {
        at.load_vec(k)
    }
}

/// An f64 with these upper 32 bits and zeros below.
#[track_caller]
fn from_high(high: Val<u32>) -> Val<f64> {
    Val::from(0u32).pair(high).bitcast()
}

impl DeviceFloat for f64 {
    #[track_caller]
    fn widen(v: Val<f32>) -> Val<f64> {
        v.to()
    }
    #[track_caller]
    fn of_half(v: Val<f16>) -> Val<f64> {
        v.to()
    }
    #[track_caller]
    fn of_int(v: Val<i32>) -> Val<f64> {
        v.to_rn()
    }
    #[track_caller]
    fn narrow(v: Val<f64>) -> Val<f32> {
        v.to_rn()
    }
    #[track_caller]
    fn sum(a: Val<f64>, b: Val<f64>) -> Val<f64> {
        a + b
    }
    #[track_caller]
    fn product(a: Val<f64>, b: Val<f64>) -> Val<f64> {
        a * b
    }
    #[track_caller]
    fn quotient(a: Val<f64>, b: Val<f64>) -> Val<f64> {
        a / b
    }
    #[track_caller]
    fn negated(a: Val<f64>) -> Val<f64> {
        -a
    }
    #[track_caller]
    fn larger_of(a: Val<f64>, b: Val<f64>) -> Val<f64> {
        a.max(b)
    }
    #[track_caller]
    fn constant(v: f32) -> Val<f64> {
        Val::from(f64::from(v))
    }
    /// The low 4 bits of byte 2 of the upper word are the top of the mantissa,
    /// so `q` there represents `q / 8` added to 2.
    #[track_caller]
    fn quant4(word: Val<u32>, i: u32) -> Val<f64> {
        from_high(word.prmt(TWO, 0x7044 | i << 8))
    }
    #[track_caller]
    fn nibbles(word: Val<u32>) -> (Val<u32>, Val<u32>) {
        (word & 0x0f0f_0f0f, (word >> 4) & 0x0f0f_0f0f)
    }
    /// Byte 1 of the upper word: six bits do not fit byte 2's four.
    #[track_caller]
    fn quant6(word: Val<u32>, i: u32) -> Val<f64> {
        from_high(word.prmt(TWO, 0x7404 | i << 4))
    }
    const SCALE6: f32 = 2048.0;
    /// The lowest byte of the upper word of 2^20 counts ones.
    #[track_caller]
    fn byte_less(word: Val<u32>, i: u32, less: u32) -> Val<f64> {
        from_high(word.prmt(0x4130_0000, 0x7640 | i)) - f64::from((1 << 20) + less)
    }
    #[track_caller]
    fn store4(k: &Body, at: Shared<f64>, [a, b, c, d]: [Val<f64>; 4]) {
        at.store_vec(k, [a, b]);
        at.plus(2).store_vec(k, [c, d]);
    }
    #[track_caller]
    fn load4(k: &Body, at: Shared<f64>) -> [Val<f64>; 4] {
        let ([a, b], [c, d]) = (at.load_vec(k), at.plus(2).load_vec(k));
        [a, b, c, d]
    }
}

/// The size of a value of `T` in bytes.
pub(crate) const fn size<T: Scalar>() -> u32 {
    T::TY.bytes()
}
