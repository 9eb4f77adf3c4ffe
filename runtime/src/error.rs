//! Errors of devices, with their remedies.

use ptxgen_builder::interp::{Finding, MemoryError, Report};
use ptxgen_builder::ir::Loc;
use ptxgen_builder::target::{PtxVersion, Target};
use ptxgen_builder::types::ScalarType;
use ptxgen_builder::verify::VerifyErrors;
use thiserror::Error;

use crate::cuda::CudaVersion;

pub use ptxgen_builder::guard::GuardError;
pub use ptxgen_builder::interp::LaunchError;

/// Why an operation of a device failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The NVIDIA driver's library cannot be loaded.
    #[error(
        "no NVIDIA driver: libcuda.so.1 cannot be loaded; install the driver (580 or newer is best), and in a container start it with the GPU passed through (docker run --gpus all)"
    )]
    NoDriver,
    /// The driver exists but does not start, or finds no GPU.
    #[error(
        "the NVIDIA driver finds no GPU ({reason}); look at nvidia-smi, at CUDA_VISIBLE_DEVICES, and whether the container has the GPU passed through"
    )]
    NoGpu {
        /// The driver's message.
        reason: String,
    },
    /// There is no GPU with this number.
    #[error("there is no GPU {asked}; the driver finds {found}, numbered from 0")]
    NoSuchGpu {
        /// The requested number.
        asked: usize,
        /// The number of GPUs.
        found: usize,
    },
    /// A driver older than CUDA 12.0.
    #[error(
        "the NVIDIA driver is too old: it supports CUDA {found}, and {least} is the least that works; install driver 525 or newer"
    )]
    DriverTooOld {
        /// The CUDA version that it supports.
        found: CudaVersion,
        /// The minimum version.
        least: CudaVersion,
    },
    /// A GPU older than Turing.
    #[error("{name} is too old: it is sm_{sm}, and kernels are written for sm_75 (Turing, 2018) and newer")]
    GpuTooOld {
        /// The GPU.
        name: String,
        /// Its compute capability, major * 10 + minor.
        sm: u32,
    },
    /// Not enough device memory.
    #[error(
        "not enough memory on {device}: {needed} bytes are needed and {free} are free; use a smaller model or context, or end other programs on the GPU"
    )]
    OutOfMemory {
        /// The device.
        device: String,
        /// Requested bytes.
        needed: u64,
        /// Free bytes.
        free: u64,
    },
    /// The kernel does not verify.
    #[error("the kernel does not verify:\n{0}")]
    Verify(#[from] VerifyErrors),
    /// A module for a newer GPU than the device.
    #[error("the module is written for {module} and {device} runs code for up to {target}; write it for {target}")]
    Target {
        /// The module's target.
        module: Target,
        /// The device.
        device: String,
        /// The newest target that the device runs.
        target: Target,
    },
    /// A module that needs a newer driver.
    #[error(
        "the module needs PTX {needed} and the driver of {device} reads up to PTX {known}; install a newer driver, or avoid the newer instructions"
    )]
    PtxVersion {
        /// The minimum version with the module's instructions.
        needed: PtxVersion,
        /// The device.
        device: String,
        /// The newest version that the driver reads.
        known: PtxVersion,
    },
    /// The driver's compiler rejects a module.
    #[error("{0}")]
    Jit(Box<JitError>),
    /// A launch with a wrong shape, number of arguments, or too much shared memory.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// A launch with an argument that does not match its parameter.
    #[error("kernel `{kernel}`, parameter {index} (`{param}`): {what}")]
    Argument {
        /// The kernel.
        kernel: String,
        /// Index of the parameter, from 0.
        index: usize,
        /// Its name.
        param: String,
        /// What is wrong, and what was expected.
        what: ArgumentError,
    },
    /// A range outside a buffer, or one that does not match its new element type.
    #[error("elements {start}..{end} of a buffer of {len} {ty}: {why}")]
    Range {
        /// First element.
        start: usize,
        /// After the last element.
        end: usize,
        /// Number of elements in the buffer.
        len: usize,
        /// Element type.
        ty: ScalarType,
        /// What is wrong.
        why: &'static str,
    },
    /// An object that belongs to another device.
    #[error("a {what} of another device was used with {device}")]
    Foreign {
        /// Kind of the object: buffer, kernel, event, graph.
        what: &'static str,
        /// The device that was called.
        device: String,
    },
    /// The interpreter reported findings.
    #[error("the interpreter found this:\n{0}")]
    Findings(Box<Report>),
    /// An access of a kernel was outside its buffers and arrays. It was skipped, and the device is still usable.
    #[error("{0}")]
    Access(Box<AccessError>),
    /// The kernel cannot be guarded.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The interpreter has not enough memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The driver rejected a launch. The device is still usable.
    #[error("`{kernel}` cannot be launched on {device}: {reason}; `ptxgen doctor` tells whether the GPU works")]
    NotLaunched {
        /// The kernel.
        kernel: String,
        /// The device.
        device: String,
        /// The driver's message.
        reason: String,
    },
    /// A kernel failed while it ran. The device can no longer be used.
    #[error(
        "a kernel failed on {device}: {reason}{}; --device interp names the instruction", last_launches(.kernels)
    )]
    KernelFailed {
        /// The device.
        device: String,
        /// The driver's message.
        reason: String,
        /// Kernels launched since the last synchronization, in order.
        kernels: Vec<String>,
    },
    /// The device failed earlier and cannot be used by this process any more.
    #[error("{device} cannot be used by this process after an earlier failure ({reason}); start the program again")]
    Lost {
        /// The device.
        device: String,
        /// The failure.
        reason: String,
    },
    /// Any other error of the driver.
    #[error("{call} failed on {device}: {reason}; `ptxgen doctor` tells whether the GPU works")]
    Driver {
        /// The device.
        device: String,
        /// The driver's function.
        call: &'static str,
        /// The driver's message.
        reason: String,
    },
}

