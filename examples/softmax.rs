//! Softmax of rows, one warp for each: the maximum and the sum use shuffles.

use ptxgen::dsl::device::DeviceExp;
use ptxgen::prelude::*;
use ptxgen::testing::{Harness, HarnessError};

type Args = (u32, In<f32>, Out<f32>);

/// Combines the values of the warp's lanes, two at a time; every lane gets the result.
fn reduce(k: &Body, value: Val<f32>, combine: impl Fn(Val<f32>, Val<f32>) -> Val<f32>) -> Val<f32> {
    [16u32, 8, 4, 2, 1].into_iter().fold(value, |value, distance| combine(value, k.shuffle_xor(value, distance)))
}

/// The softmax of each row of `n` values, with a block of one warp per row.
fn softmax() -> Kernel<Args> {
    let kernel = kernel::<Args>("softmax", ["n", "x", "y"], |k, (n, x, y)| {
        let lane = k.lane();
        let row = k.block_x() * n;
        let (x, y) = (x.at(row), y.at(row));

        // Each lane processes every 32nd value; then the lanes combine their results.
        let largest = k.var::<f32>(f32::NEG_INFINITY);
        k.for_(lane, n, 32u32, |k, i, _| {
            let value = x.at(i).load(k);
            largest.update(|largest| largest.max(value));
        });
        let largest = reduce(k, largest.get(), |a, b| a.max(b));

        let sum = k.var::<f32>(0.0);
        k.for_(lane, n, 32u32, |k, i, _| sum.add(f32::exponential(x.at(i).load(k) - largest)));
        let sum = reduce(k, sum.get(), |a, b| a + b);

        k.for_(lane, n, 32u32, |k, i, _| {
            let power = f32::exponential(x.at(i).load(k) - largest);
            y.at(i).store(k, power / sum);
        });
    });
    kernel.with_block(32)
}

/// Runs it in the interpreter on rows of `n` values.
fn run(n: usize, x: &[f32]) -> Result<Vec<f32>, HarnessError> {
    let harness = Harness::new(&softmax()).scalar("n", n as u32).input("x", x).output::<f32>("y", x.len());
    harness.grid((x.len() / n) as u32).run()?.read("y")
}

fn main() -> Result<(), HarnessError> {
    println!("{:?}", run(4, &[0.0, 1.0, 2.0, 3.0, 5.0, 5.0, 5.0, 5.0])?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptxgen::dsl::reference::exp_f32;
    use ptxgen::testing::{Accumulator, Random, assert_policy};

    /// The same on the host, in the same order: the kernel's exponential uses only IEEE operations, so the results
    /// agree to the last bit.
    fn reference(x: &[f32]) -> Vec<f32> {
        let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sums = [0.0f32; 32];
        for (i, x) in x.iter().enumerate() {
            sums[i % 32] += exp_f32(x - largest);
        }
        for distance in [16, 8, 4, 2, 1] {
            let before = sums;
            for (lane, sum) in sums.iter_mut().enumerate() {
                *sum += before[lane ^ distance];
            }
        }
        x.iter().map(|x| exp_f32(x - largest) / sums[0]).collect()
    }

    #[test]
    fn it_runs() -> Result<(), HarnessError> {
        main()
    }

    #[test]
    fn it_is_the_softmax() -> Result<(), HarnessError> {
        let mut random = Random::new(3);
        for n in [1, 2, 31, 32, 33, 100] {
            let x: Vec<f32> = random.vector(3 * n).into_iter().map(|x| 20.0 * x).collect();
            let y = run(n, &x)?;
            for (x, y) in x.chunks(n).zip(y.chunks(n)) {
                assert_eq!(y, reference(x));
                assert!((y.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            }
        }
        Ok(())
    }

    #[test]
    fn nothing_is_approximate() {
        assert_policy!(softmax(), acc = Accumulator::F32, approximate = false, output = "y");
    }
}
