//! The supported types of a GGUF file's tensors.

use super::SUPERBLOCK;
use super::list::for_each_type;
use std::fmt;

macro_rules! types {
    ($($name:ident $id:literal $len:literal $bytes:literal $module:ident::$format:ident $kind:ident, $doc:literal;)*) => {
        /// The storage type of a tensor (ggml `ggml_type`), restricted to those that ptxgen supports.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(non_camel_case_types)] // ggml's names
        #[non_exhaustive]
        pub enum TensorType {
            $(#[doc = $doc] $name,)*
        }

        impl TensorType {
            /// Every supported type.
            pub const ALL: [Self; [$($id),*].len()] = [$(Self::$name),*];

            /// The type's number in a file (ggml `enum ggml_type`).
            pub const fn id(self) -> u32 {
                match self { $(Self::$name => $id,)* }
            }

            /// Weights in a block; a row of a tensor is a whole number of blocks.
            pub const fn block_len(self) -> usize {
                match self { $(Self::$name => $len,)* }
            }

            /// Bytes of a block.
            pub const fn block_bytes(self) -> usize {
                match self { $(Self::$name => $bytes,)* }
            }

            /// ggml's name of the type.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

for_each_type!(types);

/// The number of bytes for a decoder does not match the type and shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{ty}: {elements} weights need {expected}, found {found} bytes")]
#[non_exhaustive]
pub struct DecodeError {
    /// The type that was decoded.
    pub ty: TensorType,
    /// Requested weights.
    pub elements: usize,
    /// The required bytes, as text.
    pub expected: String,
    /// Actual bytes.
    pub found: usize,
}

impl TensorType {
    /// The type with this number, if it is supported.
    pub fn from_id(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.id() == id)
    }

    /// Bytes of `elements` weights; `None` if they are not whole blocks or the size overflows.
    pub fn bytes_of(self, elements: usize) -> Option<usize> {
        if !elements.is_multiple_of(self.block_len()) {
            return None;
        }
        (elements / self.block_len()).checked_mul(self.block_bytes())
    }

    /// Whether products with matrices of this type use Q8_K activations under `act = q8k`: superblock formats, whose
    /// products with Q8_K are exact integers.
    pub const fn reads_q8k(self) -> bool {
        self.block_len() == SUPERBLOCK
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
