//! A histogram of bytes: atomics on shared memory for each block's counts, then one atomic on global memory for each
//! bin that is not zero.

use ptxgen::prelude::*;
use ptxgen::testing::{Harness, HarnessError};

/// Number of bins, and of threads per block.
const BINS: u32 = 256;

type Args = (u32, In<u8>, InOut<u32>);

/// Adds to bins[v] the number of bytes equal to v among `n` bytes.
fn histogram() -> Kernel<Args> {
    let kernel = kernel::<Args>("histogram", ["n", "bytes", "bins"], |k, (n, bytes, bins)| {
        let thread = k.thread_x();
        let counts = k.shared::<u32>(BINS);
        counts.at(thread).store(k, 0u32);
        k.barrier();

        let (first, threads) = (k.global_thread_id(), k.grid_dim_x() * BINS);
        k.for_(first, n, threads, |k, i, _| {
            let byte = bytes.at(i).load(k).to::<u32>();
            counts.at(byte).atomic_add_unread(k, 1u32);
        });
        k.barrier();

        let count = counts.at(thread).load(k);
        k.if_(count.ne(0), |k| bins.at(thread).atomic_add_unread(k, count));
    });
    kernel.with_block(BINS)
}

/// Adds to `bins` in the interpreter, with a grid of `blocks` blocks.
fn run(blocks: u32, bytes: &[u8], bins: &[u32], options: Options) -> Result<Vec<u32>, HarnessError> {
    let harness = Harness::new(&histogram()).scalar("n", bytes.len() as u32).input("bytes", bytes).inout("bins", bins);
    harness.grid(blocks).options(options).run()?.read("bins")
}

fn main() -> Result<(), HarnessError> {
    let bins = run(1, b"a histogram of bytes", &[0; 256], Options::default())?;
    for (byte, count) in bins.iter().enumerate().filter(|(_, count)| **count > 1) {
        println!("{:?} {count} times", byte as u8 as char);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptxgen::builder::interp::WarpOrder;
    use ptxgen::testing::Random;

    #[test]
    fn it_runs() -> Result<(), HarnessError> {
        main()
    }

    #[test]
    fn it_counts_in_any_order() -> Result<(), HarnessError> {
        let mut random = Random::new(9);
        for (blocks, n) in [(1, 0), (1, 5), (3, 2000)] {
            let bytes = random.bytes(n);
            let before: Vec<u32> = (0..BINS).map(|_| random.below(100) as u32).collect();
            let mut expected = before.clone();
            bytes.iter().for_each(|&byte| expected[usize::from(byte)] += 1);
            for order in [WarpOrder::RoundRobin, WarpOrder::Seeded(1), WarpOrder::Adversarial] {
                assert_eq!(run(blocks, &bytes, &before, Options { order, ..Options::default() })?, expected);
            }
        }
        Ok(())
    }
}
