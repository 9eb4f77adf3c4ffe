//! TQ2_0: 256 weights of -1, 0 and 1 in 66 bytes (ggml `block_tq2_0`).
//!
//! 64 bytes of 2-bit quants, from which 1 is subtracted, placed as in Q2_K, then `d` as f16. Blocks are only 2-byte
//! aligned.

use super::integers::{half_at, put_half};
use super::{IntegerFormat, Integers, TensorType};
use crate::device::{DeviceIntegers, Factors, Halves, LaneIntegers, Scales, Share, half, words};
use half::f16;
use ptxgen_builder::build::{Body, Ptr, ReadSpace, Val};

/// TQ2_0.
#[derive(Clone, Copy, Debug)]
pub struct TQ2_0;

const D: usize = 64;

impl IntegerFormat for TQ2_0 {
    const TYPE: TensorType = TensorType::TQ2_0;

    #[inline(always)]
    fn integers(block: &[u8], out: &mut Integers) {
        out.d = half_at(block, D);
        out.scales = [1; 16];
        for (i, q) in out.quants.iter_mut().enumerate() {
            *q = (block[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3).cast_signed() - 1;
        }
    }

    fn set_factors(block: &mut [u8], next: &mut dyn FnMut(f32) -> f16) {
        put_half(block, D, next(1.5e-2));
    }
}

impl DeviceIntegers for TQ2_0 {
    type Order = Halves;

    /// The quants.
    #[track_caller]
    fn share<S: ReadSpace>(_k: &Body, block: Ptr<S, u8>, lane: Val<u32>) -> Share<S> {
        Share::new(block, [block.byte_at((lane >> 1) * 32 + (lane & 1) * 16)], [])
    }

    #[track_caller]
    fn lane<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> LaneIntegers {
        let bytes: [_; 4] = words(k, share.at[0].plus_bytes(offset), 2);
        LaneIntegers {
            quants: [0, 1, 2, 3].map(|g| bytes.map(|w| (w >> (2 * g)) & 0x0303_0303)),
            negative: None,
            less: 1,
            scales: Scales::Each([Val::from(1); 4]),
            minimums: None,
        }
    }

    #[track_caller]
    fn factors<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> Factors {
        Factors { d: half(k, share.block.plus_bytes(offset).plus_bytes(D as i64)), times: 1.0, dmin: None }
    }
}
