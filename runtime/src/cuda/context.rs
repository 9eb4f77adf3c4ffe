//! A GPU's context, and the meaning of its failures.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use cudarc::driver::sys::{self, CUcontext, CUresult};

use super::driver::{GpuInfo, describe};
use crate::error::DeviceError;

/// Number of launches that are remembered, to name those that may have failed.
const REMEMBERED: usize = 8;

/// Locked while a graph is recorded, and exclusively while a thread waits for a context, because that wait would
/// invalidate the recording. Contexts belong to the process, so this does too.
static RECORDING: RwLock<()> = RwLock::new(());

/// Prevents all threads from waiting for a context while a graph is recorded.
pub(super) fn recording() -> RwLockReadGuard<'static, ()> {
    RECORDING.read().unwrap_or_else(PoisonError::into_inner)
}

/// The primary context of a GPU, retained as long as anything uses it.
#[derive(Debug)]
pub(super) struct Context {
    pub gpu: GpuInfo,
    raw: CUcontext,
    /// The failure that destroyed the context, if there was one.
    lost: OnceLock<String>,
    /// Launches since the last synchronization.
    launched: Mutex<VecDeque<Arc<str>>>,
}

// SAFETY: the driver's functions may be called with a context from any thread.
unsafe impl Send for Context {}
// SAFETY: as above; the driver synchronizes what it shares, and the rest is locked here.
unsafe impl Sync for Context {}

impl Context {
    pub(super) fn new(gpu: GpuInfo) -> Result<Arc<Context>, DeviceError> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: the ordinal is below the driver's count; it writes one pointer.
        let result = unsafe { sys::cuDevicePrimaryCtxRetain(&mut raw, gpu.ordinal as i32) };
        let context = Context { gpu, raw, lost: OnceLock::new(), launched: Mutex::default() };
        context.check("cuDevicePrimaryCtxRetain", result)?;
        Ok(Arc::new(context))
    }

    /// The driver's object.
    pub(super) fn raw(&self) -> CUcontext {
        self.raw
    }

    /// Makes the context current in the calling thread, for the following driver calls.
    pub(super) fn enter(&self) -> Result<(), DeviceError> {
        if let Some(reason) = self.lost.get() {
            return Err(DeviceError::Lost { device: self.gpu.name.clone(), reason: reason.clone() });
        }
        // SAFETY: the context is retained until `self` is dropped.
        self.check("cuCtxSetCurrent", unsafe { sys::cuCtxSetCurrent(self.raw) })
    }

    /// Whether the context still works and is now current in the calling thread.
    pub(super) fn entered(&self) -> bool {
        self.enter().is_ok()
    }

    /// Waits for all work, then calls `release` for resources that are not used any more. If the wait failed or the
    /// context does not work, nothing is released, and the next call reports the error again.
    pub(super) fn release(&self, release: impl FnOnce() -> CUresult) {
        if self.entered() {
            let alone = RECORDING.write().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: the context was made current above.
            let ended = unsafe { sys::cuCtxSynchronize() };
            drop(alone);
            // Memory that may still be in use is not freed.
            if self.check("cuCtxSynchronize", ended).is_ok() {
                let _ = release();
            }
        }
    }

    /// Turns the driver's result into an error.
    pub(super) fn check(&self, call: &'static str, result: CUresult) -> Result<(), DeviceError> {
        if result == CUresult::CUDA_SUCCESS {
            return Ok(());
        }
        let (device, reason) = (self.gpu.name.clone(), describe(result));
        match failure(result) {
            Failure::Call => Err(DeviceError::Driver { device, call, reason }),
            Failure::Kernel => {
                let reason = self.lost.get_or_init(|| reason).clone();
                let kernels = self.launched().iter().map(|k| k.to_string()).collect();
                Err(DeviceError::KernelFailed { device, reason, kernels })
            }
            Failure::Device => {
                let reason = self.lost.get_or_init(|| reason).clone();
                Err(DeviceError::Lost { device, reason })
            }
        }
    }

    fn launched(&self) -> MutexGuard<'_, VecDeque<Arc<str>>> {
        self.launched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a launch.
    pub(super) fn launching(&self, kernel: &Arc<str>) {
        let mut launched = self.launched();
        if launched.len() == REMEMBERED {
            launched.pop_front();
        }
        launched.push_back(kernel.clone());
    }

    /// Forgets the launches: all have ended successfully.
    pub(super) fn synchronized(&self) {
        self.launched().clear();
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: retained once in `new`. If it fails, there is nothing else to do.
            let _ = unsafe { sys::cuDevicePrimaryCtxRelease_v2(self.gpu.ordinal as i32) };
        }
    }
}

/// The scope of a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Failure {
    /// Only this call.
    Call,
    /// The context, because a kernel failed.
    Kernel,
    /// The context, because the device failed.
    Device,
}

/// According to the CUDA driver API's list of results: those after which "the process must be terminated and
/// relaunched".
fn failure(result: CUresult) -> Failure {
    use CUresult::*;
    match result {
        CUDA_ERROR_ILLEGAL_ADDRESS
        | CUDA_ERROR_LAUNCH_TIMEOUT
        | CUDA_ERROR_ASSERT
        | CUDA_ERROR_HARDWARE_STACK_ERROR
        | CUDA_ERROR_ILLEGAL_INSTRUCTION
        | CUDA_ERROR_MISALIGNED_ADDRESS
        | CUDA_ERROR_INVALID_ADDRESS_SPACE
        | CUDA_ERROR_INVALID_PC
        | CUDA_ERROR_LAUNCH_FAILED
        | CUDA_ERROR_TENSOR_MEMORY_LEAK => Failure::Kernel,
        CUDA_ERROR_ECC_UNCORRECTABLE
        | CUDA_ERROR_NVLINK_UNCORRECTABLE
        | CUDA_ERROR_CONTAINED
        | CUDA_ERROR_CONTEXT_IS_DESTROYED
        | CUDA_ERROR_DEINITIALIZED
        | CUDA_ERROR_DEVICE_UNAVAILABLE
        | CUDA_ERROR_EXTERNAL_DEVICE
        | CUDA_ERROR_SYSTEM_NOT_READY
        | CUDA_ERROR_UNKNOWN => Failure::Device,
        _ => Failure::Call,
    }
}
