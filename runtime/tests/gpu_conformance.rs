//! The conformance cases of the instruction table on a GPU: one test a file.
//!
//! They need an NVIDIA GPU and are ignored without `--ignored`; then a missing
//! GPU is a failure. The cases are looked for in `PTXGEN_CASES`, then in
//! `conformance/cases` beside this program, then in the checkout. Approximate
//! forms are held to their stated tolerance, and `PTXGEN_DEVIATIONS` names a
//! file for their measured errors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::{env, fs};

use libtest_mimic::{Arguments, Failed, Trial};
use ptxgen_builder::conformance::{Case, Deviation, Param};
use ptxgen_builder::parse::parse;
use ptxgen_builder::print::least_version;
use ptxgen_builder::verify::verify;
use ptxgen_runtime::{Argument, Buffer, Device, DeviceError, DriverInfo};

/// Failures shown of one file.
const SHOWN: usize = 12;

/// The file and the case, for a process that runs one case that ends its context.
const ALONE: [&str; 2] = ["PTXGEN_CASE_FILE", "PTXGEN_CASE_ALONE"];

fn main() -> ExitCode {
    if let (Some(path), Ok(name)) = (env::var_os(ALONE[0]), env::var(ALONE[1])) {
        return match alone(Path::new(&path), &name) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("{why}");
                ExitCode::FAILURE
            }
        };
    }
    let arguments = Arguments::from_args();
    let root = match cases() {
        Ok(root) => root,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let runner = Arc::new(Runner::new());
    let mut trials = Vec::new();
    for path in files(&root) {
        let runner = runner.clone();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        trials.push(Trial::test(name, move || runner.file(&path)).with_ignored_flag(true));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    runner.report();
    conclusion.exit_code()
}

/// The folder of cases: a file for each instruction.
fn cases() -> Result<PathBuf, String> {
    let beside = env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("conformance/cases")));
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ptx-builder/tests/conformance/cases");
    let places = env::var_os("PTXGEN_CASES").map(PathBuf::from).into_iter().chain(beside).chain([checkout]);
    let places: Vec<PathBuf> = places.collect();
    places.iter().find(|p| p.is_dir()).cloned().ok_or_else(|| format!("no conformance cases in {places:?}"))
}

fn files(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|e| e.path()).collect();
    files.sort();
    files
}

/// What a case came to.
enum Outcome {
    /// As expected.
    Holds,
    /// The GPU or its driver does not have the form.
    Lacking,
}

#[derive(Default)]
struct Counts {
    held: usize,
    lacking: Vec<String>,
    deviations: BTreeMap<String, Deviation>,
}

struct Runner {
    /// The GPU, once a test has requested it; why there is none otherwise.
    device: std::sync::OnceLock<Result<(Device, DriverInfo), String>>,
    counts: Mutex<Counts>,
}

impl Runner {
    fn new() -> Runner {
        Runner { device: Default::default(), counts: Mutex::default() }
    }

    fn device(&self) -> Result<&(Device, DriverInfo), Failed> {
        let open = || Ok((Device::cuda(0)?, DriverInfo::query()?));
        let device = self.device.get_or_init(|| open().map_err(|e: DeviceError| e.to_string()));
        device.as_ref().map_err(|why| Failed::from(why.clone()))
    }

    fn file(&self, path: &Path) -> Result<(), Failed> {
        let (device, driver) = self.device()?;
        let cases = read(path)?;
        let mut failures = Vec::new();
        for case in &cases {
            match self.case(device, driver, path, case) {
                Ok(Outcome::Holds) => self.counts().held += 1,
                Ok(Outcome::Lacking) => self.counts().lacking.push(case.name()),
                Err(why) => failures.push(format!("{}: {why}", case.name())),
            }
        }
        if failures.is_empty() {
            return Ok(());
        }
        let shown = &failures[..failures.len().min(SHOWN)];
        Err(format!("{} of {} cases fail:\n{}", failures.len(), cases.len(), shown.join("\n")).into())
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn case(&self, device: &Device, driver: &DriverInfo, path: &Path, case: &Case) -> Result<Outcome, String> {
        if case.fails.is_some() {
            return in_its_own_process(path, &case.name());
        }
        match run(device, driver, case)? {
            None => Ok(Outcome::Lacking),
            Some(results) => {
                for (buffer, bytes) in &results {
                    buffer.check(bytes).map_err(|e| e.to_string())?;
                    if let Some(deviation) = buffer.deviation(bytes) {
                        self.counts().deviations.insert(case.form.clone(), deviation);
                    }
                }
                Ok(Outcome::Holds)
            }
        }
    }

    /// What held, what the GPU lacks, and how far approximate forms were off.
    fn report(&self) {
        let counts = self.counts();
        if counts.held == 0 {
            return;
        }
        println!("{} cases hold; the GPU or its driver lacks {}", counts.held, counts.lacking.len());
        if let Some(file) = env::var_os("PTXGEN_DEVIATIONS") {
            let lines = counts.deviations.iter().map(|(form, d)| format!("{form}\t{}\t{:e}\n", d.ulp, d.absolute));
            let text = format!("form\tulp\tabsolute\n{}", lines.collect::<String>());
            if let Err(e) = fs::write(&file, text) {
                eprintln!("cannot write {}: {e}", file.to_string_lossy());
            }
        }
        for (form, d) in &counts.deviations {
            println!("  {form:<24} {:>12.2} ulp, {:.3e} absolute", d.ulp, d.absolute);
        }
    }
}

fn read(path: &Path) -> Result<Vec<Case>, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Case::parse_all(&path.to_string_lossy(), &text).map_err(|e| e.to_string())
}

