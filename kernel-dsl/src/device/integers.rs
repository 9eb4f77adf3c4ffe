//! Superblock formats of small integers, as kernels decode them: one scheme of lanes for all, and a
//! module for each format that says where its bits are.

use half::f16;
use ptxgen_builder::build::{Body, Const, F16x2, Ptr, ReadSpace, Rounding, Shared, SharedSpace, Val};

use std::cell::Cell;

use super::{BlockAt, DeviceFloat, DeviceFormat, IntegerSums, Q8KShare};
use crate::format::{IntegerFormat, TensorType};

/// A lane's 64 consecutive weights: four of the contract's groups.
pub struct LaneIntegers {
    /// Quants, four signed bytes to a word: `[group][word]`.
    pub quants: [[Val<u32>; 4]; 4],
    /// What is to be subtracted from each.
    pub less: u8,
    /// The groups' scales.
    pub scales: [Val<i32>; 4],
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
    pub at: [Ptr<S, u8>; 5],
    /// Shifts, masks and the like.
    pub values: [Val<u32>; 6],
}

impl<S> Share<S> {
    /// The first of `at` and `values` are those given.
    pub fn new<const P: usize, const V: usize>(block: Ptr<S, u8>, at: [Ptr<S, u8>; P], values: [Val<u32>; V]) -> Self {
        let (mut all, mut every) = ([block; 5], [Val::from(0); 6]);
        all[..P].copy_from_slice(&at);
        every[..V].copy_from_slice(&values);
        Share { block, at: all, values: every }
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

/// A superblock format whose blocks are shared out over four lanes: lane `k` has weights `64 k` to
/// `64 k + 63`, the contract's groups `4 k` to `4 k + 3`.
pub trait DeviceIntegers: IntegerFormat {
    /// The share of lane `lane`, below 4, of the block at a pointer.
    fn share<S: ReadSpace>(k: &Body, block: Ptr<S, u8>, lane: Val<u32>) -> Share<S>;

    /// The lane's integers of the block `offset` bytes further.
    fn lane<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> LaneIntegers;

    /// The factors of that block.
    fn factors<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> Factors;
}

impl LaneIntegers {
    /// The 16 weights of each group with their factors, in the accumulator's type.
    #[track_caller]
    pub fn weights<A: DeviceFloat>(&self, factors: Factors) -> [[Val<A>; 16]; 4] {
        let (d, dmin) = factors.widened::<A>();
        std::array::from_fn(|g| {
            let scale = A::product(d, A::of_int(self.scales[g]));
            let minimum = self.minimums.zip(dmin).map(|(m, dmin)| A::negated(A::product(dmin, A::of_int(m[g]))));
            std::array::from_fn(|i| {
                let q = self.quants[g][i / 4].bitcast::<i32>().bfe(8 * (i as u32 % 4), 8);
                let q = A::of_int(if self.less == 0 { q } else { q - i32::from(self.less) });
                match minimum {
                    Some(minimum) => scale.fma_rounded(q, minimum, Rounding::NearestEven),
                    None => A::product(scale, q),
                }
            })
        })
    }
}

/// How kernels decode a format, as a value.
#[derive(Clone, Copy)]
struct Decoding {
    ty: TensorType,
    share: fn(&Body, Shared<u8>, Val<u32>) -> Share<SharedSpace>,
    lane: fn(&Body, &Share<SharedSpace>, u32) -> LaneIntegers,
    factors: fn(&Body, &Share<SharedSpace>, u32) -> Factors,
}

thread_local! {
    /// The format that [`Coded`] stands for.
    static READING: Cell<Option<Decoding>> = const { Cell::new(None) };
}

/// A format of integers that is chosen when a kernel is generated and not by its type. The kernels of
/// one such type are compiled once and not for each of the formats.
#[derive(Clone, Copy, Debug)]
pub struct Coded;

impl Coded {
    /// Generates a kernel in which [`Coded`] is the format `F`.
    pub fn reading<F: DeviceIntegers, R>(generate: impl FnOnce() -> R) -> R {
        /// Puts back what was there, also where a kernel's author panics.
        struct Before(Option<Decoding>);
        impl Drop for Before {
            fn drop(&mut self) {
                READING.set(self.0);
            }
        }
        let decoding = Decoding {
            ty: F::TYPE,
            share: F::share::<SharedSpace>,
            lane: F::lane::<SharedSpace>,
            factors: F::factors::<SharedSpace>,
        };
        let _before = Before(READING.replace(Some(decoding)));
        generate()
    }

    fn decoding() -> Decoding {
        READING.get().expect("a kernel of a coded format is generated within Coded::reading")
    }
}

impl DeviceFormat for Coded {
    const LANES: u32 = 4;
    const GROUPS: &'static [u32] = &[0, 1, 2, 3];
    const TREE: &'static [u32] = &[1, 2];
    const BANK_SHIFT: u32 = 16;
    type Base = Share<SharedSpace>;

    fn tensor_type() -> TensorType {
        Self::decoding().ty
    }

    #[track_caller]
    fn first_group(lane: Val<u32>) -> Val<u32> {
        lane << 2
    }

    #[track_caller]
    fn base(k: &Body, address: Val<u32>, lane: Val<u32>) -> Self::Base {
        (Self::decoding().share)(k, Shared::from_address(address), lane)
    }

    #[track_caller]
    fn sum_words<S: ReadSpace>(k: &Body, at: Ptr<S, u32>, lane: Val<u32>) -> Vec<Val<u32>> {
        at.at(lane * 2).load_vec::<2>(k).to_vec()
    }

    #[track_caller]
    fn integer_sums(k: &Body, BlockAt { base, offset }: BlockAt<Self::Base>, x: &Q8KShare) -> IntegerSums {
        let own = (Self::decoding().lane)(k, &base, offset);
        let (mut a, mut b) = (Val::from(0i32), Val::from(0i32));
        for g in 0..4 {
            // The sum of the group's activations: groups g and g + 2 share a word.
            let sum = || {
                let pair: Val<i32> = x.sums[g % 2].bitcast();
                if g < 2 { pair.bfe(0, 16) } else { pair >> 16 }
            };
            let start = if own.less == 0 { Val::from(0i32) } else { sum() * -i32::from(own.less) };
            let words = own.quants[g].into_iter().zip(x.quants[g]);
            let dot = words.fold(start, |sum, (q, x)| q.bitcast::<i32>().dp4a(x, sum));
            a = own.scales[g].mad(dot, a);
            if let Some(minimums) = own.minimums {
                b = minimums[g].mad(sum(), b);
            }
        }
        IntegerSums { a, b: own.minimums.map(|_| b) }
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
        // Distance 2; 4 and 8 are between lanes, then 1.
        vec![A::sum(chains[0], chains[2]), A::sum(chains[1], chains[3])]
    }
}

/// Loads `N` words from a pointer that is a multiple of `align` bytes, 2 to 16.
#[track_caller]
pub fn words<S: ReadSpace, const N: usize>(k: &Body, at: Ptr<S, u8>, align: u32) -> [Val<u32>; N] {
    let words = at.cast::<u32>();
    let mut all = Vec::with_capacity(N);
    while all.len() < N {
        let (at, left) = (words.plus(all.len() as i64), N - all.len());
        match align {
            16.. if left >= 4 => all.extend(at.load_vec::<4>(k)),
            8.. if left >= 2 => all.extend(at.load_vec::<2>(k)),
            4.. => all.push(at.load(k)),
            _ => {
                let halves = at.cast::<u16>();
                let [low, high] = [halves, halves.plus(1)].map(|half| half.load_extended(k).bitcast::<u32>());
                all.push(low.prmt(high, 0x5410));
            }
        }
    }
    all.try_into().unwrap_or_else(|_| unreachable!("as many words as were asked for"))
}

/// Words of blocks that are only 2-byte aligned, put together from aligned ones.
#[derive(Clone, Copy)]
pub struct Unaligned<S> {
    /// The aligned words, for blocks a multiple of 4 bytes further and for those 2 bytes more.
    pub words: [Ptr<S, u8>; 2],
    /// `prmt` selectors of the four bytes wanted of two words.
    pub select: [Val<u32>; 2],
}

impl<S: ReadSpace> Unaligned<S> {
    /// Words of the blocks that lie whole pairs of bytes from `block`.
    #[track_caller]
    pub fn new(block: Ptr<S, u8>) -> Self {
        let [a, b] = [0, 2].map(|further| {
            let (words, below) = block.plus_bytes(further).align_down(4);
            (words, Val::from(0x5432u32).select(below.ne(0), 0x3210))
        });
        Unaligned { words: [a.0, b.0], select: [a.1, b.1] }
    }

    /// `N` words of the block `offset` bytes further, `field` bytes into it. `field` is a multiple of 4. Reads the two
    /// bytes after them too, and the two before.
    #[track_caller]
    pub fn read<const N: usize>(&self, k: &Body, offset: u32, field: usize) -> [Val<u32>; N] {
        let odd = usize::from(!offset.is_multiple_of(4));
        let at = self.words[odd].plus_bytes(offset & !3).plus_bytes(field as i64).cast::<u32>();
        let mut word = at.load(k);
        std::array::from_fn(|i| {
            let next = at.plus(i as i64 + 1).load(k);
            let joined = word.prmt(next, self.select[odd]);
            word = next;
            joined
        })
    }
}

/// The byte at a pointer.
#[track_caller]
pub fn byte<S: ReadSpace>(k: &Body, at: Ptr<S, u8>) -> Val<u32> {
    at.load_extended(k).bitcast()
}

/// The two bytes at a pointer, which is even.
#[track_caller]
pub fn two_bytes<S: ReadSpace>(k: &Body, at: Ptr<S, u8>) -> Val<u32> {
    at.cast::<u16>().load_extended(k).bitcast()
}

/// The f16 at a pointer.
#[track_caller]
pub fn half<S: ReadSpace>(k: &Body, at: Ptr<S, u8>) -> Val<f16> {
    at.cast().load(k)
}

/// The two f16 of a word at a pointer that is a multiple of 4.
#[track_caller]
pub fn two_halves<S: ReadSpace>(k: &Body, at: Ptr<S, u8>) -> (Val<f16>, Val<f16>) {
    at.cast::<u32>().load(k).bitcast::<F16x2>().split()
}

/// `bytes - less` in each byte, signed; `bytes` are below 128 and `less` is at most 128.
#[track_caller]
pub fn bytes_less(bytes: Val<u32>, less: u8) -> Val<u32> {
    ((bytes | TOPS) - u32::from_ne_bytes([less; 4])) ^ TOPS
}

/// Four magnitudes, 1 to 127, with the signs in bits 0 to 3 of `signs`, whose other bits are 0.
#[track_caller]
pub fn with_signs(magnitudes: Val<u32>, signs: Val<u32>) -> Val<u32> {
    // A bit to each byte's lowest.
    let ones = (signs * 0x0020_4081) & 0x0101_0101;
    // Negation is complement and one more, which does not carry as no magnitude is 0.
    (magnitudes ^ (ones * 0xff)) + ones
}

/// The eight signs that seven bits stand for; see the host's.
#[track_caller]
pub fn even_signs(bits: Val<u32>) -> Val<u32> {
    bits | ((bits.popc() & 1) << 7)
}

/// A table of eight small values for a number, in constant memory.
pub struct Grid<'k> {
    k: &'k Body,
    points: Const<u32>,
}

impl<'k> Grid<'k> {
    /// The table of a kernel, which has it once.
    #[track_caller]
    pub fn new(k: &'k Body, points: &[u64]) -> Self {
        Grid { k, points: k.constants(points).cast() }
    }

