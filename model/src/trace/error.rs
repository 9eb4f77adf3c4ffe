//! What can be wrong with a trace.

use super::SelectError;
use crate::{engine::EngineError, plain::PlainError};
use std::{io, path::PathBuf};

/// A trace that cannot be made, written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// What to keep does not fit the model or the tokens.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The forward failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A stage that the device does not write could not be computed.
    #[error(transparent)]
    Plain(#[from] PlainError),
    /// The session has taken tokens already.
    #[error("a trace starts with an empty session, and {position} tokens have been taken")]
    Position {
        /// Tokens taken.
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
        /// The most that is allowed.
        limit: u64,
    },
    /// The system refused to write.
    #[error("cannot write the trace")]
    Write(#[source] io::Error),
    /// The system refused to open or map a file.
    #[error("{}: cannot {action} the file", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The file is no safetensors file, or says something wrong of itself.
    #[error("{}: {reason}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}
