//! An integer constant does not add to a float.
#![allow(unused_imports)]
use ptxgen_builder::build::*;

fn main() {
    kernel::<(f32, Out<f32>)>("k", ["a", "y"], |k, (a, y)| {
        y.store(k, a + 1u32);
    });
}
