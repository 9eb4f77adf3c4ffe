use ptxgen_builder::build::{In, Out, Val, kernel};

fn main() {
    kernel::<(In<f32>, Out<f32>)>("sum", ["x", "y"], |k, (x, y)| {
        let mut sum = Val::from(0.0f32);
        k.for_(0, 4, 1, |k, i, _| sum += x.at(i).load(k));
        y.store(k, sum);
    });
}
