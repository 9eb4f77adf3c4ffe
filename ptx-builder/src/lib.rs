//! PTX as data.
//!
//! A [`Module`](ir::Module) is plain data: kernels made of basic blocks made of
//! instructions, each an entry of the one [instruction table](table) with its
//! operands. Everything this crate does with it derives from that table.
pub mod analysis;
pub mod build;
#[cfg(feature = "conformance")]
pub mod conformance;
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
