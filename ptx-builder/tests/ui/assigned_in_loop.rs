use ptxgen_builder::build::{In, Out, Val, kernel};

fn main() {
    kernel::<(In<f32>, Out<f32>)>("prefix", ["x", "y"], |k, (x, y)| {
        let mut sum = Val::from(0.0f32);
        k.for_(0, 4, 1, |k, i, _| {
            // A variable of the program that writes the kernel, not of the kernel: that is `k.var`.
            sum = sum + x.at(i).load(k);
            y.at(i).store(k, sum);
        });
    });
}
