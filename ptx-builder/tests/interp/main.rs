//! The interpreter on whole kernels, written as PTX.

mod asynchronous;
mod common;
mod compute;
mod faults;
mod fuzz;
mod matrix;
mod nvcc;
mod proxies;
mod races;
mod waiting;
