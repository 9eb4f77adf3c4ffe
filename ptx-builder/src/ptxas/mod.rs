//! NVIDIA's assembler as an independent check of printed PTX.
//!
//! `ptxas` is optional: the driver's JIT compiler does the same work at run time. If it is installed, tests assemble
//! every printed module with it, and [`AssemblyReport`] has the resources of the machine code. A rejection has the line
//! and its text, so that it points at the instruction.

mod output;
mod toolkits;

pub use output::diagnostics;
pub use toolkits::wheel_toolkits;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fmt, fs, io};

use crate::target::Target;

/// An installed `ptxas`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ptxas {
    path: PathBuf,
}

/// The resources of a module's machine code, from `ptxas -v`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssemblyReport {
    /// One for each kernel, in the order of `ptxas`'s output (not that of the source).
    pub kernels: Vec<KernelUsage>,
    /// Warnings of `ptxas`.
    pub warnings: Vec<Diagnostic>,
}

impl AssemblyReport {
    /// The kernel with this entry name.
    pub fn kernel(&self, name: &str) -> Option<&KernelUsage> {
        self.kernels.iter().find(|k| k.name == name)
    }
}

/// The resources of one kernel's machine code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KernelUsage {
    /// The entry's name.
    pub name: String,
    /// 32-bit registers per thread.
    pub registers: u32,
    /// Named barriers per block.
    pub barriers: u32,
    /// Bytes of local memory per thread for arrays and spilled registers.
    pub stack_frame: u32,
    /// Bytes of spill stores per thread in the program's text.
    pub spill_stores: u32,
    /// Bytes of spill loads per thread in the program's text.
    pub spill_loads: u32,
    /// Bytes of static shared memory per block.
    pub shared: u32,
}

/// The severity of a [`Diagnostic`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Severity {
    /// The module is still assembled.
    Warning,
    /// The module is rejected; more errors may follow.
    Error,
    /// The module is rejected, and `ptxas` stops here.
    Fatal,
}

/// One message of `ptxas`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// Its severity.
    pub severity: Severity,
    /// The line of the PTX text, from 1, if the message refers to one.
    pub line: Option<usize>,
    /// That line's text, trimmed.
    pub source: Option<String>,
    /// The message.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.message)?;
        match self.source.as_deref() {
            None | Some("") => Ok(()),
            Some(source) => write!(f, " in `{source}`"),
        }
    }
}

/// Reasons why a module could not be assembled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PtxasError {
    /// There is no `ptxas`.
    #[error("no ptxas in {looked_in}; run .ci/install-tools in a checkout, or set PTXAS to the path of one of CUDA 13")]
    NotFound {
        /// The places that were searched.
        looked_in: String,
    },
    /// `ptxas` or its temporary files could not be used.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// The operation.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// `ptxas` rejects the module.
    #[error("ptxas rejects the module for {target}{}", list(diagnostics))]
    Rejected {
        /// The target.
        target: Target,
        /// All messages of `ptxas`.
        diagnostics: Vec<Diagnostic>,
    },
    /// `ptxas` succeeded, but its report has an unknown form.
    #[error("cannot read this line of ptxas's report: '{line}'; its form is known for CUDA 12 and 13")]
    UnknownReport {
        /// The line.
        line: String,
    },
    /// `ptxas` failed without a reason in a known form.
    #[error("ptxas failed ({status}): {output}")]
    Failed {
        /// The exit status.
        status: std::process::ExitStatus,
        /// Its complete output.
        output: String,
    },
}

fn list(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|d| format!("\n  {d}")).collect()
}

impl Ptxas {
    /// Finds `ptxas`: the path in the environment variable `PTXAS`, then `PATH`, then `.tools/`, where
    /// `.ci/install-tools` installs it ([`wheel_toolkits`]).
    ///
    /// A `PTXAS` that is set but names no file is an error, whatever else is installed.
    pub fn find() -> Result<Ptxas, PtxasError> {
        Self::find_with(env::var_os("PTXAS"), env::var_os("PATH"), &wheel_toolkits())
    }

    fn find_with(set: Option<OsString>, path: Option<OsString>, toolkits: &[PathBuf]) -> Result<Ptxas, PtxasError> {
        let name = format!("ptxas{}", env::consts::EXE_SUFFIX);
        if let Some(set) = set.filter(|s| !s.is_empty()) {
            return Self::at(Path::new(&set));
        }
        let on_path = path.iter().flat_map(env::split_paths).map(|folder| folder.join(&name));
        let in_toolkits = toolkits.iter().map(|toolkit| toolkit.join("bin").join(&name));
        on_path.chain(in_toolkits).find(|file| file.is_file()).map_or_else(
            || Err(PtxasError::NotFound { looked_in: "PTXAS, PATH or .tools/".to_owned() }),
            |file| Self::at(&file),
        )
    }

