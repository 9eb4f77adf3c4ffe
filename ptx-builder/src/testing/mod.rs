//! For tests of kernels: golden files, patterns in the PTX, proofs of precision, and runs with inputs by name. None of
//! it needs a GPU. Needs the feature `testing`.
//!
//! ```
//! use ptxgen_builder::build::{In, InOut, Kernel, kernel};
//! use ptxgen_builder::testing::{Accumulator, Harness, assert_patterns, assert_policy, ptx};
//!
//! /// y[i] = a * x[i] + y[i]
//! fn saxpy() -> Kernel<(u32, f32, In<f32>, InOut<f32>)> {
//!     kernel::<(u32, f32, In<f32>, InOut<f32>)>("saxpy", ["n", "a", "x", "y"], |k, (n, a, x, y)| {
//!         let i = k.global_thread_id();
//!         k.if_(i.lt(n), |k| {
//!             let sum = a.fma(x.at(i).load(k), y.at(i).load(k));
//!             y.at(i).store(k, sum);
//!         });
//!     })
//! }
//!
//! let run = Harness::new(&saxpy())
//!     .scalar("n", 3u32)
//!     .scalar("a", 2.0f32)
//!     .input("x", &[1.0f32, 2.0, 3.0])
//!     .inout("y", &[10.0f32, 20.0, 30.0])
//!     .block(32)
//!     .run()?;
//! assert_eq!(run.read::<f32>("y")?, [12.0, 24.0, 36.0]);
//!
//! assert_policy!(saxpy(), acc = Accumulator::F32);
//! assert_patterns(&ptx(&saxpy()), "check: fma.rn.f32\ncheck: st.global.f32");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`assert_golden!`](crate::assert_golden) compares a text with a file of the
//! crate under test; `BLESS=1 cargo test` writes the file.

mod bind;
mod element;
mod golden;
mod harness;
mod outcome;
mod patterns;
mod policy;
mod random;
mod shadow;
mod subject;

pub use crate::analysis::precision::Accumulator;
pub use crate::build::Dim3;
pub use crate::{assert_golden, assert_policy};
pub use bind::BindError;
pub use element::Element;
pub use golden::{GoldenError, GoldenErrors, GoldenFolder, assert_golden, blessing, check_golden};
pub use harness::Harness;
pub use outcome::{HarnessError, Outcome};
pub use patterns::{PatternError, assert_patterns, check_patterns};
pub use policy::{PolicyError, Proof, Violation};
pub use random::Random;
pub use shadow::{OutputErrors, Shadow};
pub use subject::{Subject, TARGET, ptx};
