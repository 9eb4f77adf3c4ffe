//! Checked launches on a GPU: ten kernels that go astray, each an error at its line with the device as
//! good as before; and what the checks cost.

#[path = "support/kernels.rs"]
mod kernels;

use kernels::{Q4K_COLS, Q4K_ROWS, TILE, saxpy, softmax, transpose};
use ptxgen_builder::build::{Args, AsyncBytes, In, InOut, Kernel, Out, Shared, kernel};
use ptxgen_dsl::catalogue::{Request, find};
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_runtime::{Argument, Buffer, Call, Device, DeviceError, LaunchArgs, LaunchShape};

fn gpu() -> Device {
    Device::cuda(0).unwrap_or_else(|e| panic!("this test needs an NVIDIA GPU: {e}"))
}

/// Launches a kernel that goes astray; holds what it says, and that the device works afterwards.
#[track_caller]
fn astray<'a, A: Args>(
    device: &Device,
    kernel: &Kernel<A>,
    shape: impl Into<LaunchShape>,
    args: impl LaunchArgs<'a, A>,
    line: u32,
    text: &str,
) {
    let loaded = device.load(kernel).unwrap_or_else(|e| panic!("{e}"));
    let launched = device.launch(&loaded, shape, args).and_then(|()| device.synchronize());
    let Err(DeviceError::Access(access)) = launched else { panic!("{launched:?}") };
    let message = access.to_string();
    assert!(message.contains(text), "{message}");
    let loc = access.loc.as_ref().expect("a line");
    assert_eq!((loc.line, loc.file.ends_with("gpu_checked.rs")), (line, true), "{message}");
    // It is told once, and the device works on.
    device.synchronize().unwrap();
    let saxpy = device.load(&saxpy()).unwrap();
    let (x, mut y) = (device.upload(&[1.0f32; 100]).unwrap(), device.upload(&[2.0f32; 100]).unwrap());
    device.launch(&saxpy, (4, 32), (100, 3.0, &x, &mut y)).unwrap();
    assert_eq!(y.read().unwrap(), [5.0; 100]);
}

fn numbers(device: &Device, n: u32) -> Buffer<u32> {
    device.upload(&(0..n).collect::<Vec<_>>()).unwrap()
}

/// The accesses that go astray, by kind.
mod planted {
    use super::*;

    #[test]
    #[ignore = "needs a GPU"]
    fn one_element_beyond_the_end() {
        let device = gpu();
        let line = line!() + 3;
        let k = kernel::<(In<u32>, Out<u32>)>("one_beyond", ["x", "y"], |k, (x, y)| {
            let i = k.global_thread_id();
            let value = x.at(i).load(k);
            y.at(i).store(k, value + 1u32);
        });
        // The view ends where the buffer goes on: what is not passed is outside.
        let (x, mut y) = (numbers(&device, 64), device.zeroed::<u32>(32).unwrap());
        astray(&device, &k, (1, 32), (x.slice(..20).unwrap(), &mut y), line, "`one_beyond` reads x[20] of 20 at ");
        assert_eq!(y.read().unwrap()[18..22], [19, 20, 1, 1], "a load outside gives 0");
    }

    #[test]
    #[ignore = "needs a GPU"]
    fn partly_beyond_the_end() {
        let device = gpu();
        let line = line!() + 2;
        let k = kernel::<(In<u32>, Out<u32>)>("partly", ["x", "y"], |k, (x, y)| {
            let [a, b] = x.at(k.thread_x() * 2u32).load_vec::<2>(k);
            y.at(k.thread_x()).store(k, a + b);
        });
        let (x, mut y) = (numbers(&device, 63), device.zeroed::<u32>(32).unwrap());
        astray(&device, &k, (1, 32), (&x, &mut y), line, "reads x[62..64] of 63");
    }

