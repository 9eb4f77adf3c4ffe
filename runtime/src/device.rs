//! A device: memory, kernels, launches.

use std::fmt;
use std::sync::Arc;

use ptxgen_builder::build::{AnyLaunchable, ArgInfo, Args, Kernel, Stored};
use ptxgen_builder::guard::{GuardedKernel, guard};
use ptxgen_builder::target::Target;
use ptxgen_builder::verify::Validated;

use crate::argument::LaunchArgs;
use crate::backend::{Backend, Init, MemoryInfo};
use crate::buffer::Buffer;
use crate::cuda::{Cuda, CudaOptions};
use crate::element::Element;
use crate::error::DeviceError;
use crate::function::{Call, Function, Loaded, LoadedModule};
use crate::interp::{Interp, InterpOptions};
use crate::shape::LaunchShape;
use crate::stream::{Graph, Stream};

/// Where kernels run: an NVIDIA GPU, or the interpreter.
///
/// A device is a handle; clones refer to the same device. The objects that it creates (buffers, kernels, events,
/// graphs) keep it alive and work only with it.
#[derive(Clone)]
pub struct Device {
    backend: Arc<dyn Backend>,
    stream: Arc<Stream>,
}

impl Device {
    pub(crate) fn from_backend(backend: Arc<dyn Backend>) -> Device {
        Device { stream: Arc::new(Stream::default_of(&backend)), backend }
    }

    /// The interpreter with all checks on, for sm_90.
    pub fn interp() -> Device {
        Self::interp_with(InterpOptions::default())
    }

    /// The interpreter.
    pub fn interp_with(options: InterpOptions) -> Device {
        Self::from_backend(Arc::new(Interp::new(options)))
    }

    /// GPU number `ordinal`, from 0.
    ///
    /// # Errors
    /// If there is no driver or no such GPU, or one of them is too old.
    pub fn cuda(ordinal: usize) -> Result<Device, DeviceError> {
        Self::cuda_with(ordinal, CudaOptions::default())
    }

    /// GPU number `ordinal`, from 0, with the given options.
    ///
    /// # Errors
    /// As [`cuda`](Self::cuda).
    pub fn cuda_with(ordinal: usize, options: CudaOptions) -> Result<Device, DeviceError> {
        Ok(Self::from_backend(Arc::new(Cuda::new(ordinal, options)?)))
    }

    /// Its name, for messages.
    pub fn name(&self) -> &str {
        self.backend.name()
    }

    /// Whether it is the interpreter.
    pub fn is_interpreter(&self) -> bool {
        self.backend.is_interpreter()
    }

    /// The target to generate kernels for.
    pub fn target(&self) -> Target {
        self.backend.target()
    }

    /// How many multiprocessors it has, as the driver says; of the interpreter, as its options do.
    pub fn multiprocessors(&self) -> u32 {
        self.backend.multiprocessors()
    }

    /// Its memory.
    ///
    /// # Errors
    /// If the device failed.
    pub fn memory(&self) -> Result<MemoryInfo, DeviceError> {
        self.backend.memory()
    }

    /// Checks that `bytes` can be allocated, before allocating anything.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`] if not.
    pub fn require(&self, bytes: u64) -> Result<(), DeviceError> {
        let free = self.memory()?.free;
        if bytes > free {
            return Err(DeviceError::OutOfMemory { device: self.name().to_owned(), needed: bytes, free });
        }
        Ok(())
    }

