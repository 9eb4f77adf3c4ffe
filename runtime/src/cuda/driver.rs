//! The NVIDIA driver: whether it exists, its version, and its GPUs.

use std::ffi::{CStr, c_char, c_int};
use std::{fs, ptr};

use cudarc::driver::sys::{self, CUdevice_attribute as Attribute, CUresult};
use ptxgen_builder::target::Target;

use super::version::CudaVersion;
use crate::error::DeviceError;

/// The driver and its GPUs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DriverInfo {
    /// The CUDA version that it supports.
    pub cuda: CudaVersion,
    /// The driver's own version, such as `580.159.04`, if the system reports it.
    pub version: Option<String>,
    /// The GPUs.
    pub gpus: Vec<GpuInfo>,
}

/// A GPU.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct GpuInfo {
    /// Its number, from 0.
    pub ordinal: usize,
    /// Its name.
    pub name: String,
    /// Its compute capability, major * 10 + minor.
    pub sm: u32,
    /// The target to generate kernels for; `None` if the GPU or the driver is too old.
    pub target: Option<Target>,
    /// Bytes of memory.
    pub memory: u64,
    /// Multiprocessors.
    pub multiprocessors: u32,
    /// Bytes of L2 cache.
    pub l2: u64,
    /// Bytes of shared memory that a block can have.
    pub shared: u32,
}

impl DriverInfo {
    /// Queries the driver. Does not start anything on a GPU.
    ///
    /// # Errors
    /// If there is no driver, it is too old, or it finds no GPU.
    pub fn query() -> Result<DriverInfo, DeviceError> {
        let cuda = start()?;
        let mut count = 0;
        // SAFETY: the driver is initialized and writes one integer.
        no_gpu(unsafe { sys::cuDeviceGetCount(&mut count) })?;
        if count <= 0 {
            return Err(DeviceError::NoGpu { reason: "it counts none".to_owned() });
        }
        let gpus = (0..count).map(|ordinal| gpu(ordinal, cuda)).collect::<Result<_, _>>()?;
        Ok(DriverInfo { cuda, version: version(), gpus })
    }
}

/// Loads and initializes the driver.
fn start() -> Result<CudaVersion, DeviceError> {
    // SAFETY: loading the driver's library runs its initializers, whose safety is the driver's responsibility.
    if !unsafe { sys::is_culib_present() } {
        return Err(DeviceError::NoDriver);
    }
    let mut version: c_int = 0;
    // SAFETY: may be called at any time; writes one integer.
    no_gpu(unsafe { sys::cuDriverGetVersion(&mut version) })?;
    let found = CudaVersion(u32::try_from(version).unwrap_or(0));
    if found < CudaVersion::LEAST {
        return Err(DeviceError::DriverTooOld { found, least: CudaVersion::LEAST });
    }
    // SAFETY: may be called any number of times.
    no_gpu(unsafe { sys::cuInit(0) })?;
    Ok(found)
}

fn no_gpu(result: CUresult) -> Result<(), DeviceError> {
    if result == CUresult::CUDA_SUCCESS { Ok(()) } else { Err(DeviceError::NoGpu { reason: describe(result) }) }
}

fn gpu(ordinal: c_int, cuda: CudaVersion) -> Result<GpuInfo, DeviceError> {
    let mut device = 0;
    // SAFETY: the driver is initialized and writes one integer.
    no_gpu(unsafe { sys::cuDeviceGet(&mut device, ordinal) })?;
    let mut name = [0 as c_char; 256];
    // SAFETY: the buffer has the given length.
    no_gpu(unsafe { sys::cuDeviceGetName(name.as_mut_ptr(), name.len() as c_int, device) })?;
    let mut memory = 0;
    // SAFETY: the device is the driver's; it writes one integer.
    no_gpu(unsafe { sys::cuDeviceTotalMem_v2(&mut memory, device) })?;
    let attribute = |which| -> Result<u32, DeviceError> {
        let mut value = 0;
        // SAFETY: the device is the driver's; it writes one integer.
        no_gpu(unsafe { sys::cuDeviceGetAttribute(&mut value, which, device) })?;
        Ok(u32::try_from(value).unwrap_or(0))
    };
    let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    let sm = major * 10 + attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
    // SAFETY: the driver has ended the name with a zero.
    let name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned();
    Ok(GpuInfo {
        ordinal: ordinal as usize,
        name,
        sm,
        target: target(sm, cuda),
        memory: memory as u64,
        multiprocessors: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
        l2: attribute(Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?.into(),
        shared: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?,
    })
}

/// The newest target that runs on a GPU and that its driver can read. Code for a target also runs on every newer GPU.
fn target(sm: u32, cuda: CudaVersion) -> Option<Target> {
    let sm = u16::try_from(sm).unwrap_or(u16::MAX).min(1000);
    (75..=sm).rev().filter_map(|n| Target::new(n).ok()).find(|t| t.least_ptx() <= cuda.ptx())
}

/// The version of the driver's kernel module.
fn version() -> Option<String> {
    let text = fs::read_to_string("/proc/driver/nvidia/version").ok()?;
    let words = text.lines().next()?.split_whitespace();
    words.map(str::to_owned).find(|w| w.contains('.') && w.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

/// A result with the driver's description: `CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected`.
pub(super) fn describe(result: CUresult) -> String {
    let text = |get: unsafe fn(CUresult, *mut *const c_char) -> CUresult| {
        let mut text = ptr::null();
        // SAFETY: the driver's library is loaded, because a result came from it; it writes one pointer.
        let known = unsafe { get(result, &mut text) } == CUresult::CUDA_SUCCESS && !text.is_null();
        // SAFETY: the driver returns constant strings that end with a zero.
        known.then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
    };
    match (text(sys::cuGetErrorName), text(sys::cuGetErrorString)) {
        (Some(name), Some(message)) => format!("{name}: {message}"),
        _ => format!("error {}", result as u32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ptx_of_a_driver_and_targets_of_a_gpu() {
        let ptx = |cuda| CudaVersion(cuda).ptx().0;
        assert_eq!([12000, 12010, 12050, 12060, 12080, 12090].map(ptx), [80, 81, 85, 85, 87, 88]);
        assert_eq!([13000, 13010, 14000, 11080].map(ptx), [90, 91, 90, 78]);
        let on = |sm, cuda| target(sm, CudaVersion(cuda)).map(|t| t.sm());
        assert_eq!(on(90, 13000), Some(90));
        assert_eq!(on(75, 12000), Some(75));
        assert_eq!(on(70, 13000), None);
        assert_eq!(on(100, 12080), Some(100));
        assert_eq!(on(120, 12000), Some(90), "a driver that does not know the GPU's own target");
        assert_eq!(on(101, 13000), Some(101), "the GPU's own target");
        assert_eq!(CudaVersion(12090).to_string(), "12.9");
    }

    /// On any machine, with or without a GPU: returns a result and does not panic.
    #[test]
    fn a_missing_driver_is_an_error() {
        match DriverInfo::query() {
            Ok(info) => assert!(!info.gpus.is_empty()),
            Err(e @ DeviceError::NoDriver) => assert!(e.to_string().contains("libcuda.so.1"), "{e}"),
            Err(e @ DeviceError::NoGpu { .. }) => assert!(e.to_string().contains("finds no GPU"), "{e}"),
            Err(e) => panic!("{e}"),
        }
    }
}
