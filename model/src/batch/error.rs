//! What can go wrong with a batch.

use super::SequenceId;
use crate::engine::EngineError;

/// A step, or a sequence's entry, that could not be done. Whatever it is, every sequence is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// What a sequence asked for is not possible, or failed.
    #[error("sequence {sequence}: {error}")]
    Sequence {
        /// The sequence.
        sequence: SequenceId,
        /// What is wrong.
        error: EngineError,
    },
    /// There is no such sequence, or it has left.
    #[error("sequence {0} is not in the batch: it has left, or never joined")]
    Unknown(SequenceId),
    /// A step names a sequence twice.
    #[error("sequence {0} is twice in one step: give all of its tokens together")]
    Twice(SequenceId),
    /// As many sequences as there may be are in the batch.
    #[error("the batch has its {most} sequences: one has to leave before another joins")]
    Sequences {
        /// Sequences at once.
        most: usize,
    },
    /// A sequence is to have more positions than one may have.
    #[error("a sequence of {asked} positions is longer than the {most} that the batch was opened for")]
    Positions {
        /// Positions asked for.
        asked: usize,
        /// Positions of a sequence at most.
        most: usize,
    },
    /// There are not enough free pages of the cache.
    #[error(
        "{needed} pages of the cache are needed and {free} are free: a sequence has to leave, or the batch be opened with more"
    )]
    Pages {
        /// Pages that the sequence needs.
        needed: usize,
        /// Pages that no sequence has.
        free: usize,
    },
    /// The step as a whole could not be done.
    #[error(transparent)]
    Step(#[from] EngineError),
}
