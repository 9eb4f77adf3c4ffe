//! What goes wrong with GPUs, on a machine that has none: each scenario runs in a process of its own,
//! which finds a stand-in for the driver that fails where it is told to.
#![cfg(target_os = "linux")]

#[path = "support/driver.rs"]
mod driver;

use driver::Driver;
use ptxgen_builder::build::{In, Kernel, Out, kernel};
use ptxgen_runtime::{CudaVersion, Device, DeviceError, DriverInfo, Transfer};
use std::process::Command;

/// Set where a scenario runs.
const INSIDE: &str = "PTXGEN_TEST_INSIDE";

/// Runs the test of this name again with a driver, and `scenario` there.
#[track_caller]
fn with(driver: Driver, test: &str, settings: &str, scenario: impl FnOnce()) -> Driver {
    if std::env::var_os(INSIDE).is_some() {
        scenario();
        return driver;
    }
    let mut command = Command::new(std::env::current_exe().expect("a test binary"));
    command.args([test, "--exact", "--nocapture"]).env(INSIDE, "yes");
    driver.give(&mut command, settings);
    let output = command.output().expect("it runs");
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    driver
}

/// Whether this process is the one that starts others: only there the driver's log is whole.
fn outside() -> bool {
    std::env::var_os(INSIDE).is_none()
}

fn copy() -> Kernel<(In<f32>, Out<f32>)> {
    let copy = kernel::<(In<f32>, Out<f32>)>("copy", ["x", "y"], |k, (x, y)| {
        let i = k.global_thread_id();
        let value = x.at(i).load(k);
        y.at(i).store(k, value);
    });
    copy.with_block(32)
}

/// Loads a kernel, launches it twice and reads what it wrote.
fn launched(device: &Device) -> Result<Vec<f32>, DeviceError> {
    let copy = device.load(&copy())?;
    let (x, mut y) = (device.upload(&[1.0f32; 32])?, device.zeroed::<f32>(32)?);
    device.launch(&copy, 1, (&x, &mut y))?;
    device.launch(&copy, 1, (&x, &mut y))?;
    y.read()
}

/// A scenario whose device starts and whose work fails with this error.
macro_rules! fails_with {
    ($($name:ident($settings:expr): $pattern:pat => $text:expr;)*) => {$(
        #[test]
        fn $name() {
            with(Driver::fake(), stringify!($name), $settings, || {
                let device = Device::cuda(0).expect("it starts");
                let error = launched(&device).expect_err("it fails");
                assert!(matches!(error, $pattern), "{error:?}");
                assert_eq!(error.to_string(), $text);
            });
        }
    )*};
}

fails_with! {
    a_launch_that_the_driver_refuses_is_named("cuLaunchKernelEx=701"):
        DeviceError::NotLaunched { .. } =>
        "`copy` cannot be launched on Fake GPU: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES: too many resources \
         requested for launch; `ptxgen doctor` tells whether the GPU works";
    a_kernel_that_fails_is_one_of_the_last("cuStreamSynchronize=700"):
        DeviceError::KernelFailed { .. } =>
        "a kernel failed on Fake GPU: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered; it is one \
         of the last launches (copy, copy); --device interp names the instruction";
    a_device_that_fails_is_lost("cuStreamSynchronize=214"):
        DeviceError::Lost { .. } =>
        "Fake GPU cannot be used by this process after an earlier failure (CUDA_ERROR_ECC_UNCORRECTABLE: uncorrectable ECC \
         error encountered); start the program again";
    other_answers_name_the_call("cuMemcpyHtoDAsync_v2=304"):
        DeviceError::Driver { call: "cuMemcpyHtoDAsync", .. } =>
        "cuMemcpyHtoDAsync failed on Fake GPU: CUDA_ERROR_OPERATING_SYSTEM: OS call failed or operation not supported \
         on this OS; `ptxgen doctor` tells whether the GPU works";
    memory_that_is_gone_meanwhile("cuMemAlloc_v2=2,free=77"):
        DeviceError::OutOfMemory { needed: 128, free: 77, .. } =>
        "not enough memory on Fake GPU: 128 bytes are needed and 77 are free; use a smaller model or context, or end \
         other programs on the GPU";
}

