//! What only a GPU does. Every test needs one and fails without.

use std::fs;
use std::time::{Duration, Instant};

use ptxgen_builder::build::{In, InOut, Kernel, Out, kernel};
use ptxgen_builder::target::Target;
use ptxgen_runtime::{Call, CodeCache, CudaOptions, Device, DeviceError, DriverInfo, LaunchShape};

fn gpu() -> Device {
    gpu_with(CudaOptions::default())
}

fn gpu_with(options: CudaOptions) -> Device {
    Device::cuda_with(0, options).unwrap_or_else(|e| panic!("this test needs an NVIDIA GPU: {e}"))
}

/// `y[i] = 3 * x[i] + 1`, waiting for the kernel before where the target can.
fn step(target: Target) -> Kernel<(In<u32>, Out<u32>)> {
    kernel::<(In<u32>, Out<u32>)>("step", ["x", "y"], |k, (x, y)| {
        if target >= Target::SM_90 {
            k.launch_dependents();
            k.grid_dependency_wait();
        }
        let i = k.global_thread_id();
        // Not through the read-only path: the kernel before wrote it.
        let value = x.at(i).load(k) * 3 + 1;
        y.at(i).store(k, value);
    })
    .with_block(128)
}

fn stepped(steps: u32, start: u32) -> u32 {
    (0..steps).fold(start, |v, _| v.wrapping_mul(3).wrapping_add(1))
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn the_driver_tells_what_there_is() {
    let info = DriverInfo::query().expect("a driver with a GPU");
    let gpu = &info.gpus[0];
    assert!(gpu.target.is_some() && gpu.memory > 1 << 30 && gpu.l2 > 0 && gpu.shared >= 48 << 10, "{info:?}");
    let missing = info.gpus.len();
    assert!(
        matches!(Device::cuda(missing), Err(DeviceError::NoSuchGpu { asked, found }) if asked == missing && found == missing)
    );
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn long_uploads_arrive_whole_and_fast() {
    let device = gpu();
    // No multiple of a piece, and more pieces than there is staging.
    let len = (100 << 20) + 12_345;
    let bytes: Vec<u8> = (0..len).map(|i| (i * 7 + (i >> 13)) as u8).collect();
    // The first upload makes the staging.
    drop(device.upload(&bytes).unwrap());
    let start = Instant::now();
    let buffer = device.upload(&bytes).unwrap();
    device.synchronize().unwrap();
    let rate = len as f64 / start.elapsed().as_secs_f64() / 1e9;
    println!("uploads: {rate:.1} GB/s");
    assert!(buffer.read().unwrap() == bytes);
    assert!(rate > 1.0, "{rate} GB/s");
    // Into the middle of a buffer, beyond what the driver stages by itself.
    let mut target = device.zeroed::<u8>(1 << 20).unwrap();
    target.write(1000, &bytes[..700_000]).unwrap();
    assert!(target.slice(1000..701_000).unwrap().read().unwrap() == bytes[..700_000]);
    assert!(target.slice(..1000).unwrap().read().unwrap().iter().all(|&b| b == 0));
    assert!(target.slice(701_000..).unwrap().read().unwrap().iter().all(|&b| b == 0));
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn too_much_memory_is_told_with_numbers() {
    let device = gpu();
    let memory = device.memory().unwrap();
    assert!(memory.free <= memory.total);
    let asked = memory.total * 2;
    for error in [device.require(asked).err(), device.alloc::<u8>(asked as usize).err()] {
        let Some(DeviceError::OutOfMemory { needed, free, .. }) = error else { panic!("{error:?}") };
        assert!(needed == asked && free <= memory.total);
    }
    assert!(matches!(device.alloc::<f64>(usize::MAX), Err(DeviceError::OutOfMemory { .. })));
    // The device works on.
    assert_eq!(device.upload(&[1u8, 2]).unwrap().read().unwrap(), [1, 2]);
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn chains_that_overlap_give_what_plain_launches_give() {
    let device = gpu();
    let step = device.load(&step(device.target())).unwrap();
    let (blocks, steps) = (264, 64);
    let start: Vec<u32> = (0..blocks * 128).collect();
    let (mut a, mut b) = (device.upload(&start).unwrap(), device.zeroed(start.len()).unwrap());
    let calls: Vec<Call> = (0..steps)
        .map(|i| if i % 2 == 0 { step.bind(blocks, (&a, &mut b)) } else { step.bind(blocks, (&b, &mut a)) })
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(calls[0].waits_itself(), device.target() >= Target::SM_90);
    for call in &calls {
        device.run(call).unwrap();
    }
    let expect = |steps| start.iter().map(|&v| stepped(steps, v)).collect::<Vec<u32>>();
    assert!(a.read().unwrap() == expect(steps));
    let graph = device.graph(&calls).unwrap();
    for _ in 0..10 {
        device.replay(&graph).unwrap();
    }
    assert!(a.read().unwrap() == expect(11 * steps));
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn events_measure_the_device_s_time() {
    let device = gpu();
    let wait = kernel::<(InOut<u64>,)>("wait", ["t"], |k, (t,)| {
        for _ in 0..8 {
            k.nanosleep(500_000u32);
        }
        let now = k.global_timer();
        t.at(0u32).store(k, now);
    });
    let wait = device.load(&wait).unwrap();
    let mut t = device.zeroed::<u64>(1).unwrap();
    let stream = device.new_stream().unwrap();
    let start = stream.event().unwrap();
    stream.run(&wait.bind((1, 1), (&mut t,)).unwrap()).unwrap();
    let end = stream.event().unwrap();
    let took = end.since(&start).unwrap();
    assert!(took > Duration::from_millis(1) && took < Duration::from_secs(1), "{took:?}");
    device.stream().wait(&end).unwrap();
    assert!(t.read().unwrap()[0] > 0);
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn dynamic_shared_memory_up_to_the_device_s_most() {
    let device = gpu();
    let most = DriverInfo::query().unwrap().gpus[0].shared;
    let words = most / 4;
    let last = kernel::<(Out<u32>,)>("last_word", ["y"], |k, (y,)| {
        let shared = k.dynamic_shared::<u32>();
        shared.at(words - 1).store(k, 77u32);
        let value = shared.at(words - 1).load(k);
        y.at(0u32).store(k, value);
    });
    let last = device.load(&last).unwrap();
    let mut y = device.zeroed::<u32>(1).unwrap();
    device.launch(&last, LaunchShape::from((1, 1)).with_dynamic_shared(most), (&mut y,)).unwrap();
    assert_eq!(y.read().unwrap(), [77]);
    let more = device.launch(&last, LaunchShape::from((1, 1)).with_dynamic_shared(most + 1), (&mut y,));
    assert!(matches!(more, Err(DeviceError::Launch(_))), "{more:?}");
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn kept_code_is_used_and_broken_code_is_made_anew() {
    let folder = std::env::temp_dir().join(format!("ptxgen-cache-test-{}", std::process::id()));
    let run = || {
        let device = gpu_with(CudaOptions { cache: CodeCache::Folder(folder.clone()), ..CudaOptions::default() });
        let step = device.load(&step(device.target())).unwrap();
        let (x, mut y) = (device.upload(&[5u32; 128]).unwrap(), device.zeroed::<u32>(128).unwrap());
        device.launch(&step, 1, (&x, &mut y)).unwrap();
        assert_eq!(y.read().unwrap(), [16; 128]);
    };
    run();
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()).collect();
    let [file] = &files[..] else { panic!("one kernel, {files:?}") };
    let whole = fs::read(file).unwrap();
    fs::write(file, &whole[..whole.len() / 2]).unwrap();
    run();
    assert!(fs::read(file).unwrap() == whole, "the same code again");
    fs::remove_dir_all(&folder).unwrap();
    // A folder that cannot be made.
    fs::write(&folder, "in the way").unwrap();
    run();
    fs::remove_file(&folder).unwrap();
}
