//! The sum of a block's values in f64: shuffles within warps, shared memory between them. Then the same with the
//! barrier left out, which the interpreter reports at the line of the read.

use ptxgen::prelude::*;
use ptxgen::testing::{Harness, HarnessError, Outcome};

const THREADS: u32 = 128;

type Args = (In<f32>, Out<f32>);

fn block_sum(with_barrier: bool) -> Kernel<Args> {
    let kernel = kernel::<Args>("block_sum", ["x", "y"], |k, (x, y)| {
        let thread = k.thread_x();
        let (lane, warp) = (thread & 31, thread >> 5);
        let partial = k.shared::<f64>(THREADS / 32);

        let mut sum: Val<f64> = x.at(thread).load(k).to();
        for distance in [1u32, 2, 4, 8, 16] {
            sum = sum + k.shuffle_xor(sum, distance);
        }
        partial.at(warp).store_if(k, lane.eq(0), sum);
        if with_barrier {
            k.barrier();
        }
        k.if_(thread.eq(0), |k| {
            let first = partial.load(k);
            let total = (1..i64::from(THREADS / 32)).fold(first, |total, w| total + partial.plus(w).load(k));
            y.store(k, total.to_rn::<f32>());
        });
    });
    kernel.with_block(THREADS)
}

fn run(with_barrier: bool, x: &[f32]) -> Result<Outcome, HarnessError> {
    Harness::new(&block_sum(with_barrier)).input("x", x).output::<f32>("y", 1).allow_findings().run()
}

fn main() -> Result<(), HarnessError> {
    let x: Vec<f32> = (0..THREADS).map(|i| i as f32).collect();
    for with_barrier in [true, false] {
        let outcome = run(with_barrier, &x)?;
        println!("with the barrier: {with_barrier}; sum {:?}", outcome.read::<f32>("y")?);
        print!("{}", outcome.report());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptxgen::builder::interp::FindingKind;
    use ptxgen::testing::{Accumulator, Random, assert_policy};

    #[test]
    fn it_runs() -> Result<(), HarnessError> {
        main()
    }

    #[test]
    fn the_sum_is_in_f64() -> Result<(), HarnessError> {
        // Integers below 2^24 have the same f64 sum in any order.
        let mut random = Random::new(2);
        let x: Vec<f32> = (0..THREADS).map(|_| random.below(1 << 24) as f32).collect();
        let outcome = run(true, &x)?;
        assert!(outcome.report().is_clean(), "{}", outcome.report());
        let expected: f64 = x.iter().copied().map(f64::from).sum();
        assert_eq!(outcome.read::<f32>("y")?, [expected as f32]);
        assert_policy!(block_sum(true), acc = Accumulator::F64, stages = 1, output = "y");
        Ok(())
    }

    #[test]
    fn the_forgotten_barrier_is_found() -> Result<(), HarnessError> {
        let outcome = run(false, &[1.0; THREADS as usize])?;
        let races: Vec<_> = outcome.report().of(FindingKind::Race).collect();
        assert!(!races.is_empty());
        assert!(
            races.iter().all(|race| race.site.text.starts_with("ld.shared") || race.site.text.contains("st.shared"))
        );
        Ok(())
    }
}
