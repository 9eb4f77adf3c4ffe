//! Float atomics would make the order of a sum an accident.
#![allow(unused_imports)]
use ptxgen_builder::build::*;

fn main() {
    kernel::<(Out<f32>,)>("k", ["y"], |k, (y,)| {
        y.atomic_add(k, 1.0);
    });
}
