//! IQ4_XS: 256 weights in 136 bytes (ggml `block_iq4_xs`).
//!
//! `d` as f16, eight pairs of upper bits of the scales, four bytes of their lower bits, then 128 bytes of 4-bit indices
//! of IQ4_NL's sixteen values. A scale is for 32 weights, and 32 is subtracted from it; sixteen bytes have its weights,
//! the first half in the low nibbles.

use super::integers::{half_at, put_half, u16_at};
use super::iq4nl::VALUES;
use super::{IntegerFormat, Integers, TensorType};
use crate::device::{
    DeviceIntegers, Factors, IntegerSums, LaneIntegers, Q8KShare, Runs, Scales, Share, dot_of, half, merge,
    sixteen_values, words,
};
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
    type Order = Runs;

    /// The quants, and the shifts of the upper and the lower bits of the scales.
    #[track_caller]
    fn share<S: ReadSpace>(_k: &Body, block: Ptr<S, u8>, lane: Val<u32>) -> Share<S> {
        Share::new(block, [block.byte_at(lane * 32)], [lane * 4 + 16, lane * 8])
    }

    #[track_caller]
    fn lane<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> LaneIntegers {
        let values = numbers(k, share, offset).map(|w| sixteen_values(w, &VALUES));
        LaneIntegers {
            quants: std::array::from_fn(|g| std::array::from_fn(|i| values[g / 2 * 4 + i][g % 2])),
            negative: None,
            less: 0,
            scales: Scales::Pairs(scales(k, share, offset)),
            minimums: None,
        }
    }

    #[track_caller]
    fn factors<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> Factors {
        Factors { d: half(k, share.block.plus_bytes(offset)), times: 1.0, dmin: None }
    }

    /// Each word of quants meets two of activations, in the order of its nibbles.
    #[track_caller]
    fn arranged(x: Q8KShare) -> Q8KShare {
        let mut quants = x.quants.clone();
        for j in [0, 2] {
            for i in 0..4 {
                let [low, high] = [x.quants[j][i], x.quants[j + 1][i]].map(Val::bitcast::<u32>);
                quants[j][i] = low.prmt(high, 0x5140).bitcast();
                quants[j + 1][i] = low.prmt(high, 0x7362).bitcast();
            }
        }
        Q8KShare { quants, ..x }
    }

    /// Four nibbles select four of eight bytes; if a nibble's bit 3 is set, they select the byte's sign in all bits.
    /// The first eight values are negative, which adds -1 to the others. So the others are stored with 1 added; they
    /// are positive, so they add 0 to the first eight.
    #[track_caller]
    fn sums<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32, x: &Q8KShare) -> IntegerSums {
        const { assert!(VALUES[7] < 0 && VALUES[8] >= 0 && VALUES[15] < 127) }
        let table: [Val<u32>; 4] = std::array::from_fn(|i| {
            let more = if i < 2 { 0 } else { 1 };
            let four = [0, 1, 2, 3].map(|j| (VALUES[4 * i + j] + more).cast_unsigned());
            Val::from(u32::from_le_bytes(four)).copied()
        });
        let mut dots = [Val::from(0i32); 2];
        for (n, numbers) in numbers(k, share, offset).into_iter().enumerate() {
            let (j, i) = (n / 4, n % 4);
            for (part, shift) in [0u32, 16].into_iter().enumerate() {
                let place = if shift == 0 { numbers } else { numbers >> shift };
                let x = x.quants[2 * j + part][i];
                let first = table[0].prmt(table[1], place);
                let last = table[2].prmt(table[3], place ^ 0x8888);
                dots[j] = dot_of(last, x, dot_of(first, x, dots[j]));
            }
        }
        let [first, second] = scales(k, share, offset);
        IntegerSums { a: second.mad(dots[1], first * dots[0]), b: None }
    }
}

/// The lane's nibbles.
#[track_caller]
fn numbers<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> [Val<u32>; 8] {
    words(k, share.at[0].plus_bytes(offset).plus_bytes(QUANTS as i64), 8)
}

/// The lane's two scales.
#[track_caller]
fn scales<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> [Val<i32>; 2] {
    // The block's first eight bytes.
    let [high, low] = words(k, share.block.plus_bytes(offset), 8);
    let (high, low) = (high >> share.values[0], low >> share.values[1]);
    [merge(high << 4, low, 0x30), merge(high << 2, low >> 4, 0x30)].map(|scale| (scale & 0x3f).bitcast::<i32>() - 32)
}
