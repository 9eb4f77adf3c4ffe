//! Programs that people wrote and that a run must judge right: a copy that needs a fence, a lock that each lane
//! takes, a barrier of the whole grid.

use ptxgen_builder::build::{In, InOut, Kernel, Out, Val, kernel};
use ptxgen_builder::interp::{Blocks, FindingKind, Options, WarpOrder};
use ptxgen_builder::table::{Mod, Op};
use ptxgen_builder::testing::Harness;

const SCHEDULES: [Blocks; 2] = [Blocks::Parallel, Blocks::Interleaved];
const ORDERS: [WarpOrder; 3] = [WarpOrder::RoundRobin, WarpOrder::Seeded(9), WarpOrder::Adversarial];

/// Every order of warps and schedule of blocks.
fn all_options() -> impl Iterator<Item = Options> {
    let each = |schedule| ORDERS.map(|order| Options { order, schedule, ..Options::default() });
    SCHEDULES.into_iter().flat_map(each)
}

/// Threads write shared memory, and a bulk copy takes it out to global memory.
fn bulk_out(fenced: bool) -> Kernel<(In<u32>, Out<u32>)> {
    let k = kernel::<(In<u32>, Out<u32>)>("bulk_out", ["x", "y"], |k, (x, y)| {
        let t = k.shared_aligned::<u32>(128, 128);
        let i = k.thread_x();
        t.at(i).store(k, x.at(i).load(k));
        if fenced {
            k.fence_async_shared();
        }
        k.barrier();
        k.if_(i.eq(0), |k| {
            let bytes = Val::from(512u32).operand();
            k.emit(Op::CpAsyncBulk, &[Mod::Global, Mod::SharedCta, Mod::BulkGroup], &[y.operand(), t.operand(), bytes]);
            k.emit(Op::CpAsyncBulkCommitGroup, &[], &[]);
            k.emit(Op::CpAsyncBulkWaitGroup, &[], &[Val::from(0u32).operand()]);
        });
    });
    k.with_block(128)
}

#[test]
fn a_copy_engine_reads_what_was_fenced() {
    for options in all_options() {
        let harness = |fenced| {
            let k = bulk_out(fenced);
            Harness::new(&k).input("x", &[7u32; 128]).output::<u32>("y", 128).options(options).run()
        };
        assert_eq!(harness(true).expect("clean").read::<u32>("y").expect("y"), [7; 128]);
        let Err(missing) = harness(false) else { panic!("the fence is missing") };
        let message = missing.to_string();
        assert!(message.contains(&format!("{:?}", FindingKind::ProxyFence)), "{message}");
        assert!(message.contains("fence.proxy.async") && message.contains("rust_cases.rs"), "{message}");
    }
}

/// Every lane takes a lock, adds one and gives it back.
fn lock() -> Kernel<(InOut<u32>, InOut<u32>)> {
    let k = kernel::<(InOut<u32>, InOut<u32>)>("lock", ["lock", "sum"], |k, (lock, sum)| {
        k.loop_(|k, c| c.break_if(k, lock.atomic_compare_exchange(k, 0u32, 1u32).eq(0)));
        k.fence_gpu();
        sum.store(k, sum.load(k) + 1);
        k.fence_gpu();
        lock.atomic_exchange(k, 0u32);
    });
    k.with_block(64)
}

#[test]
fn each_lane_gets_the_lock() {
    let k = lock();
    for options in all_options() {
        let options = Options { max_steps: 100_000, ..options };
        let run = Harness::new(&k).grid(3).inout("lock", &[0u32]).inout("sum", &[0u32]).options(options).run();
        let run = run.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(run.read::<u32>("sum").expect("sum"), [3 * 64]);
        assert_eq!(run.read::<u32>("lock").expect("lock"), [0]);
    }
}

/// Blocks of a whole multiprocessor's threads wait until all have come.
fn grid_barrier(threads: u32) -> Kernel<(InOut<u32>,)> {
    let k = kernel::<(InOut<u32>,)>("grid_barrier", ["count"], |k, (count,)| {
        k.if_(k.thread_x().eq(0), |k| {
            count.atomic_add_acq_rel(k, 1u32);
            k.loop_(|k, c| c.break_if(k, count.load_acquire(k).ge(k.grid_dim_x())));
        });
        k.barrier();
    });
    k.with_block(threads)
}

#[test]
fn a_barrier_of_the_grid_ends_where_the_grid_fits() {
    for options in all_options() {
        let options = Options { max_steps: 100_000, ..options };
        let k = grid_barrier(32);
        let run = Harness::new(&k).grid(8).inout("count", &[0u32]).options(options).run();
        assert_eq!(run.unwrap_or_else(|e| panic!("{e}")).read::<u32>("count").expect("count"), [8]);
        // 132 multiprocessors hold two blocks of 1,024 threads each.
        let k = grid_barrier(1024);
        let run = |blocks| Harness::new(&k).grid(blocks).inout("count", &[0u32]).options(options).run();
        assert_eq!(run(264).unwrap_or_else(|e| panic!("{e}")).read::<u32>("count").expect("count"), [264]);
        let Err(endless) = run(265) else { panic!("the last block never starts") };
        let message = endless.to_string();
        assert!(message.contains("264 blocks, as many as the largest sm_90 GPU holds at once"), "{message}");
        assert!(message.contains("the other 1 start only when one ends"), "{message}");
    }
}