/// An access outside the memory that a kernel may use.
#[derive(Clone, PartialEq, Debug, Error)]
#[non_exhaustive]
#[error("kernel `{kernel}` {what}{}, in block {}, thread {}{}{}", at_line(.loc), place(.block), place(.thread),
    if .instruction.is_empty() { String::new() } else { format!(": `{}`", .instruction) },
    .finding.as_ref().map_or_else(String::new, |f| format!("\n{f}")))]
pub struct AccessError {
    /// The kernel.
    pub kernel: String,
    /// The access, such as `reads x[20] of 20`.
    pub what: String,
    /// The block, as `%ctaid`.
    pub block: [u32; 3],
    /// The thread in its block, as `%tid`.
    pub thread: [u32; 3],
    /// The instruction.
    pub instruction: String,
    /// The line in the source.
    pub loc: Option<Loc>,
    /// The interpreter's report, if that is the device.
    pub finding: Option<Box<Finding>>,
}

fn place([x, y, z]: &[u32; 3]) -> String {
    format!("({x}, {y}, {z})")
}

fn at_line(loc: &Option<Loc>) -> String {
    loc.as_ref().map_or_else(String::new, |l| format!(" at {l}"))
}

/// Why an argument does not match its parameter.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// A different kind of argument.
    #[error("it takes {expected}, and got {got}")]
    Kind {
        /// The kind that the kernel takes.
        expected: String,
        /// The kind that was passed.
        got: String,
    },
    /// A buffer that is too short.
    #[error("it needs a buffer of {needed} bytes, and got {got}")]
    Short {
        /// Bytes that the kernel uses.
        needed: u64,
        /// Bytes of the buffer.
        got: u64,
    },
    /// A view whose start is not aligned to 16 bytes, which kernels may load at once.
    #[error("it needs a buffer that starts at a multiple of 16 bytes; this view starts {off} bytes after one")]
    Misaligned {
        /// Bytes after the last multiple of 16.
        off: u64,
    },
    /// A buffer of another device.
    #[error("the buffer belongs to another device")]
    Foreign,
}

/// A module that the driver's compiler rejects. The verifier accepted it, so this is an error in this library or in the
/// driver.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("the driver's compiler rejects the module for {target}: {reason}{}{}",
    .complaints.iter().map(|c| format!("\n  {c}")).collect::<String>(),
    if .complaints.is_empty() && !.log.is_empty() { format!("\n{log}") } else { String::new() })]
pub struct JitError {
    /// The GPU's architecture.
    pub target: Target,
    /// The driver's result.
    pub reason: String,
    /// The compiler's messages.
    pub complaints: Vec<Complaint>,
    /// The complete log of the compiler.
    pub log: String,
}

/// A message of the driver's compiler.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{message}{}{}",
    .instruction.as_ref().map_or(String::new(), |i| format!("\n    in `{i}`")),
    .loc.as_ref().map_or(String::new(), |l| format!("\n    at {l}")))]
pub struct Complaint {
    /// The text of the message.
    pub message: String,
    /// The line of PTX that it refers to.
    pub instruction: Option<String>,
    /// The line in the source.
    pub loc: Option<String>,
}

/// `; it is one of the last launches (a, b)`, if any are known.
fn last_launches(kernels: &[String]) -> String {
    if kernels.is_empty() {
        String::new()
    } else {
        format!("; it is one of the last launches ({})", kernels.join(", "))
    }
}
