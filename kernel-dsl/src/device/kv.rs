//! Elements of a KV cache: f32, or f16 rounded to nearest even.

use half::f16;
use ptxgen_builder::build::{Body, F16x2, Global, Pred, Ptr, ReadSpace, Scalar, Val};

use super::DeviceFloat;

/// An element type of the KV cache.
pub trait DeviceKv: Scalar {
    /// Its name.
    const NAME: &'static str;
    /// Elements in a 32-bit word.
    const PER_WORD: u32;
    /// A word of negative zeros: `fma(+0, -0, c)` is `c`, whatever c is.
    const NEGATIVE_ZEROS: u32;

    /// Stores four f32 at a multiple of four elements.
    fn store4(k: &Body, at: Global<Self>, v: [Val<f32>; 4]);

    /// What the cache gives back of an f32.
    fn kept(v: Val<f32>) -> Val<f32>;

    /// The elements of a word, widened.
    fn widen<A: DeviceFloat>(word: Val<u32>) -> Vec<Val<A>>;
}

impl DeviceKv for f32 {
    const NAME: &'static str = "f32";
    const PER_WORD: u32 = 1;
    const NEGATIVE_ZEROS: u32 = 0x8000_0000;

    #[track_caller]
    fn store4(k: &Body, at: Global<f32>, v: [Val<f32>; 4]) {
        at.store_vec(k, v);
    }

    #[track_caller]
    fn kept(v: Val<f32>) -> Val<f32> {
        v
    }

    #[track_caller]
    fn widen<A: DeviceFloat>(word: Val<u32>) -> Vec<Val<A>> {
        vec![A::widen(word.bitcast())]
    }
}

impl DeviceKv for f16 {
    const NAME: &'static str = "f16";
    const PER_WORD: u32 = 2;
    const NEGATIVE_ZEROS: u32 = 0x8000_8000;

    #[track_caller]
    fn store4(k: &Body, at: Global<f16>, v: [Val<f32>; 4]) {
        let [a, b, c, d] = v.map(|v| v.to_rn::<f16>());
        at.cast::<F16x2>().store_vec(k, [a.pair(b), c.pair(d)]);
    }

    #[track_caller]
    fn kept(v: Val<f32>) -> Val<f32> {
        v.to_rn::<f16>().to()
    }

    #[track_caller]
    fn widen<A: DeviceFloat>(word: Val<u32>) -> Vec<Val<A>> {
        let (low, high) = word.bitcast::<F16x2>().split();
        vec![A::of_half(low), A::of_half(high)]
    }
}

/// Four words from a multiple of 16 bytes, zeros where not `holds`.
#[track_caller]
pub(super) fn four_words<S: ReadSpace, E: DeviceKv>(k: &Body, at: Ptr<S, E>, holds: Pred) -> [Val<u32>; 4] {
    at.cast::<u32>().load_vec_or(k, holds, 0u32)
}

/// Four elements from a multiple of four, widened.
#[track_caller]
pub(crate) fn four_elements<S: ReadSpace, E: DeviceKv>(k: &Body, at: Ptr<S, E>) -> [Val<f32>; 4] {
    let words = at.cast::<u32>();
    let words: Vec<Val<u32>> = match E::PER_WORD {
        1 => words.load_vec::<4>(k).to_vec(),
        _ => words.load_vec::<2>(k).to_vec(),
    };
    let all: Vec<Val<f32>> = words.into_iter().flat_map(E::widen::<f32>).collect();
    std::array::from_fn(|i| all[i])
}