    #[test]
    #[ignore = "needs a GPU"]
    fn a_negative_index() {
        let device = gpu();
        let line = line!() + 3;
        let k = kernel::<(u32, In<u32>, Out<u32>)>("negative", ["n", "x", "y"], |k, (n, x, y)| {
            let i = k.thread_x();
            let value = x.at(i - n).load(k);
            y.at(i).store(k, value);
        });
        let (x, mut y) = (numbers(&device, 32), device.zeroed::<u32>(32).unwrap());
        astray(&device, &k, (1, 32), (1u32, &x, &mut y), line, "(index -1 as a signed number)");
    }

    #[test]
    #[ignore = "needs a GPU"]
    fn a_huge_index() {
        let device = gpu();
        let line = line!() + 2;
        let k = kernel::<(InOut<u32>,)>("huge", ["x"], |k, (x,)| {
            x.at(k.thread_x() * 0x0800_0001u32).store(k, 7);
        });
        let mut x = numbers(&device, 32);
        astray(&device, &k, (1, 2), (&mut x,), line, "writes x[134217729] of 32");
    }

    #[test]
    #[ignore = "needs a GPU"]
    fn a_vector_at_the_edge() {
        let device = gpu();
        let line = line!() + 3;
        let k = kernel::<(InOut<f32>,)>("edge", ["x"], |k, (x,)| {
            let i = k.thread_x() * 4u32;
            x.at(i).store_vec(k, [1.0f32.into(), 2.0f32.into(), 3.0f32.into(), 4.0f32.into()]);
        });
        let mut x = device.zeroed::<f32>(64).unwrap();
        let part = x.slice_mut(..30).unwrap();
        astray(&device, &k, (1, 8), (part,), line, "writes x[28..32] of 30");
        assert_eq!(x.read().unwrap()[28..], [0.0; 36]);
    }

    #[test]
    #[ignore = "needs a GPU"]
    fn an_atomic() {
        let device = gpu();
        let line = line!() + 3;
        let k = kernel::<(InOut<u32>, Out<u32>)>("atomic", ["x", "y"], |k, (x, y)| {
            let i = k.thread_x();
            let old = x.at(i + 1u32).atomic_add(k, 1);
            y.at(i).store(k, old);
        });
        let (mut x, mut y) = (device.zeroed::<u32>(32).unwrap(), device.zeroed::<u32>(32).unwrap());
        astray(&device, &k, (1, 32), (&mut x, &mut y), line, "updates x[32] of 32");
    }

    #[test]
    #[ignore = "needs a GPU"]
    fn shared_memory_of_the_kernel() {
        let device = gpu();
        let line = line!() + 4;
        let k = kernel::<(u32, Out<u32>)>("static_shared", ["n", "y"], |k, (n, y)| {
            let tile = k.shared::<u32>(64);
            let i = k.thread_x();
            tile.at(i + n).store(k, i);
            k.barrier();
            y.at(i).store(k, tile.at(i).load(k));
        });
        let mut y = device.zeroed::<u32>(64).unwrap();
        astray(&device, &k.with_block(64), 1, (1, &mut y), line, "[64] of 64");
    }

    #[test]
    #[ignore = "needs a GPU"]
    fn shared_memory_of_the_launch() {
        let device = gpu();
        let line = line!() + 4;
        let k = kernel::<(Out<u32>,)>("dynamic_shared", ["y"], |k, (y,)| {
            let tile: Shared<u32> = k.dynamic_shared();
            let i = k.thread_x();
            tile.at(i).store(k, i);
            k.barrier();
            y.at(i).store(k, tile.at(i).load(k));
        });
        let mut y = device.zeroed::<u32>(64).unwrap();
        let shape = LaunchShape::from((1, 64)).with_dynamic_shared(100);
        astray(&device, &k, shape, (&mut y,), line, "] of 25 at ");
    }

    #[test]
    #[ignore = "needs a GPU"]
    fn an_asynchronous_copy() {
        let device = gpu();
        let line = line!() + 4;
        let k = kernel::<(In<u32>, Out<u32>)>("copy", ["x", "y"], |k, (x, y)| {
            let tile = k.shared::<u32>(128);
            let i = k.thread_x();
            k.copy_async(tile.at(i * 4u32), x.at(i * 4u32), AsyncBytes::B16);
            k.copy_async_commit();
            k.copy_async_wait(0);
            k.barrier();
            y.at(i).store(k, tile.at(i).load(k));
        });
        let (x, mut y) = (numbers(&device, 126), device.zeroed::<u32>(32).unwrap());
        astray(&device, &k.with_block(32), 1, (&x, &mut y), line, "reads x[124..128] of 126");
    }

