//! Activations as a row's lanes read them.

use ptxgen_builder::build::{Body, Global, GlobalSpace, Ptr, ReadSpace, Scalar, Shared, SharedSpace, Val};

use super::float::size;
use super::{
    BlockAt, DeviceFloat, DeviceFormat, Q8KAt, Q8KShare, Source, Threads, butterfly, butterfly_int, quantize_lanes_q8k,
    row_tree,
};
use crate::catalogue::{Held, Vector};
use crate::format::{Q8KPlanar, SUPERBLOCK};
use crate::precision::{ActF32, ActQ8K, Activation};

/// Shared memory for a vector that a kernel makes.
#[derive(Clone, Copy)]
pub struct MadeAt<A> {
    /// Of [`made_bytes`](DeviceActivation::made_bytes).
    pub storage: Shared<A>,
    /// An f32 for each superblock. An array of its own, so that the proof of a kernel's precision
    /// does not take quants for scales.
    pub scales: Shared<f32>,
}

/// An activation format as kernels read it.
pub trait DeviceActivation: Activation {
    /// What a buffer of vectors holds.
    type Stored: Held<Element = Self::Element>;
    /// The element of the buffer that holds a vector.
    type Element: Scalar;
    /// A vector, ready to be read by lanes.
    type Vector<A: DeviceFloat>: Copy;
    /// A lane's share of a block.
    type Share<A: DeviceFloat>;

    /// Bytes of shared memory in which [`prepare`](Self::prepare) stages a
    /// vector of `cols` activations; 0 where it is read where it lies.
    fn staging<F: DeviceFormat, A: DeviceFloat>(cols: u32) -> u32;

    /// The most steps of a row whose shares a lane keeps in registers from row to row.
    fn held_steps<A: DeviceFloat>() -> u32;

    /// Makes the vector of `cols` activations at `x` ready; all of `threads`
    /// take part. Without `storage` of [`staging`](Self::staging) bytes
    /// it is read where it lies. Reads through L1 but not as read-only data:
    /// the kernel before may have written it after this one started.
    fn prepare<F: DeviceFormat, A: DeviceFloat>(
        k: &Body,
        x: Global<Self::Element>,
        storage: Option<Shared<A>>,
        cols: u32,
        threads: Threads,
        lane: Val<u32>,
    ) -> Self::Vector<A>;

    /// Bytes of shared memory of a vector that kernels [make](Self::make).
    fn made_bytes<F: DeviceFormat, A: DeviceFloat>(cols: u32) -> u32;

    /// Brings f32 activations into the format; all of `threads` take part.
    fn make<F: DeviceFormat, A: DeviceFloat>(
        k: &Body,
        source: &Source,
        at: MadeAt<A>,
        cols: u32,
        threads: Threads,
        lane: Val<u32>,
    ) -> Self::Vector<A>;

    /// The lane's share of block `block + ahead`.
    fn load<F: DeviceFormat, A: DeviceFloat>(
        k: &Body,
        x: &Self::Vector<A>,
        block: Val<u32>,
        ahead: u32,
    ) -> Self::Share<A>;

    /// The term of a block, on all of its lanes.
    fn term<F: DeviceFormat, A: DeviceFloat>(k: &Body, block: BlockAt<F::Base>, x: &Self::Share<A>) -> Val<A>;
}

/// A planar Q8_K vector in memory.
#[derive(Clone, Copy)]
pub struct Planar<S> {
    /// The lane's share of block 0.
    quants: Ptr<S, i32>,
    scales: Ptr<S, f32>,
    sums: Ptr<S, u32>,
    /// The lane, among those of a block.
    lane: Val<u32>,
}

/// Q8_K activations.
#[derive(Clone, Copy)]
pub enum Q8KVector {
    /// As another kernel has left them.
    Global(Planar<GlobalSpace>),
    /// As this one has made them.
    Shared(Planar<SharedSpace>),
}

impl<S: ReadSpace> Planar<S> {
    #[track_caller]
    fn new<F: DeviceFormat>(x: &Q8KAt<S>, lane: Val<u32>) -> Planar<S> {
        let group = F::first_group(lane);
        // Group 4k + j; see the layout.
        let (k4, j) = (group >> 2, group & 3);
        let place = (j << 2) + ((k4 & 1) << 1) + (k4 >> 1);
        Planar { quants: x.quants.byte_at(place * 16).cast(), scales: x.scales, sums: x.sums.cast(), lane }
    }

