//! The type of a KV cache.

use ptxgen_dsl::reference::CHUNK;
use std::{fmt, str::FromStr};

/// Positions of a page of a KV cache: one chunk of attention, so that a chunk is in one page.
pub const PAGE: usize = CHUNK;

/// The type of the values in the KV cache (`--kv`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KvType {
    /// f32, 4 bytes per value.
    #[default]
    F32,
    /// f16, 2 bytes per value: rounded to nearest even when stored, widened when read.
    F16,
}

impl KvType {
    /// Bytes of a value.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

impl fmt::Display for KvType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        })
    }
}

impl FromStr for KvType {
    type Err = ParseKvError;
    fn from_str(s: &str) -> Result<Self, ParseKvError> {
        match s {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            _ => Err(ParseKvError(s.to_owned())),
        }
    }
}

/// A text that is not a type of a KV cache.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown KV cache type `{0}`: expected f32 or f16")]
pub struct ParseKvError(String);
