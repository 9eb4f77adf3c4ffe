//! Q3_K: 256 weights in 110 bytes (ggml `block_q3_K`).
//!
//! 32 bytes of third bits, 64 bytes of 2-bit quants, twelve bytes of sixteen 6-bit scales from which 32 is subtracted,
//! then `d` as f16. Quants are placed as in Q2_K; bit b of the 32 bytes belongs to weights 32 b to 32 b + 31. If it is
//! not set, 4 is subtracted. Blocks are only 2-byte aligned.

use super::integers::{half_at, put_half};
use super::{IntegerFormat, Integers, TensorType};
use crate::device::{
    DeviceIntegers, Factors, Halves, IntegerSums, LaneIntegers, Q8KShare, Scales, Share, Unaligned, bytes_less, dot_of,
    half, merge, packed, rotate_left, scaled,
};
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
    type Order = Halves;

    /// The quants, the third bits and the scales as aligned words; the rotation of the third bits, the shift of the
    /// scales, and the lane's bytes among the scales.
    #[track_caller]
    fn share<S: ReadSpace>(_k: &Body, block: Ptr<S, u8>, lane: Val<u32>) -> Share<S> {
        let (half, part) = (lane >> 1, (lane & 1) * 16);
        let Unaligned { words: [a, b], select: [even, uneven] } = Unaligned::new(block);
        let quants = half * 32 + part;
        let at = [a.byte_at(quants), b.byte_at(quants), a.byte_at(part), b.byte_at(part), a, b];
        let bytes = Val::from(0x7531u32).select(part.ne(0), 0x6420);
        // 2 to the left, or to the right in the upper half block, whose bits are 4 higher.
        Share::new(block, at, [even, uneven, half * 4, Val::from(2u32) - half * 4, bytes])
    }

    #[track_caller]
    fn lane<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> LaneIntegers {
        let quants = quants(k, share, offset);
        let scales = scales(k, share, offset).bitcast::<i32>();
        LaneIntegers {
            quants: [0, 1, 2, 3].map(|g| quants.map(|four| if g < 2 { four[g] } else { four[g] >> 4 })),
            negative: None,
            less: 4,
            scales: Scales::Each([0, 1, 2, 3].map(|g| scales.bfe(8 * g, 8))),
            minimums: None,
        }
    }

    #[track_caller]
    fn factors<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> Factors {
        Factors { d: half(k, share.block.plus_bytes(offset).plus_bytes(D as i64)), times: 1.0, dmin: None }
    }

    #[track_caller]
    fn sums<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32, x: &Q8KShare) -> IntegerSums {
        let quants = quants(k, share, offset);
        let scales = scales(k, share, offset).bitcast::<i32>();
        let dot = |g: usize| {
            let words = quants.iter().zip(x.quants[g]);
            words.fold(Val::from(0i32), |sum, (four, x)| dot_of(four[g], x, sum))
        };
        // Each is at most 16 * 7 * 128 in magnitude.
        let dots = packed([0, 1, 2, 3].map(dot), [0, 0, 4, 4]);
        let sums = [0, 1].map(|i| x.sums[i].bitcast());
        IntegerSums { a: scaled(sums, scales).mad(-4, scaled(dots, scales)), b: None }
    }
}

/// The lane's quants before 4 is subtracted: for each four weights of a group, those of the four groups, the last two
/// times 16.
#[track_caller]
fn quants<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> [[Val<u32>; 4]; 4] {
    let [a, b, c, d, ..] = share.at;
    let [even, uneven, _, turn, ..] = share.values;
    let aligned = |words| Unaligned { words, select: [even, uneven] };
    let low: [_; 4] = aligned([a, b]).read(k, offset, QUANTS);
    let high: [_; 4] = aligned([c, d]).read(k, offset, 0);
    std::array::from_fn(|i| {
        // The third bits of groups 0 and 1 in bits 2 and 3 of each byte, those of 2 and 3 in bits 6 and 7.
        let (near, far) = (rotate_left(high[i], turn), rotate_left(high[i], turn + 2));
        let third = merge(near, far, 0x0f0f_0f0f);
        let even = merge(third, low[i], 0x4444_4444);
        let odd = merge(third >> 1, low[i] >> 2, 0x4444_4444);
        [even & 0x0707_0707, odd & 0x0707_0707, even & 0x7070_7070, odd & 0x7070_7070]
    })
}

/// The scales of the lane's groups, a signed byte each.
#[track_caller]
fn scales<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> Val<u32> {
    let [even, uneven, shift, _, bytes, _] = share.values;
    let block = Unaligned { words: [share.at[4], share.at[5]], select: [even, uneven] };
    let words: [_; 3] = block.read(k, offset, SCALES);
    let [s0, s1, high] = words.map(|w| w >> shift);
    let low = s0.prmt(s1, bytes) & 0x0f0f_0f0f;
    // Two groups share a byte of upper bits with the next two.
    let high = high.prmt(high >> 2, bytes) & 0x0303_0303;
    bytes_less(low | (high << 4), 32)
}
