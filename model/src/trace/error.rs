//! Errors of traces.

use super::SelectError;
use crate::{engine::EngineError, plain::PlainError};
use std::{io, path::PathBuf};

/// A trace that cannot be created, written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The selection does not match the model or the tokens.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The forward failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A stage that the device does not write could not be computed.
    #[error(transparent)]
    Plain(#[from] PlainError),
    /// The session has already processed tokens.
    #[error("a trace starts with an empty session, and {position} tokens have been taken")]
    Position {
        /// Processed tokens.
        position: usize,
    },
    /// The trace would be larger than allowed.
    #[error(
        "the trace would take {bytes} bytes, more than the {limit} allowed: choose fewer stages, layers or positions \
         (`attn_scores` and `attn_softmax` have a value for every key), or allow more"
    )]
    TooLarge {
        /// Bytes of the file.
        bytes: u64,
        /// The maximum size.
        limit: u64,
    },
    /// The system reported an error of writing.
    #[error("cannot write the trace")]
    Write(#[source] io::Error),
    /// The system could not open or map a file.
    #[error("{}: cannot {action} the file", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The operation.
        action: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not a safetensors file, or contradicts itself.
    #[error("{}: {reason}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The error.
        reason: String,
    },
}