#[test]
fn what_is_refused_once_works_the_next_time() {
    let test = "what_is_refused_once_works_the_next_time";
    with(Driver::fake(), test, "cuMemsetD8Async=304@2", || {
        let device = Device::cuda(0).expect("it starts");
        let first = device.zeroed::<f32>(4).expect("memory");
        assert!(matches!(device.zeroed::<f32>(4), Err(DeviceError::Driver { call: "cuMemsetD8Async", .. })));
        // The device goes on, and the first buffer is what it was.
        assert_eq!(first.read().expect("it reads"), [0.0; 4]);
    });
}

#[test]
fn after_a_failure_every_call_says_so_and_the_process_ends_well() {
    let test = "after_a_failure_every_call_says_so_and_the_process_ends_well";
    let driver = with(Driver::fake(), test, "cuStreamSynchronize=700", || {
        let device = Device::cuda(0).expect("it starts");
        assert!(matches!(launched(&device), Err(DeviceError::KernelFailed { .. })));
        let lost = |error: DeviceError| {
            let DeviceError::Lost { reason, .. } = error else { panic!("{error:?}") };
            assert!(reason.starts_with("CUDA_ERROR_ILLEGAL_ADDRESS"), "{reason}");
        };
        lost(launched(&device).expect_err("it is lost"));
        lost(device.memory().expect_err("it is lost"));
        lost(device.alloc::<f32>(1).expect_err("it is lost"));
        lost(device.new_stream().map(drop).expect_err("it is lost"));
    });
    // Memory of a driver that has failed is not freed: that could end the process.
    if outside() {
        assert_eq!((driver.calls("cuStreamSynchronize"), driver.calls("cuMemFree_v2")), (1, 0));
    }
}

/// A download whose copy has begun, and of which an event cannot tell whether it has ended.
fn download_that_is_not_told_to_have_ended(test: &str, settings: &str) {
    let driver = with(Driver::fake(), test, settings, || {
        let device = Device::cuda(0).expect("it starts");
        let x = device.zeroed::<f32>(4).expect("memory");
        let later = device.stream().read_later(x.view());
        let told = later.and_then(|later| later.wait());
        assert!(matches!(told, Err(DeviceError::Driver { .. })), "{told:?}");
        // What fails for once does not end the device.
        assert_eq!(x.read().expect("it reads"), [0.0; 4]);
    });
    // The copy may still write to its memory, which the read does not get and which stays; the read's own goes.
    if outside() {
        assert_eq!((driver.calls("cuMemHostAlloc"), driver.calls("cuMemFreeHost")), (2, 1));
    }
}

#[test]
fn memory_of_a_download_without_an_event_is_not_given_back() {
    let test = "memory_of_a_download_without_an_event_is_not_given_back";
    download_that_is_not_told_to_have_ended(test, "cuEventRecord=304");
}

#[test]
fn memory_of_a_download_whose_event_fails_is_not_given_back() {
    let test = "memory_of_a_download_whose_event_fails_is_not_given_back";
    download_that_is_not_told_to_have_ended(test, "cuEventSynchronize=304");
}

/// If it is unknown whether the copy of an upload has ended, its memory is neither reused nor freed.
#[test]
fn memory_of_an_upload_that_may_be_under_way_is_not_used_again() {
    let test = "memory_of_an_upload_that_may_be_under_way_is_not_used_again";
    let driver = with(Driver::fake(), test, "cuEventRecord=304", || {
        let device = Device::cuda(0).expect("it starts");
        for _ in 0..2 {
            let long = device.upload(&vec![1u8; 1 << 20]);
            assert!(matches!(long, Err(DeviceError::Driver { call: "cuEventRecord", .. })), "{long:?}");
        }
    });
    if outside() {
        assert_eq!((driver.calls("cuMemHostAlloc"), driver.calls("cuMemFreeHost")), (2, 0));
    }
}

/// Memory whose users cannot be waited for is not freed.
#[test]
fn nothing_is_freed_after_a_wait_that_failed() {
    let test = "nothing_is_freed_after_a_wait_that_failed";
    let driver = with(Driver::fake(), test, "cuCtxSynchronize=304", || {
        let device = Device::cuda(0).expect("it starts");
        drop(device.zeroed::<f32>(4).expect("memory"));
    });
    if outside() {
        assert_eq!((driver.calls("cuCtxSynchronize"), driver.calls("cuMemFree_v2")), (1, 0));
    }
}

