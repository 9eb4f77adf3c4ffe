//! A condition is a predicate, not a number.
#![allow(unused_imports)]
use ptxgen_builder::build::*;

fn main() {
    kernel::<(u32,)>("k", ["n"], |k, (n,)| {
        k.if_(n, |_| {});
    });
}
