//! Each parameter has a name.
#![allow(unused_imports)]
use ptxgen_builder::build::*;

fn main() {
    kernel::<(u32, Out<f32>)>("k", ["n"], |k, (_, y)| {
        y.store(k, 1.0);
    });
}