/// A read whose wait fails does not leave the device writing to the caller's memory, nor to memory that is used again.
#[test]
fn memory_of_a_read_that_cannot_be_waited_for_is_not_used_again() {
    let test = "memory_of_a_read_that_cannot_be_waited_for_is_not_used_again";
    let driver = with(Driver::fake(), test, "cuStreamSynchronize=304", || {
        let device = Device::cuda(0).expect("it starts");
        let x = device.upload(&[7u8; 100]).expect("memory");
        let mut mine = [1u8; 100];
        let read = x.view().read_to(&mut mine);
        assert!(matches!(read, Err(DeviceError::Driver { call: "cuStreamSynchronize", .. })), "{read:?}");
        assert_eq!(mine, [1; 100]);
        let more = x.view().read_to(&mut mine);
        assert!(more.is_err());
    });
    if outside() {
        assert_eq!((driver.calls("cuMemHostAlloc"), driver.calls("cuMemFreeHost")), (2, 0));
        // Nor is the stream ended, whose name another could get.
        assert_eq!(driver.calls("cuStreamDestroy_v2"), 0);
    }
}

/// Reads of more than one piece, and of what is not aligned.
#[test]
fn long_reads_come_whole() {
    let test = "long_reads_come_whole";
    let driver = with(Driver::fake(), test, "", || {
        let device = Device::cuda(0).expect("it starts");
        let numbers: Vec<u32> = (0..(9 << 20)).collect();
        let x = device.upload(&numbers).expect("memory");
        assert!(x.read().expect("it reads") == numbers);
        assert_eq!(x.slice(3..(8 << 20)).expect("inside").read().expect("it reads"), numbers[3..(8 << 20)]);
        assert!(x.slice(5..5).expect("inside").read().expect("it reads").is_empty());
    });
    if outside() {
        // Of 16 MB each: the second read takes the memory of the first, whose last piece is smaller.
        assert_eq!(driver.calls("cuMemcpyDtoHAsync_v2"), 3 + 2);
    }
}

/// Another stream's work comes after the host's writes and before its reads, and the stream is waited for
/// before it ends.
#[test]
fn other_streams_are_in_order_with_the_host() {
    let test = "other_streams_are_in_order_with_the_host";
    let driver = with(Driver::fake(), test, "", || {
        let device = Device::cuda(0).expect("it starts");
        let copy = device.load(&copy()).expect("it loads");
        let (x, mut y) = (device.upload(&[1.0f32; 32]).expect("room"), device.zeroed::<f32>(32).expect("room"));
        let stream = device.new_stream().expect("a stream");
        let call = copy.bind(1, (&x, &mut y)).expect("it binds");
        // One event for the writes before the first launch, none for the second.
        stream.run(&call).expect("it runs");
        stream.run(&call).expect("it runs");
        // One for the launches before the read, none for the second.
        y.read().expect("it reads");
        y.read().expect("it reads");
        drop(stream);
    });
    if outside() {
        let calls = ["cuEventRecord", "cuStreamWaitEvent", "cuStreamDestroy_v2"].map(|name| driver.calls(name));
        assert_eq!(calls, [2, 2, 2]);
        // Two reads, the stream's end, the default stream's.
        assert_eq!(driver.calls("cuStreamSynchronize"), 4);
    }
}

#[test]
fn a_graph_whose_launch_is_refused_is_named() {
    with(
        Driver::fake(),
        "a_graph_whose_launch_is_refused_is_named",
        "cuLaunchKernelEx=701@2,cuGraphLaunch=701",
        || {
            let device = Device::cuda(0).expect("it starts");
            let copy = device.load(&copy()).expect("it loads");
            let (x, mut y) = (device.upload(&[1.0f32; 32]).expect("memory"), device.zeroed::<f32>(32).expect("memory"));
            let call = copy.bind(1, (&x, &mut y)).expect("it binds");
            let graph = device.graph(std::slice::from_ref(&call)).expect("it is recorded");
            let error = device.replay(&graph).expect_err("it is refused");
            assert!(matches!(error, DeviceError::NotLaunched { .. }), "{error:?}");
            let text = error.to_string();
            assert!(text.starts_with("`a graph of 1 launches, copy to copy` cannot be launched on Fake GPU"), "{text}");
            // While it is recorded, too.
            let error = device.graph(&[call]).map(drop).expect_err("it is refused");
            assert!(matches!(error, DeviceError::NotLaunched { .. }), "{error:?}");
        },
    );
}

#[test]
fn no_driver() {
    with(Driver::none(), "no_driver", "", || {
        let error = Device::cuda(0).expect_err("there is none");
        assert!(matches!(error, DeviceError::NoDriver));
        assert!(error.to_string().contains("libcuda.so.1 cannot be loaded; install the driver"), "{error}");
    });
}

