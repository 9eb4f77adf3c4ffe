//! Activations as a row's lanes read them.

use ptxgen_builder::build::{Body, ReadOnly, Scalar, Shared, Val};

use super::float::size;
use super::{BlockAt, DeviceFloat, DeviceFormat, Q8KShare, butterfly, butterfly_int, row_tree};
use crate::format::{Q8KPlanar, SUPERBLOCK};
use crate::precision::{ActF32, ActQ8K, Activation};

/// The threads of a block.
#[derive(Clone, Copy)]
pub struct Threads {
    /// This one, from 0.
    pub this: Val<u32>,
    /// How many there are.
    pub count: u32,
}

/// An activation format as kernels read it.
pub trait DeviceActivation: Activation {
    /// The element of the buffer that holds a vector.
    type Element: Scalar;
    /// A vector, ready to be read by lanes.
    type Vector<A: DeviceFloat>: Copy;
    /// A lane's share of a block.
    type Share<A: DeviceFloat>;

    /// Makes a vector of `cols` activations ready; all threads of the block
    /// take part.
    fn prepare<F: DeviceFormat, A: DeviceFloat>(
        k: &mut Body,
        x: ReadOnly<Self::Element>,
        cols: u32,
        threads: Threads,
        lane: Val<u32>,
    ) -> Self::Vector<A>;

    /// The lane's share of block `block + ahead`.
    fn load<F: DeviceFormat, A: DeviceFloat>(
        k: &mut Body,
        x: &Self::Vector<A>,
        block: Val<u32>,
        ahead: u32,
    ) -> Self::Share<A>;

    /// The term of a block, on all of its lanes.
    fn term<F: DeviceFormat, A: DeviceFloat>(k: &mut Body, block: BlockAt<F::Base>, x: &Self::Share<A>) -> Val<A>;
}

/// A planar Q8_K vector in global memory, at a lane's share of block 0.
#[derive(Clone, Copy)]
pub struct Q8KVector {
    quants: ReadOnly<i32>,
    scales: ReadOnly<f32>,
    sums: ReadOnly<u32>,
}

impl DeviceActivation for ActQ8K {
    type Element = u8;
    type Vector<A: DeviceFloat> = Q8KVector;
    type Share<A: DeviceFloat> = Q8KShare;

    #[track_caller]
    fn prepare<F: DeviceFormat, A: DeviceFloat>(
        _k: &mut Body,
        x: ReadOnly<u8>,
        cols: u32,
        _threads: Threads,
        lane: Val<u32>,
    ) -> Q8KVector {
        let group = F::first_group(lane);
        let layout = Q8KPlanar::new(cols as usize);
        // Group 4k + j; see the layout.
        let (k4, j) = (group >> 2, group & 3);
        let place = (j << 2) + ((k4 & 1) << 1) + (k4 >> 1);
        // The sums of groups g and g + 2 are one word.
        let word = (k4 << 1) + (group & 1);
        Q8KVector {
            quants: x.byte_at(place * 16).cast(),
            scales: x.plus_bytes(layout.scales() as i64).cast(),
            sums: x.plus_bytes(layout.sums() as i64).byte_at(word * 4).cast(),
        }
    }

    #[track_caller]
    fn load<F: DeviceFormat, A: DeviceFloat>(k: &mut Body, x: &Q8KVector, block: Val<u32>, ahead: u32) -> Q8KShare {
        let ahead = i64::from(ahead);
        let quants = x.quants.at(block * 64);
        let sums = x.sums.at(block * 8);
        Q8KShare {
            // The lane's first group is in an even column or the lane has all
            // groups of a column, so the others lie at constant distances.
            quants: F::GROUPS
                .iter()
                .map(|&g| {
                    let place = Q8KPlanar::quant_place(g as usize) as i64;
                    quants.plus(ahead * 64 + place * 4).load_vec(k)
                })
                .collect(),
            sums: F::sum_words(k, sums.plus(ahead * 8)),
            d: x.scales.at(block).plus(ahead).load(k),
        }
    }

    #[track_caller]
    fn term<F: DeviceFormat, A: DeviceFloat>(k: &mut Body, block: BlockAt<F::Base>, x: &Q8KShare) -> Val<A> {
        let mut sums = F::integer_sums(k, block, x);
        let distances = || (0..F::LANES.trailing_zeros()).map(|level| 1 << level);
        sums.a = butterfly_int(k, sums.a, distances());
        sums.b = sums.b.map(|b| butterfly_int(k, b, distances()));
        F::integer_term(k, block, sums, x.d)
    }
}

/// f32 activations in shared memory, widened to `A` and spread so that the
/// lanes of a block read different banks.
#[derive(Clone, Copy)]
pub struct StagedF32<A> {
    /// The lane's first group of block 0.
    share: Shared<A>,
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
    type Element = f32;
    type Vector<A: DeviceFloat> = StagedF32<A>;
    type Share<A: DeviceFloat> = Vec<[Val<A>; 16]>;

    #[track_caller]
    fn prepare<F: DeviceFormat, A: DeviceFloat>(
        k: &mut Body,
        x: ReadOnly<f32>,
        cols: u32,
        threads: Threads,
        lane: Val<u32>,
    ) -> StagedF32<A> {
        let blocks = cols / SUPERBLOCK as u32;
        let staged: Shared<A> = k.shared(blocks * block_stride::<F, A>() / size::<A>());
        let quads = cols / 4;
        let place = |quad: Val<u32>| group_place::<F, A>(quad >> 2) + (quad & 3) * (4 * size::<A>());
        let from = x.at(threads.this * 4);
        let to = staged.byte_at(place(threads.this));
        for round in 0..quads.div_ceil(threads.count) {
            let first = round * threads.count;
            // Where a round covers whole blocks, both addresses advance by constants.
            let to = if threads.count.is_multiple_of(64) {
                to.plus_bytes(i64::from(first / 64 * block_stride::<F, A>()))
            } else {
                staged.byte_at(place(threads.this + first))
            };
            let copy = |k: &mut Body| {
                let v: [Val<f32>; 4] = from.plus(4 * i64::from(first)).load_vec(k);
                A::store4(k, to, v.map(A::widen));
            };
            if quads - first < threads.count {
                k.if_(threads.this.lt(quads - first), copy);
            } else {
                copy(k);
            }
        }
        k.barrier();
        StagedF32 { share: staged.byte_at(group_place::<F, A>(F::first_group(lane))) }
    }

    #[track_caller]
    fn load<F: DeviceFormat, A: DeviceFloat>(
        k: &mut Body,
        x: &StagedF32<A>,
        block: Val<u32>,
        ahead: u32,
    ) -> Vec<[Val<A>; 16]> {
        let share =
            x.share.byte_at(block * block_stride::<F, A>()).plus_bytes(i64::from(ahead * block_stride::<F, A>()));
        F::GROUPS
            .iter()
            .map(|&g| {
                let at = share.plus_bytes(i64::from(g * group_stride::<A>()));
                let quads: [[Val<A>; 4]; 4] = std::array::from_fn(|q| A::load4(k, at.plus(4 * q as i64)));
                std::array::from_fn(|i| quads[i / 4][i % 4])
            })
            .collect()
    }

    #[track_caller]
    fn term<F: DeviceFormat, A: DeviceFloat>(k: &mut Body, block: BlockAt<F::Base>, x: &Vec<[Val<A>; 16]>) -> Val<A> {
        let sums = F::group_sums(k, block, x);
        let whole = sums.into_iter().map(|s| butterfly(k, s, F::TREE.iter().copied())).collect::<Vec<_>>();
        row_tree(&whole, whole.len())
    }
}
