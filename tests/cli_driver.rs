//! Commands on machines whose GPU or driver fails, played by a stand-in for the driver: each ends with a
//! message that says what to do, and exit code 1.
#![cfg(target_os = "linux")]

#[path = "../runtime/tests/support/driver.rs"]
mod driver;
mod support;

use driver::Driver;
use std::{path::Path, process::Output};
use support::{code, command, synthetic, text};

/// A command on a machine with this driver.
fn on(driver: &Driver, settings: &str, args: &[&str]) -> Output {
    let mut command = command(args);
    driver.give(&mut command, settings);
    command.output().unwrap()
}

/// The message of a command that fails as commands do: nothing but the error, exit code 1.
#[track_caller]
fn error(output: &Output) -> String {
    let message = text(&output.stderr);
    assert_eq!(code(output), Some(1), "{message}");
    assert!(message.starts_with("error: ") && !message.contains("panicked"), "{message}");
    message
}

fn model(folder: &Path) -> String {
    synthetic(folder, "m.gguf", &[])
}

/// What stops a GPU from being used at all, with what is said of it.
fn no_device() -> [(Driver, &'static str, &'static str); 5] {
    [
        (
            Driver::none(),
            "",
            "no NVIDIA driver: libcuda.so.1 cannot be loaded; install the driver (580 or newer is best)",
        ),
        (
            Driver::fake(),
            "cuInit=100",
            "the NVIDIA driver finds no GPU (CUDA_ERROR_NO_DEVICE: no CUDA-capable device is",
        ),
        (Driver::fake(), "gpus=0", "the NVIDIA driver finds no GPU (it counts none); look at nvidia-smi"),
        (Driver::fake(), "version=11040", "the NVIDIA driver is too old: it supports CUDA 11.4, and 12.0 is the least"),
        (Driver::fake(), "sm=61", "Fake GPU is too old: it is sm_61, and kernels are written for sm_75"),
    ]
}

#[test]
fn a_gpu_that_cannot_be_used_is_an_error_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    for (driver, settings, message) in no_device() {
        let args = ["run", &model, "--prompt", "a", "-n", "2", "--device", "cuda"];
        let output = on(&driver, settings, &args);
        let found = error(&output);
        assert!(found.starts_with(&format!("error: {message}")), "{found}");
        assert_eq!(text(&output.stdout), "");
    }
}

#[test]
fn a_gpu_that_cannot_be_used_is_a_note_where_any_device_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let args = ["run", &model, "--prompt", "a", "-n", "2", "--device"];
    let expected = support::ptxgen(&[&args[..], &["cpu"]].concat());
    assert_eq!(code(&expected), Some(0), "{}", text(&expected.stderr));
    for (driver, settings, message) in no_device() {
        let output = on(&driver, settings, &[&args[..], &["auto"]].concat());
        let found = text(&output.stderr);
        assert_eq!(code(&output), Some(0), "{found}");
        let message = message.split(':').next().unwrap();
        assert!(found.starts_with(&format!("note: {message}")) && found.contains("; running on the CPU\n"), "{found}");
        let written = |output: &Output| text(&output.stdout).lines().next().map(str::to_owned);
        assert_eq!(written(&output), written(&expected));
    }
}

#[test]
fn a_model_that_does_not_fit_is_refused_before_anything_is_uploaded() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let driver = Driver::fake();
    for device in ["cuda", "auto"] {
        let args = ["run", &model, "--prompt", "a", "-n", "2", "--device", device];
        let found = error(&on(&driver, "free=100000", &args));
        let needed = found.strip_prefix("error: not enough memory on Fake GPU: ").and_then(|rest| rest.split_once(' '));
        let (needed, rest) = needed.unwrap_or_else(|| panic!("{found}"));
        // Weights, and a session beside them.
        let weights = std::fs::metadata(&model).unwrap().len();
        assert!(needed.parse::<u64>().unwrap() > weights, "{found}");
        assert!(rest.starts_with("bytes are needed and 100000 are free; use a smaller model or context"), "{found}");
    }
    for call in ["cuMemAlloc_v2", "cuMemcpyHtoDAsync_v2", "cuModuleLoadDataEx"] {
        assert_eq!(driver.calls(call), 0, "{call}");
    }
}

#[test]
fn failures_on_the_way_end_the_command_with_their_reason() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let prompt = "some words to begin with";
    for (settings, message) in [
        // While a session's passes are recorded: no kernel runs.
        ("cuLaunchKernelEx=701", " cannot be launched on Fake GPU: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"),
        // A pass is refused; the device would go on.
        ("cuGraphLaunch=701@2", " cannot be launched on Fake GPU: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"),
        // A kernel of the prompt fails, or one of a later token.
        ("cuEventSynchronize=700", "a kernel failed on Fake GPU: CUDA_ERROR_ILLEGAL_ADDRESS"),
        ("cuEventSynchronize=700@9", "a kernel failed on Fake GPU: CUDA_ERROR_ILLEGAL_ADDRESS"),
        ("cuGraphLaunch=999@3", "Fake GPU cannot be used by this process after an earlier failure (CUDA_ERROR_UNKNOWN"),
        // Memory that another program took after the check.
        ("cuMemAlloc_v2=2@5", "not enough memory on Fake GPU: "),
        ("cuMemHostAlloc=2", "cuMemHostAlloc failed on Fake GPU: CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
        ("cuLinkComplete=218", "the driver's compiler rejects the module for sm_90: CUDA_ERROR_INVALID_PTX"),
    ] {
        let args = ["run", &model, "--prompt", prompt, "-n", "12", "--device", "cuda"];
        let found = error(&on(&Driver::fake(), settings, &args));
        assert!(found.contains(message), "{settings}: {found}");
        assert!(!found.contains("()") && !found.trim_end().contains("\n\n"), "{settings}: {found}");
    }
}

#[test]
fn the_doctor_tells_what_is_missing_and_what_is_broken() {
    for (driver, settings, message) in no_device() {
        let output = on(&driver, settings, &["doctor"]);
        let found = text(&output.stdout);
        let message = message.split(';').next().unwrap();
        let line = found.lines().find(|line| line.contains(message)).unwrap_or_else(|| panic!("{found}"));
        // A machine without a GPU is in order; one with a GPU that cannot be used is not.
        let missing = line.starts_with("missing ");
        assert_eq!(missing, !message.contains("too old"), "{line}");
        assert_eq!(code(&output), Some(if missing { 0 } else { 1 }), "{found}");
    }
    // A GPU on which kernels do nothing, or fail.
    for (settings, message) in [
        ("", "broken   GPU 0: Fake GPU: a kernel gave wrong results\n"),
        (
            "cuStreamSynchronize=700",
            "broken   GPU 0: Fake GPU: a kernel failed on Fake GPU: CUDA_ERROR_ILLEGAL_ADDRESS",
        ),
        ("cuDevicePrimaryCtxRetain=999", "broken   GPU 0: Fake GPU: Fake GPU cannot be used by this process"),
    ] {
        let output = on(&Driver::fake(), settings, &["doctor"]);
        let found = text(&output.stdout);
        assert!(found.contains(message), "{found}");
        assert!(found.contains("works    NVIDIA driver: "), "{found}");
        assert_eq!((code(&output), text(&output.stderr)), (Some(1), String::new()));
    }
}
