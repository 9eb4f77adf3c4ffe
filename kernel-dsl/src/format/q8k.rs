//! Q8_K: 256 activations as signed bytes with one f32 scale (ggml `block_q8_K`).

use super::SUPERBLOCK;

/// A block of quantized activations; see the contract's "Q8_K quantization of activations" and
/// [`crate::reference::quantize_q8k`].
#[derive(Clone, Debug, PartialEq)]
#[repr(C, align(64))]
pub struct Q8KBlock {
    /// The quants.
    pub q: [i8; SUPERBLOCK],
    /// `sums[j]` is the exact sum of quants 16j .. 16j+16; its magnitude is at most 2,048.
    pub sums: [i16; 16],
    /// The scale: activation i is about `d * q[i]`.
    pub d: f32,
}

impl Q8KBlock {
    /// The block of zeros.
    pub const ZERO: Self = Self { q: [0; SUPERBLOCK], sums: [0; 16], d: 0.0 };
}

impl Default for Q8KBlock {
    fn default() -> Self {
        Self::ZERO
    }
}
