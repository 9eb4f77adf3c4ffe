//! The contract's "Q8_K quantization of activations", by a warp.

use ptxgen_builder::build::{Body, Global, Pred, Ptr, ReadOnly, ReadSpace, Rounding, Val, WriteSpace, at_caller};

use crate::format::Q8KPlanar;

/// A lane's share of a block of Q8_K activations.
#[derive(Clone)]
pub struct Q8KShare {
    /// 16 quants, four to a word, for each group of the lane.
    pub quants: Vec<[Val<i32>; 4]>,
    /// For each pair of groups, their sums in the low and the high half.
    pub sums: Vec<Val<u32>>,
    /// The block's scale.
    pub d: Val<f32>,
}

/// Where the parts of a [`Q8KPlanar`] vector are.
#[derive(Clone, Copy)]
pub struct Q8KAt<S> {
    /// All quants.
    pub quants: Ptr<S, u8>,
    /// The sums of 16.
    pub sums: Ptr<S, u8>,
    /// The blocks' scales.
    pub scales: Ptr<S, f32>,
}

impl<S: ReadSpace> Q8KAt<S> {
    /// The parts one after the other from `start` on.
    #[track_caller]
    pub fn planar(layout: &Q8KPlanar, start: Ptr<S, u8>) -> Q8KAt<S> {
        Q8KAt {
            quants: start,
            sums: start.plus_bytes(layout.sums() as i64),
            scales: start.plus_bytes(layout.scales() as i64).cast(),
        }
    }
}

/// Activations of a block that a lane quantizes.
const SHARE: usize = 8;

/// Quantizes block `block` of `x` into the planar vector `y`; the whole warp
/// works on it.
#[track_caller]
pub fn quantize_q8k(k: &Body, layout: &Q8KPlanar, x: ReadOnly<f32>, y: Global<u8>, block: Val<u32>, lane: Val<u32>) {
    let first = block * 256 + lane * SHARE as u32;
    let at = x.at(first);
    let (low, high): ([Val<f32>; 4], [Val<f32>; 4]) = (at.load_vec(k), at.plus(4).load_vec(k));
    let v = std::array::from_fn(|i| if i < 4 { low[i] } else { high[i - 4] });
    quantize_lanes_q8k(k, v, &Q8KAt::planar(layout, y), block, lane);
}

/// The same with the activations at hand: lane i has 8i to 8i + 7 of the block.
#[track_caller]
pub fn quantize_lanes_q8k<S: WriteSpace>(
    k: &Body,
    v: [Val<f32>; SHARE],
    y: &Q8KAt<S>,
    block: Val<u32>,
    lane: Val<u32>,
) {
    let largest = first_of_largest_magnitude(k, &v);
    let is_zero: Pred = largest.eq(0.0);
    let s = Val::from(-127.0f32) / largest;
    let d = Val::from(0.0).select(is_zero, Val::from(1.0f32) / s);
    let quantized = |v: Val<f32>| {
        let q: Val<i32> = (s * v).to_int(Rounding::NearestEven);
        let q = q.max(-128).min(127);
        Val::from(0).select(is_zero, q)
    };
    let q = at_caller(|| v.map(quantized));
    let sum = at_caller(|| q.into_iter().reduce(|a, b| a + b).unwrap_or_else(|| Val::from(0)));

    let word = |q: &[Val<i32>]| {
        let byte = |i: usize| q[i].bitcast::<u32>();
        let low = byte(0).prmt(byte(1), 0x0040);
        let high = byte(2).prmt(byte(3), 0x0040);
        low.prmt(high, 0x5410)
    };
    // A group of 16 is two lanes.
    let group = lane >> 1;
    let column = group >> 2;
    let place = ((group & 3) << 2) + ((column & 1) << 1) + (column >> 1);
    let quants = y.quants.byte_at(block * 256 + place * 16 + (lane & 1) * 8).cast::<u32>();
    let words = at_caller(|| [word(&q[..4]), word(&q[4..])]);
    quants.store_vec(k, words);

    // The sums of groups g and g + 2 lie side by side.
    let other = k.shuffle_xor(sum, 1);
    let place = (group & !3u32) + ((group & 1) << 1) + ((group >> 1) & 1);
    y.sums.cast::<i16>().at(block * 16 + place).store_if(k, (lane & 1).eq(0), (sum + other).to::<i16>());
    y.scales.at(block).store_if(k, lane.eq(0), d);
}

/// The value of largest magnitude in the warp, the first of equals; a NaN is
/// never chosen. +0 where there is none.
#[track_caller]
fn first_of_largest_magnitude(k: &Body, v: &[Val<f32>]) -> Val<f32> {
    let mut magnitude = Val::from(0.0f32).copied();
    let mut value = Val::from(0.0f32).copied();
    for &v in v {
        let larger = v.abs().gt(magnitude);
        value = v.select(larger, value);
        magnitude = v.abs().select(larger, magnitude);
    }
    // Magnitudes are not NaN, so max picks one of its operands' bits.
    let mut most = magnitude;
    for distance in [1u32, 2, 4, 8, 16] {
        let other = k.shuffle_xor(most, distance);
        most = most.max(other);
    }
    let holders = k.ballot(magnitude.eq(most));
    let first = holders.brev().clz();
    k.shuffle_idx(value, first)
}
