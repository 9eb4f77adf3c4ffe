//! Constants cannot be written.
#![allow(unused_imports)]
use ptxgen_builder::build::*;

fn main() {
    kernel::<(Out<f32>,)>("k", ["y"], |k, (y,)| {
        let table = k.constants(&[1.0f32, 2.0]);
        table.store(k, 1.0);
        y.store(k, 1.0);
    });
}
