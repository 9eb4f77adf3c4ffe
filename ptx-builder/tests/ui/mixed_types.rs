//! An f32 does not add to a u64.
#![allow(unused_imports)]
use ptxgen_builder::build::*;

fn main() {
    kernel::<(f32, u64, Out<f32>)>("k", ["a", "n", "y"], |k, (a, n, y)| {
        y.store(k, a + n);
    });
}
