//! TQ1_0: 256 weights of -1, 0 and 1 in 54 bytes (ggml `block_tq1_0`).
//!
//! A byte has five digits of base 3 as a fraction of 256: digit n is the integer part of 3 times the byte times 3^n,
//! modulo 256. 32 bytes have weights 0 to 159 (digit n those from 32 n on), 16 bytes weights 160 to 239, four bytes of
//! four digits the rest; then `d` as f16. Blocks are only 2-byte aligned.

use super::integers::{half_at, put_half};
use super::{IntegerFormat, Integers, TensorType};
use crate::device::{DeviceIntegers, Factors, LaneIntegers, Runs, Scales, Share, half, words};
use half::f16;
use ptxgen_builder::build::{Body, Ptr, ReadSpace, Val};

/// TQ1_0.
#[derive(Clone, Copy, Debug)]
pub struct TQ1_0;

const LAST: usize = 48;
const D: usize = 52;
const POWERS: [u8; 5] = [1, 3, 9, 27, 81];

/// The byte and the digit of a weight.
const fn place(i: usize) -> (usize, usize) {
    match i {
        0..160 => (i % 32, i / 32),
        160..240 => (32 + i % 16, (i - 160) / 16),
        _ => (LAST + i % 4, (i - 240) / 4),
    }
}

impl IntegerFormat for TQ1_0 {
    const TYPE: TensorType = TensorType::TQ1_0;

    #[inline(always)]
    fn integers(block: &[u8], out: &mut Integers) {
        out.d = half_at(block, D);
        out.scales = [1; 16];
        for (i, q) in out.quants.iter_mut().enumerate() {
            let (byte, digit) = place(i);
            let fraction = u16::from(block[byte].wrapping_mul(POWERS[digit]));
            *q = ((fraction * 3) >> 8) as i8 - 1;
        }
    }

    fn set_factors(block: &mut [u8], next: &mut dyn FnMut(f32) -> f16) {
        put_half(block, D, next(1.5e-2));
    }
}

/// The digits that a power of 3 brings to the front of a word's bytes.
#[track_caller]
fn digits(word: Val<u32>, power: Val<u32>) -> Val<u32> {
    let [even, odd] = [word & 0x00ff_00ff, (word >> 8) & 0x00ff_00ff].map(|bytes| {
        let fraction = (bytes * power) & 0x00ff_00ff;
        ((fraction * 3) >> 8) & 0x00ff_00ff
    });
    even | (odd << 8)
}

impl DeviceIntegers for TQ1_0 {
    type Order = Runs;

    /// The four groups' bytes; their powers of 3, and from a word of the last one to the next: 0 in
    /// the lane whose last group is the digits of one word.
    #[track_caller]
    fn share<S: ReadSpace>(_k: &Body, block: Ptr<S, u8>, lane: Val<u32>) -> Share<S> {
        // Tables of four bytes in a word, for what differs between the lanes.
        let by_lane = |of: fn(usize) -> u8, g: usize| {
            let bytes = [0, 1, 2, 3].map(|lane| of(16 * (4 * lane + g)));
            Val::from(u32::from_le_bytes(bytes)).copied().prmt(0, lane | 0x4440)
        };
        let at = [0, 1, 2, 3].map(|g| block.byte_at(by_lane(|i| place(i).0 as u8, g)));
        let [a, b, c, d] = [0, 1, 2, 3].map(|g| by_lane(|i| POWERS[place(i).1], g));
        Share::new(block, at, [a, b, c, d, Val::from(0u32).select(lane.eq(3), 4)])
    }

    #[track_caller]
    fn lane<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> LaneIntegers {
        let [powers @ .., stride, _] = share.values;
        let group = |g: usize| -> [Val<u32>; 4] {
            let at = share.at[g].plus_bytes(offset);
            if g < 3 {
                return words(k, at, 2).map(|w| digits(w, powers[g]));
            }
            let one_word = stride.eq(0);
            std::array::from_fn(|i| {
                let [word] = words(k, if i == 0 { at } else { at.byte_at(stride * i as u32) }, 2);
                digits(word, Val::from(u32::from(POWERS[i])).select(one_word, powers[g]))
            })
        };
        LaneIntegers {
            quants: [0, 1, 2, 3].map(group),
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
