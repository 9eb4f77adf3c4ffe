//! Q4_K: 256 weights in 144 bytes (ggml `block_q4_K`).
//!
//! `d` and `dmin` as f16, twelve bytes with eight pairs of a 6-bit scale and a 6-bit minimum, then
//! 128 bytes of 4-bit quants: sub-blocks 2k and 2k+1 (32 weights each) are the low and the high
//! nibbles of the same 32 bytes.

mod device;
mod fragment;

pub(super) use device::LaneScales;

use super::{SUPERBLOCK, f16_le};
use crate::reference::Accumulator;

/// A Q4_K block, in place.
#[derive(Clone, Copy, Debug)]
pub struct Q4K<'a>(&'a [u8; Q4K::BYTES]);

impl<'a> Q4K<'a> {
    /// Bytes of a block.
    pub const BYTES: usize = 144;
    /// Offset of the packed scales and minimums (12 bytes).
    pub const SCALES: usize = 4;
    /// Offset of the quants (128 bytes).
    pub const QUANTS: usize = 16;
    /// Sub-blocks, of 32 weights each.
    pub const SUBBLOCKS: usize = 8;

    /// The block with these bytes.
    #[inline(always)]
    pub const fn new(bytes: &'a [u8; Q4K::BYTES]) -> Self {
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
        block[..2].copy_from_slice(&next(1e-4).to_le_bytes());
        block[2..4].copy_from_slice(&next(7.5e-4).to_le_bytes());
    }

    /// The block's bytes.
    #[inline(always)]
    pub const fn bytes(self) -> &'a [u8; Q4K::BYTES] {
        self.0
    }

    /// The scale of the scales.
    #[inline(always)]
    pub fn d(self) -> f32 {
        f16_le([self.0[0], self.0[1]])
    }

    /// The scale of the minimums.
    #[inline(always)]
    pub fn dmin(self) -> f32 {
        f16_le([self.0[2], self.0[3]])
    }

    /// The scale and the minimum of sub-block `j` < 8, each below 64.
    #[inline(always)]
    pub fn scale_min(self, j: usize) -> (u8, u8) {
        Self::packed_scale_min(&self.0[Self::SCALES..Self::QUANTS], j)
    }

    /// The same of twelve packed bytes (ggml `get_scale_min_k4`).
    #[inline(always)]
    pub(super) fn packed_scale_min(s: &[u8], j: usize) -> (u8, u8) {
        if j < 4 {
            (s[j] & 63, s[j + 4] & 63)
        } else {
            ((s[j + 4] & 0x0f) | ((s[j - 4] >> 6) << 4), (s[j + 4] >> 4) | ((s[j] >> 6) << 4))
        }
    }

    /// All quants, in the order of the weights; each below 16.
    #[inline(always)]
    pub fn quants(self) -> [u8; SUPERBLOCK] {
        let mut q = [0; SUPERBLOCK];
        for k in 0..4 {
            for i in 0..32 {
                let byte = self.0[Self::QUANTS + 32 * k + i];
                q[64 * k + i] = byte & 15;
                q[64 * k + 32 + i] = byte >> 4;
            }
        }
        q
    }

    /// The contract's "Dequantization": `w = fma(d*sc, q, -(dmin*m))` in f32.
    pub fn dequantize(self, out: &mut [f32; SUPERBLOCK]) {
        let (d, dmin, q) = (self.d(), self.dmin(), self.quants());
        for (i, w) in out.iter_mut().enumerate() {
            let (sc, m) = self.scale_min(i / 32);
            *w = (d * f32::from(sc)).mul_add(f32::from(q[i]), -(dmin * f32::from(m)));
        }
    }

    /// The weights in products with f32 activations, in the accumulator's type: the contract's "Matrix times vector",
    /// act = f32. The computation differs from [`Self::dequantize`]; the value differs only if the exponents of `d` and
    /// `dmin` are far apart.
    #[inline(always)]
    pub fn weights<A: Accumulator>(self) -> [A; SUPERBLOCK] {
        let (d, dmin, q) = (A::from_f32(self.d()), A::from_f32(self.dmin()), self.quants());
        let mut weights = [A::ZERO; SUPERBLOCK];
        for (j, (w, q)) in weights.chunks_exact_mut(32).zip(q.chunks_exact(32)).enumerate() {
            let (sc, m) = self.scale_min(j);
            let s = d * A::from_i32(i32::from(sc));
            let m = dmin * A::from_i32(i32::from(m));
            let b = -A::from_f32(16.0).fma(s, m);
            for (w, &q) in w.iter_mut().zip(q) {
                let nibble = f32::from_bits(0x4000_0000 | u32::from(q) << 19); // 2 + q/8
                *w = A::from_f32(nibble).fma(A::from_f32(8.0) * s, b);
            }
        }
        weights
    }
}
