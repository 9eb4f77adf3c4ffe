//! Superblock formats of small integers, as kernels decode them: one scheme of lanes for all, and a
//! module for each format that says where its bits are.

use half::f16;
use ptxgen_builder::build::{Body, Ptr, ReadSpace, Rounding, Shared, SharedSpace, Val};

use std::cell::Cell;
use std::marker::PhantomData;

use super::{BlockAt, DeviceFloat, DeviceFormat, IntegerSums, LaneOrder, Points, Q8KShare, TOPS, merge};
use crate::format::{IntegerFormat, Tensor, TensorType};

/// The scales of a lane's four groups.
#[derive(Clone, Copy)]
pub enum Scales {
    /// One for each.
    Each([Val<i32>; 4]),
    /// One for the first two and one for the last two.
    Pairs([Val<i32>; 2]),
}

impl Scales {
    fn of(&self, group: usize) -> Val<i32> {
        match self {
            Scales::Each(scales) => scales[group],
            Scales::Pairs(scales) => scales[group / 2],
        }
    }
}

/// A lane's four groups of 16 weights.
pub struct LaneIntegers {
    /// Quants, four signed bytes to a word: `[group][word]`.
    pub quants: [[Val<u32>; 4]; 4],
    /// Bytes of ones for those that are to be negated; they are then above 0.
    pub negative: Option<[[Val<u32>; 4]; 4]>,
    /// What is to be subtracted from each.
    pub less: u8,
    /// The groups' scales.
    pub scales: Scales,
    /// Their minimums, in formats that have them.
    pub minimums: Option<[Val<i32>; 4]>,
}

/// A lane's place in a block: what depends on the lane and not on the block. A format uses as many of
/// the places and values as it needs.
#[derive(Clone, Copy)]
pub struct Share<S> {
    /// The block's first byte.
    pub block: Ptr<S, u8>,
    /// The same, moved on by what depends on the lane.
    pub at: [Ptr<S, u8>; 6],
    /// Shifts, masks and the like.
    pub values: [Val<u32>; 6],
    /// The format's code book, where the block has [staged](super::stage) it.
    pub grid: Option<Shared<u32>>,
}

impl<S> Share<S> {
    /// The first of `at` and `values` are those given.
    pub fn new<const P: usize, const V: usize>(block: Ptr<S, u8>, at: [Ptr<S, u8>; P], values: [Val<u32>; V]) -> Self {
        let (mut all, mut every) = ([block; 6], [Val::from(0); 6]);
        all[..P].copy_from_slice(&at);
        every[..V].copy_from_slice(&values);
        Share { block, at: all, values: every, grid: None }
    }

    /// The first pointers, `offset` bytes further.
    #[track_caller]
    pub fn places<const P: usize>(&self, offset: u32) -> [Ptr<S, u8>; P]
    where
        S: ReadSpace,
    {
        std::array::from_fn(|i| self.at[i].plus_bytes(offset))
    }
}

/// The factors of a block, as [`Integers`](crate::format::Integers) has them.
#[derive(Clone, Copy)]
pub struct Factors {
    /// `d` without the power of two.
    pub d: Val<f16>,
    /// The power of two that belongs to it.
    pub times: f32,
    /// `dmin`, in formats with minimums.
    pub dmin: Option<Val<f16>>,
}

impl Factors {
    /// `d` and `dmin` in the accumulator's type.
    #[track_caller]
    fn widened<A: DeviceFloat>(&self) -> (Val<A>, Option<Val<A>>) {
        let d = A::of_half(self.d);
        let d = if self.times == 1.0 { d } else { A::product(d, A::constant(self.times)) };
        (d, self.dmin.map(A::of_half))
    }
}

/// A superblock format whose blocks are divided among four lanes.
pub trait DeviceIntegers: IntegerFormat {
    /// Which groups each lane has.
    type Order: LaneOrder;

    /// The format's code book, if it has one.
    const GRID: Option<Points> = None;

    /// The share of lane `lane`, below 4, of the block at a pointer.
    fn share<S: ReadSpace>(k: &Body, block: Ptr<S, u8>, lane: Val<u32>) -> Share<S>;

    /// The lane's integers of the block `offset` bytes further.
    fn lane<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> LaneIntegers;

    /// The factors of that block.
    fn factors<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> Factors;

    /// The activations in the order in which [`sums`](Self::sums) takes them.
    #[track_caller]
    fn arranged(x: Q8KShare) -> Q8KShare {
        x
    }

    /// The lane's part of the integer sums of the block `offset` bytes further.
    #[track_caller]
    fn sums<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32, x: &Q8KShare) -> IntegerSums {
        Self::lane(k, share, offset).sums::<Self::Order>(x)
    }
}

