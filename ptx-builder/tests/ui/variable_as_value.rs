use ptxgen_builder::build::{Out, kernel};

fn main() {
    kernel::<(Out<u32>,)>("variable", ["y"], |k, (y,)| {
        let i = k.var(0u32);
        y.store(k, i);
    });
}