    #[track_caller]
    fn load<F: DeviceFormat>(&self, k: &Body, block: Val<u32>, ahead: u32) -> Q8KShare {
        let ahead = i64::from(ahead);
        let quants = self.quants.at(block * 64);
        let sums = self.sums.at(block * 8);
        F::arranged(Q8KShare {
            // The lane's first group is in an even column or the lane has all
            // groups of a column, so the others lie at constant distances.
            quants: F::GROUPS
                .iter()
                .map(|&g| {
                    let place = Q8KPlanar::quant_place(g as usize) as i64;
                    quants.plus(ahead * 64 + place * 4).load_vec(k)
                })
                .collect(),
            sums: F::sum_words(k, sums.plus(ahead * 8), self.lane),
            d: self.scales.at(block).plus(ahead).load(k),
        })
    }
}

impl DeviceActivation for ActQ8K {
    type Stored = Vector<ActQ8K>;
    type Element = u8;
    type Vector<A: DeviceFloat> = Q8KVector;
    type Share<A: DeviceFloat> = Q8KShare;

    fn staging<F: DeviceFormat, A: DeviceFloat>(_cols: u32) -> u32 {
        0
    }

    /// About 20 registers each.
    fn held_steps<A: DeviceFloat>() -> u32 {
        2
    }

    #[track_caller]
    fn prepare<F: DeviceFormat, A: DeviceFloat>(
        _k: &Body,
        x: Global<u8>,
        _storage: Option<Shared<A>>,
        cols: u32,
        _threads: Threads,
        lane: Val<u32>,
    ) -> Q8KVector {
        let layout = Q8KPlanar::new(cols as usize);
        Q8KVector::Global(Planar::new::<F>(&Q8KAt::planar(&layout, x), lane))
    }

    fn made_bytes<F: DeviceFormat, A: DeviceFloat>(cols: u32) -> u32 {
        Q8KPlanar::new(cols as usize).bytes() as u32
    }

    #[track_caller]
    fn make<F: DeviceFormat, A: DeviceFloat>(
        k: &Body,
        source: &Source,
        at: MadeAt<A>,
        cols: u32,
        threads: Threads,
        lane: Val<u32>,
    ) -> Q8KVector {
        let whole = Q8KAt::planar(&Q8KPlanar::new(cols as usize), at.storage.cast());
        let to = Q8KAt { scales: at.scales, ..whole };
        source.each::<A>(k, |k, first, v| quantize_lanes_q8k(k, v, &to, first >> 8, threads.this & 31));
        threads.sync(k);
        Q8KVector::Shared(Planar::new::<F>(&to, lane))
    }

    #[track_caller]
    fn load<F: DeviceFormat, A: DeviceFloat>(k: &Body, x: &Q8KVector, block: Val<u32>, ahead: u32) -> Q8KShare {
        match x {
            Q8KVector::Global(x) => x.load::<F>(k, block, ahead),
            Q8KVector::Shared(x) => x.load::<F>(k, block, ahead),
        }
    }

    #[track_caller]
    fn term<F: DeviceFormat, A: DeviceFloat>(k: &Body, block: BlockAt<F::Base>, x: &Q8KShare) -> Val<A> {
        let mut sums = F::integer_sums(k, block, x);
        let distances = || (0..F::LANES.trailing_zeros()).map(|level| 1 << level);
        sums.a = butterfly_int(k, sums.a, distances());
        sums.b = sums.b.map(|b| butterfly_int(k, b, distances()));
        F::integer_term(k, block, sums, x.d)
    }
}

/// f32 activations, at the lane's first group of block 0.
#[derive(Clone, Copy)]
pub enum F32Vector<A> {
    /// In shared memory, widened to `A` and spread so that the lanes of a block
    /// read different banks.
    Staged(Shared<A>),
    /// In global memory, for rows too long to be staged.
    InPlace(Global<f32>),
}

/// Bytes from a group of 16 to the next: 16 more than the group, so that
/// neighbours start in different banks.
const fn group_stride<A: Scalar>() -> u32 {
    16 * size::<A>() + 16
}

/// And 32 more after every 8 groups: Q6_K's lanes are 8 groups apart.
const SPREAD: u32 = 32;

const fn block_stride<F: DeviceFormat, A: Scalar>() -> u32 {
    16 * group_stride::<A>() + 2 * SPREAD + F::BANK_SHIFT
}

/// The place of a group, in bytes.
#[track_caller]
fn group_place<F: DeviceFormat, A: Scalar>(group: Val<u32>) -> Val<u32> {
    let place = group * group_stride::<A>() + (group >> 3) * SPREAD;
    if F::BANK_SHIFT == 0 { place } else { place + (group >> 4) * F::BANK_SHIFT }
}

impl DeviceActivation for ActF32 {
    type Stored = f32;
    type Element = f32;
    type Vector<A: DeviceFloat> = F32Vector<A>;
    type Share<A: DeviceFloat> = Vec<[Val<A>; 16]>;

