//! Quantized Qwen3-MoE and Qwen3 from GGUF files: on the CPU, on NVIDIA GPUs and in the interpreter, with the same bits.
//!
//! - To run one: [`gguf::Gguf`] opens a file, [`LoadedModel`] prepares it for a device by its name ([`cpu`] and
//!   [`device`] do with more choice), an [`Engine`] is a sequence, a [`batch`] several at once, a [`Sampler`] chooses
//!   tokens, [`speculate`] writes several in a step, and [`tokenizer`] turns them into text.
//! - To see what it computes: [`trace`] records a forward stage by stage, [`compare`] holds two runs against each
//!   other, [`bisect`] names what they differ in, [`plain`] computes any stage under any choice, [`policies`]
//!   measures what a policy costs and buys.
//! - To add one: an [`architecture`] makes a [`graph`] of stages, which the rest works from.
//! - Without a model at hand: [`bundled()`] is a small one, [`synth`] makes up one of any shape.

pub mod architecture;
pub mod batch;
pub mod bisect;
mod bundled;
pub mod compare;
pub mod config;
pub mod cpu;
pub mod device;
mod device_name;
#[cfg(test)]
mod documentation;
mod engine;
pub mod gguf;
pub mod graph;
mod kv;
mod likelihood;
mod load_error;
mod loaded;
mod mapped;
mod memory;
mod not_finite;
mod origin;
pub mod plain;
pub mod policies;
mod recommended;
pub mod report;
mod sample;
pub mod scan;
pub mod speculate;
mod suggest;
pub mod synth;
pub mod tokenizer;
pub mod trace;
mod whole_file;

pub use bundled::bundled;
pub use config::{ConfigError, ModelConfig, TensorRole};
pub use device_name::{DeviceName, DeviceNames, ParseDevicesError};
pub use engine::{Engine, EngineError, LogitRows, Sequence};
pub use kv::{KvType, ParseKvError};
pub use likelihood::negative_log_likelihood;
pub use load_error::LoadError;
pub use loaded::{LoadedModel, ParseRunError, RunSpec, SideSpec};
pub use memory::free_memory;
pub use not_finite::NotFinite;
pub use origin::locate;
pub use recommended::Recommended;
pub use sample::{Sampler, Sampling};
pub use whole_file::{WholeFile, abandon_unfinished_files};
