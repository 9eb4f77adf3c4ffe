//! NVIDIA GPUs, using only the driver.

mod cache;
mod context;
mod download;
mod driver;
mod jit;
mod options;
mod peer;
mod records;
mod source;
mod staging;
mod submit;
#[cfg(test)]
mod tests;
mod version;

use std::any::Any;
use std::collections::HashMap;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cudarc::driver::sys::{self, CUevent, CUmodule, CUresult};
use ptxgen_builder::print::{PrintOptions, least_version, print};
use ptxgen_builder::target::Target;
use ptxgen_builder::verify::Validated;

use crate::backend::{Backend, Handle, Init, MemoryInfo, Pending, RawLaunch, copy_through_host};
use crate::checked::{Slot, Watch};
use crate::error::DeviceError;
use cache::Cache;
use context::Context;
use download::Download;
pub use driver::{DriverInfo, GpuInfo};
pub use options::{CodeCache, CudaOptions};
use records::Records;
use staging::{Mark, PIECE, Pinned, Staging};
use submit::{new_stream, static_shared};
pub use version::CudaVersion;

/// For uploads up to this size, the driver does the staging.
const SMALL: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct Cuda {
    context: Arc<Context>,
    cuda: CudaVersion,
    /// The driver's own version, if known.
    version: Option<String>,
    target: Target,
    options: CudaOptions,
    stream: Handle,
    cache: Option<Cache>,
    /// Machine code of modules that were loaded earlier.
    code: Mutex<HashMap<cache::Key, Arc<[u8]>>>,
    staging: Mutex<Staging>,
    /// Pinned memory of completed downloads.
    spare: Arc<Mutex<Vec<Pinned>>>,
    graphs: Mutex<HashMap<Handle, Graph>>,
    /// Memory in which checked launches report violations.
    records: Arc<Records>,
}

/// What is known about a graph.
#[derive(Clone, Debug)]
struct Graph {
    name: Arc<str>,
    watches: Arc<[Arc<Watch>]>,
}

fn handle<T>(pointer: *mut T) -> Handle {
    Handle(pointer.expose_provenance())
}

