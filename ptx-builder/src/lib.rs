//! PTX as data.
//!
//! A [`Module`](ir::Module) is plain data: kernels consist of basic blocks, which consist of instructions. Each
//! instruction is an entry of the one [instruction table](table) with its operands. Everything in this crate is derived
//! from that table.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `testing` | golden files, patterns, proofs of precision and the interpreter with inputs by name, for kernels' tests |
//! | `conformance` | what each form of the table must do, as files that run on any device, for tests of this library |
//! | `random-modules` | random well-typed kernels, for tests of this library |
pub mod analysis;
pub mod build;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod exec;
pub mod guard;
pub mod interp;
pub mod ir;
pub mod opt;
pub mod parse;
pub mod print;
pub mod ptxas;
#[cfg(feature = "random-modules")]
pub mod random_modules;
pub mod table;
pub mod target;
#[cfg(feature = "testing")]
pub mod testing;
pub mod types;
pub mod verify;

/// The crate of 16-bit floats, [`f16`](half::f16) and [`bf16`](half::bf16), in the version that kernels take.
pub use half;
