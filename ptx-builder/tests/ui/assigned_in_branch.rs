use ptxgen_builder::build::{Out, Val, kernel};

fn main() {
    kernel::<(u32, Out<u32>)>("branch", ["n", "y"], |k, (n, y)| {
        let i = k.thread_x();
        let mut last = Val::from(7u32);
        let mut all = Vec::new();
        k.if_(i.lt(n), |_| last = i);
        k.if_else(i.lt(n), |_| all.push(i + 1), |_| last = i);
        k.while_(|_| i.lt(n), |_, _| last = last + 1);
        k.loop_(|k, c| {
            last = i;
            c.break_if(k, i.lt(n));
        });
        y.store(k, last);
    });
}
