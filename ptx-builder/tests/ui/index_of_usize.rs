use ptxgen_builder::build::{In, Out, kernel};

fn main() {
    let offsets = [0, 32, 64];
    kernel::<(In<f32>, Out<f32>)>("offsets", ["x", "y"], |k, (x, y)| {
        for i in 0..offsets.len() {
            y.at(i).store(k, x.at(i).load(k));
        }
    });
}
