use ptxgen_builder::build::{Out, kernel};

fn main() {
    kernel::<(u32, Out<u32>)>("variable", ["n", "y"], |k, (n, y)| {
        let i = k.var(0u32);
        k.while_(|_| i.lt(n), |_, _| i.set(i.get() + 1));
        y.store(k, i.max(n));
    });
}
