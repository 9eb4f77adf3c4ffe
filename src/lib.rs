//! Typed GPU kernels in Rust: PTX with proven precision, and a quantized
//! mixture-of-experts model that runs on it.
//!
//! This crate is the facade: it re-exports the four library crates. A kernel
//! author starts with [`prelude`] and needs none of the features:
//!
//! ```toml
//! [dependencies]
//! ptxgen = { version = "0.1", default-features = false }
//!
//! [dev-dependencies]
//! ptxgen = { version = "0.1", default-features = false, features = ["testing"] }
//! ```
//!
//! The folder `examples/own-crate` of the repository is such a crate.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | none | [`builder`] (kernels, verifier, printer, parser, interpreter) and [`dsl`] (device functions, formats, the kernel catalogue) |
//! | `testing` | `testing`: golden files, patterns, proofs of precision and the interpreter with inputs by name, for kernels' tests |
//! | `runtime` | `runtime`: CUDA devices through the driver, and the interpreter as a device |
//! | `model` | `model`: GGUF files, tokenizer, Qwen3-MoE and Qwen3; implies `runtime` |
//! | `cli` (default) | the command `ptxgen`; implies `model` |
#[cfg(all(doctest, feature = "model", feature = "testing"))]
mod book;
pub mod prelude;

pub use ptxgen_builder as builder;
pub use ptxgen_dsl as dsl;
#[cfg(feature = "model")]
pub use ptxgen_model as model;
#[cfg(feature = "runtime")]
pub use ptxgen_runtime as runtime;

#[cfg(feature = "testing")]
pub mod testing {
    //! [`builder::testing`](crate::builder::testing), with the words of the policies.

    pub use ptxgen_builder::testing::*;
    pub use ptxgen_dsl::precision::{Acc, Act};
    pub use ptxgen_dsl::proof::PolicyProof;
}
