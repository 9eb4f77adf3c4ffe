//! The decoder of Q4_K in kernels.
//!
//! Four lanes share a block. Lane k has the 32 bytes of quants from `32k` on:
//! sub-block `2k` in the low nibbles, groups `4k` and `4k + 1` of the contract,
//! and sub-block `2k + 1` in the high ones, groups `4k + 2` and `4k + 3`.

use half::f16;
use ptxgen_builder::build::{Body, F16x2, Pred, Ptr, ReadSpace, Rounding, Shared, Val};

use super::Q4K;
use crate::device::{BlockAt, DeviceFloat, DeviceFormat, IntegerSums, LaneOrder, Q8KShare, Runs};

/// A lane's part of a block, and the positions of its two scales.
#[derive(Clone, Copy)]
pub struct Base {
    header: Shared<u32>,
    quants: Shared<u32>,
    scales: LaneScales,
}

impl Base {
    /// Sixteen of the lane's bytes of quants.
    #[track_caller]
    fn half(&self, k: &Body, offset: u32, half: usize) -> [Val<u32>; 4] {
        self.quants.plus_bytes(i64::from(offset) + 16 * half as i64).load_vec(k)
    }
}

/// The positions of the scales and minimums of a lane's two sub-blocks.
#[derive(Clone, Copy)]
pub struct LaneScales {
    /// `prmt` selector of the lane's two bytes in each of two words.
    pair: Val<u32>,
    /// The shift of the upper bits of the lane's scales, and their masks.
    shift: Val<u32>,
    upper: Val<u32>,
    lower: Val<u32>,
}

impl LaneScales {
    /// Those of lane `lane` of four.
    #[track_caller]
    pub fn of(lane: Val<u32>) -> Self {
        Self::where_(Self::parts(lane))
    }

    /// Whether the lane has the odd pair of a half, and whether it has the upper half, where scales have 4 bits here
    /// and 2 bits there.
    #[track_caller]
    fn parts(lane: Val<u32>) -> (Pred, Pred) {
        ((lane & 1).ne(0), lane.ge(2))
    }

    #[track_caller]
    fn where_((odd_pair, split): (Pred, Pred)) -> Self {
        Self {
            pair: Val::from(0x7632u32).select(odd_pair, 0x5410),
            shift: Val::from(2u32).select(split, 0),
            upper: Val::from(0x3030_3030u32).select(split, 0x3f3f_3f3f),
            lower: Val::from(0x0f0f_0f0fu32).select(split, 0),
        }
    }

    /// The parts as plain values, for storage.
    pub fn values(&self) -> [Val<u32>; 4] {
        [self.pair, self.shift, self.upper, self.lower]
    }

    /// From its [parts](Self::values).
    pub fn from_values([pair, shift, upper, lower]: [Val<u32>; 4]) -> Self {
        Self { pair, shift, upper, lower }
    }

    /// The two scales (bytes 0, 1) and minimums (bytes 2, 3), from the twelve packed bytes.
    #[track_caller]
    pub fn unpacked(&self, [s0, s1, s2]: [Val<u32>; 3]) -> Val<u32> {
        let first = s0.prmt(s1, self.pair);
        let nibbles = s2.prmt(s2 >> 4, self.pair) & self.lower;
        (first >> self.shift).lop3(self.upper, nibbles, AND_OR)
    }
}

/// `(a & b) | c`.
const AND_OR: u8 = 0xea;

impl Q4K<'_> {
    /// d and dmin.
    #[track_caller]
    fn lane_factors(word: Val<u32>) -> (Val<f16>, Val<f16>) {
        word.bitcast::<F16x2>().split()
    }
}

