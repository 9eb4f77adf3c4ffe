//! Tensor and activation formats: one module for each, with the layout of a block and its decoders. See the contract's
//! "Dequantization" and "Formats".
#![allow(clippy::needless_range_loop)] // several arrays are indexed alike

mod decode;
mod grids;
mod integers;
mod iq1m;
mod iq1s;
mod iq2s;
mod iq2xs;
mod iq2xxs;
mod iq3s;
mod iq3xxs;
mod iq4nl;
mod iq4xs;
mod list;
mod mxfp4;
mod nibbles;
mod plain;
mod q2k;
mod q3k;
mod q4_0;
mod q4_1;
mod q4k;
mod q5_0;
mod q5_1;
mod q5k;
mod q6k;
mod q8k;
mod tensor;
mod tensor_type;
mod tq1_0;
mod tq2_0;

pub(crate) use decode::Decoder;
pub use integers::{GROUPS, IntegerFormat, Integers};
pub use iq1m::IQ1M;
pub use iq1s::IQ1S;
pub use iq2s::IQ2S;
pub use iq2xs::IQ2XS;
pub use iq2xxs::IQ2XXS;
pub use iq3s::IQ3S;
pub use iq3xxs::IQ3XXS;
pub use iq4nl::IQ4NL;
pub use iq4xs::IQ4XS;
pub(crate) use list::for_each_type;
pub use mxfp4::MXFP4;
pub use nibbles::{Factor, Layout, NibbleFormat, Values};
pub use plain::Q8_0;
pub use q2k::Q2K;
pub use q3k::Q3K;
pub use q4_0::Q4_0;
pub use q4_1::Q4_1;
pub use q4k::Q4K;
pub use q5_0::Q5_0;
pub use q5_1::Q5_1;
pub use q5k::Q5K;
pub use q6k::Q6K;
pub use q8k::{Q8KBlock, Q8KPlanar};
pub use tensor::Tensor;
pub use tensor_type::{DecodeError, TensorType};
pub use tq1_0::TQ1_0;
pub use tq2_0::TQ2_0;

/// Weights or activations in a superblock, and in a block of the contract's row order.
pub const SUPERBLOCK: usize = 256;

/// The f32 value of two little-endian bytes of IEEE binary16.
#[inline(always)]
pub(crate) fn f16_le(bytes: [u8; 2]) -> f32 {
    half::f16::from_bits(u16::from_le_bytes(bytes)).to_f32()
}
