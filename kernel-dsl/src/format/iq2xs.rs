//! IQ2_XS: 256 weights in 74 bytes (ggml `block_iq2_xs`).
//!
//! `d` as f16, 32 16-bit words (a nine-bit index of eight magnitudes, seven signs), and sixteen 4-bit scales s, which
//! mean (2 s + 1) / 8. Blocks are only 2-byte aligned.

use super::grids::{self, eights, even_signs, signed};
use super::integers::{half_at, put_half, u16_at};
use super::{IntegerFormat, Integers, TensorType};
use crate::device::{
    DeviceIntegers, Factors, Grid, LaneIntegers, Points, Runs, Scales, Share, both, even_masks, half, two_bytes, words,
};
use half::f16;
use ptxgen_builder::build::{Body, Ptr, ReadSpace, Val};

/// IQ2_XS.
#[derive(Clone, Copy, Debug)]
pub struct IQ2XS;

const QUANTS: usize = 2;
const SCALES: usize = 66;

static GRID: [u64; 512] = eights(&grids::IQ2XS, [8, 25, 43, 0]);

fn points() -> Vec<u32> {
    grids::pairs(&GRID)
}

impl IntegerFormat for IQ2XS {
    const TYPE: TensorType = TensorType::IQ2_XS;

    #[inline(always)]
    fn integers(block: &[u8], out: &mut Integers) {
        out.d = half_at(block, 0) * 0.125;
        for g in 0..16 {
            out.scales[g] = i16::from(block[SCALES + g / 2] >> (g % 2 * 4) & 15) * 2 + 1;
        }
        for l in 0..32 {
            let word = u16_at(block, QUANTS + 2 * l);
            let magnitudes = GRID[usize::from(word & 511)].to_le_bytes();
            signed(&magnitudes, even_signs(u32::from(word >> 9)), &mut out.quants[8 * l..][..8]);
        }
    }

    fn set_factors(block: &mut [u8], next: &mut dyn FnMut(f32) -> f16) {
        put_half(block, 0, next(3e-4));
    }
}

impl DeviceIntegers for IQ2XS {
    type Order = Runs;
    const GRID: Option<Points> = Some(points);

    /// The quants and the scales.
    #[track_caller]
    fn share<S: ReadSpace>(_k: &Body, block: Ptr<S, u8>, lane: Val<u32>) -> Share<S> {
        Share::new(block, [block.byte_at(lane * 16), block.byte_at(lane * 2)], [])
    }

    #[track_caller]
    fn lane<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> LaneIntegers {
        let [quants, scales] = share.places(offset);
        let all: [_; 4] = words(k, quants.plus_bytes(QUANTS as i64), 2);
        let scales = two_bytes(k, scales.plus_bytes(SCALES as i64));
        let grid = Grid::new(k, share.grid, points);
        // Of each half word.
        let halves = all.map(|word| [0, 16].map(|at: u32| (word.bfe(at, 9), word.bfe(at + 9, 7))));
        LaneIntegers {
            quants: halves.map(|two| both(two.map(|(number, _)| grid.eight(k, number)))),
            negative: Some(halves.map(|two| both(two.map(|(_, signs)| even_masks(signs))))),
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