impl DeviceFormat for Q4K<'static> {
    const LANES: u32 = 4;
    const GROUPS: &'static [u32] = Runs::GROUPS;
    const TREE: &'static [u32] = Runs::TREE;
    const BANK_SHIFT: u32 = Runs::BANK_SHIFT;
    type Base = Base;

    #[track_caller]
    fn first_group(lane: Val<u32>) -> Val<u32> {
        Runs::first_group(lane)
    }

    #[track_caller]
    fn base(_k: &Body, address: Val<u32>, lane: Val<u32>, _grid: Option<Shared<u32>>) -> Base {
        let header = Shared::<u32>::from_address(address);
        let parts = LaneScales::parts(lane);
        let quants = header.byte_at(lane * 32).plus_bytes(Q4K::QUANTS as i64);
        Base { header, quants, scales: LaneScales::where_(parts) }
    }

    #[track_caller]
    fn sum_words<S: ReadSpace>(k: &Body, at: Ptr<S, u32>, lane: Val<u32>) -> Vec<Val<u32>> {
        Runs::sum_words(k, at, lane)
    }

    #[track_caller]
    fn integer_sums(k: &Body, BlockAt { base, offset }: BlockAt<Base>, x: &Q8KShare) -> IntegerSums {
        let [_, s0, s1, s2] = base.header.plus_bytes(offset).load_vec(k);
        let scales: Val<i32> = base.scales.unpacked([s0, s1, s2]).bitcast();
        let (mut a, mut b) = (Val::from(0), Val::from(0));
        for half in 0..2 {
            let (mut low, mut high) = (Val::from(0i32), Val::from(0i32));
            for (i, word) in base.half(k, offset, half).into_iter().enumerate() {
                low = (word & 0x0f0f_0f0f).dp4a_signed(x.quants[half][i], low);
                high = ((word >> 4) & 0x0f0f_0f0f).dp4a_signed(x.quants[half + 2][i], high);
            }
            // Each is at most 16 * 15 * 128 in magnitude: two fit a word.
            let dots: Val<i32> = low.bitcast::<u32>().prmt(high.bitcast::<u32>(), 0x5410).bitcast();
            a = dots.dp2a(scales, a, false);
            b = x.sums[half].bitcast::<i32>().dp2a(scales, b, true);
        }
        IntegerSums { a, b: Some(b) }
    }

    #[track_caller]
    fn integer_term<A: DeviceFloat>(
        k: &Body,
        BlockAt { base, offset }: BlockAt<Base>,
        sums: IntegerSums,
        d_x: Val<f32>,
    ) -> Val<A> {
        let (d, dmin) = Self::lane_factors(base.header.plus_bytes(offset).load(k));
        sums.term(d, sums.b.map(|_| dmin), d_x)
    }

    #[track_caller]
    fn group_sums<A: DeviceFloat>(
        k: &Body,
        BlockAt { base, offset }: BlockAt<Base>,
        x: &[[Val<A>; 16]],
    ) -> Vec<Val<A>> {
        let [factors, s0, s1, s2] = base.header.plus_bytes(offset).load_vec(k);
        let scales = base.scales.unpacked([s0, s1, s2]);
        let (d, dmin) = Self::lane_factors(factors);
        // 8 d and -dmin instead of d and dmin: scaling by powers of two and negation commute with every rounding below.
        let d8 = A::product(A::of_half(d), A::constant(8.0));
        let minus_dmin = A::negated(A::of_half(dmin));
        let byte = |i: u32| A::of_int(scales.bfe(8 * i, 8).bitcast());
        let coefficients = [0, 1].map(|j| {
            let s8 = A::product(d8, byte(j));
            let minus_m = A::product(minus_dmin, byte(2 + j));
            (s8, A::constant(-2.0).fma_rounded(s8, minus_m, Rounding::NearestEven))
        });
        let mut chains = [A::constant(0.0); 4];
        for half in 0..2 {
            for (i, word) in base.half(k, offset, half).into_iter().enumerate() {
                let (low, high) = A::nibbles(word);
                for byte in 0..4 {
                    for (j, word) in [low, high].into_iter().enumerate() {
                        let (s8, b) = coefficients[j];
                        let w = A::quant4(word, byte).fma_rounded(s8, b, Rounding::NearestEven);
                        let group = half + 2 * j;
                        let x = x[group][4 * i + byte as usize];
                        chains[group] = w.fma_rounded(x, chains[group], Rounding::NearestEven);
                    }
                }
            }
        }
        Runs::partial_sums(chains)
    }
}
