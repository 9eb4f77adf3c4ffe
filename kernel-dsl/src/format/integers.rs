//! The common structure of superblock formats: 256 small integers with one integer scale per 16 of them, and one or two
//! factors for the whole block.

use super::{SUPERBLOCK, TensorType, f16_le};
use crate::reference::Accumulator;
use half::f16;

/// Groups of 16 weights in a superblock.
pub const GROUPS: usize = 16;

/// An unpacked superblock: weight `i` of group `g = i / 16` is `d * scales[g] * quants[i] - dmin * minimums[g]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Integers {
    /// The factor of all scales, including a power of two of the format.
    pub d: f32,
    /// The factor of all minimums; 0 in formats without them.
    pub dmin: f32,
    /// The quants, in the order of the weights.
    pub quants: [i8; SUPERBLOCK],
    /// The groups' scales.
    pub scales: [i16; GROUPS],
    /// The groups' minimums; 0 in formats without them.
    pub minimums: [u8; GROUPS],
}

impl Default for Integers {
    fn default() -> Self {
        Self { d: 0.0, dmin: 0.0, quants: [0; SUPERBLOCK], scales: [0; GROUPS], minimums: [0; GROUPS] }
    }
}

impl Integers {
    /// The weights in the accumulator's type, with f32 activations: the contract's
    /// `(d * sc) * q`, or with minimums `fma(d * sc, q, -(dmin * m))`. In f32 these are the
    /// contract's "Dequantization".
    #[inline(always)]
    pub fn weights<A: Accumulator>(&self, minimums: bool) -> [A; SUPERBLOCK] {
        let (d, dmin) = (A::from_f32(self.d), A::from_f32(self.dmin));
        let mut weights = [A::ZERO; SUPERBLOCK];
        for g in 0..GROUPS {
            let scale = d * A::from_i32(i32::from(self.scales[g]));
            let minimum = -(dmin * A::from_i32(i32::from(self.minimums[g])));
            for i in 16 * g..16 * g + 16 {
                let q = A::from_i32(i32::from(self.quants[i]));
                weights[i] = if minimums { scale.fma(q, minimum) } else { scale * q };
            }
        }
        weights
    }

    /// The contract's `S_A` and `S_B` with the quants of a Q8_K block and their sums by group:
    /// exact in 32 bits.
    #[inline(always)]
    pub fn sums(&self, p: &[i8; SUPERBLOCK], bsums: &[i16; GROUPS]) -> (i32, i32) {
        let (mut a, mut b) = (0, 0);
        for g in 0..GROUPS {
            let mut dot = 0;
            for i in 16 * g..16 * g + 16 {
                dot += i32::from(self.quants[i]) * i32::from(p[i]);
            }
            a += i32::from(self.scales[g]) * dot;
            b += i32::from(self.minimums[g]) * i32::from(bsums[g]);
        }
        (a, b)
    }

    /// The contract's term of a block with Q8_K activations of scale `d_x`.
    #[inline(always)]
    pub fn term<A: Accumulator>(&self, minimums: bool, (a, b): (i32, i32), d_x: f32) -> A {
        let (d, d_x) = (A::from_f32(self.d), A::from_f32(d_x));
        if minimums {
            let dmin = A::from_f32(self.dmin);
            (d * d_x).fma(A::from_i32(a), -((dmin * d_x) * A::from_i32(b)))
        } else {
            (d * d_x) * A::from_i32(a)
        }
    }
}

/// A superblock format whose weights are [`Integers`].
pub trait IntegerFormat: Copy + Send + Sync + 'static {
    /// The tensor type.
    const TYPE: TensorType;
    /// Whether it has minimums.
    const MINIMUMS: bool = false;

    /// Unpacks a block of the type's size. Writes every field of `out`, but `dmin` and `minimums` only for formats with
    /// minimums.
    fn integers(block: &[u8], out: &mut Integers);

    /// Writes factors into a block of random bytes that are like those of trained weights: `next` returns a factor of
    /// approximately the requested size.
    fn set_factors(block: &mut [u8], next: &mut dyn FnMut(f32) -> f16);
}

/// The f32 value of the f16 at byte `at`.
#[inline(always)]
pub(super) fn half_at(block: &[u8], at: usize) -> f32 {
    f16_le([block[at], block[at + 1]])
}

/// The two bytes at `at`.
#[inline(always)]
pub(super) fn u16_at(block: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([block[at], block[at + 1]])
}

/// The four bytes at `at`.
#[inline(always)]
pub(super) fn u32_at(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

/// Writes an f16 at byte `at`.
pub(super) fn put_half(block: &mut [u8], at: usize, value: f16) {
    block[at..at + 2].copy_from_slice(&value.to_le_bytes());
}
