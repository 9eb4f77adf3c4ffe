//! The interpreter on whole kernels, written as PTX.

mod common;
mod compute;
mod faults;
mod races;
