//! Q5_K: 256 weights in 176 bytes (ggml `block_q5_K`).
//!
//! Factors and scales as in Q4_K, 32 bytes of fifth bits, then 128 bytes of 4-bit quants, which are
//! placed as in Q4_K; bit b of the 32 bytes belongs to weights 32 b to 32 b + 31.

use super::integers::{half_at, put_half};
use super::q4k::LaneScales;
use super::{IntegerFormat, Integers, Q4K, TensorType};
use crate::device::{DeviceIntegers, Factors, LaneIntegers, Share, two_halves, words};
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
    #[track_caller]
    fn share<S: ReadSpace>(_k: &Body, block: Ptr<S, u8>, lane: Val<u32>) -> Share<S> {
        let [a, b, c, d] = LaneScales::of(lane).values();
        Share::new(block, [block.byte_at(lane * 32)], [a, b, c, d, lane * 2])
    }

    #[track_caller]
    fn lane<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> LaneIntegers {
        let [a, b, c, d, shift, _] = share.values;
        let block = share.block.plus_bytes(offset);
        let low: [_; 8] = words(k, share.at[0].plus_bytes(offset).plus_bytes(QUANTS as i64), 16);
        let high: [_; 8] = words(k, block.plus_bytes(HIGH as i64), 16);
        let high = high.map(|w| w >> shift);
        let [_, s0, s1, s2] = words(k, block, 16);
        let scales = LaneScales::from_values([a, b, c, d]).unpacked([s0, s1, s2]);
        let byte = |i: u32| scales.bfe(8 * i, 8).bitcast();
        LaneIntegers {
            quants: std::array::from_fn(|g| {
                let (run, half) = (g as u32 / 2, g % 2);
                std::array::from_fn(|i| {
                    let low = (low[4 * half + i] >> (4 * run)) & 0x0f0f_0f0f;
                    low | (((high[4 * half + i] >> run) & 0x0101_0101) << 4)
                })
            }),
            less: 0,
            scales: [0, 0, 1, 1].map(byte),
            minimums: Some([2, 2, 3, 3].map(byte)),
        }
    }

    #[track_caller]
    fn factors<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> Factors {
        let (d, dmin) = two_halves(k, share.block.plus_bytes(offset));
        Factors { d, times: 1.0, dmin: Some(dmin) }
    }
}
