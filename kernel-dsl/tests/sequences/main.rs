//! Stages one after the other in one kernel give the bits of a kernel for each.

mod chains;
mod every;
mod planted;
mod proved;
mod refused;
#[path = "../support/mod.rs"]
mod support;
mod together;
