use ptxgen_builder::build::{InOut, kernel};

fn main() {
    kernel::<InOut<f32>>("alone", ["x"], |k, x| x.store(k, 1.0));
}
