//! Tensor and activation formats: one module for each, in which the layout of a block and its
//! decoding stand together. See the contract's "Dequantization" and "Formats".

mod plain;
mod q4k;
mod q6k;
mod q8k;
mod tensor_type;

pub use plain::Q8_0;
pub use q4k::Q4K;
pub use q6k::Q6K;
pub use q8k::{Q8KBlock, Q8KPlanar};
pub use tensor_type::{DecodeError, TensorType};

/// Weights or activations in a superblock, and in a block of the contract's row order.
pub const SUPERBLOCK: usize = 256;

/// The f32 value of two little-endian bytes of IEEE binary16.
#[inline(always)]
pub(crate) fn f16_le(bytes: [u8; 2]) -> f32 {
    half::f16::from_bits(u16::from_le_bytes(bytes)).to_f32()
}
