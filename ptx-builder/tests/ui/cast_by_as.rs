use ptxgen_builder::build::{Out, kernel};

fn main() {
    kernel::<(Out<f32>,)>("cast", ["y"], |k, (y,)| {
        let i = k.thread_x();
        y.at(i).store(k, i as f32);
    });
}
