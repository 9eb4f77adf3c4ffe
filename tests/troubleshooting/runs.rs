//! What the interpreter finds in a kernel that runs, and what it says about a launch that does not start.

use ptxgen::{
    builder::interp::{Arg, Launch, Memory},
    builder::table::{Mod, Op},
    prelude::*,
    runtime::{Argument, Device, DeviceError},
    testing::Harness,
};

pub fn messages() -> Vec<String> {
    [findings(), launches()].concat()
}

/// What one block of 64 threads over 64 floats each says.
fn found(write: impl FnOnce(&Body, ReadOnly<f32>, Global<f32>)) -> String {
    let bad = kernel::<(In<f32>, InOut<f32>)>("bad", ["x", "y"], |k, (x, y)| write(k, x, y)).with_block(64);
    let run = || -> Result<(), DeviceError> {
        let device = Device::interp();
        let bad = device.load(&bad)?;
        let (x, mut y) = (device.zeroed::<f32>(64)?, device.zeroed::<f32>(64)?);
        device.launch(&bad, 1, (&x, &mut y))
    };
    run().expect_err("a mistake is found").to_string()
}

fn findings() -> Vec<String> {
    vec![
        found(|k, x, y| {
            let i = k.thread_x();
            let value = x.at(i + 1).load(k);
            y.at(i).store(k, value);
        }),
        found(|k, x, y| {
            let i = k.thread_x() & 7;
            let four = x.at(i).load_vec::<4>(k);
            y.store(k, four[0]);
        }),
        found(|k, x, y| {
            let tile = k.shared::<f32>(64);
            let i = k.thread_x();
            let mine = x.at(i).load(k);
            tile.at(i).store(k, mine);
            let other = tile.at(i ^ 32).load(k);
            y.at(i).store(k, other);
        }),
        found(|k, _, y| {
            let tile = k.shared::<f32>(64);
            let i = k.thread_x();
            let value = tile.at(i).load(k);
            y.at(i).store(k, value);
        }),
        found(|k, x, y| {
            let tile = k.shared_aligned::<f32>(64, 16);
            let i = k.thread_x();
            k.copy_async(tile.at(i), x.at(i), AsyncBytes::B4);
            k.copy_async_commit();
            let value = tile.at(i).load(k);
            k.copy_async_wait(0);
            y.at(i).store(k, value);
        }),
        found(|k, _, _| {
            let t = k.thread_x();
            k.if_(t.lt(32), |k| k.barrier_among(1, 64));
        }),
        found(|k, _, _| {
            let t = k.thread_x();
            k.trap_if(t.eq(0));
        }),
        endless(),
        too_many_blocks(),
        run_alone(&kernel::<(u32,)>("lock", ["n"], |k, (_,)| {
            let lock = k.shared::<u32>(1);
            lock.store_if(k, k.thread_x().eq(0), 0);
            k.barrier();
            k.loop_(|k, c| c.break_if(k, lock.atomic_compare_exchange(k, 0u32, 1u32).eq(0)));
        })),
        found(|k, x, y| {
            let tile = k.shared_aligned::<f32>(64, 16);
            let i = k.thread_x();
            let value = x.at(i).load(k);
            tile.at(i).store(k, value);
            k.barrier();
            k.if_(i.eq(0), |k| {
                let mods = [Mod::Global, Mod::SharedCta, Mod::BulkGroup];
                k.emit(Op::CpAsyncBulk, &mods, &[y.operand(), tile.operand(), Val::from(256u32).operand()]);
                k.emit(Op::CpAsyncBulkCommitGroup, &[], &[]);
                k.emit(Op::CpAsyncBulkWaitGroup, &[], &[Val::from(0u32).operand()]);
            });
        }),
    ]
}

fn endless() -> String {
    run_alone(&kernel::<(u32,)>("endless", ["n"], |k, (n,)| {
        let last = k.shared::<u32>(1);
        k.if_(k.thread_x().eq(0), |k| {
            k.loop_(|k, c| {
                last.store(k, 1);
                c.break_if(k, n.gt(1));
            });
        });
    }))
}

/// A kernel of one block says this.
fn run_alone(endless: &Kernel<(u32,)>) -> String {
    let module = endless.verify(Target::SM_80).unwrap_or_else(|e| panic!("{e}"));
    let options = Options { max_steps: 1000, ..Options::default() };
    let launch = Launch {
        module: &module,
        kernel: endless.name(),
        grid: [1, 1, 1],
        block: [32, 1, 1],
        dynamic_shared: 0,
        args: &[Arg::from(1u32)],
        globals: None,
        options: &options,
    };
    launch.run(&mut Memory::new()).expect("it starts").to_string()
}

/// What is said of a grid whose blocks wait for each other, of which only two fit on a multiprocessor.
fn too_many_blocks() -> String {
    let k = kernel::<(InOut<u32>,)>("grid", ["count"], |k, (count,)| {
        k.if_(k.thread_x().eq(0), |k| {
            count.atomic_add_acq_rel(k, 1u32);
            k.loop_(|k, c| c.break_if(k, count.load_acquire(k).ge(k.grid_dim_x())));
        });
    });
    Harness::new(&k.with_block(1024)).grid(300).inout("count", &[0u32]).run().expect_err("it never ends").to_string()
}

fn launches() -> Vec<String> {
    let bind = |threads: u32, arguments: &[Argument<'_>]| -> Result<(), DeviceError> {
        let ones = kernel::<(u32, Out<f32>)>("ones", ["n", "y"], |k, (n, y)| {
            let i = k.global_thread_id();
            y.at(i).store_if(k, i.lt(n), 1.0);
        });
        let ones = Device::interp().load(&ones.with_block(128))?;
        ones.function().bind((1, threads), arguments).map(|_| ())
    };
    vec![
        bind(100, &[]).expect_err("another block").to_string(),
        bind(128, &[]).expect_err("no arguments").to_string(),
        bind(128, &[1u32.into(), 1u32.into()]).expect_err("a number for a buffer").to_string(),
    ]
}
