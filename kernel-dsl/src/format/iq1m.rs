//! IQ1_M: 256 weights in 56 bytes (ggml `block_iq1_m`).
//!
//! 32 bytes and, in a nibble each, 3-bit upper parts that together index eight values as in IQ1_S; a nibble's last bit
//! says whether 1/8 is subtracted. Four 16-bit words contain four 3-bit scales s each, which mean 2 s + 1, and together
//! in their upper nibbles `d` as f16.

use super::integers::u16_at;
use super::iq1s::{points, quants};
use super::{IntegerFormat, Integers, TensorType};
use crate::device::{DeviceIntegers, Factors, Grid, LaneIntegers, Points, Runs, Scales, Share, two_bytes, words};
use half::f16;
use ptxgen_builder::build::{Body, Ptr, ReadSpace, Val};

/// IQ1_M.
#[derive(Clone, Copy, Debug)]
pub struct IQ1M;

const HIGH: usize = 32;
const SCALES: usize = 48;

impl IntegerFormat for IQ1M {
    const TYPE: TensorType = TensorType::IQ1_M;

    #[inline(always)]
    fn integers(block: &[u8], out: &mut Integers) {
        let mut d = 0;
        for i in 0..4 {
            let word = u16_at(block, SCALES + 2 * i);
            d |= word >> 12 << (4 * i);
            for j in 0..4 {
                out.scales[4 * i + j] = (word >> (3 * j) & 7).cast_signed() * 2 + 1;
            }
        }
        out.d = f16::from_bits(d).to_f32() * 0.125;
        for l in 0..32 {
            let nibble = block[HIGH + l / 2] >> (l % 2 * 4) & 15;
            let number = usize::from(block[l]) | usize::from(nibble & 7) << 8;
            quants(number, nibble >> 3 == 1, &mut out.quants[8 * l..][..8]);
        }
    }

    fn set_factors(block: &mut [u8], next: &mut dyn FnMut(f32) -> f16) {
        let d = next(2.5e-3).to_bits();
        for i in 0..4 {
            let word = u16_at(block, SCALES + 2 * i) & 0x0fff | (d >> (4 * i) & 15) << 12;
            block[SCALES + 2 * i..SCALES + 2 * i + 2].copy_from_slice(&word.to_le_bytes());
        }
    }
}

impl DeviceIntegers for IQ1M {
    type Order = Runs;
    const GRID: Option<Points> = Some(points);

    /// The quants, their upper bits, and the scales.
    #[track_caller]
    fn share<S: ReadSpace>(_k: &Body, block: Ptr<S, u8>, lane: Val<u32>) -> Share<S> {
        Share::new(block, [lane * 8, lane * 4, lane * 2].map(|bytes| block.byte_at(bytes)), [])
    }

    #[track_caller]
    fn lane<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> LaneIntegers {
        let [numbers, high, scales] = share.places(offset);
        let numbers: [_; 2] = words(k, numbers, 8);
        let [high] = words(k, high.plus_bytes(HIGH as i64), 4);
        let scales = two_bytes(k, scales.plus_bytes(SCALES as i64));
        let grid = Grid::new(k, share.grid, points);
        LaneIntegers {
            quants: std::array::from_fn(|g| {
                grid.less(
                    k,
                    [0, 1].map(|i| {
                        let l = 2 * g as u32 + i;
                        let number = numbers[g / 2].bfe(8 * (l % 4), 8) | (high.bfe(4 * l, 3) << 8);
                        (number, (high.bfe(4 * l + 3, 1) * 0x0202_0202) + 0x0707_0707)
                    }),
                )
            }),
            negative: None,
            less: 0,
            scales: Scales::Each(std::array::from_fn(|g| ((scales.bfe(3 * g as u32, 3) << 1) | 1).bitcast())),
            minimums: None,
        }
    }

    #[track_caller]
    fn factors<S: ReadSpace>(k: &Body, share: &Share<S>, offset: u32) -> Factors {
        let [a, b] = words(k, share.block.plus_bytes(offset).plus_bytes(SCALES as i64), 8);
        let low = ((a >> 12) & 0xf) | ((a >> 24) & 0xf0);
        let bits = low | ((b >> 4) & 0xf00) | ((b >> 16) & 0xf000);
        Factors { d: bits.to::<u16>().bitcast(), times: 0.125, dmin: None }
    }
}
