//! Q2_K: 256 weights in 84 bytes (ggml `block_q2_K`).
//!
//! Sixteen bytes of a 4-bit scale and a 4-bit minimum, 64 bytes of 2-bit quants, then `d` and `dmin`
//! as f16. Of the 32 bytes for each half block, bits 2s and 2s + 1 are weights 32 s to 32 s + 31.

use super::integers::{half_at, put_half};
use super::{IntegerFormat, Integers, TensorType};
use crate::device::{DeviceIntegers, Factors, LaneIntegers, Share, two_halves, words};
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
    /// The quants and the scales; how far the quants are shifted.
    #[track_caller]
    fn share<S: ReadSpace>(_k: &Body, block: Ptr<S, u8>, lane: Val<u32>) -> Share<S> {
        let at = [block.byte_at((lane >> 1) * 32), block.byte_at(lane * 4)];
        Share::new(block, at, [(lane & 1) * 4])
    }

    #[track_caller]
    fn lane<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> LaneIntegers {
        let [quants, scales] = share.places(offset);
        let bytes: [_; 8] = words(k, quants.plus_bytes(QUANTS as i64), 4);
        let bytes = bytes.map(|w| w >> share.values[0]);
        let [scales] = words(k, scales, 4);
        LaneIntegers {
            quants: std::array::from_fn(|g| {
                std::array::from_fn(|i| (bytes[g % 2 * 4 + i] >> (g as u32 / 2 * 2)) & 0x0303_0303)
            }),
            less: 0,
            scales: std::array::from_fn(|g| scales.bfe(8 * g as u32, 4).bitcast()),
            minimums: Some(std::array::from_fn(|g| scales.bfe(8 * g as u32 + 4, 4).bitcast())),
        }
    }

    #[track_caller]
    fn factors<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> Factors {
        let (d, dmin) = two_halves(k, share.block.plus_bytes(offset).plus_bytes(D as i64));
        Factors { d, times: 1.0, dmin: Some(dmin) }
    }
}
