//! Decoders of the types without superblocks in kernels, directly from global memory.

use half::{bf16, f16};
use ptxgen_builder::build::{Body, Pred, Ptr, ReadSpace, Scalar, Val};

use super::Q8_0;
use crate::device::{DeviceFloat, DevicePlain, GroupAt};
use crate::format::TensorType;

/// Sixteen elements of a row: as 32-bit words if they are contiguous and aligned, otherwise one by one.
#[track_caller]
fn elements<S: ReadSpace, T: Scalar>(k: &Body, at: &GroupAt<S>, zero: T, mut take: impl FnMut(&Body, usize, Val<T>)) {
    let row = at.row.cast::<T>().at(at.group * 16);
    for i in 0..16 {
        let inside = (at.group * 16 + i as u32).lt(at.cols);
        let v = row.plus(i).load_or(k, inside, zero);
        take(k, i as usize, v);
    }
}

/// The 16-byte words of a whole group of elements of `bytes` bytes.
#[track_caller]
fn words<S: ReadSpace>(k: &Body, at: &GroupAt<S>, bytes: u32) -> Vec<Val<u32>> {
    let group = at.row.cast::<u32>().at(at.group * (4 * bytes));
    let load = |k: &Body, i: u32| -> [Val<u32>; 4] {
        let word = group.plus(4 * i);
        match at.here {
            None => word.load_vec(k),
            Some(here) => word.load_vec_or(k, here, 0),
        }
    };
    (0..bytes).flat_map(|i| load(k, i)).collect()
}

impl DevicePlain for f32 {
    const TYPE: TensorType = TensorType::F32;
    const PARTS: u32 = 4;

    #[track_caller]
    fn part<S: ReadSpace, A: DeviceFloat>(k: &Body, at: &GroupAt<S>, part: Val<u32>) -> Vec<Val<A>> {
        let four: [Val<f32>; 4] = at.row.cast::<f32>().at(at.group * 16 + part * 4).load_vec(k);
        four.map(A::widen).to_vec()
    }

    #[track_caller]
    fn group<S: ReadSpace, A: DeviceFloat>(k: &Body, at: &GroupAt<S>) -> [Val<A>; 16] {
        if at.is_whole() {
            let words = words(k, at, 4);
            return std::array::from_fn(|i| A::widen(words[i].bitcast()));
        }
        let mut all = [A::constant(0.0); 16];
        elements(k, at, 0.0f32, |_, i, v| all[i] = A::widen(v));
        all
    }
}

/// The low and the high half of a word.
#[track_caller]
fn halves(word: Val<u32>) -> [Val<u16>; 2] {
    [word.to(), (word >> 16).to()]
}

impl DevicePlain for f16 {
    const TYPE: TensorType = TensorType::F16;

    #[track_caller]
    fn group<S: ReadSpace, A: DeviceFloat>(k: &Body, at: &GroupAt<S>) -> [Val<A>; 16] {
        if at.is_whole() {
            let halves: Vec<Val<u16>> = words(k, at, 2).into_iter().flat_map(halves).collect();
            return std::array::from_fn(|i| A::of_half(halves[i].bitcast()));
        }
        let mut all = [A::constant(0.0); 16];
        elements(k, at, 0u16, |_, i, v| all[i] = A::of_half(v.bitcast()));
        all
    }
}

impl DevicePlain for bf16 {
    const TYPE: TensorType = TensorType::BF16;

    #[track_caller]
    fn group<S: ReadSpace, A: DeviceFloat>(k: &Body, at: &GroupAt<S>) -> [Val<A>; 16] {
        if at.is_whole() {
            let words = words(k, at, 2);
            return std::array::from_fn(|i| {
                let word = words[i / 2];
                let bits = if i % 2 == 0 { word << 16 } else { word & 0xffff_0000 };
                A::widen(bits.bitcast())
            });
        }
        let mut all = [A::constant(0.0); 16];
        elements(k, at, 0u16, |_, i, v| all[i] = A::widen((v.to::<u32>() << 16).bitcast()));
        all
    }
}

impl DevicePlain for Q8_0<'static> {
    const TYPE: TensorType = TensorType::Q8_0;

    /// `d * q`, which is exact.
    #[track_caller]
    fn group<S: ReadSpace, A: DeviceFloat>(k: &Body, at: &GroupAt<S>) -> [Val<A>; 16] {
        // A group is half a block. A row has whole blocks, so a group exists completely or not at all.
        let block = at.row.byte_at((at.group >> 1) * Q8_0::BYTES as u32).cast::<u16>();
        let quants = block.plus(1).byte_at((at.group & 1) * 16);
        let load = |k: &Body, word: Ptr<S, u16>, here: Option<Pred>| match here {
            None => word.load(k),
            Some(here) => word.load_or(k, here, 0u16),
        };
        let d = A::of_half(load(k, block, at.here).bitcast());
        let pairs: [Val<u32>; 8] = std::array::from_fn(|i| load(k, quants.plus(i as i64), at.here).to());
        std::array::from_fn(|i| {
            let top = pairs[i / 2] << if i % 2 == 0 { 24u32 } else { 16 };
            let q: Val<i32> = top.bitcast::<i32>() >> 24u32;
            A::product(d, A::of_int(q))
        })
    }
}
