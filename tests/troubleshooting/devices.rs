//! What is said about machines without a GPU, and about GPUs that fail. No GPU is
//! at hand, so the errors are made as the runtime makes them.

use ptxgen::{
    builder::target::PtxVersion,
    prelude::Target,
    runtime::{Complaint, CudaVersion, DeviceError, JitError},
};

pub fn messages() -> Vec<String> {
    let device = || "NVIDIA H200".to_owned();
    let reason = || "CUDA_ERROR_ILLEGAL_ADDRESS, an illegal memory access was encountered".to_owned();
    let complaint = Complaint {
        message: "error   : Arguments mismatch for instruction 'add'".to_owned(),
        instruction: Some("add.u32 %r1, %r2, %rd3;".to_owned()),
        loc: Some("src/kernels.rs:12".to_owned()),
    };
    let jit = JitError {
        target: Target::SM_90,
        reason: "CUDA_ERROR_INVALID_PTX".to_owned(),
        complaints: vec![complaint],
        log: String::new(),
    };
    let errors = [
        DeviceError::NoDriver,
        DeviceError::NoGpu { reason: "CUDA_ERROR_NO_DEVICE, no CUDA-capable device is detected".to_owned() },
        DeviceError::NoSuchGpu { asked: 1, found: 1 },
        DeviceError::DriverTooOld { found: CudaVersion(11080), least: CudaVersion::LEAST },
        DeviceError::GpuTooOld { name: "Tesla V100".to_owned(), sm: 70 },
        DeviceError::OutOfMemory { device: device(), needed: 40_000_000_000, free: 20_000_000_000 },
        DeviceError::Target { module: Target::SM_120, device: device(), target: Target::SM_90 },
        DeviceError::PtxVersion { needed: PtxVersion(87), device: device(), known: PtxVersion(80) },
        DeviceError::Jit(Box::new(jit)),
        DeviceError::NotLaunched { kernel: "saxpy".to_owned(), device: device(), reason: reason() },
        DeviceError::KernelFailed { device: device(), reason: reason(), kernels: vec!["saxpy".to_owned()] },
        DeviceError::Lost { device: device(), reason: reason() },
    ];
    errors.iter().map(ToString::to_string).collect()
}
