//! IQ4_XS: 256 weights in 136 bytes (ggml `block_iq4_xs`).
//!
//! `d` as f16, eight pairs of upper bits of the scales, four bytes of their lower bits, then 128 bytes
//! of 4-bit numbers of IQ4_NL's sixteen values. A scale is for 32 weights, less 32; sixteen bytes have
//! them, the first half in the low nibbles.

use super::integers::{half_at, put_half, u16_at};
use super::iq4nl::VALUES;
use super::{IntegerFormat, Integers, TensorType};
use crate::device::{DeviceIntegers, Factors, LaneIntegers, Share, byte, half, sixteen_values, two_bytes, words};
use half::f16;
use ptxgen_builder::build::{Body, Ptr, ReadSpace, Val};

/// IQ4_XS.
#[derive(Clone, Copy, Debug)]
pub struct IQ4XS;

const HIGH: usize = 2;
const LOW: usize = 4;
const QUANTS: usize = 8;

impl IntegerFormat for IQ4XS {
    const TYPE: TensorType = TensorType::IQ4_XS;

    #[inline(always)]
    fn integers(block: &[u8], out: &mut Integers) {
        out.d = half_at(block, 0);
        let high = u16_at(block, HIGH);
        for g in 0..16 {
            let j = g / 2;
            let low = block[LOW + j / 2] >> (j % 2 * 4) & 15;
            out.scales[g] = i16::from(low) + (high >> (2 * j) & 3).cast_signed() * 16 - 32;
        }
        for (i, q) in out.quants.iter_mut().enumerate() {
            let number = block[QUANTS + i / 32 * 16 + i % 16] >> (i / 16 % 2 * 4) & 15;
            *q = VALUES[usize::from(number)];
        }
    }

    fn set_factors(block: &mut [u8], next: &mut dyn FnMut(f32) -> f16) {
        put_half(block, 0, next(1.5e-5));
    }
}

impl DeviceIntegers for IQ4XS {
    /// The quants and the low bits of the scales; how far their high bits are shifted.
    #[track_caller]
    fn share<S: ReadSpace>(_k: &Body, block: Ptr<S, u8>, lane: Val<u32>) -> Share<S> {
        Share::new(block, [block.byte_at(lane * 32), block.byte_at(lane)], [lane * 4])
    }

    #[track_caller]
    fn lane<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> LaneIntegers {
        let [quants, scales] = share.places(offset);
        let bytes: [_; 8] = words(k, quants.plus_bytes(QUANTS as i64), 8);
        let low = byte(k, scales.plus_bytes(LOW as i64));
        let high = two_bytes(k, share.block.plus_bytes(offset).plus_bytes(HIGH as i64)) >> share.values[0];
        let values = bytes.map(|w| sixteen_values(w, &VALUES));
        let scales = [0, 1].map(|j: u32| {
            let scale = low.bfe(4 * j, 4) | (high.bfe(2 * j, 2) << 4);
            scale.bitcast::<i32>() - 32
        });
        LaneIntegers {
            quants: std::array::from_fn(|g| std::array::from_fn(|i| values[g / 2 * 4 + i][g % 2])),
            less: 0,
            scales: [0, 0, 1, 1].map(|j| scales[j]),
            minimums: None,
        }
    }

    #[track_caller]
    fn factors<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> Factors {
        Factors { d: half(k, share.block.plus_bytes(offset)), times: 1.0, dmin: None }
    }
}
