//! A shared pointer is no global pointer.
#![allow(unused_imports)]
use ptxgen_builder::build::*;

fn main() {
    fn reads_global(k: &Body, p: Global<f32>) -> Val<f32> {
        p.load(k)
    }
    kernel::<(Out<f32>,)>("k", ["y"], |k, (y,)| {
        let tile = k.shared::<f32>(32);
        let v = reads_global(k, tile);
        y.store(k, v);
    });
}