/// A driver that starts no GPU, for this reason.
macro_rules! no_gpu {
    ($($name:ident($settings:expr): $reason:expr;)*) => {$(
        #[test]
        fn $name() {
            with(Driver::fake(), stringify!($name), $settings, || {
                let error = Device::cuda(0).expect_err("there is none");
                assert!(matches!(&error, DeviceError::NoGpu { reason } if reason == $reason), "{error:?}");
                assert!(error.to_string().contains("look at nvidia-smi, at CUDA_VISIBLE_DEVICES"), "{error}");
            });
        }
    )*};
}

no_gpu! {
    a_driver_without_a_gpu("cuInit=100"): "CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected";
    a_driver_that_counts_no_gpu("gpus=0"): "it counts none";
    a_library_of_another_driver("cuInit=803"):
        "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: system has unsupported display driver / cuda driver combination";
}

#[test]
fn a_gpu_that_there_is_not() {
    with(Driver::fake(), "a_gpu_that_there_is_not", "gpus=2", || {
        assert_eq!(DriverInfo::query().expect("a driver").gpus.len(), 2);
        let error = Device::cuda(2).expect_err("there is none");
        assert!(matches!(error, DeviceError::NoSuchGpu { asked: 2, found: 2 }), "{error:?}");
    });
}

#[test]
fn a_driver_that_is_too_old() {
    let driver = with(Driver::fake(), "a_driver_that_is_too_old", "version=11080", || {
        let error = Device::cuda(0).expect_err("it is refused");
        let least = CudaVersion::LEAST;
        assert!(matches!(error, DeviceError::DriverTooOld { found: CudaVersion(11080), least: l } if l == least));
        let text = "the NVIDIA driver is too old: it supports CUDA 11.8, and 12.0 is the least that works; install \
                    driver 525 or newer";
        assert_eq!(error.to_string(), text);
    });
    if outside() {
        assert_eq!(driver.calls("cuInit"), 0, "nothing is started");
    }
}

#[test]
fn a_gpu_that_is_too_old() {
    let driver = with(Driver::fake(), "a_gpu_that_is_too_old", "sm=70", || {
        let error = Device::cuda(0).expect_err("it is refused");
        assert!(matches!(error, DeviceError::GpuTooOld { sm: 70, .. }), "{error:?}");
        let text = "Fake GPU is too old: it is sm_70, and kernels are written for sm_75 (Turing, 2018) and newer";
        assert_eq!(error.to_string(), text);
    });
    if outside() {
        assert_eq!(driver.calls("cuDevicePrimaryCtxRetain"), 0, "nothing is started");
    }
}

/// Hands numbers from one GPU to another.
fn handed(gpus: [usize; 2]) -> Result<Vec<u32>, DeviceError> {
    let [one, other] = gpus.map(|gpu| Device::cuda(gpu).expect("it starts"));
    let (from, mut to) = (one.upload(&[1u32, 2, 3])?, other.zeroed::<u32>(3)?);
    Transfer::new(from.view(), to.view_mut())?.run(2)?;
    to.read()
}

#[test]
fn transfers_wait_for_both_gpus_and_not_on_the_host() {
    let test = "transfers_wait_for_both_gpus_and_not_on_the_host";
    let driver = with(Driver::fake(), test, "gpus=2", || assert_eq!(handed([0, 1]).expect("it works"), [1, 2, 0]));
    if outside() {
        let calls = ["cuMemcpyPeerAsync", "cuMemcpyDtoDAsync_v2", "cuStreamWaitEvent"].map(|name| driver.calls(name));
        assert_eq!(calls, [1, 0, 2]);
    }
}

#[test]
fn a_gpu_may_have_two_handles() {
    let test = "a_gpu_may_have_two_handles";
    let driver = with(Driver::fake(), test, "gpus=1", || assert_eq!(handed([0, 0]).expect("it works"), [1, 2, 0]));
    if outside() {
        let calls = ["cuMemcpyPeerAsync", "cuMemcpyDtoDAsync_v2"].map(|name| driver.calls(name));
        assert_eq!(calls, [0, 1]);
    }
}

#[test]
fn a_transfer_that_the_driver_refuses_is_an_error() {
    with(Driver::fake(), "a_transfer_that_the_driver_refuses_is_an_error", "gpus=2,cuMemcpyPeerAsync=217", || {
        let error = handed([0, 1]).expect_err("it fails");
        assert!(matches!(error, DeviceError::Driver { call: "cuMemcpyPeerAsync", .. }), "{error:?}");
    });
}
