//! The configuration in a file, checked before anything is computed.

mod error;
mod keys;
mod model;
mod read;
mod tensors;

pub use error::ConfigError;
pub(crate) use keys::{Keys, Neutral};
pub(crate) use model::FeedForward;
pub use model::{Architecture, ModelConfig};
pub use tensors::{TensorKind, TensorRole};
