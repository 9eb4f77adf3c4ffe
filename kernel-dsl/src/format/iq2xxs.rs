//! IQ2_XXS: 256 weights in 66 bytes (ggml `block_iq2_xxs`).
//!
//! `d` as f16, then eight bytes for every 32 weights: four that each index eight magnitudes, four times seven signs,
//! and a 4-bit scale s in the top bits, which means (2 s + 1) / 8. Blocks are only 2-byte aligned.

use super::grids::{self, eights, even_signs, signed};
use super::integers::{half_at, put_half, u32_at};
use super::{IntegerFormat, Integers, TensorType};
use crate::device::{
    DeviceIntegers, Factors, Grid, LaneIntegers, Points, Runs, Scales, Share, both, byte_of, even_masks, half, words,
};
use half::f16;
use ptxgen_builder::build::{Body, Ptr, ReadSpace, Val};

/// IQ2_XXS.
#[derive(Clone, Copy, Debug)]
pub struct IQ2XXS;

const QUANTS: usize = 2;

static GRID: [u64; 256] = eights(&grids::IQ2XXS, [8, 25, 43, 0]);

fn points() -> Vec<u32> {
    grids::pairs(&GRID)
}

impl IntegerFormat for IQ2XXS {
    const TYPE: TensorType = TensorType::IQ2_XXS;

    #[inline(always)]
    fn integers(block: &[u8], out: &mut Integers) {
        out.d = half_at(block, 0) * 0.125;
        for j in 0..8 {
            let at = QUANTS + 8 * j;
            let word = u32_at(block, at + 4);
            out.scales[2 * j..2 * j + 2].fill((word >> 28) as i16 * 2 + 1);
            for l in 0..4 {
                let magnitudes = GRID[usize::from(block[at + l])].to_le_bytes();
                signed(&magnitudes, even_signs(word >> (7 * l)), &mut out.quants[32 * j + 8 * l..][..8]);
            }
        }
    }

    fn set_factors(block: &mut [u8], next: &mut dyn FnMut(f32) -> f16) {
        put_half(block, 0, next(3e-4));
    }
}

impl DeviceIntegers for IQ2XXS {
    type Order = Runs;
    const GRID: Option<Points> = Some(points);

    /// The quants.
    #[track_caller]
    fn share<S: ReadSpace>(_k: &Body, block: Ptr<S, u8>, lane: Val<u32>) -> Share<S> {
        Share::new(block, [block.byte_at(lane * 16)], [])
    }

    #[track_caller]
    fn lane<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> LaneIntegers {
        let all: [_; 4] = words(k, share.at[0].plus_bytes(offset).plus_bytes(QUANTS as i64), 2);
        let scales = [all[1], all[3]].map(|word| (((word >> 28) << 1) | 1).bitcast());
        let grid = Grid::new(k, share.grid, points);
        // A group's two numbers, and its two times seven signs.
        let halves = [0u32, 1, 2, 3].map(|g| {
            let (numbers, signs) = (all[g as usize / 2 * 2], all[g as usize / 2 * 2 + 1]);
            [0, 1].map(|i| (byte_of(numbers, 2 * (g % 2) + i), signs.bfe(7 * (2 * (g % 2) + i), 7)))
        });
        LaneIntegers {
            quants: halves.map(|two| both(two.map(|(number, _)| grid.eight(k, number)))),
            negative: Some(halves.map(|two| both(two.map(|(_, signs)| even_masks(signs))))),
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
