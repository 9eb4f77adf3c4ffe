//! The sum of a block's values in f64: shuffles within warps, shared memory
//! between them. Then the same with the barrier forgotten, which the
//! interpreter reports at the line of the read.

use ptxgen::prelude::*;

const THREADS: u32 = 128;

type Args = (In<f32>, Out<f32>);

fn block_sum(with_barrier: bool) -> Kernel<Args> {
    let kernel = kernel::<Args>("block_sum", ["x", "y"], |k, (x, y)| {
        let thread = k.thread_x();
        let (lane, warp) = (thread & 31, thread >> 5);
        let partial = k.shared::<f64>(THREADS / 32);

        let mut sum: Val<f64> = x.at(thread).load(k).to();
        for distance in [1u32, 2, 4, 8, 16] {
            let other = k.shuffle_xor(sum, distance);
            sum = sum + other;
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let values: Vec<u8> = (0..THREADS).flat_map(|i| (i as f32).to_le_bytes()).collect();
    for with_barrier in [true, false] {
        let module = block_sum(with_barrier).verify(Target::SM_80)?;
        let mut memory = Memory::new();
        let (x, y) = (memory.alloc(&values, 16)?, memory.alloc_uninit(4, 16)?);
        let launch = Launch {
            module: &module,
            kernel: "block_sum",
            grid: [1, 1, 1],
            block: [THREADS, 1, 1],
            dynamic_shared: 0,
            args: &[Arg::from(x), Arg::from(y)],
            globals: None,
            options: &Options::default(),
        };
        let report = launch.run(&mut memory)?;
        println!("with the barrier: {with_barrier}; sum bytes {:?}", memory.read(y)?);
        for finding in &report.findings {
            println!("  {finding}");
        }
        assert_eq!(report.is_clean(), with_barrier);
    }
    Ok(())
}