    fn staging<F: DeviceFormat, A: DeviceFloat>(cols: u32) -> u32 {
        cols / SUPERBLOCK as u32 * block_stride::<F, A>()
    }

    /// 64 registers each in f32, twice as many in f64.
    fn held_steps<A: DeviceFloat>() -> u32 {
        if size::<A>() == 4 { 1 } else { 0 }
    }

    #[track_caller]
    fn prepare<F: DeviceFormat, A: DeviceFloat>(
        k: &Body,
        x: Global<f32>,
        storage: Option<Shared<A>>,
        cols: u32,
        threads: Threads,
        lane: Val<u32>,
    ) -> F32Vector<A> {
        let Some(staged) = storage else { return F32Vector::InPlace(x.at(F::first_group(lane) * 16)) };
        let quads = cols / 4;
        let place = |quad: Val<u32>| group_place::<F, A>(quad >> 2) + (quad & 3) * (4 * size::<A>());
        let from = x.at(threads.this * 4);
        // Where some rounds together cover whole blocks, addresses advance by constants from one such
        // run to the next.
        let run = if 64 % threads.count == 0 { 64 / threads.count } else { 1 };
        let constant = (run * threads.count).is_multiple_of(64);
        let starts: Vec<_> = (0..run).map(|r| staged.byte_at(place(threads.this + r * threads.count))).collect();
        for round in 0..quads.div_ceil(threads.count) {
            let first = round * threads.count;
            let to = if constant {
                let blocks = (first - round % run * threads.count) / 64;
                starts[(round % run) as usize].plus_bytes(blocks * block_stride::<F, A>())
            } else {
                staged.byte_at(place(threads.this + first))
            };
            let copy = |k: &Body| {
                let v: [Val<f32>; 4] = from.plus(4 * first).load_vec(k);
                A::store4(k, to, v.map(A::widen));
            };
            if quads - first < threads.count {
                k.if_(threads.this.lt(quads - first), copy);
            } else {
                copy(k);
            }
        }
        threads.sync(k);
        F32Vector::Staged(staged.byte_at(group_place::<F, A>(F::first_group(lane))))
    }

    fn made_bytes<F: DeviceFormat, A: DeviceFloat>(cols: u32) -> u32 {
        Self::staging::<F, A>(cols)
    }

    #[track_caller]
    fn make<F: DeviceFormat, A: DeviceFloat>(
        k: &Body,
        source: &Source,
        at: MadeAt<A>,
        _cols: u32,
        threads: Threads,
        lane: Val<u32>,
    ) -> F32Vector<A> {
        source.each::<A>(k, |k, first, v| {
            let to = at.storage.byte_at(group_place::<F, A>(first >> 4) + (first & 8) * size::<A>());
            for (i, half) in (0..).zip(v.chunks(4)) {
                A::store4(k, to.plus(4 * i), std::array::from_fn(|i| A::widen(half[i])));
            }
        });
        threads.sync(k);
        F32Vector::Staged(at.storage.byte_at(group_place::<F, A>(F::first_group(lane))))
    }

    #[track_caller]
    fn load<F: DeviceFormat, A: DeviceFloat>(
        k: &Body,
        x: &F32Vector<A>,
        block: Val<u32>,
        ahead: u32,
    ) -> Vec<[Val<A>; 16]> {
        let (stride, superblock) = (block_stride::<F, A>(), SUPERBLOCK as u32);
        let share = match x {
            F32Vector::Staged(x) => F32Vector::Staged(x.byte_at(block * stride).plus_bytes(ahead * stride)),
            F32Vector::InPlace(x) => F32Vector::InPlace(x.at(block * superblock).plus(ahead * superblock)),
        };
        let quad = |k: &Body, g: u32, q: u32| -> [Val<A>; 4] {
            match share {
                F32Vector::Staged(x) => A::load4(k, x.plus_bytes(g * group_stride::<A>()).plus(4 * q)),
                F32Vector::InPlace(x) => x.plus(16 * g + 4 * q).load_vec(k).map(A::widen),
            }
        };
        F::GROUPS
            .iter()
            .map(|&g| {
                let quads = [0, 1, 2, 3].map(|q| quad(k, g, q));
                std::array::from_fn(|i| quads[i / 4][i % 4])
            })
            .collect()
    }

    #[track_caller]
    fn term<F: DeviceFormat, A: DeviceFloat>(k: &Body, block: BlockAt<F::Base>, x: &Vec<[Val<A>; 16]>) -> Val<A> {
        let sums = F::group_sums(k, block, x);
        let whole = sums.into_iter().map(|s| butterfly(k, s, F::TREE.iter().copied())).collect::<Vec<_>>();
        row_tree(&whole, whole.len())
    }
}
