//! The device interface, on the interpreter and (ignored where none is requested) on a GPU.

use ptxgen_builder::build::{In, InOut, Kernel, Out, kernel};
use ptxgen_builder::interp::{FindingKind, Options};
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{Blocks, Dims, How, Request, Schedule, Shape, Store, Vector, find, gemv};
use ptxgen_dsl::format::{Q4K, Q6K};
use ptxgen_dsl::precision::{Acc, AccF64, Act, ActQ8K, Policy};
use ptxgen_runtime::{
    Argument, ArgumentError, Call, Device, DeviceError, InterpOptions, LaunchError, LaunchShape, Transfer,
};

/// One test for the interpreter and one for the GPU.
macro_rules! on_each_device {
    ($($name:ident),* $(,)?) => {
        mod interp {
            $(#[test] fn $name() { super::$name(&super::Device::interp()) })*
        }

        mod gpu {
            $(#[test] #[ignore = "needs an NVIDIA GPU"] fn $name() { super::$name(&super::gpu()) })*
        }
    };
}

on_each_device! {
    buffers_hold_what_is_written_and_views_are_parts_of_them,
    typed_launches_calls_and_graphs_give_the_same,
    views_are_arguments,
    untyped_arguments_are_checked_when_bound,
    formats_are_in_the_types_of_parameters_and_buffers,
    streams_events_and_later_reads,
    transfers_copy_between_devices_in_order,
    shapes_are_checked_before_the_launch,
}

fn gpu() -> Device {
    Device::cuda(0).unwrap_or_else(|e| panic!("this test needs an NVIDIA GPU: {e}"))
}

/// `y[i] = a * x[i] + y[i]` for `i < n`.
fn saxpy() -> Kernel<(u32, f32, In<f32>, InOut<f32>)> {
    kernel::<(u32, f32, In<f32>, InOut<f32>)>("saxpy", ["n", "a", "x", "y"], |k, (n, a, x, y)| {
        let i = k.global_thread_id();
        k.if_(i.lt(n), |k| {
            let sum = a.fma(x.at(i).load(k), y.at(i).load(k));
            y.at(i).store(k, sum);
        });
    })
}

/// `y[i] = x[i] + 1`, for one block of 32.
fn increment() -> Kernel<(In<u32>, Out<u32>)> {
    kernel::<(In<u32>, Out<u32>)>("increment", ["x", "y"], |k, (x, y)| {
        let i = k.thread_x();
        let sum = x.at(i).load(k) + 1;
        y.at(i).store(k, sum);
    })
    .with_block(32)
}

/// To another handle of the same GPU, or another interpreter, and back.
fn transfers_copy_between_devices_in_order(device: &Device) {
    let other = if device.is_interpreter() { Device::interp() } else { gpu() };
    transfers_go_back_and_forth([device, &other]);
}

#[test]
#[ignore = "needs two NVIDIA GPUs"]
fn transfers_between_two_gpus_are_in_order() {
    let second = Device::cuda(1).unwrap_or_else(|e| panic!("this test needs two NVIDIA GPUs: {e}"));
    transfers_go_back_and_forth([&gpu(), &second]);
}

/// Each device increments what it gets and hands it on, many times without a wait.
fn transfers_go_back_and_forth(devices: [&Device; 2]) {
    let mut x = devices.map(|d| d.upload(&(0..32).collect::<Vec<u32>>()).unwrap());
    let mut y = devices.map(|d| d.zeroed::<u32>(32).unwrap());
    let kernels = devices.map(|d| d.load(&increment()).unwrap());
    let calls = [0, 1].map(|i| kernels[i].bind((1, 32), (&x[i], &mut y[i])).unwrap());
    let hand_on = [0, 1].map(|i| Transfer::new(y[i].view(), x[1 - i].view_mut()).unwrap());
    assert_eq!((hand_on[0].len(), hand_on[0].is_empty()), (32, false));
    for _ in 0..100 {
        for i in [0, 1] {
            devices[i].run(&calls[i]).unwrap();
            hand_on[i].run(20).unwrap();
        }
    }
    let handed = |i: u32| if i < 20 { i + 200 } else { i };
    assert_eq!(x[0].read().unwrap(), (0..32).map(handed).collect::<Vec<_>>());
    hand_on[0].run(0).unwrap();
    assert_eq!(message(hand_on[0].run(33)), "elements 0..33 of a buffer of 32 u32: the copy was prepared for fewer");
    let [one, other] = &mut x;
    let short = Transfer::new(one.view(), other.slice_mut(..31).unwrap());
    assert_eq!(message(short), "elements 0..32 of a buffer of 31 u32: the source of a copy has another length");
}

fn message(error: Result<impl std::fmt::Debug, DeviceError>) -> String {
    error.expect_err("an error").to_string()
}

fn buffers_hold_what_is_written_and_views_are_parts_of_them(device: &Device) {
    let mut b = device.upload(&[0u16, 1, 2, 3, 4, 5]).unwrap();
    assert_eq!((b.len(), b.bytes(), b.is_empty()), (6, 12, false));
    b.write(1, &[10, 20]).unwrap();
    b.slice_mut(4..).unwrap().write(&[40, 50]).unwrap();
    assert_eq!(b.read().unwrap(), [0, 10, 20, 3, 40, 50]);
    assert_eq!(b.slice(1..=2).unwrap().slice(1..).unwrap().read().unwrap(), [20]);
    assert_eq!(b.slice(2..4).unwrap().cast::<u32>().unwrap().read().unwrap(), [3 << 16 | 20]);
    assert_eq!(device.zeroed::<f64>(3).unwrap().read().unwrap(), [0.0; 3]);
    assert!(device.upload::<u8>(&[]).unwrap().read().unwrap().is_empty());

    assert_eq!(message(b.slice(4..7)), "elements 4..7 of a buffer of 6 u16: it is not inside of the buffer");
    assert_eq!(message(b.write(5, &[1, 2])), "elements 5..7 of a buffer of 6 u16: it is not inside of the buffer");
    #[allow(clippy::reversed_empty_ranges)]
    let backwards = b.slice(3..2);
    assert!(backwards.is_err());
    assert!(message(b.slice(1..).unwrap().cast::<u32>()).contains("no whole elements"));
    assert!(message(b.view().read_to(&mut [0; 2])).contains("another length"));
}

fn typed_launches_calls_and_graphs_give_the_same(device: &Device) {
    let saxpy = device.load(&saxpy()).unwrap();
    let x = device.upload(&[1.0f32; 100]).unwrap();
    let mut y = device.zeroed::<f32>(100).unwrap();
    device.launch(&saxpy, (4, 32), (100, 1.0, &x, &mut y)).unwrap();
    let call = saxpy.bind(([2, 1, 1], [64, 1, 1]), (100, 2.0, &x, &mut y)).unwrap();
    device.run(&call).unwrap();
    assert_eq!(y.read().unwrap(), [3.0; 100]);
    let graph = device.graph(&[call.clone(), call]).unwrap();
    // The graph keeps what it uses alive.
    drop((saxpy, x));
    device.replay(&graph).unwrap();
    assert_eq!(y.read().unwrap(), [7.0; 100]);
    assert_eq!(graph.calls().len(), 2);
}

fn views_are_arguments(device: &Device) {
    let increment = device.load(&increment()).unwrap();
    let x = device.upload(&(0..64).collect::<Vec<u32>>()).unwrap();
    let mut y = device.zeroed::<u32>(64).unwrap();
    device.launch(&increment, 1, (x.slice(32..).unwrap(), y.slice_mut(..32).unwrap())).unwrap();
    assert_eq!(y.slice(..32).unwrap().read().unwrap(), (33..=64).collect::<Vec<u32>>());
    let odd = increment.bind(1, (x.slice(1..33).unwrap(), &mut y));
    assert_eq!(
        message(odd),
        "kernel `increment`, parameter 0 (`increment_x`): it needs a buffer that starts at a multiple of 16 bytes; \
         this view starts 4 bytes after one"
    );
}

fn shapes_are_checked_before_the_launch(device: &Device) {
    let increment = device.load(&increment()).unwrap();
    let x = device.zeroed::<u32>(32).unwrap();
    let mut y = device.zeroed::<u32>(32).unwrap();
    assert!(message(increment.bind((1, 64), (&x, &mut y))).contains("requires [32, 1, 1] (.reqntid)"));
    assert!(message(increment.bind(0, (&x, &mut y))).contains("grid [0, 1, 1]"));
    let saxpy = device.load(&saxpy()).unwrap();
    let mut f = device.zeroed::<f32>(1).unwrap();
    let g = device.zeroed::<f32>(1).unwrap();
    assert!(message(saxpy.bind(1, (1, 1.0, &g, &mut f))).contains("the launch has to give one"));
    assert!(message(saxpy.bind((1, 2048), (1, 1.0, &g, &mut f))).contains("1 to 1024 threads"));
    let much = saxpy.bind(LaunchShape::from((1, 32)).with_dynamic_shared(1 << 20), (1, 1.0, &g, &mut f));
    let failed = much.and_then(|call: Call| device.run(&call));
    assert!(matches!(failed, Err(DeviceError::Launch(LaunchError::Shared { .. }))), "{failed:?}");
}

fn untyped_arguments_are_checked_when_bound(device: &Device) {
    let dims = Dims { rows: Some(8), cols: Some(256), ..Dims::NONE };
    let request = Request { dims, ..Request::new(Policy::new(Act::F32, Acc::F32), device.target()) };
    let built = find("q4k-gemv").unwrap().build(&request).unwrap();
    let gemv = device.load_launchable(&built.launch).unwrap();
    let inputs = built.sample_inputs(1);
    let w = device.upload(&inputs[0]).unwrap();
    let x: Vec<f32> = inputs[1].as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let x = device.upload(&x).unwrap();
    let mut y = device.alloc::<f32>(8).unwrap();
    let call = gemv.call(&[(&w).into(), (&x).into(), (&mut y).into()]).unwrap();
    device.run(&call).unwrap();
    let trial = built.try_out(&built.verify().unwrap(), &inputs, &Options::default()).unwrap();
    let bytes: Vec<u8> = y.read().unwrap().iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(bytes, trial.outputs[0]);

    let what = |arguments: &[Argument<'_>]| match gemv.call(arguments) {
        Err(DeviceError::Argument { index, param, what, .. }) => format!("{index} {param}: {what}"),
        other => format!("{other:?}"),
    };
    let short = w.slice(..100).unwrap();
    let bytes = device.zeroed::<u8>(1 << 12).unwrap();
    let mut other = Device::interp().zeroed::<f32>(8).unwrap();
    assert_eq!(
        what(&[short.into(), (&x).into(), (&mut y).into()]),
        "0 w: it needs a buffer of 1152 bytes, and got 100"
    );
    let blocks = device.upload_as::<Blocks<Q6K<'static>>>(&inputs[0]).unwrap();
    assert_eq!(
        what(&[(&blocks).into(), (&x).into(), (&mut y).into()]),
        "0 w: it takes a buffer of Q4_K blocks, and got a buffer of Q6_K blocks"
    );
    assert_eq!(
        what(&[(&w).into(), (&bytes).into(), (&mut y).into()]),
        "1 x: it takes a buffer of f32, and got a buffer of u8"
    );
    assert_eq!(
        what(&[(&w).into(), (&x).into(), (&x).into()]),
        "2 y: it takes a buffer of f32 to write (`&mut`), and got a buffer of f32"
    );
    assert_eq!(what(&[(&w).into(), 7u32.into(), (&mut y).into()]), "1 x: it takes a buffer of f32, and got a u32");
    assert_eq!(what(&[(&w).into(), (&x).into(), (&mut other).into()]), format!("2 y: {}", ArgumentError::Foreign));
    assert!(matches!(
        gemv.call(&[(&w).into()]),
        Err(DeviceError::Launch(LaunchError::ArgCount { expected: 3, got: 1, .. }))
    ));
}

/// A product whose matrix and vector are both bytes to the kernel: that they are not swapped is told by their types
/// (`ui/weights_for_activations.rs`).
fn formats_are_in_the_types_of_parameters_and_buffers(device: &Device) {
    let dims = Dims { rows: Some(8), cols: Some(256), ..Dims::NONE };
    let request = Request { dims, ..Request::new(Policy::new(Act::Q8K, Acc::F64), device.target()) };
    let built = find("q4k-gemv").unwrap().build(&request).unwrap();
    let inputs = built.sample_inputs(2);
    let trial = built.try_out(&built.verify().unwrap(), &inputs, &Options::default()).unwrap();

    let how = How::new(Schedule::default(), device.target());
    let shape = Shape { rows: 8, cols: 256 };
    let launch = gemv::<Q4K<'static>, ActQ8K, AccF64, Store>("q4k-gemv", shape, how).unwrap().alone();
    let kernel = device.load(&launch.kernel).unwrap();
    let w = device.upload_as::<Blocks<Q4K<'static>>>(&inputs[0]).unwrap();
    let x = device.upload_as::<Vector<ActQ8K>>(&inputs[1]).unwrap();
    assert_eq!(format!("{w:?}"), format!("Buffer of {} u8 (Q4_K blocks) on {}", 8 * 144, device.name()));
    let mut y = device.alloc::<f32>(8).unwrap();
    let shape = LaunchShape::from((launch.grid, [launch.block, 1, 1])).with_dynamic_shared(launch.dynamic_shared);
    device.launch(&kernel, shape, (&w, &x, &mut y)).unwrap();
    let bytes: Vec<u8> = y.read().unwrap().iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(bytes, trial.outputs[0]);
}

/// A graph's launches start as early as they could on a GPU where that is requested, unless they are in order.
#[test]
fn launches_of_a_graph_overlap_where_that_is_asked_for() {
    let device = Device::interp_with(InterpOptions { overlap: true, ..InterpOptions::default() });
    let double = kernel::<(In<u32>, Out<u32>)>("double", ["x", "y"], |k, (x, y)| {
        let i = k.global_thread_id();
        let early = x.at(i).load(k);
        k.grid_dependency_wait();
        k.launch_dependents();
        y.at(i).store(k, early * 2);
    });
    let double = device.load(&double).unwrap();
    let x = device.upload(&[3u32; 32]).unwrap();
    let (mut y, mut z) = (device.zeroed::<u32>(32).unwrap(), device.zeroed::<u32>(32).unwrap());
    let first = double.bind((1, 32), (&x, &mut y)).unwrap();
    let second = double.bind((1, 32), (&y, &mut z)).unwrap();
    assert!(first.waits_itself() && double.function().overlap().early[0].reads);
    device.replay(&device.graph(&[first.clone(), second.clone().in_order()]).unwrap()).unwrap();
    assert_eq!(z.read().unwrap(), [12; 32]);
    let error = device.replay(&device.graph(&[first, second]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("EarlyAccess") && error.contains("before it waits it reads x["), "{error}");
}

#[test]
fn what_the_interpreter_finds_is_an_error() {
    let device = Device::interp();
    let increment = device.load(&increment()).unwrap();
    let unwritten = device.alloc::<u32>(32).unwrap();
    let mut y = device.zeroed::<u32>(32).unwrap();
    let Err(DeviceError::Findings(report)) = device.launch(&increment, 1, (&unwritten, &mut y)) else {
        panic!("reads unwritten memory");
    };
    assert!(report.of(FindingKind::Uninitialized).next().is_some());
    let short = device.zeroed::<u32>(8).unwrap();
    let outside = device.launch(&increment, 1, (&short, &mut y));
    let Err(DeviceError::Access(access)) = &outside else { panic!("{outside:?}") };
    assert_eq!((access.kernel.as_str(), access.block, access.thread), ("increment", [0; 3], [8, 0, 0]));
    let error = message(outside);
    assert!(error.contains("OutOfBounds") && error.contains("device.rs"), "{error}");
    // The device is as good as before.
    let x = device.zeroed::<u32>(32).unwrap();
    device.launch(&increment, 1, (&x, &mut y)).unwrap();
    assert_eq!(y.read().unwrap(), [1; 32]);
}

fn streams_events_and_later_reads(device: &Device) {
    let increment = device.load(&increment()).unwrap();
    let x = device.upload(&[41u32; 32]).unwrap();
    let mut y = device.alloc::<u32>(32).unwrap();
    let stream = device.new_stream().unwrap();
    let start = stream.event().unwrap();
    stream.run(&increment.bind(1, (&x, &mut y)).unwrap()).unwrap();
    let end = stream.event().unwrap();
    device.stream().wait(&end).unwrap();
    let later = device.stream().read_later(y.slice(..2).unwrap()).unwrap();
    y.write(0, &[0; 2]).unwrap();
    assert_eq!(later.wait().unwrap(), [42; 2], "as they were when asked for");
    assert!(end.since(&start).unwrap() > std::time::Duration::ZERO);
    let other = Device::interp();
    assert!(message(other.stream().wait(&end)).contains("event of another device"));
    assert!(message(other.graph(&[increment.bind(1, (&x, &mut y)).unwrap()])).contains("kernel of another device"));
}

#[test]
fn modules_are_loaded_for_the_device_s_target() {
    let device = Device::interp_with(InterpOptions { target: Target::SM_80, ..InterpOptions::default() });
    let newer = saxpy().verify(Target::SM_90).unwrap();
    assert!(message(device.load_module(newer)).contains("written for sm_90"));
    let module = device.load_module(saxpy().verify(Target::SM_75).unwrap()).unwrap();
    assert!(message(module.function("daxpy")).contains("no kernel `daxpy`; it has saxpy"));
    // Parameters of a module's kernel are known by size only.
    let f = module.function("saxpy").unwrap();
    let (x, mut y) = (device.upload(&[1.0f32]).unwrap(), device.upload(&[2.0f32]).unwrap());
    let call = f.bind((1, 32), &[1u32.into(), Argument::bytes(&3.0f32.to_le_bytes()), (&x).into(), (&mut y).into()]);
    device.run(&call.unwrap()).unwrap();
    assert_eq!(y.read().unwrap(), [5.0]);
    assert!(message(f.bind((1, 32), &[1u64.into(), 1.0f32.into(), (&x).into(), (&mut y).into()])).contains("4 bytes"));
    assert!(message(f.call(&[])).contains("has no default launch"));
}
