//! A buffer of f32 does not take a u32.
#![allow(unused_imports)]
use ptxgen_builder::build::*;

fn main() {
    kernel::<(Out<f32>,)>("k", ["y"], |k, (y,)| {
        let i = k.thread_x();
        y.at(i).store(k, i);
    });
}
