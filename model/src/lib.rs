//! Quantized Qwen3-MoE from GGUF files.

pub mod bisect;
mod bundled;
pub mod compare;
pub mod config;
pub mod cpu;
pub mod device;
mod engine;
pub mod gguf;
mod likelihood;
mod load_error;
mod loaded;
pub mod plain;
pub mod policies;
pub mod report;
mod sample;
mod suggest;
pub mod synth;
pub mod tokenizer;
pub mod trace;
mod whole_file;

pub use bundled::bundled;
pub use config::{ConfigError, Qwen3MoeConfig, TensorRole};
pub use engine::{Engine, EngineError, LogitRows, Sequence};
pub use likelihood::negative_log_likelihood;
pub use load_error::LoadError;
pub use loaded::{DeviceName, LoadedModel, ParseRunError, RunSpec, SideSpec};
pub use sample::{Sampler, Sampling};
pub use whole_file::{WholeFile, abandon_unfinished_files};
