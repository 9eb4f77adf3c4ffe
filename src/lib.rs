//! Typed GPU kernels in Rust: PTX with proven precision, and a quantized
//! mixture-of-experts model that runs on it.
//!
//! This crate is the facade: it re-exports the four library crates.
pub mod prelude;

pub use ptxgen_builder as builder;
pub use ptxgen_dsl as dsl;
pub use ptxgen_model as model;
pub use ptxgen_runtime as runtime;
