//! IQ3_S: 256 weights in 110 bytes (ggml `block_iq3_s`).
//!
//! `d` as f16, 64 bytes and 64 ninth bits that together index four magnitudes each, 32 bytes of signs, and eight 4-bit
//! scales s, one per 32 weights, which mean 2 s + 1. Blocks are only 2-byte aligned.

use super::grids::{self, fours, signed};
use super::integers::{half_at, put_half};
use super::{IntegerFormat, Integers, TensorType};
use crate::device::{
    DeviceIntegers, Factors, Grid, LaneIntegers, Points, Runs, Scales, Share, Signs, byte, byte_of, half, two_bytes,
    words,
};
use half::f16;
use ptxgen_builder::build::{Body, Ptr, ReadSpace, Val};

/// IQ3_S.
#[derive(Clone, Copy, Debug)]
pub struct IQ3S;

const QUANTS: usize = 2;
const HIGH: usize = 66;
const SIGNS: usize = 74;
const SCALES: usize = 106;

static GRID: [u32; 512] = fours(&grids::IQ3S, [1, 3, 5, 7, 9, 11, 13, 15]);

fn points() -> Vec<u32> {
    GRID.to_vec()
}

impl IntegerFormat for IQ3S {
    const TYPE: TensorType = TensorType::IQ3_S;

    #[inline(always)]
    fn integers(block: &[u8], out: &mut Integers) {
        out.d = half_at(block, 0);
        for j in 0..8 {
            let scale = block[SCALES + j / 2] >> (j % 2 * 4) & 15;
            out.scales[2 * j..2 * j + 2].fill(i16::from(scale) * 2 + 1);
            for l in 0..8 {
                let high = usize::from(block[HIGH + j] >> l & 1);
                let magnitudes = GRID[usize::from(block[QUANTS + 8 * j + l]) | high << 8].to_le_bytes();
                let signs = block[SIGNS + 4 * j + l / 2] >> (l % 2 * 4);
                signed(&magnitudes, signs, &mut out.quants[32 * j + 4 * l..][..4]);
            }
        }
    }

    fn set_factors(block: &mut [u8], next: &mut dyn FnMut(f32) -> f16) {
        put_half(block, 0, next(1.5e-4));
    }
}

impl DeviceIntegers for IQ3S {
    type Order = Runs;
    const GRID: Option<Points> = Some(points);

    /// The quants, their ninth bits, the signs and the scales.
    #[track_caller]
    fn share<S: ReadSpace>(_k: &Body, block: Ptr<S, u8>, lane: Val<u32>) -> Share<S> {
        let at = [lane * 16, lane * 2, lane * 8, lane].map(|bytes| block.byte_at(bytes));
        Share::new(block, at, [])
    }

    #[track_caller]
    fn lane<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> LaneIntegers {
        let [quants, high, signs, scales] = share.places(offset);
        let numbers: [_; 4] = words(k, quants.plus_bytes(QUANTS as i64), 2);
        let high = two_bytes(k, high.plus_bytes(HIGH as i64));
        let signs: [_; 2] = words(k, signs.plus_bytes(SIGNS as i64), 2);
        let scales = byte(k, scales.plus_bytes(SCALES as i64));
        let grid = Grid::new(k, share.grid, points);
        let signs = signs.map(Signs::new);
        LaneIntegers {
            quants: std::array::from_fn(|g| {
                std::array::from_fn(|i| {
                    let four = 4 * g as u32 + i as u32;
                    // The ninth bit of its number.
                    let high = if four < 8 { high << (8 - four) } else { high >> (four - 8) };
                    grid.four(k, byte_of(numbers[g], i as u32) | (high & 0x100))
                })
            }),
            negative: Some(std::array::from_fn(|g| {
                std::array::from_fn(|i| signs[g / 2].masks(4 * (g as u32 % 2) + i as u32))
            })),
            less: 0,
            scales: Scales::Pairs([0, 1].map(|j: u32| ((scales.bfe(4 * j, 4) << 1) | 1).bitcast())),
            minimums: None,
        }
    }

    #[track_caller]
    fn factors<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> Factors {
        Factors { d: half(k, share.block.plus_bytes(offset)), times: 1.0, dmin: None }
    }
}
