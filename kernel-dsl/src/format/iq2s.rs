//! IQ2_S: 256 weights in 82 bytes (ggml `block_iq2_s`).
//!
//! `d` as f16, 32 bytes and 32 pairs of upper bits that together index eight magnitudes each, 32 bytes of signs, and
//! sixteen 4-bit scales s, which mean (2 s + 1) / 8. Blocks are only 2-byte aligned.

use super::grids::{self, eights, signed};
use super::integers::{half_at, put_half};
use super::{IntegerFormat, Integers, TensorType};
use crate::device::{
    DeviceIntegers, Factors, Grid, LaneIntegers, Points, Runs, Scales, Share, Signs, both, byte_of, half, two_bytes,
    words,
};
use half::f16;
use ptxgen_builder::build::{Body, Ptr, ReadSpace, Val};

/// IQ2_S.
#[derive(Clone, Copy, Debug)]
pub struct IQ2S;

const QUANTS: usize = 2;
const SIGNS: usize = 34;
const HIGH: usize = 66;
const SCALES: usize = 74;

static GRID: [u64; 1024] = eights(&grids::IQ2S, [8, 25, 43, 0]);

fn points() -> Vec<u32> {
    grids::pairs(&GRID)
}

impl IntegerFormat for IQ2S {
    const TYPE: TensorType = TensorType::IQ2_S;

    #[inline(always)]
    fn integers(block: &[u8], out: &mut Integers) {
        out.d = half_at(block, 0) * 0.125;
        for g in 0..16 {
            out.scales[g] = i16::from(block[SCALES + g / 2] >> (g % 2 * 4) & 15) * 2 + 1;
        }
        for l in 0..32 {
            let high = usize::from(block[HIGH + l / 4] >> (l % 4 * 2) & 3);
            let magnitudes = GRID[usize::from(block[QUANTS + l]) | high << 8].to_le_bytes();
            signed(&magnitudes, block[SIGNS + l], &mut out.quants[8 * l..][..8]);
        }
    }

    fn set_factors(block: &mut [u8], next: &mut dyn FnMut(f32) -> f16) {
        put_half(block, 0, next(3e-4));
    }
}

impl DeviceIntegers for IQ2S {
    type Order = Runs;
    const GRID: Option<Points> = Some(points);

    /// Quants and signs, eight bytes apart; their upper bits and the scales, two bytes apart.
    #[track_caller]
    fn share<S: ReadSpace>(_k: &Body, block: Ptr<S, u8>, lane: Val<u32>) -> Share<S> {
        Share::new(block, [block.byte_at(lane * 8), block.byte_at(lane * 2)], [])
    }

    #[track_caller]
    fn lane<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> LaneIntegers {
        let [eight, two] = share.places(offset);
        let numbers: [_; 2] = words(k, eight.plus_bytes(QUANTS as i64), 2);
        let signs: [_; 2] = words(k, eight.plus_bytes(SIGNS as i64), 2);
        let high = two_bytes(k, two.plus_bytes(HIGH as i64));
        let scales = two_bytes(k, two.plus_bytes(SCALES as i64));
        let grid = Grid::new(k, share.grid, points);
        let signs = signs.map(Signs::new);
        let number = |l: u32| {
            // The two upper bits of its number.
            let high = if l < 4 { high << (8 - 2 * l) } else { high >> (2 * l - 8) };
            byte_of(numbers[l as usize / 4], l % 4) | (high & 0x300)
        };
        LaneIntegers {
            quants: [0, 1, 2, 3].map(|g| both([2 * g, 2 * g + 1].map(|l| grid.eight(k, number(l))))),
            negative: Some(std::array::from_fn(|g| {
                std::array::from_fn(|i| signs[g / 2].masks(4 * (g as u32 % 2) + i as u32))
            })),
            less: 0,
            scales: Scales::Each([0, 1, 2, 3].map(|g: u32| ((scales.bfe(4 * g, 4) << 1) | 1).bitcast())),
            minimums: None,
        }
    }

    #[track_caller]
    fn factors<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> Factors {
        Factors { d: half(k, share.block.plus_bytes(offset)), times: 0.125, dmin: None }
    }
}
