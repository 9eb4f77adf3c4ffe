//! The types without superblocks: F32, F16, BF16, and Q8_0 with its blocks of 32.

mod device;

use super::f16_le;

/// A Q8_0 block of 32 weights (ggml `block_q8_0`): `d` as f16, then 32 signed bytes.
#[derive(Clone, Copy, Debug)]
pub struct Q8_0<'a>(&'a [u8; Q8_0::BYTES]);

impl<'a> Q8_0<'a> {
    /// Bytes of a block.
    pub const BYTES: usize = 34;
    /// Weights in a block.
    pub const LEN: usize = 32;

    /// The block that these bytes are.
    #[inline(always)]
    pub const fn new(bytes: &'a [u8; Q8_0::BYTES]) -> Self {
        Self(bytes)
    }

    /// `w = d * q` in f32, which is exact.
    #[inline(always)]
    pub fn dequantize(self, out: &mut [f32; Q8_0::LEN]) {
        let d = f16_le([self.0[0], self.0[1]]);
        for (w, q) in out.iter_mut().zip(&self.0[2..]) {
            *w = d * f32::from(q.cast_signed());
        }
    }
}

#[inline(always)]
pub(super) fn f32_values(bytes: &[u8], out: &mut [f32]) {
    let (words, _) = bytes.as_chunks();
    out.iter_mut().zip(words).for_each(|(w, b)| *w = f32::from_le_bytes(*b));
}

#[inline(always)]
pub(super) fn f16_values(bytes: &[u8], out: &mut [f32]) {
    let (words, _) = bytes.as_chunks();
    out.iter_mut().zip(words).for_each(|(w, b)| *w = f16_le(*b));
}

#[inline(always)]
pub(super) fn bf16_values(bytes: &[u8], out: &mut [f32]) {
    let (words, _) = bytes.as_chunks();
    out.iter_mut().zip(words).for_each(|(w, b)| *w = f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16));
}

#[inline(always)]
pub(super) fn q8_0_values(bytes: &[u8], out: &mut [f32]) {
    let (blocks, _) = bytes.as_chunks();
    let (rows, _) = out.as_chunks_mut();
    blocks.iter().zip(rows).for_each(|(b, o)| Q8_0::new(b).dequantize(o));
}
