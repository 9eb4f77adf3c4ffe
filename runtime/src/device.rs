//! A device: memory, kernels, launches.

use std::fmt;
use std::sync::Arc;

use ptxgen_builder::build::{Args, Kernel};
use ptxgen_builder::target::Target;
use ptxgen_builder::verify::Validated;
use ptxgen_dsl::catalogue::Built;

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
/// A device is a handle; clones are the same device. What it has made (buffers,
/// kernels, events, graphs) keeps it alive and works with it alone.
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

    /// GPU number `ordinal`, from 0, used in another way than by default.
    ///
    /// # Errors
    /// As [`cuda`](Self::cuda).
    pub fn cuda_with(ordinal: usize, options: CudaOptions) -> Result<Device, DeviceError> {
        Ok(Self::from_backend(Arc::new(Cuda::new(ordinal, options)?)))
    }

    /// Its name, for people.
    pub fn name(&self) -> &str {
        self.backend.name()
    }

    /// Whether it is the interpreter.
    pub fn is_interpreter(&self) -> bool {
        self.backend.is_interpreter()
    }

    /// What to write kernels for.
    pub fn target(&self) -> Target {
        self.backend.target()
    }

    /// Its memory.
    ///
    /// # Errors
    /// If the device failed.
    pub fn memory(&self) -> Result<MemoryInfo, DeviceError> {
        self.backend.memory()
    }

    /// Checks that `bytes` can be allocated, before anything is.
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

    /// A buffer whose elements must be written before they are read; the
    /// interpreter finds reads that come too early.
    ///
    /// # Errors
    /// If there is no room.
    pub fn alloc<T: Element>(&self, len: usize) -> Result<Buffer<T>, DeviceError> {
        Buffer::new(&self.backend, len, Init::Unwritten)
    }

    /// A buffer of zeros.
    ///
    /// # Errors
    /// If there is no room.
    pub fn zeroed<T: Element>(&self, len: usize) -> Result<Buffer<T>, DeviceError> {
        Buffer::new(&self.backend, len, Init::Zero)
    }

    /// A buffer of these elements. Long slices, such as tensors of a mapped
    /// file, go through pinned memory in pieces, several threads copying.
    ///
    /// # Errors
    /// If there is no room.
    pub fn upload<T: Element>(&self, elements: &[T]) -> Result<Buffer<T>, DeviceError> {
        let mut buffer = self.alloc(elements.len())?;
        buffer.write(0, elements)?;
        Ok(buffer)
    }

    /// Verifies, compiles and loads a kernel.
    ///
    /// # Errors
    /// If it does not verify for the device's target or does not compile.
    pub fn load<A: Args>(&self, kernel: &Kernel<A>) -> Result<Loaded<A>, DeviceError> {
        let module = self.load_module(kernel.verify(self.target())?)?;
        Ok(Loaded::new(module.function(kernel.name())?.typed(A::INFO)))
    }

    /// Loads a kernel that the catalogue has generated, optimized and with its
    /// launch; its calls check every buffer's kind and length.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_built(&self, built: &Built) -> Result<Function, DeviceError> {
        let module = self.load_module(built.finish()?)?;
        let function = module.function(built.kernel().name())?.typed(built.kernel().args());
        let sized = function.sized(built.params.iter().map(|p| (p.name, p.bytes)));
        let shape = LaunchShape::from((built.launch.grid, [built.launch.block, 1, 1]));
        Ok(sized.shaped(shape.with_dynamic_shared(built.launch.dynamic_shared)))
    }

    /// Compiles and loads a module.
    ///
    /// # Errors
    /// If the device is too old for it or it does not compile.
    pub fn load_module(&self, module: Validated) -> Result<Module, DeviceError> {
        let module = Arc::new(module);
        let handle = self.backend.load(&module)?;
        Ok(Module(Arc::new(LoadedModule { backend: self.backend.clone(), handle, module })))
    }

    /// Binds and runs a kernel on the default stream. Arguments of the wrong
    /// types do not compile.
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

    /// Runs a call on the default stream.
    ///
    /// # Errors
    /// As [`Stream::run`].
    pub fn run(&self, call: &Call) -> Result<(), DeviceError> {
        self.stream.run(call)
    }

    /// Records calls as a graph. On GPUs from sm_90 on, kernels that wait for
    /// the one before by themselves start while it ends.
    ///
    /// # Errors
    /// If a call is another device's, or the driver refuses.
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

    /// Another stream.
    ///
    /// # Errors
    /// If the device failed.
    pub fn new_stream(&self) -> Result<Stream, DeviceError> {
        Stream::new(&self.backend)
    }

    /// Waits for the default stream.
    ///
    /// # Errors
    /// If something that it was given failed.
    pub fn synchronize(&self) -> Result<(), DeviceError> {
        self.stream.synchronize()
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device {} ({})", self.name(), self.target())
    }
}

/// A module on a device.
#[derive(Clone, Debug)]
pub struct Module(Arc<LoadedModule>);

impl Module {
    /// The kernel of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn function(&self, name: &str) -> Result<Function, DeviceError> {
        let kernels = &self.0.module.module().kernels;
        let index = kernels.iter().position(|k| k.name == name).ok_or_else(|| {
            let known = kernels.iter().map(|k| k.name.clone()).collect();
            crate::error::LaunchError::NoKernel { name: name.to_owned(), known }
        })?;
        Function::new(self.0.clone(), index)
    }
}
