use ptxgen_builder::build::{Out, kernel};

fn main() {
    kernel::<(u32, Out<u32>)>("compared", ["n", "y"], |k, (n, y)| {
        let i = k.thread_x();
        if i < n {
            y.at(i).store(k, 1);
        }
    });
}
