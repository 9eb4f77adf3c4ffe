//! A shuffle moves 32 or 64 bits.
#![allow(unused_imports)]
use ptxgen_builder::build::*;

fn main() {
    kernel::<(Out<u16>,)>("k", ["y"], |k, (y,)| {
        let v = Val::from(1u16);
        let w = k.shuffle_xor(v, 1);
        y.store(k, w);
    });
}
