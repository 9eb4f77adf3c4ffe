use ptxgen_builder::build::{InOut, kernel};
use ptxgen_builder::half::f16;

fn main() {
    kernel::<(InOut<f16>,)>("halves", ["y"], |k, (y,)| {
        let v = y.load(k);
        y.store(k, v * v);
    });
}
