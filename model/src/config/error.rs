//! Why a file is not a model that can be run.

use crate::gguf::{GgufError, TensorType};

/// A file that is no model that ptxgen knows, or one that it cannot run exactly.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A key or tensor is missing or unreadable.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// Several of the others at once.
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
        /// What is supported.
        expected: String,
    },
    /// A key of the architecture that is not known.
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
        /// The dimensions that the metadata asks for.
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
    /// A tensor that such a model does not have.
    #[error(
        "{file}: tensor \"{tensor}\" is not part of a {title} of block_count {blocks} and could change what the model computes; not supported"
    )]
    UnknownTensor {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// What the model is.
        title: &'static str,
        /// `block_count`.
        blocks: usize,
    },
}

/// Faults that a message tells in full.
const TOLD: usize = 10;

/// Faults that are looked for: a file may claim any number of layers.
pub(super) const SOUGHT: usize = 100;

fn several(all: &[ConfigError]) -> String {
    let told: Vec<_> = all.iter().take(TOLD).map(ConfigError::to_string).collect();
    let (rest, more) = match all.len().saturating_sub(TOLD) {
        0 => (String::new(), ""),
        _ if all.len() >= SOUGHT => ("; and others".into(), "or more "),
        n => (format!("; and {n} others"), ""),
    };
    format!("{} {more}things are in the way: {}{rest}", all.len(), told.join("; "))
}