/// A case's buffers with the bytes that the device left in them.
type Results<'c> = Vec<(&'c ptxgen_builder::conformance::Buffer, Vec<u8>)>;

/// Runs a case; nothing if the GPU or its driver does not have the form.
fn run<'c>(device: &Device, driver: &DriverInfo, case: &'c Case) -> Result<Option<Results<'c>>, String> {
    let module = verify(parse("case", &case.ptx).map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
    if module.module().target > device.target() || least_version(module.module()) > driver.cuda.ptx() {
        return Ok(None);
    }
    launch(device, case, module).map(Some).map_err(|e| e.to_string())
}

fn launch<'c>(
    device: &Device,
    case: &'c Case,
    module: ptxgen_builder::verify::Validated,
) -> Result<Results<'c>, DeviceError> {
    // SAFETY: cases stay inside of their buffers: the interpreter runs each, and finds nothing. Those that
    // are meant to fail do so with `trap`.
    let function = unsafe { device.load_module_unchecked(module)? }.function("test")?;
    let mut buffers: Vec<Buffer<u8>> = Vec::new();
    for param in &case.params {
        if let Param::Buffer(b) = param {
            buffers.push(device.upload(&b.initial)?);
        }
    }
    let mut rest = buffers.iter_mut();
    let arguments = case.params.iter().filter_map(|param| match param {
        Param::Value(bytes) => Some(Argument::bytes(bytes)),
        Param::Buffer(_) => rest.next().map(Argument::from),
    });
    let arguments: Vec<Argument<'_>> = arguments.collect();
    device.run(&function.bind((1, case.block), &arguments)?)?;
    let described = case.params.iter().filter_map(|p| if let Param::Buffer(b) = p { Some(b) } else { None });
    described.zip(&buffers).map(|(b, buffer)| Ok((b, buffer.read()?))).collect()
}

/// A case that has to fail takes its process's context with it.
fn in_its_own_process(path: &Path, name: &str) -> Result<Outcome, String> {
    let exe = env::current_exe().map_err(|e| e.to_string())?;
    let output = Command::new(exe).env(ALONE[0], path).env(ALONE[1], name).output().map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(Outcome::Holds);
    }
    Err(format!("in a process of its own, {}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// Runs a case that has to fail: the failure is a typed error, what follows is
/// an error too, and the process ends by itself.
fn alone(path: &Path, name: &str) -> Result<(), String> {
    let case = read(path)?.into_iter().find(|c| c.name() == name).ok_or_else(|| format!("no case {name}"))?;
    let (device, driver) =
        (Device::cuda(0).map_err(|e| e.to_string())?, DriverInfo::query().map_err(|e| e.to_string())?);
    let module = verify(parse("case", &case.ptx).map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
    if module.module().target > device.target() || least_version(module.module()) > driver.cuda.ptx() {
        return Err("the GPU lacks the form".to_owned());
    }
    match launch(&device, &case, module) {
        Err(DeviceError::KernelFailed { kernels, .. }) if kernels.last().is_some_and(|k| k == "test") => {}
        other => return Err(format!("not the failure of kernel `test`: {:?}", other.map(|_| "no failure"))),
    }
    match device.zeroed::<u8>(1) {
        Err(DeviceError::Lost { .. }) => Ok(()),
        other => Err(format!("the device is not lost: {other:?}")),
    }
}
