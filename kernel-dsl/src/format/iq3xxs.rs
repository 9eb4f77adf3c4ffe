//! IQ3_XXS: 256 weights in 98 bytes (ggml `block_iq3_xxs`).
//!
//! `d` as f16, 64 bytes that each index four magnitudes, then a word for every 32 weights: four times seven signs, and
//! a 4-bit scale s in the top bits, which means (2 s + 1) / 4. Blocks are only 2-byte aligned.

use super::grids::{self, even_signs, fours, signed};
use super::integers::{half_at, put_half, u32_at};
use super::{IntegerFormat, Integers, TensorType};
use crate::device::{
    DeviceIntegers, Factors, Grid, LaneIntegers, Points, Runs, Scales, Share, byte_of, even_masks, half, words,
};
use half::f16;
use ptxgen_builder::build::{Body, Ptr, ReadSpace, Val};

/// IQ3_XXS.
#[derive(Clone, Copy, Debug)]
pub struct IQ3XXS;

const QUANTS: usize = 2;
const SIGNS: usize = 66;

static GRID: [u32; 256] = fours(&grids::IQ3XXS, [4, 12, 20, 28, 36, 44, 52, 62]);

fn points() -> Vec<u32> {
    GRID.to_vec()
}

impl IntegerFormat for IQ3XXS {
    const TYPE: TensorType = TensorType::IQ3_XXS;

    #[inline(always)]
    fn integers(block: &[u8], out: &mut Integers) {
        out.d = half_at(block, 0) * 0.25;
        for j in 0..8 {
            let word = u32_at(block, SIGNS + 4 * j);
            out.scales[2 * j..2 * j + 2].fill((word >> 28) as i16 * 2 + 1);
            for l in 0..8 {
                let magnitudes = GRID[usize::from(block[QUANTS + 8 * j + l])].to_le_bytes();
                let signs = even_signs(word >> (l / 2 * 7)) >> (l % 2 * 4);
                signed(&magnitudes, signs, &mut out.quants[32 * j + 4 * l..][..4]);
            }
        }
    }

    fn set_factors(block: &mut [u8], next: &mut dyn FnMut(f32) -> f16) {
        put_half(block, 0, next(1.5e-4));
    }
}

impl DeviceIntegers for IQ3XXS {
    type Order = Runs;
    const GRID: Option<Points> = Some(points);

    /// The quants, and the words of signs.
    #[track_caller]
    fn share<S: ReadSpace>(_k: &Body, block: Ptr<S, u8>, lane: Val<u32>) -> Share<S> {
        Share::new(block, [block.byte_at(lane * 16), block.byte_at(lane * 8)], [])
    }

    #[track_caller]
    fn lane<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> LaneIntegers {
        let [quants, signs] = share.places(offset);
        let numbers: [_; 4] = words(k, quants.plus_bytes(QUANTS as i64), 2);
        let signs: [_; 2] = words(k, signs.plus_bytes(SIGNS as i64), 2);
        let grid = Grid::new(k, share.grid, points);
        LaneIntegers {
            quants: [0, 1, 2, 3].map(|g| [0, 1, 2, 3].map(|i| grid.four(k, byte_of(numbers[g], i)))),
            // A group's two times seven signs.
            negative: Some([0, 1, 2, 3].map(|g| {
                let first = 14 * (g as u32 % 2);
                let [[a, b], [c, d]] = [first, first + 7].map(|at| even_masks(signs[g / 2].bfe(at, 7)));
                [a, b, c, d]
            })),
            less: 0,
            scales: Scales::Pairs(signs.map(|word| (((word >> 28) << 1) | 1).bitcast())),
            minimums: None,
        }
    }

    #[track_caller]
    fn factors<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> Factors {
        Factors { d: half(k, share.block.plus_bytes(offset)), times: 0.25, dmin: None }
    }
}
