//! An input buffer cannot be written.
#![allow(unused_imports)]
use ptxgen_builder::build::*;

fn main() {
    kernel::<(In<f32>,)>("k", ["x"], |k, (x,)| {
        x.store(k, 1.0);
    });
}