    /// The `ptxas` with this path. An error if there is no such file.
    pub fn at(path: &Path) -> Result<Ptxas, PtxasError> {
        // Absolute, because it runs in a temporary folder.
        let path = path.canonicalize().map_err(io_error("find ptxas at", path))?;
        Ok(Ptxas { path })
    }

    /// Finds `ptxas` for a test, which returns early on `None`.
    ///
    /// Without `ptxas` it prints a message on standard error, bypassing the test harness's capture.
    ///
    /// # Panics
    /// Without `ptxas`, if the environment variable `CI` is `true`, where nothing may be skipped.
    pub fn for_tests() -> Option<Ptxas> {
        match Self::find() {
            Ok(ptxas) => Some(ptxas),
            Err(error) => {
                let in_ci = env::var_os("CI").is_some_and(|v| v == "true");
                assert!(!in_ci, "CI=true, and this test needs ptxas: {error}");
                let thread = std::thread::current();
                // If standard error is closed, the message is lost.
                let _ =
                    writeln!(io::stderr(), "skipped: ptxas not found ({}: {error})", thread.name().unwrap_or("a test"));
                None
            }
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its release, for example `13.5`.
    pub fn version(&self) -> Result<String, PtxasError> {
        let run = Command::new(&self.path).arg("--version").output().map_err(io_error("run", &self.path))?;
        let text = String::from_utf8_lossy(&run.stdout);
        output::release(&text)
            .map(str::to_owned)
            .ok_or_else(|| PtxasError::UnknownReport { line: text.trim().to_owned() })
    }

    /// Assembles a module's text for a target and returns the resources of each kernel.
    ///
    /// The machine code itself is discarded. The target may be newer than the module's own `.target`, but not older.
    pub fn assemble(&self, ptx: &str, target: Target) -> Result<AssemblyReport, PtxasError> {
        let folder = tempfile::Builder::new()
            .prefix("ptxgen-")
            .tempdir()
            .map_err(io_error("make a folder in", &env::temp_dir()))?;
        let source = folder.path().join("module.ptx");
        fs::write(&source, ptx).map_err(io_error("write", &source))?;
        let run = Command::new(&self.path)
            .current_dir(folder.path())
            .args(["--verbose", &format!("--gpu-name={target}"), "--output-file=module.cubin", "module.ptx"])
            .output()
            .map_err(io_error("run", &self.path))?;
        let text = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        let diagnostics = diagnostics(&text, ptx);
        if run.status.success() {
            return Ok(AssemblyReport { kernels: output::usage(&text)?, warnings: diagnostics });
        }
        if diagnostics.iter().any(|d| d.severity != Severity::Warning) {
            return Err(PtxasError::Rejected { target, diagnostics });
        }
        Err(PtxasError::Failed { status: run.status, output: text.trim().to_owned() })
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PtxasError + use<> {
    let path = path.to_owned();
    move |source| PtxasError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_order() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("has a parent")).expect("a folder");
            fs::write(&path, "").expect("a file");
            path.canonicalize().expect("exists")
        };
        let name = format!("ptxas{}", env::consts::EXE_SUFFIX);
        let set = file("set/my-ptxas");
        let on_path = file(&format!("path/{name}"));
        let in_wheel = file(&format!("wheel/bin/{name}"));
        let empty = folder.path().join("empty");
        let path = env::join_paths([&empty, &folder.path().join("path")]).expect("no separators");
        let wheel = [folder.path().join("wheel")];

        let find = |set: Option<&Path>, path: Option<&OsString>, toolkits: &[PathBuf]| {
            Ptxas::find_with(set.map(|s| s.as_os_str().to_owned()), path.cloned(), toolkits)
        };
        let path_of = |found: Result<Ptxas, PtxasError>| found.expect("found").path;
        assert_eq!(path_of(find(Some(&set), Some(&path), &wheel)), set);
        assert_eq!(path_of(find(None, Some(&path), &wheel)), on_path);
        assert_eq!(path_of(find(None, None, &wheel)), in_wheel);
        assert_eq!(path_of(find(None, Some(&empty.clone().into()), &wheel)), in_wheel);

        let missing = find(Some(&empty), Some(&path), &wheel).expect_err("PTXAS names no file");
        assert!(missing.to_string().starts_with("cannot find ptxas at "), "{missing}");
        let nowhere = find(None, None, &[]).expect_err("nowhere to look");
        assert!(nowhere.to_string().contains("run .ci/install-tools"), "{nowhere}");
    }
}
