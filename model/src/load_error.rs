//! Reasons why a model cannot be run.

use crate::{
    config::ConfigError,
    cpu::SimdLevel,
    gguf::{GgufError, TensorType},
};
use ptxgen_dsl::catalogue::{CatalogueError, KernelId};
use ptxgen_runtime::DeviceError;

/// A model that could not be loaded, or a session of it that could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file is not a supported model.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A tensor cannot be read.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A session longer than the model's context.
    #[error("{asked} positions are more than the model's context of {context}")]
    Context {
        /// Requested positions.
        asked: usize,
        /// The model's limit.
        context: usize,
    },
    /// A batch with a capacity of zero.
    #[error("a batch needs at least one sequence, one position and one page")]
    EmptyBatch,
    /// A session for which the machine has not enough memory; lack of device memory is [`Device`](Self::Device).
    #[error(
        "there is no memory for a context of {asked} tokens: its KV cache takes {bytes} bytes{}; \
         choose a shorter one with --ctx, or --kv f16", free.map_or(String::new(), |free| format!(" and {free} are free"))
    )]
    Memory {
        /// Requested positions.
        asked: usize,
        /// The size of the cache, at most `u64::MAX`.
        bytes: u64,
        /// Free memory, if the system reports it.
        free: Option<u64>,
    },
    /// `math = approx` on the CPU: it names GPU instructions.
    #[error(
        "math=approx is a GPU's instructions, for --device cuda or --device interp; the CPU computes with math=exact"
    )]
    Approximate,
    /// The machine does not support the requested instruction set.
    #[error("this machine has no {asked}; it has up to {best}")]
    Simd {
        /// The requested level.
        asked: SimdLevel,
        /// The widest supported level.
        best: SimdLevel,
    },
    /// The threads could not be started.
    #[error("cannot start {threads} threads: {reason}; ask for fewer")]
    Threads {
        /// Requested threads.
        threads: usize,
        /// The system's error.
        reason: String,
    },
    /// A tensor of a type that no kernel supports in its role.
    #[error("no kernel takes tensor '{tensor}' as {ty} here: expected {expected}; --device cpu runs this file")]
    NoKernel {
        /// The tensor.
        tensor: String,
        /// Its type.
        ty: TensorType,
        /// The supported types.
        expected: &'static str,
    },
    /// A size that no kernel supports.
    #[error("no kernel for this model: {0}; --device cpu runs this file")]
    Size(#[from] CatalogueError),
    /// A kernel that the catalogue does not have.
    #[error("the catalogue has no kernel '{kernel}'; --device cpu runs this file")]
    Unwritten {
        /// The kernel.
        kernel: KernelId,
    },
    /// A stage that no rule launches.
    #[error("no kernel computes stage {stage}; --device cpu runs this file")]
    NoRule {
        /// The stage.
        stage: crate::graph::Stage,
    },
    /// A kernel's parameters do not match the pass.
    #[error("kernel '{kernel}' has no parameter '{param}': the catalogue and the model's passes do not match")]
    Parameter {
        /// The kernel.
        kernel: &'static str,
        /// The parameter.
        param: &'static str,
    },
    /// Layers cannot be divided among the devices.
    #[error("{devices} devices cannot divide the model's layers: it has {layers}, and every device needs at least one")]
    Devices {
        /// The number of devices.
        devices: usize,
        /// The model's layers.
        layers: usize,
    },
    /// There is no such device.
    #[error(transparent)]
    NoDevice(DeviceError),
    /// The device has not enough memory, or failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
}
