//! Reasons why two sides cannot be compared.

use crate::trace::{Stage, TraceError};

/// Two sides that cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// A forward failed, or a trace cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The sides are of different files.
    #[error(
        "the sides are of different models: {left} is of {left_model}, {right} of {right_model} (SHA-256 differs); compare \
         runs of one model, or pass --any-model"
    )]
    Models {
        /// The left side.
        left: String,
        /// Its model.
        left_model: String,
        /// The right side.
        right: String,
        /// Its model.
        right_model: String,
    },
    /// The sides have different tokens.
    #[error(
        "{left} and {right} are of different tokens: position {position} is {left_token} and {right_token}; trace both on \
         the same tokens"
    )]
    Tokens {
        /// The left side, or the source of the tokens.
        left: String,
        /// The right side.
        right: String,
        /// The first position that differs.
        position: usize,
        /// The left side's token, if it has as many.
        left_token: String,
        /// The right side's token.
        right_token: String,
    },
    /// No source of tokens was given.
    #[error("{0} does not say on which tokens it was made: name them with --tokens")]
    NoTokens(String),
    /// A trace contains only one text.
    #[error("{0} is a trace, which is of one text, and {1} prompts are given: name one with --tokens, or none")]
    Prompts(String, usize),
    /// There are no prompts.
    #[error("there is nothing to run: no prompts, or a prompt without tokens")]
    NoPrompts,
    /// The sides have no position in common.
    #[error("{left} has positions {of_left}, {right} has {of_right}: they have none in common")]
    Positions {
        /// The left side.
        left: String,
        /// Its positions.
        of_left: String,
        /// The right side.
        right: String,
        /// Its positions.
        of_right: String,
    },
    /// A requested stage is missing.
    #[error("{side} lacks {tensor}, which is to be compared: it has {has}")]
    Missing {
        /// The side.
        side: String,
        /// The stage's tensor.
        tensor: String,
        /// The stages that it has.
        has: String,
    },
    /// The sides have no stage in common.
    #[error("{left} and {right} have no stage in common: the one has {of_left}, the other {of_right}")]
    NoStage {
        /// The left side.
        left: String,
        /// Its stages.
        of_left: String,
        /// The right side.
        right: String,
        /// Its stages.
        of_right: String,
    },
    /// A stage has different numbers of values per position.
    #[error(
        "{tensor} has {of_left:?} values a position in {left}, {of_right:?} in {right}: they are of different models"
    )]
    Shape {
        /// The stage's tensor.
        tensor: String,
        /// The left side.
        left: String,
        /// Its dimensions.
        of_left: Vec<usize>,
        /// The right side.
        right: String,
        /// Its dimensions.
        of_right: Vec<usize>,
    },
    /// A threshold that is always or never exceeded.
    #[error("{name} is {value}: expected {expected}")]
    Threshold {
        /// The threshold.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The valid range.
        expected: &'static str,
    },
}

/// Names of stages, each once, for messages.
pub(super) fn names(stages: impl Iterator<Item = Stage>) -> String {
    let mut stages: Vec<Stage> = stages.collect();
    stages.sort_unstable();
    stages.dedup();
    let names: Vec<&str> = stages.iter().map(|s| s.name()).collect();
    names.join(", ")
}