impl LaneIntegers {
    /// The lane's part of the contract's integer sums.
    #[track_caller]
    fn sums<L: LaneOrder>(&self, x: &Q8KShare) -> IntegerSums {
        let (mut a, mut b) = (Val::from(0i32), Val::from(0i32));
        // The sum of a group's activations.
        let sum = |g: usize| {
            let (word, upper) = L::sum_place(g);
            let pair: Val<i32> = x.sums[word].bitcast();
            if upper == 0 { pair.bfe(0, 16) } else { pair >> 16 }
        };
        // A group's sum of products, added to another's.
        let dot = |g: usize, others: Val<i32>| {
            let start = if self.less == 0 { others } else { sum(g).mad(-i32::from(self.less), others) };
            let words = self.quants[g].into_iter().zip(x.quants[g]);
            let Some(masks) = &self.negative else {
                return words.fold(start, |sum, (q, x)| q.bitcast::<i32>().dp4a(x, sum));
            };
            // A complement is one less than the negative, and the masks' bytes are -1.
            let (dot, lacking) =
                words.zip(masks[g]).fold((start, Val::from(0i32)), |(dot, lacking), ((q, x), mask)| {
                    (dot_of(q ^ mask, x, dot), dot_of(mask, x, lacking))
                });
            dot - lacking
        };
        match self.scales {
            Scales::Each(scales) => {
                a = (0..4).fold(a, |a, g| scales[g].mad(dot(g, Val::from(0i32)), a));
            }
            Scales::Pairs(scales) => {
                // Two short chains are done sooner than a long one.
                a = (0..2).fold(a, |a, j| {
                    let [first, second] = [2 * j, 2 * j + 1].map(|g| dot(g, Val::from(0i32)));
                    scales[j].mad(first + second, a)
                });
            }
        }
        if let Some(minimums) = self.minimums {
            b = (0..4).fold(b, |b, g| minimums[g].mad(sum(g), b));
        }
        IntegerSums { a, b: self.minimums.map(|_| b) }
    }

    /// The 16 weights of each group with their factors, in the accumulator's type.
    #[track_caller]
    pub fn weights<A: DeviceFloat>(&self, factors: Factors) -> [[Val<A>; 16]; 4] {
        let (d, dmin) = factors.widened::<A>();
        std::array::from_fn(|g| {
            let scale = A::product(d, A::of_int(self.scales.of(g)));
            let minimum = self.minimums.zip(dmin).map(|(m, dmin)| A::negated(A::product(dmin, A::of_int(m[g]))));
            let quants: [Val<u32>; 4] = std::array::from_fn(|i| match &self.negative {
                None => self.quants[g][i],
                // Adding one does not carry, as no complement of what is above 0 is 255.
                Some(masks) => (self.quants[g][i] ^ masks[g][i]) + (masks[g][i] & 0x0101_0101),
            });
            std::array::from_fn(|i| {
                // A signed byte with its top bit turned over is 128 more.
                let q = A::byte_less(quants[i / 4] ^ TOPS, i as u32 % 4, 128 + u32::from(self.less));
                match minimum {
                    Some(minimum) => scale.fma_rounded(q, minimum, Rounding::NearestEven),
                    None => A::product(scale, q),
                }
            })
        })
    }
}

/// Four sums of products as pairs of 16 bits, sum `g` having been computed `times[g]` powers of two too large.
#[track_caller]
pub fn packed(dots: [Val<i32>; 4], times: [u32; 4]) -> [Val<i32>; 2] {
    let dots = dots.map(Val::bitcast::<u32>);
    [0, 2].map(|g| {
        let pair = match (times[g], times[g + 1]) {
            (0, 0) => dots[g].prmt(dots[g + 1], 0x5410),
            (low, high) => merge(dots[g] >> low, dots[g + 1] << (16 - high), 0xffff),
        };
        pair.bitcast()
    })
}

/// The sum of the products of four numbers of 16 bits with four signed bytes.
#[track_caller]
pub fn scaled(numbers: [Val<i32>; 2], scales: Val<i32>) -> Val<i32> {
    let first = numbers[0].dp2a(scales, Val::from(0i32), false);
    numbers[1].dp2a(scales, first, true)
}

/// `c` plus the products of signed bytes.
#[track_caller]
pub fn dot_of(bytes: Val<u32>, x: Val<i32>, c: Val<i32>) -> Val<i32> {
    bytes.bitcast::<i32>().dp4a(x, c)
}

/// How kernels decode a format, as a value.
#[derive(Clone, Copy)]
struct Decoding {
    ty: TensorType,
    grid: Option<Points>,
    share: fn(&Body, Shared<u8>, Val<u32>) -> Share<SharedSpace>,
    arranged: fn(Q8KShare) -> Q8KShare,
    sums: fn(&Body, &Share<SharedSpace>, u32, &Q8KShare) -> IntegerSums,
    lane: fn(&Body, &Share<SharedSpace>, u32) -> LaneIntegers,
    factors: fn(&Body, &Share<SharedSpace>, u32) -> Factors,
}

