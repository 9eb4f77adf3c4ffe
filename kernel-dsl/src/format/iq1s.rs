//! IQ1_S: 256 weights in 50 bytes (ggml `block_iq1_s`).
//!
//! `d` as f16, 32 bytes and, in a 16-bit word for every 32 weights, 3-bit upper parts that together index eight values
//! of -1, 0 and 1 each; the word's bits 12 to 14 are a scale s, which means 2 s + 1, and its last bit says whether 1/8
//! is added to the values or subtracted. As integers: the values times 8, plus or minus 1, and d / 8. Blocks are only
//! 2-byte aligned.

use super::grids::{self, eights};
use super::integers::{half_at, put_half, u16_at};
use super::{IntegerFormat, Integers, TensorType};
use crate::device::{DeviceIntegers, Factors, Grid, LaneIntegers, Points, Runs, Scales, Share, half, words};
use half::f16;
use ptxgen_builder::build::{Body, Ptr, ReadSpace, Val};

/// IQ1_S.
#[derive(Clone, Copy, Debug)]
pub struct IQ1S;

const QUANTS: usize = 0x02;
const HIGH: usize = 34;

/// Eight times the values, and 8 more.
pub(super) static GRID: [u64; 2048] = eights(&grids::IQ1S, [0, 8, 16, 0]);

/// The eight quants of a number: eight times the values, plus 1, or minus 1.
#[inline(always)]
pub(super) fn quants(number: usize, minus: bool, out: &mut [i8]) {
    let shift = if minus { 9 } else { 7 };
    for (out, value) in out.iter_mut().zip(GRID[number].to_le_bytes()) {
        *out = value.cast_signed() - shift;
    }
}

pub(super) fn points() -> Vec<u32> {
    grids::pairs(&GRID)
}

impl IntegerFormat for IQ1S {
    const TYPE: TensorType = TensorType::IQ1_S;

    #[inline(always)]
    fn integers(block: &[u8], out: &mut Integers) {
        out.d = half_at(block, 0) * 0.125;
        for j in 0..8 {
            let word = u16_at(block, HIGH + 2 * j);
            out.scales[2 * j..2 * j + 2].fill((word >> 12 & 7).cast_signed() * 2 + 1);
            for l in 0..4 {
                let number = usize::from(block[QUANTS + 4 * j + l]) | usize::from(word >> (3 * l) & 7) << 8;
                quants(number, word >> 15 == 1, &mut out.quants[32 * j + 8 * l..][..8]);
            }
        }
    }

    fn set_factors(block: &mut [u8], next: &mut dyn FnMut(f32) -> f16) {
        put_half(block, 0, next(2.5e-3));
    }
}

impl DeviceIntegers for IQ1S {
    type Order = Runs;
    const GRID: Option<Points> = Some(points);

    /// The quants, and the words of upper bits.
    #[track_caller]
    fn share<S: ReadSpace>(_k: &Body, block: Ptr<S, u8>, lane: Val<u32>) -> Share<S> {
        Share::new(block, [block.byte_at(lane * 8), block.byte_at(lane * 4)], [])
    }

    #[track_caller]
    fn lane<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> LaneIntegers {
        let [quants, high] = share.places(offset);
        let numbers: [_; 2] = words(k, quants.plus_bytes(QUANTS as i64), 2);
        let [high] = words(k, high.plus_bytes(HIGH as i64), 2);
        let grid = Grid::new(k, share.grid, points);
        let scales = [0, 16].map(|at: u32| ((high.bfe(at + 12, 3) << 1) | 1).bitcast());
        // 7 if 1 is added, 9 if it is subtracted, because 8 will be subtracted.
        let less = [15, 31].map(|at: u32| (high.bfe(at, 1) * 0x0202_0202) + 0x0707_0707);
        LaneIntegers {
            quants: std::array::from_fn(|g| {
                grid.less(
                    k,
                    [0, 1].map(|i| {
                        let l = 2 * (g as u32 % 2) + i;
                        let upper = high.bfe(16 * (g as u32 / 2) + 3 * l, 3) << 8;
                        (numbers[g / 2].bfe(8 * l, 8) | upper, less[g / 2])
                    }),
                )
            }),
            negative: None,
            less: 0,
            scales: Scales::Pairs(scales),
            minimums: None,
        }
    }

    #[track_caller]
    fn factors<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> Factors {
        Factors { d: half(k, share.block.plus_bytes(offset)), times: 0.125, dmin: None }
    }
}
