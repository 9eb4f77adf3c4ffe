//! A first kernel: built, verified, printed, and run without a GPU.

use ptxgen::prelude::*;
use ptxgen::testing::{Harness, HarnessError, ptx};

/// y[i] = a * x[i] + y[i], for i below n
fn saxpy() -> Kernel<(u32, f32, In<f32>, InOut<f32>)> {
    kernel::<(u32, f32, In<f32>, InOut<f32>)>("saxpy", ["n", "a", "x", "y"], |k, (n, a, x, y)| {
        let i = k.global_thread_id();
        k.if_(i.lt(n), |k| {
            let sum = a.fma(x.at(i).load(k), y.at(i).load(k));
            y.at(i).store(k, sum);
        });
    })
}

/// Runs it in the interpreter, in blocks of 64 threads.
fn run(a: f32, x: &[f32], y: &[f32]) -> Result<Vec<f32>, HarnessError> {
    let n = x.len() as u32;
    let harness = Harness::new(&saxpy()).scalar("n", n).scalar("a", a).input("x", x).inout("y", y);
    harness.grid(n.div_ceil(64)).block(64).run()?.read("y")
}

fn main() -> Result<(), HarnessError> {
    println!("{}", ptx(&saxpy()));
    println!("{:?}", run(2.0, &[1.0, 2.0, 3.0], &[10.0, 20.0, 30.0])?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptxgen::testing::{Accumulator, Random, assert_policy};

    #[test]
    fn it_runs() -> Result<(), HarnessError> {
        main()
    }

    #[test]
    fn it_is_the_fused_sum() -> Result<(), HarnessError> {
        let mut random = Random::new(1);
        for n in [1, 63, 64, 200] {
            let (a, x, y) = (random.float(), random.vector(n), random.vector(n));
            let expected: Vec<f32> = x.iter().zip(&y).map(|(x, y)| a.mul_add(*x, *y)).collect();
            assert_eq!(run(a, &x, &y)?, expected);
        }
        Ok(())
    }

    #[test]
    fn it_computes_in_f32() {
        assert_policy!(saxpy(), acc = Accumulator::F32, output = "y");
    }
}