    #[track_caller]
    fn point(&self, number: Val<u32>) -> [Val<u32>; 2] {
        self.points.at(number * 2).load_vec(self.k)
    }

    /// The magnitudes of two numbers with their signs, eight bits each.
    #[track_caller]
    pub fn signed(&self, points: [(Val<u32>, Val<u32>); 2]) -> [Val<u32>; 4] {
        let [[a, b], [c, d]] = points.map(|(number, signs)| {
            let [low, high] = self.point(number);
            [with_signs(low, signs.bfe(0, 4)), with_signs(high, signs.bfe(4, 4))]
        });
        [a, b, c, d]
    }

    /// The values of two numbers, less the bytes that come with them.
    #[track_caller]
    pub fn less(&self, points: [(Val<u32>, Val<u32>); 2]) -> [Val<u32>; 4] {
        let [[a, b], [c, d]] =
            points.map(|(number, less)| self.point(number).map(|four| ((four | TOPS) - less) ^ TOPS));
        [a, b, c, d]
    }
}

/// The top bits of a word's bytes: set, they keep a borrow from the next byte.
const TOPS: u32 = 0x8080_8080;

/// `values[n]` for the eight nibbles of a word: those of the low nibbles of its bytes, and of the
/// high ones.
#[track_caller]
pub fn sixteen_values(word: Val<u32>, values: &[i8; 16]) -> [Val<u32>; 2] {
    let table: [Val<u32>; 4] = std::array::from_fn(|i| {
        let four = [0, 1, 2, 3].map(|j| values[4 * i + j].cast_unsigned());
        Val::from(u32::from_le_bytes(four)).copied()
    });
    // Four nibbles are the selectors of four bytes among eight; bit 3 says which eight.
    let upper = (word & 0x8888_8888) >> 1;
    let place = word & 0x7777_7777;
    let [first, second] = [0u32, 16].map(|shift| {
        let (place, upper) = (place >> shift, upper >> shift);
        let [low, high] = [[0, 1], [2, 3]].map(|[a, b]: [usize; 2]| table[a].prmt(table[b], place));
        low.prmt(high, upper + 0x3210)
    });
    [first.prmt(second, 0x6420), first.prmt(second, 0x7531)]
}
