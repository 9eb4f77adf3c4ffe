//! Kernels for several vectors, several matrices, and sums that are added to
//! what is there: the bits of the reference for each product.

mod down;
mod every;
mod matrices;
mod norms;
mod pass;
#[path = "../support/mod.rs"]
mod support;
mod tiles;
mod ways;
