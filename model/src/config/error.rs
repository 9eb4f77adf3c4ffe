//! Reasons why a file is not a model that can be run.

use crate::gguf::{GgufError, TensorType};

/// A file that is not a supported model, or one that ptxgen cannot run exactly.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A key or tensor is missing or unreadable.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// Several of the other errors.
    #[error("{}", several(all))]
    Several {
        /// All of them, at least two.
        all: Vec<ConfigError>,
    },
    /// Another architecture.
    #[error("{file}: architecture \"{found}\" is not supported; {known} are")]
    Architecture {
        /// The file.
        file: String,
        /// `general.architecture`.
        found: String,
        /// Those that are.
        known: String,
    },
    /// A key with a value that is wrong or not supported.
    #[error("{file}: key \"{key}\" is {found}, expected {expected}")]
    Key {
        /// The file.
        file: String,
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// The supported values.
        expected: String,
    },
    /// An unknown key of the architecture.
    #[error("{file}: key \"{key}\" is not known and could change what the model computes; not supported")]
    UnknownKey {
        /// The file.
        file: String,
        /// The key.
        key: String,
    },
    /// A tensor of the wrong shape.
    #[error("{file}: tensor \"{tensor}\" has dimensions {found:?}, expected {expected:?} (innermost first)")]
    Shape {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Its dimensions.
        found: Vec<usize>,
        /// The dimensions according to the metadata.
        expected: Vec<usize>,
    },
    /// A norm or router that is not F32.
    #[error("{file}: tensor \"{tensor}\" has type {found}, expected F32")]
    Type {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Its type.
        found: TensorType,
    },
    /// A tensor that is not part of such a model.
    #[error(
        "{file}: tensor \"{tensor}\" is not part of a {title} of block_count {blocks} and could change what the model computes; not supported"
    )]
    UnknownTensor {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// The name of the architecture.
        title: &'static str,
        /// `block_count`.
        blocks: usize,
    },
}

/// Maximum number of faults that a message lists.
const TOLD: usize = 10;

/// Maximum number of faults that are collected: a file may claim any number of layers.
pub(super) const SOUGHT: usize = 100;

fn several(all: &[ConfigError]) -> String {
    let told: Vec<_> = all.iter().take(TOLD).map(ConfigError::to_string).collect();
    let (rest, more) = match all.len().saturating_sub(TOLD) {
        0 => (String::new(), ""),
        _ if all.len() >= SOUGHT => ("; and others".into(), "or more "),
        n => (format!("; and {n} others"), ""),
    };
    format!("{} {more}problems keep ptxgen from running it: {}{rest}", all.len(), told.join("; "))
}
