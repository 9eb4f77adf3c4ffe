//! The decoder of Q6_K in kernels.
//!
//! Four lanes share a block. Of the half block `n`, lane `2n + h` has the 16 bytes from `16h` on of each 32: low
//! nibbles, high nibbles, upper bits. They contain the contract's groups `8n + h`, and 2, 4 and 6 more. Blocks are only
//! 2-byte aligned, so words are assembled from two aligned ones.

use half::f16;
use ptxgen_builder::build::{Body, Ptr, ReadSpace, Rounding, Shared, Val};

use super::Q6K;
use crate::device::{BlockAt, DeviceFloat, DeviceFormat, Halves, IntegerSums, LaneOrder, Q8KShare};

/// A lane's part of a block.
#[derive(Clone, Copy)]
pub struct Base {
    /// For offsets that are a multiple of 4, and for those that are 2 more.
    parity: [Aligned; 2],
    scales: Shared<i8>,
    d: Shared<f16>,
}

/// The lane's bytes as aligned words.
#[derive(Clone, Copy)]
struct Aligned {
    low: Shared<u32>,
    high: Shared<u32>,
    /// `prmt` selector of the four bytes wanted from two words.
    select: Val<u32>,
}

/// `(a & b) | c`.
const AND_OR: u8 = 0xea;

impl Base {
    /// Sixteen bytes from `16h` on of the low nibbles (`plane` 0 or 1) or the
    /// upper bits (2).
    #[track_caller]
    fn words(&self, k: &Body, offset: u32, plane: usize) -> [Val<u32>; 4] {
        let aligned = &self.parity[usize::from(!offset.is_multiple_of(4))];
        let offset = i64::from(offset & !3);
        let at = match plane {
            2 => aligned.high.plus_bytes(offset),
            p => aligned.low.plus_bytes(offset + 32 * p as i64),
        };
        let words: [Val<u32>; 5] = std::array::from_fn(|i| at.plus(i as i64).load(k));
        std::array::from_fn(|i| words[i].prmt(words[i + 1], aligned.select))
    }

    /// The quants, 0 to 63, four to a word: `[group][word]`.
    #[track_caller]
    fn quants(&self, k: &Body, offset: u32) -> [[Val<u32>; 4]; 4] {
        let [a, b, h] = [0, 1, 2].map(|plane| self.words(k, offset, plane));
        let mut q = [a; 4];
        for i in 0..4 {
            let upper = |shifted: Val<u32>| shifted & 0x3030_3030;
            let nibble = |word: Val<u32>, upper: Val<u32>| word.lop3(0x0f0f_0f0f, upper, AND_OR);
            q[0][i] = nibble(a[i], upper(h[i] << 4));
            q[1][i] = nibble(b[i], upper(h[i] << 2));
            q[2][i] = nibble(a[i] >> 4, upper(h[i]));
            q[3][i] = nibble(b[i] >> 4, upper(h[i] >> 2));
        }
        q
    }

    /// The scales of the lane's four groups.
    #[track_caller]
    fn scales(&self, k: &Body, offset: u32) -> [Val<i32>; 4] {
        std::array::from_fn(|g| self.scales.plus_bytes(i64::from(offset) + 2 * g as i64).load_extended(k))
    }

    #[track_caller]
    fn d(&self, k: &Body, offset: u32) -> Val<f16> {
        self.d.plus_bytes(offset).load(k)
    }
}

impl DeviceFormat for Q6K<'static> {
    const LANES: u32 = 4;
    const GROUPS: &'static [u32] = Halves::GROUPS;
    const TREE: &'static [u32] = Halves::TREE;
    const BANK_SHIFT: u32 = Halves::BANK_SHIFT;
    type Base = Base;

    #[track_caller]
    fn first_group(lane: Val<u32>) -> Val<u32> {
        Halves::first_group(lane)
    }

    #[track_caller]
    fn base(_k: &Body, address: Val<u32>, lane: Val<u32>, _grid: Option<Shared<u32>>) -> Base {
        let (half, part) = (lane >> 1, (lane & 1) * 16);
        let aligned = |address: Val<u32>| {
            let word = address & !3u32;
            Aligned {
                low: Shared::from_address(word + half * 64 + part),
                high: Shared::<u32>::from_address(word + half * 32 + part).plus_bytes(Q6K::HIGH as i64),
                select: Val::from(0x5432u32).select((address & 2).ne(0), 0x3210),
            }
        };
        let scales = Shared::<i8>::from_address(address + half * 8 + (lane & 1));
        Base {
            parity: [aligned(address), aligned(address + 2)],
            scales: scales.plus_bytes(Q6K::SCALES as i64),
            d: Shared::<f16>::from_address(address).plus_bytes(Q6K::D as i64),
        }
    }

    #[track_caller]
    fn sum_words<S: ReadSpace>(k: &Body, at: Ptr<S, u32>, lane: Val<u32>) -> Vec<Val<u32>> {
        Halves::sum_words(k, at, lane)
    }

    #[track_caller]
    fn integer_sums(k: &Body, BlockAt { base, offset }: BlockAt<Base>, x: &Q8KShare) -> IntegerSums {
        let q = base.quants(k, offset);
        let scales = base.scales(k, offset);
        let mut a = Val::from(0i32);
        for group in 0..4 {
            // 32 is subtracted once a group: 32 times the sum of activations.
            let pair: Val<i32> = x.sums[group / 2].bitcast();
            let sum = if group % 2 == 0 { pair.bfe(0, 16) } else { pair >> 16 };
            let mut dot = sum * -32;
            for (word, x) in q[group].into_iter().zip(x.quants[group]) {
                dot = word.dp4a_signed(x, dot);
            }
            a = scales[group].mad(dot, a);
        }
        IntegerSums { a, b: None }
    }

    #[track_caller]
    fn integer_term<A: DeviceFloat>(
        k: &Body,
        BlockAt { base, offset }: BlockAt<Base>,
        sums: IntegerSums,
        d_x: Val<f32>,
    ) -> Val<A> {
        let d = base.d(k, offset);
        A::product(A::product(A::of_half(d), A::widen(d_x)), A::of_int(sums.a))
    }

    #[track_caller]
    fn group_sums<A: DeviceFloat>(
        k: &Body,
        BlockAt { base, offset }: BlockAt<Base>,
        x: &[[Val<A>; 16]],
    ) -> Vec<Val<A>> {
        let q = base.quants(k, offset);
        let scales = base.scales(k, offset);
        let d = A::of_half(base.d(k, offset));
        // w = s (q - 32) from 2 + q / SCALE6, all products exact.
        let coefficients = scales.map(|scale| {
            let s = A::product(d, A::of_int(scale));
            (A::product(s, A::constant(A::SCALE6)), A::product(s, A::constant(-2.0 * A::SCALE6 - 32.0)))
        });
        let mut chains = [A::constant(0.0); 4];
        for i in 0..16 {
            for group in 0..4 {
                let (s, b) = coefficients[group];
                let w = A::quant6(q[group][i / 4], i as u32 % 4).fma_rounded(s, b, Rounding::NearestEven);
                chains[group] = w.fma_rounded(x[group][i], chains[group], Rounding::NearestEven);
            }
        }
        Halves::partial_sums(chains)
    }
}