    #[test]
    #[ignore = "needs a GPU"]
    fn after_many_that_are_inside() {
        let device = gpu();
        let line = line!() + 4;
        let k = kernel::<(u32, In<u32>, Out<u32>)>("many", ["n", "x", "y"], |k, (n, x, y)| {
            let sum = k.var::<u32>(0);
            k.for_(0u32, n, 1u32, |k, i, _| {
                sum.add(x.at(i).load(k));
            });
            y.at(0u32).store(k, sum.get());
        });
        let (x, mut y) = (numbers(&device, 9000), device.zeroed::<u32>(1).unwrap());
        astray(&device, &k, (1, 1), (10_000, &x, &mut y), line, "reads x[9000] of 9000");
        assert_eq!(y.read().unwrap(), [(0..9000).sum::<u32>()]);
    }

    #[test]
    #[ignore = "needs a GPU"]
    fn a_pointer_that_was_moved() {
        let device = gpu();
        let line = line!() + 4;
        let k = kernel::<(u32, InOut<u32>)>("moved", ["n", "x"], |k, (n, x)| {
            let row = x.at(k.thread_x() * 8u32);
            let next = row.at(n).plus(1);
            next.store(k, 9);
        });
        let mut x = numbers(&device, 32);
        astray(&device, &k, (1, 4), (7, &mut x), line, "writes x[32] of 32");
    }
}

#[test]
#[ignore = "needs a GPU"]
fn a_violation_shows_in_graphs_later_reads_and_other_streams() {
    let device = gpu();
    let k = kernel::<(u32, InOut<u32>)>("shift", ["n", "x"], |k, (n, x)| {
        x.at(k.global_thread_id() + n).store(k, 5);
    });
    let k = device.load(&k).unwrap();
    let mut x = device.zeroed::<u32>(64).unwrap();
    let access = |result: Result<(), DeviceError>| {
        let Err(DeviceError::Access(e)) = result else { panic!("{result:?}") };
        assert!(e.to_string().contains("writes x[64] of 64"), "{e}");
    };
    let (good, bad) = (k.bind((1, 32), (32, &mut x)).unwrap(), k.bind((1, 32), (33, &mut x)).unwrap());
    let graph = device.graph(&[good.clone(), bad.clone(), good.clone()]).unwrap();
    for _ in 0..3 {
        device.replay(&graph).unwrap();
        access(device.synchronize());
    }
    device.run(&bad).unwrap();
    access(x.read().map(drop));
    device.run(&bad).unwrap();
    let later = device.stream().read_later(x.view()).unwrap();
    access(later.wait().map(drop));
    let stream = device.new_stream().unwrap();
    stream.run(&bad).unwrap();
    access(stream.synchronize());
    // What is bound, run and dropped without a wait keeps its record until there is one.
    for n in 0..3000 {
        device.launch(&k, (1, 32), (u32::from(n == 1500), x.slice_mut(32..).unwrap())).unwrap();
    }
    assert!(matches!(device.synchronize(), Err(DeviceError::Access(_))));
    device.run(&good).unwrap();
    device.synchronize().unwrap();
    assert_eq!(x.read().unwrap()[32..], [5; 32]);
}