thread_local! {
    /// The format of [`Coded`].
    static READING: Cell<Option<Decoding>> = const { Cell::new(None) };
}

/// A format of integers that is chosen when a kernel is generated and not by its type. The kernels of
/// one such type are compiled once for each order of lanes and not for each of the formats.
#[derive(Clone, Copy, Debug)]
pub struct Coded<L>(PhantomData<L>);

/// What [`Coded`] is while some kernel is generated.
#[derive(Clone, Copy)]
pub struct Reading(Option<Decoding>);

impl Reading {
    /// What it is now, for code of the same kernel that is emitted later.
    pub fn now() -> Reading {
        Reading(READING.get())
    }

    /// Generates something with it.
    pub fn within<R>(self, generate: impl FnOnce() -> R) -> R {
        /// Puts back what was there, also where a kernel's author panics.
        struct Before(Option<Decoding>);
        impl Drop for Before {
            fn drop(&mut self) {
                READING.set(self.0);
            }
        }
        let _before = Before(READING.replace(self.0));
        generate()
    }
}

/// Generates a kernel in which [`Coded`] of its order is the format `F`.
pub fn reading<F: DeviceIntegers, R>(generate: impl FnOnce() -> R) -> R {
    let decoding = Decoding {
        ty: F::TYPE,
        grid: F::GRID,
        share: F::share::<SharedSpace>,
        arranged: F::arranged,
        sums: F::sums::<SharedSpace>,
        lane: F::lane::<SharedSpace>,
        factors: F::factors::<SharedSpace>,
    };
    Reading(Some(decoding)).within(generate)
}

impl<L> Coded<L> {
    fn decoding() -> Decoding {
        READING.get().expect("a kernel of a coded format is generated within Coded::reading")
    }
}

impl<L: LaneOrder> Tensor for Coded<L> {
    const NAME: Option<&'static str> = None;

    fn tensor_type() -> TensorType {
        Self::decoding().ty
    }
}

impl<L: LaneOrder> DeviceFormat for Coded<L> {
    const LANES: u32 = 4;
    const GROUPS: &'static [u32] = L::GROUPS;
    const TREE: &'static [u32] = L::TREE;
    const BANK_SHIFT: u32 = L::BANK_SHIFT;
    type Base = Share<SharedSpace>;

    fn grid() -> Option<Points> {
        Self::decoding().grid
    }

    #[track_caller]
    fn first_group(lane: Val<u32>) -> Val<u32> {
        L::first_group(lane)
    }

    #[track_caller]
    fn base(k: &Body, address: Val<u32>, lane: Val<u32>, grid: Option<Shared<u32>>) -> Self::Base {
        Share { grid, ..(Self::decoding().share)(k, Shared::from_address(address), lane) }
    }

    #[track_caller]
    fn sum_words<S: ReadSpace>(k: &Body, at: Ptr<S, u32>, lane: Val<u32>) -> Vec<Val<u32>> {
        L::sum_words(k, at, lane)
    }

    #[track_caller]
    fn arranged(x: Q8KShare) -> Q8KShare {
        (Self::decoding().arranged)(x)
    }

    #[track_caller]
    fn integer_sums(k: &Body, BlockAt { base, offset }: BlockAt<Self::Base>, x: &Q8KShare) -> IntegerSums {
        (Self::decoding().sums)(k, &base, offset, x)
    }

    #[track_caller]
    fn integer_term<A: DeviceFloat>(
        k: &Body,
        BlockAt { base, offset }: BlockAt<Self::Base>,
        sums: IntegerSums,
        d_x: Val<f32>,
    ) -> Val<A> {
        let (d, dmin) = (Self::decoding().factors)(k, &base, offset).widened::<A>();
        let d_x = A::widen(d_x);
        let scaled = A::product(d, d_x);
        match dmin.zip(sums.b) {
            Some((dmin, b)) => {
                let minimum = A::product(A::product(dmin, d_x), A::of_int(b));
                scaled.fma_rounded(A::of_int(sums.a), A::negated(minimum), Rounding::NearestEven)
            }
            None => A::product(scaled, A::of_int(sums.a)),
        }
    }

    #[track_caller]
    fn group_sums<A: DeviceFloat>(
        k: &Body,
        BlockAt { base, offset }: BlockAt<Self::Base>,
        x: &[[Val<A>; 16]],
    ) -> Vec<Val<A>> {
        let own = (Self::decoding().lane)(k, &base, offset);
        let weights = own.weights::<A>((Self::decoding().factors)(k, &base, offset));
        let chains: [Val<A>; 4] = std::array::from_fn(|g| {
            let start = A::constant(0.0);
            (0..16).fold(start, |c, i| weights[g][i].fma_rounded(x[g][i], c, Rounding::NearestEven))
        });
        L::partial_sums(chains)
    }
}
