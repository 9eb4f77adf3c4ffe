//! Errors of a batch.

use super::SequenceId;
use crate::engine::EngineError;

/// A step or a join that failed. After an error every sequence is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// A sequence's request is impossible, or failed.
    #[error("sequence {sequence}: {error}")]
    Sequence {
        /// The sequence.
        sequence: SequenceId,
        /// The error.
        error: EngineError,
    },
    /// There is no such sequence, or it has left.
    #[error("sequence {0} is not in the batch: it has left, or never joined")]
    Unknown(SequenceId),
    /// A step names a sequence twice.
    #[error("sequence {0} is twice in one step: give all of its tokens together")]
    Twice(SequenceId),
    /// The batch has its maximum number of sequences.
    #[error("the batch has its {most} sequences: one has to leave before another joins")]
    Sequences {
        /// Maximum number of sequences.
        most: usize,
    },
    /// A sequence would have more positions than allowed.
    #[error("a sequence of {asked} positions is longer than the {most} that the batch was opened for")]
    Positions {
        /// Requested positions.
        asked: usize,
        /// Maximum number of positions of a sequence.
        most: usize,
    },
    /// There are not enough free pages of the cache.
    #[error(
        "{needed} pages of the cache are needed and {free} are free: a sequence has to leave, or the batch be opened with more"
    )]
    Pages {
        /// Pages that the sequence needs.
        needed: usize,
        /// Free pages.
        free: usize,
    },
    /// The whole step failed.
    #[error(transparent)]
    Step(#[from] EngineError),
}
