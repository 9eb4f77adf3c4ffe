//! Narrowing needs a rounding.
#![allow(unused_imports)]
use ptxgen_builder::build::*;

fn main() {
    kernel::<(f64, Out<f32>)>("k", ["a", "y"], |k, (a, y)| {
        y.store(k, a.to::<f32>());
    });
}
