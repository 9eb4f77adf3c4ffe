//! Quantized Qwen3-MoE from GGUF files.

mod bundled;
pub mod config;
pub mod gguf;

pub use bundled::{BUNDLED_NAME, bundled, bundled_bytes};
pub use config::{ConfigError, Qwen3MoeConfig, TensorRole};
