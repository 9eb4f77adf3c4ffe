//! RMSNorm of rows, one block for each, summed in f64. The policy proves that a value is rounded to f32 once, when it
//! is stored.

use ptxgen::prelude::*;
use ptxgen::testing::{Harness, HarnessError};

const THREADS: u32 = 128;

type Args = (u32, f32, In<f32>, In<f32>, Out<f32>);

/// The sum of the block's values, on every thread: shuffles within warps, shared memory between them.
fn block_sum(k: &Body, value: Val<f64>) -> Val<f64> {
    let thread = k.thread_x();
    let partial = k.shared::<f64>(THREADS / 32);
    let mut sum = value;
    for distance in [1u32, 2, 4, 8, 16] {
        sum = sum + k.shuffle_xor(sum, distance);
    }
    partial.at(thread >> 5).store_if(k, (thread & 31).eq(0), sum);
    k.barrier();
    let first = partial.load(k);
    (1..THREADS / 32).fold(first, |total, warp| total + partial.plus(warp).load(k))
}

/// y = x / sqrt(mean of x^2 + eps) * w, for each row of `n` values.
fn rms_norm() -> Kernel<Args> {
    let kernel = kernel::<Args>("rms_norm", ["n", "eps", "x", "w", "y"], |k, (n, eps, x, w, y)| {
        let thread = k.thread_x();
        let row = k.block_x() * n;
        let (x, y) = (x.at(row), y.at(row));

        let squares = k.var::<f64>(0.0);
        k.for_(thread, n, THREADS, |k, i, _| {
            let value = x.at(i).load(k).to::<f64>();
            squares.add_product(value, value);
        });
        let mean = block_sum(k, squares.get()) / n.to_rn::<f64>();
        let scale = (mean + eps.to::<f64>()).sqrt().recip();

        k.for_(thread, n, THREADS, |k, i, _| {
            let scaled = x.at(i).load(k).to::<f64>() * scale * w.at(i).load(k).to::<f64>();
            y.at(i).store(k, scaled.to_rn::<f32>());
        });
    });
    kernel.with_block(THREADS)
}

/// Runs it in the interpreter on rows as long as `w`.
fn run(eps: f32, x: &[f32], w: &[f32]) -> Result<Vec<f32>, HarnessError> {
    let harness = Harness::new(&rms_norm()).scalar("n", w.len() as u32).scalar("eps", eps).input("x", x).input("w", w);
    harness.output::<f32>("y", x.len()).grid((x.len() / w.len()) as u32).run()?.read("y")
}

fn main() -> Result<(), HarnessError> {
    println!("{:?}", run(1e-6, &[3.0, -4.0, 0.0, 0.0], &[1.0; 4])?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptxgen::testing::{Accumulator, Random, assert_policy};

    /// The same on the host, in the same order.
    fn reference(eps: f32, x: &[f32], w: &[f32]) -> Vec<f32> {
        let mut sums = [0.0f64; THREADS as usize];
        for (i, x) in x.iter().enumerate() {
            let sum = &mut sums[i % THREADS as usize];
            *sum = f64::from(*x).mul_add(f64::from(*x), *sum);
        }
        for distance in [1, 2, 4, 8, 16] {
            let before = sums;
            for (thread, sum) in sums.iter_mut().enumerate() {
                *sum += before[thread ^ distance];
            }
        }
        let total: f64 = sums[32..].iter().step_by(32).fold(sums[0], |total, sum| total + sum);
        let scale = 1.0 / (total / x.len() as f64 + f64::from(eps)).sqrt();
        x.iter().zip(w).map(|(x, w)| (f64::from(*x) * scale * f64::from(*w)) as f32).collect()
    }

    #[test]
    fn it_runs() -> Result<(), HarnessError> {
        main()
    }

    #[test]
    fn it_is_the_norm() -> Result<(), HarnessError> {
        let mut random = Random::new(5);
        for n in [1, 5, 128, 300] {
            let (x, w) = (random.vector(2 * n), random.vector(n));
            let expected: Vec<f32> = x.chunks(n).flat_map(|x| reference(1e-6, x, &w)).collect();
            assert_eq!(run(1e-6, &x, &w)?, expected);
        }
        Ok(())
    }

    #[test]
    fn it_computes_in_f64_and_rounds_once() {
        let facts = assert_policy!(rms_norm(), acc = Accumulator::F64, stages = 1, output = "y");
        assert!(!facts.accumulations.is_empty());
    }
}