fn raw<T>(handle: Handle) -> *mut T {
    ptr::with_exposed_provenance_mut(handle.0)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cuda {
    pub(crate) fn new(ordinal: usize, options: CudaOptions) -> Result<Cuda, DeviceError> {
        let info = DriverInfo::query()?;
        let found = info.gpus.len();
        let gpu = info.gpus.into_iter().nth(ordinal).ok_or(DeviceError::NoSuchGpu { asked: ordinal, found })?;
        let Some(target) = gpu.target else {
            return Err(DeviceError::GpuTooOld { name: gpu.name, sm: gpu.sm });
        };
        let context = Context::new(gpu)?;
        context.enter()?;
        let stream = new_stream(&context)?;
        let cache = match &options.cache {
            CodeCache::User => Cache::find(),
            CodeCache::Folder(folder) => Some(Cache::at(folder)),
            CodeCache::Off => None,
        };
        Ok(Cuda {
            context,
            cuda: info.cuda,
            version: info.version,
            target,
            options,
            stream: handle(stream),
            cache,
            code: Mutex::default(),
            staging: Mutex::default(),
            spare: Arc::default(),
            graphs: Mutex::default(),
            records: Arc::default(),
        })
    }

    /// Unused pinned memory for a download: existing memory, or new.
    fn pinned(&self, bytes: usize) -> Result<Pinned, DeviceError> {
        let fitting = {
            let mut spare = locked(&self.spare);
            spare.iter().position(|p| p.len() >= bytes).map(|i| spare.swap_remove(i))
        };
        fitting.map_or_else(|| Pinned::new(&self.context, bytes.max(1).next_power_of_two()), Ok)
    }

    /// Makes the context current for a driver call.
    fn call(&self, name: &'static str, call: impl FnOnce() -> CUresult) -> Result<(), DeviceError> {
        self.context.enter()?;
        self.context.check(name, call())
    }

    /// The machine code of a module: from memory, from disk, or compiled.
    fn code(&self, module: &Validated, ptx: &str) -> Result<(cache::Key, Arc<[u8]>), DeviceError> {
        let (gpu, cuda) = (self.context.gpu.sm.to_string(), self.cuda.to_string());
        let lines = if self.options.lineinfo { "lines" } else { "" };
        let key = cache::key(&[ptx, &gpu, &cuda, self.version.as_deref().unwrap_or(""), lines]);
        if let Some(code) = locked(&self.code).get(&key) {
            return Ok((key, code.clone()));
        }
        if let Some(code) = self.cache.as_ref().and_then(|c| c.get(&key)).filter(|c| jit::is_whole(c)) {
            return Ok((key, code.into()));
        }
        self.compile(module, ptx, key)
    }

    fn compile(&self, module: &Validated, ptx: &str, key: cache::Key) -> Result<(cache::Key, Arc<[u8]>), DeviceError> {
        let code = jit::compile(ptx, self.options.lineinfo).map_err(|rejected| {
            let error = source::explain(module, ptx, self.target, rejected);
            DeviceError::Jit(Box::new(error))
        })?;
        if let Some(cache) = &self.cache {
            cache.put(&key, &code);
        }
        Ok((key, code.into()))
    }

    /// After a launch: waits if that is requested, or if too many launches with records are pending.
    fn launched(&self, stream: Handle, kernel: &Arc<str>, watches: &[Arc<Watch>]) -> Result<(), DeviceError> {
        self.context.launching(kernel);
        let many = self.records.given(stream, watches);
        if self.options.wait_each || many { self.synchronize(stream) } else { Ok(()) }
    }

    /// Waits for a stream, and reports the first violation of its work.
    fn wait(&self, stream: Handle) -> Result<(), DeviceError> {
        // Work that is submitted during the wait is not included.
        let given = self.records.take(stream);
        // SAFETY: the stream is alive.
        let waited = self.call("cuStreamSynchronize", || unsafe { sys::cuStreamSynchronize(raw(stream)) });
        if let Err(e) = waited {
            self.records.put_back(stream, given);
            return Err(e);
        }
        records::first(&given)
    }
}

impl Backend for Cuda {
    fn name(&self) -> &str {
        &self.context.gpu.name
    }

    fn is_interpreter(&self) -> bool {
        false
    }

    fn target(&self) -> Target {
        self.target
    }

    fn multiprocessors(&self) -> u32 {
        self.context.gpu.multiprocessors
    }

    fn memory(&self) -> Result<MemoryInfo, DeviceError> {
        let (mut free, mut total) = (0, 0);
        // SAFETY: writes two integers.
        self.call("cuMemGetInfo", || unsafe { sys::cuMemGetInfo_v2(&mut free, &mut total) })?;
        Ok(MemoryInfo { free: free as u64, total: total as u64 })
    }

    fn alloc(&self, bytes: u64, init: Init) -> Result<u64, DeviceError> {
        let mut address = 0;
        self.context.enter()?;
        let size = usize::try_from(bytes.max(1)).unwrap_or(usize::MAX);
        // SAFETY: writes one address.
        let result = unsafe { sys::cuMemAlloc_v2(&mut address, size) };
        if result == CUresult::CUDA_ERROR_OUT_OF_MEMORY || size == usize::MAX {
            let (device, free) = (self.name().to_owned(), self.memory()?.free);
            return Err(DeviceError::OutOfMemory { device, needed: bytes, free });
        }
        self.context.check("cuMemAlloc", result)?;
        if init == Init::Zero {
            // SAFETY: the memory was allocated with this size.
            let cleared =
                self.call("cuMemsetD8Async", || unsafe { sys::cuMemsetD8Async(address, 0, size, raw(self.stream)) });
            if let Err(e) = cleared {
                self.free(address);
                return Err(e);
            }
        }
        Ok(address)
    }

    fn free(&self, address: u64) {
        // SAFETY: allocated by `alloc`, freed once (its `Allocation` is dropped), and `release` has waited for
        // everything that may use it.
        self.context.release(|| unsafe { sys::cuMemFree_v2(address) });
    }

    fn write(&self, address: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let stream = raw(self.stream);
        if bytes.len() > SMALL {
            return locked(&self.staging).upload(&self.context, stream, address, bytes);
        }
        // The caller's memory may be pinned by other parts of the process; then the device would read it after this
        // function has returned. This copy belongs only to the allocator.
        let own = bytes.to_vec();
        // SAFETY: the range is inside a buffer. The source is pageable memory, which the driver has copied when this
        // returns (CUDA driver API, "API synchronization behavior").
        self.call("cuMemcpyHtoDAsync", || unsafe {
            sys::cuMemcpyHtoDAsync_v2(address, own.as_ptr().cast(), own.len(), stream)
        })
    }

    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), DeviceError> {
        if bytes.is_empty() {
            return self.synchronize(self.stream);
        }
        for (i, part) in bytes.chunks_mut(PIECE).enumerate() {
            // Not into the caller's memory, which may be pinned by other parts of the process: if the wait fails, the
            // device could still write it.
            let pinned = self.pinned(part.len())?.under_way();
            let from = address + (i * PIECE) as u64;
            // SAFETY: the range is inside a buffer; the destination has its length, and is freed or used again only
            // after a successful wait below.
            self.call("cuMemcpyDtoHAsync", || unsafe {
                sys::cuMemcpyDtoHAsync_v2(pinned.pointer(), from, part.len(), raw(self.stream))
            })?;
            let (waited, told) = match self.synchronize(self.stream) {
                // Reported after a successful wait.
                Err(DeviceError::Access(access)) => (Ok(()), Err(DeviceError::Access(access))),
                waited => (waited, Ok(())),
            };
            let pinned = pinned.ended_if(waited)?;
            part.copy_from_slice(&pinned.bytes()[..part.len()]);
            locked(&self.spare).push(pinned);
            told?;
        }
        Ok(())
    }

    fn read_later(&self, stream: Handle, address: u64, bytes: usize) -> Result<Box<dyn Pending>, DeviceError> {
        let pinned = self.pinned(bytes)?.under_way();
        if bytes > 0 {
            // SAFETY: the range is inside a buffer that the caller keeps alive; the destination has its length, and is
            // freed or used again only after the mark, if ever.
            self.call("cuMemcpyDtoHAsync", || unsafe {
                sys::cuMemcpyDtoHAsync_v2(pinned.pointer(), address, bytes, raw(stream))
            })?;
        }
        let mark = Mark::new(&self.context, raw(stream), false)?;
        Ok(Box::new(Download::new(mark, pinned, bytes, self.spare.clone(), self.records.clone())))
    }

    fn copy(&self, from: u64, to: &dyn Backend, at: u64, bytes: usize) -> Result<(), DeviceError> {
        match to.as_any().downcast_ref::<Cuda>() {
            Some(gpu) => self.send(from, gpu, at, bytes),
            None => copy_through_host(self, from, to, at, bytes),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn load(&self, module: &Arc<Validated>) -> Result<Handle, DeviceError> {
        let device = || self.name().to_owned();
        let (written, target) = (module.module().target, self.target);
        if written > target {
            return Err(DeviceError::Target { module: written, device: device(), target });
        }
        let (needed, known) = (least_version(module.module()), self.cuda.ptx());
        if needed > known {
            return Err(DeviceError::PtxVersion { needed, device: device(), known });
        }
        let options = PrintOptions { lineinfo: self.options.lineinfo, ..PrintOptions::default() };
        let ptx = print(module, &options);
        self.context.enter()?;
        let (key, mut code) = self.code(module, &ptx)?;
        let loaded = match jit::load(&self.context, &code) {
            // If the driver does not accept cached code (any more), it is compiled again.
            Err(DeviceError::Driver { .. }) => {
                (_, code) = self.compile(module, &ptx, key)?;
                jit::load(&self.context, &code)?
            }
            other => other?,
        };
        locked(&self.code).insert(key, code);
        Ok(handle(loaded))
    }

    fn unload(&self, module: Handle) {
        // SAFETY: loaded by `load`, unloaded once (its `LoadedModule` is dropped), and `release` has waited for
        // everything that may run it.
        self.context.release(|| unsafe { sys::cuModuleUnload(raw::<sys::CUmod_st>(module)) });
    }

    fn function(&self, module: Handle, kernel: &str) -> Result<Handle, DeviceError> {
        let mut function = ptr::null_mut();
        let name = jit::c_name(kernel);
        let module: CUmodule = raw(module);
        // SAFETY: the module is loaded, the name ends with a zero; writes one pointer.
        self.call("cuModuleGetFunction", || unsafe { sys::cuModuleGetFunction(&mut function, module, name.as_ptr()) })?;
        // Up to the device's maximum; more than 48 KiB must be requested. The request also loads the kernel, which must
        // not happen while a graph is recorded.
        let left = self.context.gpu.shared.saturating_sub(static_shared(&self.context, function)?);
        let which = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        // SAFETY: the function is loaded.
        self.call("cuFuncSetAttribute", || unsafe { sys::cuFuncSetAttribute(function, which, left as i32) })?;
        // A multiprocessor can change its partition into L1 and shared memory only when it is idle. All kernels request
        // the same partition, so that a kernel can start while the previous one is running.
        let which = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT;
        let most = sys::CUshared_carveout::CU_SHAREDMEM_CARVEOUT_MAX_SHARED as i32;
        // SAFETY: the function is loaded.
        self.call("cuFuncSetAttribute", || unsafe { sys::cuFuncSetAttribute(function, which, most) })?;
        Ok(handle(function))
    }

    fn record(&self) -> Result<Option<Box<dyn Slot>>, DeviceError> {
        self.records.place(&self.context).map(Some)
    }

    fn default_stream(&self) -> Handle {
        self.stream
    }

    fn new_stream(&self) -> Result<Handle, DeviceError> {
        self.context.enter()?;
        Ok(handle(new_stream(&self.context)?))
    }

    fn drop_stream(&self, stream: Handle) {
        if !self.context.entered() {
            return;
        }
        let given = self.records.take(stream);
        // SAFETY: the stream is alive.
        let ended = unsafe { sys::cuStreamSynchronize(raw(stream)) };
        if self.context.check("cuStreamSynchronize", ended).is_err() {
            // Its kernels may still write their records, and no other stream may reuse its handle.
            self.records.put_back(stream, given);
            return;
        }
        // SAFETY: created by `new_stream`, destroyed once, by its owner; nothing runs in it.
        let _ = unsafe { sys::cuStreamDestroy_v2(raw(stream)) };
    }

    fn launch(&self, stream: Handle, launch: &RawLaunch) -> Result<(), DeviceError> {
        self.context.enter()?;
        self.check_shared(launch)?;
        self.submit(raw(stream), launch, false)?;
        self.launched(stream, &launch.kernel, launch.watch.as_slice())
    }

    fn synchronize(&self, stream: Handle) -> Result<(), DeviceError> {
        let told = self.wait(stream);
        if matches!(told, Ok(()) | Err(DeviceError::Access(_))) {
            self.context.synchronized();
        }
        told
    }

    fn record_event(&self, stream: Handle) -> Result<Handle, DeviceError> {
        let mark = Box::new(Mark::new(&self.context, raw(stream), true)?);
        Ok(handle(Box::into_raw(mark)))
    }

    fn drop_event(&self, event: Handle) {
        // SAFETY: created by `record_event`, and dropped once.
        drop(unsafe { Box::from_raw(raw::<Mark>(event)) });
    }

    fn wait_event(&self, stream: Handle, event: Handle) -> Result<(), DeviceError> {
        let event = mark(event);
        // SAFETY: both are alive and belong to this context.
        self.call("cuStreamWaitEvent", || unsafe { sys::cuStreamWaitEvent(raw(stream), event, 0) })
    }

    fn elapsed(&self, start: Handle, end: Handle) -> Result<Duration, DeviceError> {
        let (start, end) = (mark(start), mark(end));
        let mut milliseconds = 0.0f32;
        for event in [start, end] {
            // SAFETY: the event is alive.
            self.call("cuEventSynchronize", || unsafe { sys::cuEventSynchronize(event) })?;
        }
        // SAFETY: both are alive, recorded with timing, and complete; writes one float.
        self.call("cuEventElapsedTime", || unsafe { sys::cuEventElapsedTime(&mut milliseconds, start, end) })?;
        self.records.told()?;
        Ok(Duration::from_secs_f64(f64::from(milliseconds.max(0.0)) / 1e3))
    }

    fn make_graph(&self, launches: &[RawLaunch]) -> Result<Handle, DeviceError> {
        self.context.enter()?;
        launches.iter().try_for_each(|launch| self.check_shared(launch))?;
        let exec = self.capture(launches)?;
        // SAFETY: just instantiated, and the stream is alive. An error of the upload is reported at the launch.
        let _ = unsafe { sys::cuGraphUpload(exec, raw(self.stream)) };
        let (first, last) = (launches.first(), launches.last());
        let kernel = |launch: Option<&RawLaunch>| launch.map_or("nothing".to_owned(), |l| l.kernel.to_string());
        let name = format!("a graph of {} launches, {} to {}", launches.len(), kernel(first), kernel(last));
        let (graph, name) = (handle(exec), name.into());
        let watches = launches.iter().filter_map(|l| l.watch.clone()).collect();
        locked(&self.graphs).insert(graph, Graph { name, watches });
        Ok(graph)
    }

    fn drop_graph(&self, graph: Handle) {
        locked(&self.graphs).remove(&graph);
        // SAFETY: created by `make_graph`, destroyed once (its `Graph` is dropped), and `release` has waited for
        // everything that may run it.
        self.context.release(|| unsafe { sys::cuGraphExecDestroy(raw(graph)) });
    }

    fn replay(&self, stream: Handle, graph: Handle) -> Result<(), DeviceError> {
        let unknown = || Graph { name: "a graph".into(), watches: Arc::new([]) };
        let known = locked(&self.graphs).get(&graph).cloned().unwrap_or_else(unknown);
        // SAFETY: both are alive. The graph's owner keeps its resources alive; resources dropped in the meantime are
        // freed only after all pending work.
        let replayed = self.call("cuGraphLaunch", || unsafe { sys::cuGraphLaunch(raw(graph), raw(stream)) });
        replayed.map_err(|e| not_launched(e, &known.name))?;
        self.launched(stream, &known.name, &known.watches)
    }
}

/// Turns a rejected launch into an error that names its kernel; other failures are unchanged.
fn not_launched(error: DeviceError, kernel: &str) -> DeviceError {
    match error {
        DeviceError::Driver { device, reason, .. } => {
            DeviceError::NotLaunched { kernel: kernel.to_owned(), device, reason }
        }
        other => other,
    }
}

/// The driver's event behind a handle of [`Backend::record_event`].
fn mark(event: Handle) -> CUevent {
    // SAFETY: created by `record_event`, and dropped only by its owner, which is the caller.
    unsafe { &*raw::<Mark>(event) }.raw()
}

impl Drop for Cuda {
    fn drop(&mut self) {
        self.drop_stream(self.stream);
        // Kernels that were not waited for may still write their records.
        self.records.leak();
    }
}
