use ptxgen_builder::build::{In, Out, kernel};

fn main() {
    kernel::<(In<f32>, Out<f32>)>("brackets", ["x", "y"], |k, (x, y)| {
        let i = k.thread_x();
        y.at(i).store(k, x[i]);
    });
}
