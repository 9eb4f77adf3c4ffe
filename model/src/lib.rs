//! Quantized Qwen3-MoE from GGUF files.

mod bundled;
pub mod config;
pub mod gguf;
mod suggest;
pub mod synth;
pub mod tokenizer;

pub use bundled::{BUNDLED_NAME, bundled, bundled_bytes};
pub use config::{ConfigError, Qwen3MoeConfig, TensorRole};
pub use suggest::nearest;
