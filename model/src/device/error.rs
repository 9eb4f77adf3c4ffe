//! Why a model cannot be put on a device.

use crate::{config::ConfigError, gguf::GgufError, gguf::TensorType};
use ptxgen_dsl::catalogue::CatalogueError;
use ptxgen_runtime::DeviceError;

/// A model that could not be put on a device.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is not a Qwen3-MoE that is supported.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A tensor cannot be read.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A session longer than the model's context.
    #[error("{asked} positions are more than the model's context of {context}")]
    Context {
        /// Positions asked for.
        asked: usize,
        /// The model's limit.
        context: usize,
    },
    /// A tensor of a type that no kernel takes in its place.
    #[error("no kernel takes tensor '{tensor}' as {ty} here: expected {expected}; --device cpu runs this file")]
    NoKernel {
        /// The tensor.
        tensor: String,
        /// Its type.
        ty: TensorType,
        /// What there are kernels for.
        expected: &'static str,
    },
    /// A size that no kernel is made for.
    #[error("no kernel for this model: {0}; --device cpu runs this file")]
    Size(#[from] CatalogueError),
    /// A kernel's parameters are not those that the pass gives it.
    #[error("kernel '{kernel}' has no parameter '{param}': the catalogue and the model's passes do not match")]
    Parameter {
        /// The kernel.
        kernel: &'static str,
        /// The parameter.
        param: &'static str,
    },
    /// The device has no room, or failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
}