    /// A buffer whose elements must be written before they are read; the interpreter reports reads of uninitialized
    /// elements.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn alloc<T: Stored<Element: Element>>(&self, len: usize) -> Result<Buffer<T>, DeviceError> {
        Buffer::new(&self.backend, len, Init::Unwritten)
    }

    /// A buffer of zeros.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn zeroed<T: Stored<Element: Element>>(&self, len: usize) -> Result<Buffer<T>, DeviceError> {
        Buffer::new(&self.backend, len, Init::Zero)
    }

    /// A buffer with these elements. Several threads copy long slices, such as tensors of a mapped file, in pieces
    /// through pinned memory.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn upload<T: Element>(&self, elements: &[T]) -> Result<Buffer<T>, DeviceError> {
        self.upload_as(elements)
    }

    /// A buffer of a format, from the numbers that kernels read there: `device.upload_as::<Blocks<Q4K>>(&bytes)`.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn upload_as<T: Stored<Element: Element>>(&self, elements: &[T::Element]) -> Result<Buffer<T>, DeviceError> {
        let mut buffer = self.alloc(elements.len())?;
        buffer.write(0, elements)?;
        Ok(buffer)
    }

    /// Verifies, compiles and loads a kernel, which checks its accesses while it runs.
    ///
    /// # Errors
    /// If it does not verify for the device's target, its accesses cannot be checked
    /// ([`DeviceError::Guard`] names the line), or it does not compile.
    pub fn load<A: Args>(&self, kernel: &Kernel<A>) -> Result<Loaded<A>, DeviceError> {
        let module = self.checked(kernel.verify(self.target())?, may_write(A::INFO))?;
        Ok(Loaded::new(module.function(kernel.name())?.typed(A::INFO)))
    }

    /// Verifies, compiles and loads a kernel without checks of its accesses.
    ///
    /// # Safety
    /// Whenever a call of it runs, the kernel must read and write only inside the buffers of its arguments, write only
    /// to those that were passed for writing, and stay inside its own arrays; every access must be aligned to its size.
    ///
    /// # Errors
    /// If it does not verify for the device's target or does not compile.
    pub unsafe fn load_unchecked<A: Args>(&self, kernel: &Kernel<A>) -> Result<Loaded<A>, DeviceError> {
        let module = self.unchecked(kernel.verify(self.target())?)?;
        Ok(Loaded::new(module.function(kernel.name())?.typed(A::INFO)))
    }

    /// Verifies, compiles and loads a kernel together with its default launch, which [`Function::call`] uses. Its calls
    /// check every buffer's kind and length, and it checks its accesses while it runs, because addresses may depend on
    /// numbers in buffers.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_launchable(&self, launch: &AnyLaunchable) -> Result<Function, DeviceError> {
        let module = self.checked(launch.kernel.verify(launch.target)?, may_write(launch.kernel.args()))?;
        Self::launchable(&module, launch)
    }

    /// As [`load_launchable`](Self::load_launchable), without checks of accesses. The calls check every buffer's kind
    /// and length.
    ///
    /// # Safety
    /// Whenever a call of it runs, the numbers in its buffers must be such that the kernel reads and writes only inside
    /// the buffers of its arguments and its own arrays. A kernel of the catalogue of `ptxgen-dsl` satisfies this if
    /// each buffer of words contains what its `Words` say (tokens below the vocabulary size, experts below their
    /// number, positions below the cache's length, offsets that rise to their total). All its other accesses follow
    /// from the shapes for which it was generated, and the lengths of its buffers are checked against those.
    ///
    /// # Errors
    /// If it does not verify or does not compile.
    pub unsafe fn load_launchable_unchecked(&self, launch: &AnyLaunchable) -> Result<Function, DeviceError> {
        let module = self.unchecked(launch.kernel.verify(launch.target)?)?;
        Self::launchable(&module, launch)
    }

    fn launchable(module: &Module, launch: &AnyLaunchable) -> Result<Function, DeviceError> {
        let function = module.function(launch.kernel.name())?.typed(launch.kernel.args());
        let shape = LaunchShape::from((launch.grid, [launch.block, 1, 1]));
        let sized = function.sized(launch.kernel.param_names(), &launch.bytes);
        Ok(sized.shaped(shape.with_dynamic_shared(launch.dynamic_shared)))
    }

    /// Compiles and loads a module from any source; its kernels check their accesses while they run.
    ///
    /// # Errors
    /// If the device is too old for it, an access cannot be checked, or it does not compile.
    pub fn load_module(&self, module: Validated) -> Result<Module, DeviceError> {
        self.checked(module, |_, _| true)
    }

    /// Compiles and loads a module without checks of its accesses.
    ///
    /// # Safety
    /// Whenever a call of one of its kernels runs, the kernel must read and write only inside the buffers of its
    /// arguments, write only to those that were passed for writing, and stay inside its own and its module's arrays;
    /// every access must be aligned to its size.
    ///
    /// # Errors
    /// If the device is too old for it or it does not compile.
    pub unsafe fn load_module_unchecked(&self, module: Validated) -> Result<Module, DeviceError> {
        self.unchecked(module)
    }

    /// Loads a module with its guarded kernels instead of its own. The interpreter checks accesses itself, but it also
    /// rejects a module that could not be guarded.
    fn checked(&self, module: Validated, may_write: impl Fn(usize, usize) -> bool) -> Result<Module, DeviceError> {
        let guarded = guard(&module, may_write)?;
        let original = Arc::new(module);
        let code = if self.is_interpreter() { original.clone() } else { Arc::new(guarded.module) };
        let kernels = guarded.kernels.into_iter().map(Arc::new).collect();
        self.loaded(&code, original, Some(kernels))
    }

    fn unchecked(&self, module: Validated) -> Result<Module, DeviceError> {
        let module = Arc::new(module);
        self.loaded(&module.clone(), module, None)
    }

    fn loaded(
        &self,
        code: &Arc<Validated>,
        original: Arc<Validated>,
        guarded: Option<Vec<Arc<GuardedKernel>>>,
    ) -> Result<Module, DeviceError> {
        let (backend, handle) = (self.backend.clone(), self.backend.load(code)?);
        let loaded = Arc::new(LoadedModule { backend, handle });
        Ok(Module(Arc::new(Inner { loaded, original, guarded })))
    }

    /// Binds and runs a kernel on the default stream. Arguments of wrong types do not compile. The kernel accesses only
    /// the buffers of its arguments and its own arrays: an access out of bounds is skipped, and this call or the next
    /// one that waits returns [`DeviceError::Access`].
    ///
    /// # Errors
    /// As [`Loaded::bind`] and [`Stream::run`].
    pub fn launch<'a, A>(
        &self,
        kernel: &Loaded<A>,
        shape: impl Into<LaunchShape>,
        args: impl LaunchArgs<'a, A>,
    ) -> Result<(), DeviceError> {
        self.run(&kernel.bind(shape, args)?)
    }

    /// As [`launch`](Self::launch), without checks of the kernel's accesses.
    ///
    /// # Safety
    /// As [`Function::bind_unchecked`].
    ///
    /// # Errors
    /// As [`launch`](Self::launch).
    pub unsafe fn launch_unchecked<'a, A>(
        &self,
        kernel: &Loaded<A>,
        shape: impl Into<LaunchShape>,
        args: impl LaunchArgs<'a, A>,
    ) -> Result<(), DeviceError> {
        // SAFETY: the caller guarantees the requirements.
        let call = unsafe { kernel.bind_unchecked(shape, args)? };
        self.run(&call)
    }

    /// Runs a call on the default stream.
    ///
    /// # Errors
    /// As [`Stream::run`].
    pub fn run(&self, call: &Call) -> Result<(), DeviceError> {
        self.stream.run(call)
    }

    /// Records calls as a graph. On GPUs from sm_90 on, kernels that wait for the previous one themselves start before
    /// it has ended.
    ///
    /// # Errors
    /// If a call belongs to another device, or the driver rejects it.
    pub fn graph(&self, calls: &[Call]) -> Result<Graph, DeviceError> {
        Graph::new(&self.backend, calls)
    }

    /// Runs a graph on the default stream.
    ///
    /// # Errors
    /// As [`Stream::run`].
    pub fn replay(&self, graph: &Graph) -> Result<(), DeviceError> {
        self.stream.replay(graph)
    }

    /// The default stream.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// A new stream.
    ///
    /// # Errors
    /// If the device failed.
    pub fn new_stream(&self) -> Result<Stream, DeviceError> {
        Stream::new(&self.backend)
    }

    /// Waits for the default stream.
    ///
    /// # Errors
    /// If work that was submitted to it failed.
    pub fn synchronize(&self) -> Result<(), DeviceError> {
        self.stream.synchronize()
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device {} ({})", self.name(), self.target())
    }
}

/// Which parameters may be written, according to their types.
fn may_write(args: &[ArgInfo]) -> impl Fn(usize, usize) -> bool {
    |_, param| !matches!(args.get(param), Some(ArgInfo::Buffer { writes: false, .. }))
}

/// A module on a device.
#[derive(Clone, Debug)]
pub struct Module(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The code: the module, or its guarded version.
    loaded: Arc<LoadedModule>,
    original: Arc<Validated>,
    guarded: Option<Vec<Arc<GuardedKernel>>>,
}

impl Module {
    /// The kernel with this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn function(&self, name: &str) -> Result<Function, DeviceError> {
        let kernels = &self.0.original.module().kernels;
        let index = kernels.iter().position(|k| k.name == name).ok_or_else(|| {
            let known = kernels.iter().map(|k| k.name.clone()).collect();
            crate::error::LaunchError::NoKernel { name: name.to_owned(), known }
        })?;
        let guarded = self.0.guarded.as_ref().and_then(|g| g.get(index).cloned());
        Function::new(&self.0.loaded, &self.0.original, index, guarded)
    }
}
