//! The types without superblocks: F32, F16, BF16, and Q8_0 with its blocks of 32.

mod device;

use super::{TensorType, f16_le};
use crate::reference::Accumulator;

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

    /// `w = d * q`, which is exact in f32 already.
    #[inline(always)]
    pub fn weights<A: Accumulator>(self, out: &mut [A]) {
        let d = A::from_f32(f16_le([self.0[0], self.0[1]]));
        for (w, q) in out.iter_mut().zip(&self.0[2..]) {
            *w = d * A::from_i32(i32::from(q.cast_signed()));
        }
    }

    /// Writes a factor into a block of random bytes that is like that of trained weights.
    pub(super) fn set_factors(block: &mut [u8], next: &mut dyn FnMut(f32) -> half::f16) {
        block[..2].copy_from_slice(&next(1e-4).to_le_bytes());
    }
}

/// The values of a type without superblocks.
#[inline(always)]
pub(super) fn values<A: Accumulator>(ty: TensorType, bytes: &[u8], out: &mut [A]) {
    match ty {
        TensorType::F32 => each(bytes, out, f32::from_le_bytes),
        TensorType::F16 => each(bytes, out, f16_le),
        TensorType::BF16 => each(bytes, out, |b: [u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)),
        _ => {
            let (blocks, _) = bytes.as_chunks();
            blocks.iter().zip(out.chunks_exact_mut(Q8_0::LEN)).for_each(|(b, o)| Q8_0::new(b).weights(o));
        }
    }
}

#[inline(always)]
fn each<A: Accumulator, const N: usize>(bytes: &[u8], out: &mut [A], value: impl Fn([u8; N]) -> f32) {
    let (elements, _) = bytes.as_chunks::<N>();
    out.iter_mut().zip(elements).for_each(|(w, b)| *w = A::from_f32(value(*b)));
}
