//! The crate of `docs/transcripts/own-kernel.md`: its kernel and its tests, as they stand there.

extern crate self as my_kernels;

#[path = "../docs/transcripts/own-kernel/lib.rs"]
mod kernels;
#[path = "../docs/transcripts/own-kernel/layer_norm.rs"]
mod tests;

pub use kernels::layer_norm;
