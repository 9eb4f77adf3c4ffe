//! Q2_K: 256 weights in 84 bytes (ggml `block_q2_K`).
//!
//! Sixteen bytes of a 4-bit scale and a 4-bit minimum, 64 bytes of 2-bit quants, then `d` and `dmin`
//! as f16. Of the 32 bytes for each half block, bits 2s and 2s + 1 are weights 32 s to 32 s + 31.

use super::integers::{half_at, put_half};
use super::{IntegerFormat, Integers, TensorType};
use crate::device::{
    DeviceIntegers, Factors, Halves, IntegerSums, LaneIntegers, Q8KShare, Scales, Share, packed, scaled, two_halves,
    words,
};
use half::f16;
use ptxgen_builder::build::{Body, Ptr, ReadSpace, Val};

/// Q2_K.
#[derive(Clone, Copy, Debug)]
pub struct Q2K;

const QUANTS: usize = 16;
const D: usize = 80;

impl IntegerFormat for Q2K {
    const TYPE: TensorType = TensorType::Q2_K;
    const MINIMUMS: bool = true;

    #[inline(always)]
    fn integers(block: &[u8], out: &mut Integers) {
        (out.d, out.dmin) = (half_at(block, D), half_at(block, D + 2));
        for g in 0..16 {
            (out.scales[g], out.minimums[g]) = (i16::from(block[g] & 15), block[g] >> 4);
        }
        for (i, q) in out.quants.iter_mut().enumerate() {
            let byte = block[QUANTS + i / 128 * 32 + i % 32];
            *q = (byte >> (i / 32 % 4 * 2) & 3).cast_signed();
        }
    }

    fn set_factors(block: &mut [u8], next: &mut dyn FnMut(f32) -> f16) {
        put_half(block, D, next(4e-4));
        put_half(block, D + 2, next(6e-4));
    }
}

impl DeviceIntegers for Q2K {
    type Order = Halves;

    /// The quants and the scales, and the lane's bytes among the scales.
    #[track_caller]
    fn share<S: ReadSpace>(_k: &Body, block: Ptr<S, u8>, lane: Val<u32>) -> Share<S> {
        let (half, odd) = (lane >> 1, lane & 1);
        let at = [block.byte_at(half * 32 + odd * 16), block.byte_at(half * 8)];
        Share::new(block, at, [Val::from(0x7531u32).select(odd.ne(0), 0x6420)])
    }

    #[track_caller]
    fn lane<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> LaneIntegers {
        let bytes = quants(k, share, offset);
        let [scales, minimums] = scales(k, share, offset);
        LaneIntegers {
            quants: [0, 1, 2, 3].map(|g| bytes.map(|w| (w >> (2 * g)) & 0x0303_0303)),
            negative: None,
            less: 0,
            scales: Scales::Each([0, 1, 2, 3].map(|g| scales.bfe(8 * g, 8))),
            minimums: Some([0, 1, 2, 3].map(|g| minimums.bfe(8 * g, 8))),
        }
    }

    #[track_caller]
    fn factors<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> Factors {
        let (d, dmin) = two_halves(k, share.block.plus_bytes(offset).plus_bytes(D as i64));
        Factors { d, times: 1.0, dmin: Some(dmin) }
    }

    #[track_caller]
    fn sums<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32, x: &Q8KShare) -> IntegerSums {
        let bytes = quants(k, share, offset);
        let [scales, minimums] = scales(k, share, offset);
        // Quants stay in place in the byte: sums are 4, 16 and 64 times too large.
        let dot = |g: usize| {
            let words = bytes.into_iter().zip(x.quants[g]);
            words.fold(Val::from(0i32), |sum, (w, x)| (w & (0x0303_0303 << (2 * g))).dp4a_signed(x, sum))
        };
        // Each is at most 16 * 3 * 128 in magnitude.
        let dots = packed([0, 1, 2, 3].map(dot), [0, 2, 4, 6]);
        let sums = [0, 1].map(|i| x.sums[i].bitcast());
        IntegerSums { a: scaled(dots, scales), b: Some(scaled(sums, minimums)) }
    }
}

/// The lane's bytes of quants.
#[track_caller]
fn quants<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> [Val<u32>; 4] {
    words(k, share.at[0].plus_bytes(offset).plus_bytes(QUANTS as i64), 4)
}

/// The lane's four scales and four minimums, a byte each.
#[track_caller]
fn scales<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> [Val<i32>; 2] {
    let [a, b] = words(k, share.at[1].plus_bytes(offset), 4);
    let both = a.prmt(b, share.values[0]);
    [both, both >> 4].map(|nibbles| (nibbles & 0x0f0f_0f0f).bitcast())
}
