//! Quantized Qwen3-MoE from GGUF files.
