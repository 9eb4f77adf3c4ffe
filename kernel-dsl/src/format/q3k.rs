//! Q3_K: 256 weights in 110 bytes (ggml `block_q3_K`).
//!
//! 32 bytes of third bits, 64 bytes of 2-bit quants, twelve bytes of sixteen 6-bit scales, less 32,
//! then `d` as f16. Quants are placed as in Q2_K; bit b of the 32 bytes belongs to weights 32 b to
//! 32 b + 31. Where it is not set, 4 is subtracted. Blocks are only 2-byte aligned.

use super::integers::{half_at, put_half};
use super::{IntegerFormat, Integers, TensorType};
use crate::device::{DeviceIntegers, Factors, LaneIntegers, Share, Unaligned, half, words};
use half::f16;
use ptxgen_builder::build::{Body, Ptr, ReadSpace, Val};

/// Q3_K.
#[derive(Clone, Copy, Debug)]
pub struct Q3K;

const QUANTS: usize = 32;
const SCALES: usize = 96;
const D: usize = 108;

impl IntegerFormat for Q3K {
    const TYPE: TensorType = TensorType::Q3_K;

    #[inline(always)]
    fn integers(block: &[u8], out: &mut Integers) {
        out.d = half_at(block, D);
        for g in 0..16 {
            let low = block[SCALES + g % 8] >> (g / 8 * 4) & 15;
            let high = block[SCALES + 8 + g % 4] >> (g / 4 * 2) & 3;
            out.scales[g] = i16::from(low | high << 4) - 32;
        }
        for (i, q) in out.quants.iter_mut().enumerate() {
            let low = block[QUANTS + i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
            let high = block[i % 32] >> (i / 32) & 1;
            *q = (low | high << 2).cast_signed() - 4;
        }
    }

    fn set_factors(block: &mut [u8], next: &mut dyn FnMut(f32) -> f16) {
        put_half(block, D, next(3e-4));
    }
}

impl DeviceIntegers for Q3K {
    /// The quants and the third bits as aligned words, and the low bits of the scales; how far the quants,
    /// their third bits and the two parts of the scales are shifted.
    #[track_caller]
    fn share<S: ReadSpace>(_k: &Body, block: Ptr<S, u8>, lane: Val<u32>) -> Share<S> {
        let (half, odd) = (lane >> 1, lane & 1);
        let Unaligned { words: [a, b], select: [even, uneven] } = Unaligned::new(block);
        let quants = half * 32;
        let at = [a.byte_at(quants), b.byte_at(quants), a, b, block.byte_at(odd * 4)];
        Share::new(block, at, [odd * 4, lane * 2, half * 4, even, uneven])
    }

    #[track_caller]
    fn lane<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> LaneIntegers {
        let block = share.block.plus_bytes(offset);
        let [a, b, c, d, scales] = share.at;
        let [shift, pair, low_shift, even, uneven, _] = share.values;
        let aligned = |words| Unaligned { words, select: [even, uneven] };
        let low: [_; 8] = aligned([a, b]).read(k, offset, QUANTS);
        let high: [_; 8] = aligned([c, d]).read(k, offset, 0);
        let (low, high) = (low.map(|w| w >> shift), high.map(|w| w >> pair));
        let [low_scales] = words(k, scales.plus_bytes(offset).plus_bytes(SCALES as i64), 2);
        let [high_scales] = words(k, block.plus_bytes(SCALES as i64 + 8), 2);
        let scales = ((low_scales >> low_shift) & 0x0f0f_0f0f) | (((high_scales >> pair) & 0x0303_0303) << 4);
        LaneIntegers {
            quants: std::array::from_fn(|g| {
                let (run, half) = (g as u32 / 2, g % 2);
                std::array::from_fn(|i| {
                    let low = (low[4 * half + i] >> (2 * run)) & 0x0303_0303;
                    // The third bit, where it is added.
                    let high = match run {
                        0 => high[4 * half + i] << 2,
                        _ => high[4 * half + i] << 1,
                    };
                    high.lop3(0x0404_0404, low, AND_OR)
                })
            }),
            less: 4,
            scales: std::array::from_fn(|g| scales.bfe(8 * g as u32, 8).bitcast::<i32>() - 32),
            minimums: None,
        }
    }

    #[track_caller]
    fn factors<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> Factors {
        Factors { d: half(k, share.block.plus_bytes(offset).plus_bytes(D as i64)), times: 1.0, dmin: None }
    }
}

/// `(a & b) | c`.
const AND_OR: u8 = 0xea;
