//! The tests that the examples carry.
#![allow(dead_code)] // their `main`s

#[path = "../examples/block_sum.rs"]
mod block_sum;
#[path = "../examples/custom_format.rs"]
mod custom_format;
#[path = "../examples/histogram.rs"]
mod histogram;
#[path = "../examples/int8_mma.rs"]
mod int8_mma;
#[path = "../examples/on_a_device.rs"]
mod on_a_device;
#[path = "../examples/rms_norm.rs"]
mod rms_norm;
#[path = "../examples/saxpy.rs"]
mod saxpy;
#[path = "../examples/softmax.rs"]
mod softmax;
#[path = "../examples/transpose.rs"]
mod transpose;
