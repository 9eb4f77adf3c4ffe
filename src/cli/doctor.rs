//! `ptxgen doctor`: what works here, what is missing, and how to get it.

use super::{Outcome, Status};
use anstream::stdout;
use ptxgen_builder::build::{In, Kernel, Out, kernel};
use ptxgen_runtime::{Device, DeviceError, DriverInfo, GpuInfo};
use serde::Serialize;
use std::io::Write;

/// Show what works on this machine, what is missing, and how to get it
///
/// Exit code 1 if something is present but does not work; a machine without a GPU is fine.
#[derive(clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Works,
    Missing,
    Broken,
}

#[derive(Serialize)]
struct Finding {
    what: String,
    state: State,
    detail: String,
}

/// `y[i] = x[i] * x[i]` rounded: a small kernel that still uses memory, a launch and a result.
fn squares() -> Kernel<(In<f32>, Out<f32>)> {
    let squares = kernel::<(In<f32>, Out<f32>)>("squares", ["x", "y"], |k, (x, y)| {
        let i = k.global_thread_id();
        let value = x.at(i).load(k);
        y.at(i).store(k, value * value);
    });
    squares.with_block(128)
}

/// Compiles and runs a kernel.
fn try_out(device: &Device) -> Result<(), String> {
    let run = || -> Result<bool, DeviceError> {
        let squares = device.load(&squares())?;
        let values: Vec<f32> = (0..512).map(|i| i as f32 / 3.0).collect();
        let (x, mut y) = (device.upload(&values)?, device.alloc::<f32>(512)?);
        device.launch(&squares, 4, (&x, &mut y))?;
        Ok(y.read()?.iter().zip(&values).all(|(y, x)| *y == x * x))
    };
    match run() {
        Ok(true) => Ok(()),
        Ok(false) => Err("a kernel gave wrong results".to_owned()),
        Err(e) => Err(e.to_string()),
    }
}

fn cpu() -> Finding {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Finding { what: "CPU".to_owned(), state: State::Works, detail: format!("{threads} threads") }
}

fn interpreter() -> Finding {
    let (state, detail) = match try_out(&Device::interp()) {
        Ok(()) => (State::Works, "runs kernels here, with every check".to_owned()),
        Err(why) => (State::Broken, why),
    };
    Finding { what: "interpreter".to_owned(), state, detail }
}

fn gpu(info: &GpuInfo) -> Finding {
    let tried = Device::cuda(info.ordinal).map_err(|e| e.to_string()).and_then(|device| {
        let free = device.memory().map_err(|e| e.to_string())?.free;
        try_out(&device)?;
        Ok((device.target(), free))
    });
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let (state, detail) = match tried {
        Ok((target, free)) => (
            State::Works,
            format!(
                "sm_{}, kernels written for {target}, {} multiprocessors, {:.1} of {:.1} GiB free",
                info.sm,
                info.multiprocessors,
                gib(free),
                gib(info.memory)
            ),
        ),
        Err(why) => (State::Broken, why),
    };
    Finding { what: format!("GPU {}: {}", info.ordinal, info.name), state, detail }
}

fn gpus() -> Vec<Finding> {
    match DriverInfo::query() {
        Ok(info) => {
            let version = info.version.as_deref().unwrap_or("of unknown version");
            let detail = format!("{version}, CUDA {}, reads PTX up to {}", info.cuda, info.cuda.ptx());
            let driver = Finding { what: "NVIDIA driver".to_owned(), state: State::Works, detail };
            std::iter::once(driver).chain(info.gpus.iter().map(gpu)).collect()
        }
        Err(e) => {
            let state = match e {
                DeviceError::NoDriver | DeviceError::NoGpu { .. } => State::Missing,
                _ => State::Broken,
            };
            vec![Finding { what: "GPU".to_owned(), state, detail: e.to_string() }]
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let findings: Vec<Finding> = [cpu(), interpreter()].into_iter().chain(gpus()).collect();
    let mut out = stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &findings)?;
        writeln!(out)?;
    } else {
        for f in &findings {
            let (word, color) = match f.state {
                State::Works => ("works", anstyle::AnsiColor::Green),
                State::Missing => ("missing", anstyle::AnsiColor::Yellow),
                State::Broken => ("broken", anstyle::AnsiColor::Red),
            };
            let style = color.on_default();
            writeln!(out, "{style}{word:<8}{style:#} {}: {}", f.what, f.detail)?;
        }
    }
    let broken = findings.iter().any(|f| f.state == State::Broken);
    Ok(if broken { Status::Fault } else { Status::Well })
}
