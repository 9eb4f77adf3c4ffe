//! Numbers in registers, and the errors of conversions between their types.

use half::f16;

use super::combine::{clamp, combine};
use super::{Numbers, Plane, ZERO};
use crate::table::{Clamp, Lanes, WARP};
use crate::types::{Kind, ScalarType};

#[inline(always)]
fn each(bits: &Lanes, out: &mut Numbers, f: impl Fn(u64) -> f64) {
    for i in 0..WARP {
        out[i] = f(bits[i]);
    }
}

/// The floats of a register, or of piece `piece` of packed ones.
#[inline]
pub(in crate::interp) fn floats(ty: ScalarType, bits: &Lanes, piece: usize) -> Numbers {
    let mut out = [0.0; WARP];
    match ty {
        ScalarType::F64 => each(bits, &mut out, f64::from_bits),
        ScalarType::F32 | ScalarType::Tf32 => each(bits, &mut out, |b| f64::from(f32::from_bits(b as u32))),
        ScalarType::F32x2 => each(bits, &mut out, |b| f64::from(f32::from_bits((b >> (32 * piece)) as u32))),
        ScalarType::F16 | ScalarType::F16x2 => {
            each(bits, &mut out, |b| f16::from_bits((b >> (16 * piece)) as u16).to_f64());
        }
        // The upper half of an f32.
        ScalarType::Bf16 | ScalarType::Bf16x2 => {
            each(bits, &mut out, |b| f64::from(f32::from_bits(((b >> (16 * piece)) as u32) << 16)));
        }
        ScalarType::Pred
        | ScalarType::B8
        | ScalarType::B16
        | ScalarType::B32
        | ScalarType::B64
        | ScalarType::B128
        | ScalarType::U8
        | ScalarType::U16
        | ScalarType::U32
        | ScalarType::U64
        | ScalarType::S8
        | ScalarType::S16
        | ScalarType::S32
        | ScalarType::S64
        // Of these, nothing is followed.
        | ScalarType::E4m3x2
        | ScalarType::E5m2x2
        | ScalarType::E2m3x2
        | ScalarType::E3m2x2
        | ScalarType::Ue8m0x2
        | ScalarType::E4m3x4
        | ScalarType::E5m2x4
        | ScalarType::E2m3x4
        | ScalarType::E3m2x4
        | ScalarType::E2m1x4
        | ScalarType::U16x2
        | ScalarType::S16x2 => {}
    }
    out
}

/// One float of a register, or piece `piece` of packed ones.
pub(in crate::interp) fn float(ty: ScalarType, bits: u64, piece: usize) -> f64 {
    let [first, ..] = floats(ty, &[bits; WARP], piece);
    first
}

/// An integer of this type.
fn integer(ty: ScalarType, bits: u64) -> i128 {
    let up = 64 - ty.bits().min(64);
    if ty.is_signed() { i128::from((bits << up) as i64 >> up) } else { i128::from(bits << up >> up) }
}

/// An integer as the sum of two f64.
fn split(n: i128) -> (f64, f64) {
    let high = n as f64;
    (high, (n - high as i128) as f64)
}

/// What converts.
#[derive(Clone, Copy)]
pub(in crate::interp) struct Conversion {
    pub from: ScalarType,
    pub to: ScalarType,
    pub integral: bool,
    pub clamp: Option<Clamp>,
    pub saturates: bool,
}

/// The errors of a conversion's results, and of one to an integral number how far each result is from its source.
///
/// A rounding of a float to an integral *float* is a choice: the shadow is rounded to the same integer, as a branch is taken
/// the same way (`x - round(x)` is then what it is). An *integer* represents the float from which it was converted.
pub(in crate::interp) fn convert(
    pc: u32,
    c: &Conversion,
    source: &Lanes,
    result: &Lanes,
    piece: usize,
    plane: Option<&Plane>,
) -> (Plane, Option<Numbers>) {
    let whole = |t: ScalarType| t.kind() != Kind::Float;
    let err = plane.map_or(&ZERO, |p| &p.err);
    let mut local = [0.0; WARP];
    match (whole(c.from), whole(c.to)) {
        (false, false) => {
            // Of two sources that are packed, each is a register of its own.
            let (v, r) = (floats(c.from, source, 0), floats(c.to, result, piece));
            if c.integral {
                let distances = std::array::from_fn(|i| v[i] + err[i] - r[i]);
                return (Plane::EXACT, Some(distances));
            }
            for i in 0..WARP {
                local[i] = v[i] - r[i];
            }
            let mut out = Plane::EXACT;
            combine(pc, &local, &[*err], &[plane], &r, &mut out);
            clamp(&mut out, &r, c.clamp);
            (out, None)
        }
        (false, true) => {
            let v = floats(c.from, source, 0);
            for i in 0..WARP {
                let (high, low) = split(integer(c.to, result[i]));
                local[i] = (v[i] - high) - low;
            }
            let mut out = Plane::EXACT;
            combine(pc, &local, &[*err], &[plane], &ZERO, &mut out);
            let distances = out.err;
            (out, Some(distances))
        }
        (true, false) => {
            let r = floats(c.to, result, piece);
            for i in 0..WARP {
                let (high, low) = split(integer(c.from, source[i]));
                local[i] = (high - r[i]) + low;
            }
            let mut out = Plane::EXACT;
            combine(pc, &local, &[*err], &[plane], &r, &mut out);
            (out, None)
        }
        (true, true) => {
            let Some(known) = plane else { return (Plane::EXACT, None) };
            let mut err = *err;
            for i in 0..WARP {
                let (n, d) = (integer(c.from, source[i]), integer(c.to, result[i]));
                match n == d || c.saturates {
                    true => local[i] = (n - d) as f64,
                    // A wrapped integer represents nothing any more.
                    false => err[i] = 0.0,
                }
            }
            let mut out = Plane::EXACT;
            combine(pc, &local, &[err], &[Some(known)], &ZERO, &mut out);
            (out, None)
        }
    }
}
