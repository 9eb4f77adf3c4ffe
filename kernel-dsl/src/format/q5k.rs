//! Q5_K: 256 weights in 176 bytes (ggml `block_q5_K`).
//!
//! Factors and scales as in Q4_K, 32 bytes of fifth bits, then 128 bytes of 4-bit quants, which are
//! placed as in Q4_K; bit b of the 32 bytes belongs to weights 32 b to 32 b + 31.

use super::integers::{half_at, put_half};
use super::q4k::LaneScales;
use super::{IntegerFormat, Integers, Q4K, TensorType};
use crate::device::{
    DeviceIntegers, Factors, IntegerSums, LaneIntegers, Q8KShare, Runs, Scales, Share, dot_of, merge, rotate_left,
    two_halves, words,
};
use half::f16;
use ptxgen_builder::build::{Body, Ptr, ReadSpace, Val};

/// Q5_K.
#[derive(Clone, Copy, Debug)]
pub struct Q5K;

const HIGH: usize = 16;
const QUANTS: usize = 48;

impl IntegerFormat for Q5K {
    const TYPE: TensorType = TensorType::Q5_K;
    const MINIMUMS: bool = true;

    #[inline(always)]
    fn integers(block: &[u8], out: &mut Integers) {
        (out.d, out.dmin) = (half_at(block, 0), half_at(block, 2));
        for g in 0..16 {
            let (scale, minimum) = Q4K::packed_scale_min(&block[Q4K::SCALES..Q4K::QUANTS], g / 2);
            (out.scales[g], out.minimums[g]) = (i16::from(scale), minimum);
        }
        for (i, q) in out.quants.iter_mut().enumerate() {
            let low = block[QUANTS + i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15;
            let high = block[HIGH + i % 32] >> (i / 32) & 1;
            *q = (low | high << 4).cast_signed();
        }
    }

    fn set_factors(block: &mut [u8], next: &mut dyn FnMut(f32) -> f16) {
        put_half(block, 0, next(5e-5));
        put_half(block, 2, next(7.5e-4));
    }
}

impl DeviceIntegers for Q5K {
    type Order = Runs;

    /// The quants, the positions of the lane's scales, and the rotation of its fifth bits.
    #[track_caller]
    fn share<S: ReadSpace>(_k: &Body, block: Ptr<S, u8>, lane: Val<u32>) -> Share<S> {
        let [a, b, c, d] = LaneScales::of(lane).values();
        Share::new(block, [block.byte_at(lane * 32)], [a, b, c, d, Val::from(4u32) - lane * 2])
    }

    #[track_caller]
    fn lane<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> LaneIntegers {
        let quants = quants(k, share, offset);
        let scales = scales(k, share, offset);
        LaneIntegers {
            quants: [0, 1, 2, 3].map(|g| std::array::from_fn(|i| quants[4 * (g % 2) + i][g / 2])),
            negative: None,
            less: 0,
            scales: Scales::Pairs([0, 1].map(|j| scales.bfe(8 * j, 8))),
            minimums: Some([2, 2, 3, 3].map(|j| scales.bfe(8 * j, 8))),
        }
    }

    #[track_caller]
    fn factors<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> Factors {
        let (d, dmin) = two_halves(k, share.block.plus_bytes(offset));
        Factors { d, times: 1.0, dmin: Some(dmin) }
    }

    #[track_caller]
    fn sums<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32, x: &Q8KShare) -> IntegerSums {
        let quants = quants(k, share, offset);
        let scales = scales(k, share, offset);
        let (mut a, mut b) = (Val::from(0i32), Val::from(0i32));
        for j in 0..2 {
            let dots = [0, 1].map(|half| {
                let words = quants[4 * half..].iter().zip(x.quants[2 * j + half]);
                words.fold(Val::from(0i32), |dot, (two, x)| dot_of(two[j], x, dot))
            });
            a = scales.bfe(8 * j as u32, 8).mad(dots[0] + dots[1], a);
            // The sums of groups j and j + 2, one of each 32 weights.
            b = x.sums[j].bitcast::<i32>().dp2a(scales, b, true);
        }
        IntegerSums { a, b: Some(b) }
    }
}

/// The lane's quants: for each four weights of the first 32, those and the ones 32 further.
#[track_caller]
fn quants<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> [[Val<u32>; 2]; 8] {
    let turn = share.values[4];
    let low: [_; 8] = words(k, share.at[0].plus_bytes(offset).plus_bytes(QUANTS as i64), 16);
    let high: [_; 8] = words(k, share.block.plus_bytes(offset).plus_bytes(HIGH as i64), 16);
    std::array::from_fn(|i| {
        // Bits 2 k and 2 k + 1 of each byte, k the lane.
        let [first, second] = [turn, turn - 1].map(|turn| rotate_left(high[i], turn));
        [merge(first, low[i], 0x1010_1010) & 0x1f1f_1f1f, merge(second, low[i] >> 4, 0x1010_1010) & 0x1f1f_1f1f]
    })
}

/// The lane's two scales and two minimums, a byte each.
#[track_caller]
fn scales<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> Val<i32> {
    let [a, b, c, d, ..] = share.values;
    let [_, s0, s1, s2] = words(k, share.block.plus_bytes(offset), 16);
    LaneScales::from_values([a, b, c, d]).unpacked([s0, s1, s2]).bitcast()
}
