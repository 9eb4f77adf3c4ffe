//! What is asked of a step.

use super::SequenceId;
use crate::engine::LogitRows;

/// What a step is to give of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Nothing: a part of a prompt that goes on.
    Nothing,
    /// The most likely token after the last one, which the device chooses.
    Token,
    /// Logits.
    Logits(LogitRows),
}

/// A sequence's part of a step: its next tokens.
#[derive(Clone, Copy, Debug)]
pub struct Part<'t> {
    /// The sequence.
    pub sequence: SequenceId,
    /// The tokens after those that it has taken; at least one.
    pub tokens: &'t [u32],
    /// What is wanted of them.
    pub wants: Wants,
}