/// The time of a call, the median of several graphs of many.
fn time(device: &Device, call: &Call) -> f64 {
    const CALLS: usize = 50;
    let graph = device.graph(&vec![call.clone(); CALLS]).unwrap();
    device.replay(&graph).unwrap();
    let mut times: Vec<f64> = (0..15)
        .map(|_| {
            let start = device.stream().event().unwrap();
            device.replay(&graph).unwrap();
            let end = device.stream().event().unwrap();
            end.since(&start).unwrap().as_secs_f64() * 1e6 / CALLS as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Both in turn, three times; the medians.
fn compare(device: &Device, name: &str, checked: &Call, unchecked: &Call) {
    let mut pairs: Vec<(f64, f64)> = (0..3).map(|_| (time(device, checked), time(device, unchecked))).collect();
    pairs.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (checked, unchecked) = pairs[1];
    println!("{name:<42} {unchecked:>9.2} us {checked:>9.2} us {:>7.1} %", (checked / unchecked - 1.0) * 100.0);
}

#[test]
#[ignore = "needs a GPU"]
fn cost_of_the_checks() {
    let device = gpu();
    println!("{:<42} {:>12} {:>12} {:>9}", "kernel", "unchecked", "checked", "cost");

    let n: u32 = 1 << 26;
    let (x, mut y) = (device.zeroed::<f32>(n as usize).unwrap(), device.zeroed::<f32>(n as usize).unwrap());
    let k = device.load(&saxpy()).unwrap();
    let checked = k.bind((n / 256, 256), (n, 0.5, &x, &mut y)).unwrap();
    // SAFETY: it touches elements below n, and both buffers have as many.
    let unchecked = unsafe { k.bind_unchecked((n / 256, 256), (n, 0.5, &x, &mut y)).unwrap() };
    compare(&device, "saxpy, 2^26 elements", &checked, &unchecked);

    let (rows, cols) = (8192u32, 4096u32);
    let k = device.load(&softmax()).unwrap();
    let checked = k.bind(rows, (cols, &x, &mut y)).unwrap();
    // SAFETY: rows * cols is 2^25 elements, and both buffers have more.
    let unchecked = unsafe { k.bind_unchecked(rows, (cols, &x, &mut y)).unwrap() };
    compare(&device, "softmax, 8192 rows of 4096", &checked, &unchecked);

    let side = 8192u32;
    let k = device.load(&transpose()).unwrap();
    let grid = [side / TILE, side / TILE, 1];
    let checked = k.bind(grid, (side, side, &x, &mut y)).unwrap();
    // SAFETY: side * side is 2^26 elements, and both buffers have as many.
    let unchecked = unsafe { k.bind_unchecked(grid, (side, side, &x, &mut y)).unwrap() };
    compare(&device, "tiled transpose, 8192 x 8192", &checked, &unchecked);
    drop((x, y));

    for (act, title) in [(Act::F32, "f32"), (Act::Q8K, "q8k")] {
        let entry = find("q4k-gemv").expect("it is in the catalogue");
        let policy = Policy { act, acc: Acc::F32, ..Policy::default() };
        let mut request = Request::new(policy, device.target());
        (request.dims.rows, request.dims.cols) = (Some(Q4K_ROWS), Some(Q4K_COLS));
        let built = entry.build(&request).unwrap();
        let mut buffers: Vec<Buffer<u8>> =
            built.params.iter().map(|p| device.zeroed(p.bytes as usize).unwrap()).collect();
        let mut call = |checked: bool| {
            let function = if checked {
                device.load_launchable(&built.launch)
            } else {
                // SAFETY: it has no buffer of words.
                unsafe { device.load_launchable_unchecked(&built.launch) }
            };
            let specs = built.params.iter().zip(built.kernel().args());
            let arguments = specs.zip(&mut buffers).filter_map(|((param, info), buffer)| match *info {
                ptxgen_builder::build::ArgInfo::Buffer { ty, .. } if param.access.writes() => {
                    Some(Argument::write_as(ty, buffer.view_mut()))
                }
                ptxgen_builder::build::ArgInfo::Buffer { ty, .. } => Some(Argument::read_as(ty, buffer.view())),
                ptxgen_builder::build::ArgInfo::Scalar(_) => None,
            });
            function.unwrap().call(&arguments.collect::<Vec<_>>()).unwrap()
        };
        let (checked, unchecked) = (call(true), call(false));
        let name = format!("q4k-gemv, act {title}, {Q4K_ROWS} x {Q4K_COLS}");
        compare(&device, &name, &checked, &unchecked);
    }
    device.synchronize().unwrap();
}
