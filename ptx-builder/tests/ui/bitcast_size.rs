//! A bitcast keeps the size.
#![allow(unused_imports)]
use ptxgen_builder::build::*;

fn main() {
    kernel::<(f32, Out<u64>)>("k", ["a", "y"], |k, (a, y)| {
        y.store(k, a.bitcast::<u64>());
    });
}
