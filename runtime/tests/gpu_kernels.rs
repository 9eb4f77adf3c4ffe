//! Every kernel of the catalogue on a GPU, in every variant and several
//! schedules: the interpreter's bytes.
//!
//! They need an NVIDIA GPU and are ignored without `--ignored`; then a missing
//! GPU is a failure. `math = approx` is held to [`APPROXIMATE`].
//! `PTXGEN_SCHEDULES` is how many schedules a variant is run in, at most.

mod support;

use std::env;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use libtest_mimic::{Arguments, Failed, Trial};
use ptxgen_dsl::catalogue::{Built, CatalogueError, Entry, Request, Schedule, TYPICAL};
use ptxgen_dsl::precision::{Math, Policy};
use ptxgen_runtime::{CudaOptions, Device, DeviceError};
use support::{checked_outputs, outputs, same};

/// Largest error of an approximate kernel, relative to the interpreter's
/// result: `ex2.approx` and `rcp.approx` are within some ulp of it.
const APPROXIMATE: f64 = 2e-6;

/// Besides the schedule that a kernel has by itself.
const SCHEDULES: [Schedule; 4] = [
    Schedule { rows: 1, split: 1, warps: 1, slots: 1, blocks: None },
    Schedule { rows: 2, split: 2, warps: 2, slots: 2, blocks: Some(1) },
    Schedule { rows: 1, split: 32, warps: 8, slots: 3, blocks: Some(5) },
    Schedule { rows: 8, split: 4, warps: 4, slots: 2, blocks: None },
];

/// How many runs there were, and the largest error of approximate kernels.
#[derive(Default)]
struct Totals {
    runs: usize,
    approximate: f64,
}

type Gpu = Arc<OnceLock<Result<Device, String>>>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let (device, totals) = (Gpu::default(), Arc::new(Mutex::new(Totals::default())));
    let mut trials = Vec::new();
    for entry in TYPICAL {
        for policy in entry.policies() {
            let (device, totals) = (device.clone(), totals.clone());
            let name = format!("{} {}", entry.name, entry.variant(policy));
            let run = move || variant(&device, entry, policy, &totals);
            trials.push(Trial::test(name.trim().to_owned(), run).with_ignored_flag(true));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
    if totals.runs > 0 {
        println!("{} kernels run; approximate ones within {:.2e}, relative", totals.runs, totals.approximate);
    }
    conclusion.exit_code()
}

fn variant(gpu: &Gpu, entry: &'static Entry, policy: Policy, totals: &Mutex<Totals>) -> Result<(), Failed> {
    let open = || Device::cuda_with(0, CudaOptions { lineinfo: true, ..CudaOptions::default() });
    let gpu = gpu.get_or_init(|| open().map_err(|e: DeviceError| e.to_string()));
    let gpu = gpu.as_ref().map_err(|why| Failed::from(why.clone()))?;
    let most = env::var("PTXGEN_SCHEDULES").ok().map_or(Ok(usize::MAX), |n| n.parse())?;
    let mut known: Vec<String> = Vec::new();
    let schedules = [None].into_iter().chain(SCHEDULES.map(Some)).take(most);
    // One schedule written for dependent launch, as the model's graphs have it.
    for (schedule, pdl) in [(None, true)].into_iter().chain(schedules.map(|s| (s, false))) {
        let request = Request { schedule, pdl, ..Request::for_trial(entry, policy, gpu.target()) };
        let built = match entry.build(&request) {
            // A schedule that does not fit this shape is no variant of the kernel.
            Err(CatalogueError::SharedMemory { .. }) if schedule.is_some() => continue,
            built => built?,
        };
        let text = format!("{:?} {:?} {:?}", built.launch.grid, built.launch.block, built.kernel());
        if !known.contains(&text) {
            known.push(text);
            // With its accesses checked, too, once for each variant.
            let checked = schedule.is_none() && !pdl;
            let compared = compare(gpu, &built, policy, checked);
            let error = compared.map_err(|why| format!("{schedule:?}, pdl {pdl}: {why}"))?;
            let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
            totals.runs += 1;
            totals.approximate = totals.approximate.max(error);
        }
    }
    Ok(())
}

/// The relative error of an approximate kernel; 0 of an exact one.
fn compare(gpu: &Device, built: &Built, policy: Policy, checked: bool) -> Result<f64, String> {
    let inputs = built.sample_inputs(7);
    let expected = outputs(&Device::interp(), built, &inputs).map_err(|e| format!("interpreter: {e}"))?;
    let got = outputs(gpu, built, &inputs).map_err(|e| e.to_string())?;
    if checked {
        let checked = checked_outputs(gpu, built, &inputs).map_err(|e| format!("checked: {e}"))?;
        same(built, &checked, &got).map_err(|e| format!("checked and unchecked: {e}"))?;
    }
    if policy.math == Math::Exact {
        return same(built, &got, &expected).map(|()| 0.0);
    }
    let floats =
        |bytes: &[u8]| -> Vec<f64> { bytes.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect() };
    let mut worst = 0.0f64;
    for (got, expected) in got.iter().zip(&expected) {
        for (got, want) in floats(got).into_iter().zip(floats(expected)).filter(|(g, w)| g.to_bits() != w.to_bits()) {
            let error = (got - want).abs() / want.abs();
            if error.is_nan() || error > APPROXIMATE {
                return Err(format!("{got} in place of {want}"));
            }
            worst = worst.max(error);
        }
    }
    Ok(worst)
}
