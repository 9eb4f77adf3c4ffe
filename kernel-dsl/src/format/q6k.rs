//! Q6_K: 256 weights in 210 bytes (ggml `block_q6_K`).
//!
//! Low nibbles `ql[128]`, high bit pairs `qh[64]`, sixteen signed 8-bit scales (one per 16 weights), then `d` as f16.
//! Blocks are only 2-byte aligned in a file.

mod device;
mod fragment;

use super::{SUPERBLOCK, f16_le};
use crate::reference::Accumulator;

/// A Q6_K block, in place.
#[derive(Clone, Copy, Debug)]
pub struct Q6K<'a>(&'a [u8; Q6K::BYTES]);

impl<'a> Q6K<'a> {
    /// Bytes of a block.
    pub const BYTES: usize = 210;
    /// Offset of the high bit pairs (64 bytes).
    pub const HIGH: usize = 128;
    /// Offset of the scales (16 bytes).
    pub const SCALES: usize = 192;
    /// Offset of `d`.
    pub const D: usize = 208;
    /// Sub-blocks, of 16 weights each.
    pub const SUBBLOCKS: usize = 16;

    /// The block with these bytes.
    #[inline(always)]
    pub const fn new(bytes: &'a [u8; Q6K::BYTES]) -> Self {
        Self(bytes)
    }

    /// The block at the start of `bytes`.
    ///
    /// # Panics
    /// If there are fewer than a block's.
    #[inline(always)]
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes.first_chunk().expect("a block has all of its bytes"))
    }

    /// Gives a block of random bytes factors like those of trained weights.
    pub(super) fn set_factors(block: &mut [u8], next: &mut dyn FnMut(f32) -> half::f16) {
        block[Self::D..].copy_from_slice(&next(1.5e-5).to_le_bytes());
    }

    /// The block's bytes.
    #[inline(always)]
    pub const fn bytes(self) -> &'a [u8; Q6K::BYTES] {
        self.0
    }

    /// The scale of the scales.
    #[inline(always)]
    pub fn d(self) -> f32 {
        f16_le([self.0[Self::D], self.0[Self::D + 1]])
    }

    /// The scale of sub-block `j` < 16.
    #[inline(always)]
    pub fn scale(self, j: usize) -> i8 {
        self.0[Self::SCALES + j].cast_signed()
    }

    /// All quants before 32 is subtracted, in the order of the weights; each below 64.
    #[inline(always)]
    pub fn quants(self) -> [u8; SUPERBLOCK] {
        let mut q = [0; SUPERBLOCK];
        for half in 0..2 {
            for i in 0..32 {
                let (a, b) = (self.0[64 * half + i], self.0[64 * half + 32 + i]);
                let h = self.0[Self::HIGH + 32 * half + i];
                let o = 128 * half + i;
                q[o] = a & 15 | (h & 3) << 4;
                q[o + 32] = b & 15 | (h >> 2 & 3) << 4;
                q[o + 64] = a >> 4 | (h >> 4 & 3) << 4;
                q[o + 96] = b >> 4 | (h >> 6) << 4;
            }
        }
        q
    }

    /// The contract's "Dequantization": `w = (d*sc)*(q-32)` in f32.
    pub fn dequantize(self, out: &mut [f32; SUPERBLOCK]) {
        *out = self.weights();
    }

    /// The weights in the accumulator's type: exact in f32 already.
    #[inline(always)]
    pub fn weights<A: Accumulator>(self) -> [A; SUPERBLOCK] {
        let (d, q) = (A::from_f32(self.d()), self.quants());
        std::array::from_fn(|i| {
            let s = d * A::from_i32(i32::from(self.scale(i / 16)));
            s * A::from_i32(i32::from(q[i]) - 32)
        })
    }
}
