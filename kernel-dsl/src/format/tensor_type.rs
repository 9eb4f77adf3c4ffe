//! The types of a GGUF file's tensors that ptxgen computes with.

use super::{Q4K, Q6K, plain};
use std::fmt;

/// How the elements of a tensor are stored (ggml `ggml_type`), restricted to what ptxgen reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(non_camel_case_types)] // ggml's names
pub enum TensorType {
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// The upper half of an IEEE binary32.
    BF16,
    /// 32 signed bytes and one f16 scale (ggml `block_q8_0`, 34 bytes).
    Q8_0,
    /// Superblocks of 256 4-bit weights (ggml `block_q4_K`, 144 bytes).
    Q4_K,
    /// Superblocks of 256 6-bit weights (ggml `block_q6_K`, 210 bytes).
    Q6_K,
}

/// The bytes given to a decoder are not what its type and shape need.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{ty}: {elements} weights need {expected}, found {found} bytes")]
#[non_exhaustive]
pub struct DecodeError {
    /// The type that was decoded.
    pub ty: TensorType,
    /// Weights asked for.
    pub elements: usize,
    /// What that needs, in words.
    pub expected: String,
    /// Bytes given.
    pub found: usize,
}

impl TensorType {
    /// Every type that ptxgen reads.
    pub const ALL: [Self; 6] = [Self::F32, Self::F16, Self::BF16, Self::Q8_0, Self::Q4_K, Self::Q6_K];

    /// The number that stands for the type in a file (ggml `enum ggml_type`).
    pub const fn id(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q8_0 => 8,
            Self::Q4_K => 12,
            Self::Q6_K => 14,
            Self::BF16 => 30,
        }
    }

    /// The type with this number, if ptxgen reads it.
    pub fn from_id(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.id() == id)
    }

    /// Weights in a block; a row of a tensor is a whole number of blocks.
    pub const fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q8_0 => 32,
            Self::Q4_K | Self::Q6_K => 256,
        }
    }

    /// Bytes of a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q8_0 => 34,
            Self::Q4_K => 144,
            Self::Q6_K => 210,
        }
    }

    /// ggml's name of the type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q8_0 => "Q8_0",
            Self::Q4_K => "Q4_K",
            Self::Q6_K => "Q6_K",
        }
    }

    /// Bytes of `elements` weights; `None` if they are not whole blocks or the size overflows.
    pub fn bytes_of(self, elements: usize) -> Option<usize> {
        if !elements.is_multiple_of(self.block_len()) {
            return None;
        }
        (elements / self.block_len()).checked_mul(self.block_bytes())
    }

    /// Whether a matrix of this type reads Q8_K activations under `act = q8k`.
    pub const fn reads_q8k(self) -> bool {
        matches!(self, Self::Q4_K | Self::Q6_K)
    }

    /// The f32 values of `bytes` (the contract's "Dequantization"): bit for bit those of the
    /// `gguf` Python package.
    ///
    /// # Errors
    /// If `bytes` is not exactly the storage of `out.len()` weights.
    pub fn dequantize(self, bytes: &[u8], out: &mut [f32]) -> Result<(), DecodeError> {
        if self.bytes_of(out.len()) != Some(bytes.len()) {
            return Err(DecodeError {
                ty: self,
                elements: out.len(),
                expected: match self.bytes_of(out.len()) {
                    Some(n) => format!("{n} bytes"),
                    None => format!("whole blocks of {}", self.block_len()),
                },
                found: bytes.len(),
            });
        }
        match self {
            Self::F32 => plain::f32_values(bytes, out),
            Self::F16 => plain::f16_values(bytes, out),
            Self::BF16 => plain::bf16_values(bytes, out),
            Self::Q8_0 => plain::q8_0_values(bytes, out),
            Self::Q4_K => {
                let (blocks, _) = bytes.as_chunks();
                let (rows, _) = out.as_chunks_mut();
                blocks.iter().zip(rows).for_each(|(b, o)| Q4K::new(b).dequantize(o));
            }
            Self::Q6_K => {
                let (blocks, _) = bytes.as_chunks();
                let (rows, _) = out.as_chunks_mut();
                blocks.iter().zip(rows).for_each(|(b, o)| Q6K::new(b).dequantize(o));
            }
        }
        Ok(())
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
