//! Kernels on a device, and calls of them.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use ptxgen_builder::analysis::Overlap;
use ptxgen_builder::build::ArgInfo;
use ptxgen_builder::guard::GuardedKernel;
use ptxgen_builder::interp::check_shapes;
use ptxgen_builder::ir::Kernel;
use ptxgen_builder::types::ScalarType;
use ptxgen_builder::verify::Validated;
use smallvec::SmallVec;

use crate::allocation::Allocation;
use crate::argument::{Argument, Kind, LaunchArgs};
use crate::backend::{Backend, Handle, RawLaunch};
use crate::checked::Watch;
use crate::element::ParamBytes;
use crate::error::{ArgumentError, DeviceError, LaunchError};
use crate::shape::LaunchShape;

/// A module on a device; unloaded when its last kernel goes.
#[derive(Debug)]
pub(crate) struct LoadedModule {
    pub backend: Arc<dyn Backend>,
    pub handle: Handle,
}

impl Drop for LoadedModule {
    fn drop(&mut self) {
        self.backend.unload(self.handle);
    }
}

/// What a launch needs for a parameter.
#[derive(Clone, Debug)]
struct Parameter {
    name: String,
    /// Bytes of the parameter itself.
    size: u64,
    /// Its type, if the kernel was written in Rust.
    info: Option<ArgInfo>,
    /// Minimum size of its buffer in bytes.
    needed: u64,
}

/// A kernel's code on a device.
#[derive(Clone, Debug)]
struct Code {
    module: Arc<LoadedModule>,
    handle: Handle,
}

impl Code {
    fn new(module: &Arc<LoadedModule>, kernel: &str) -> Result<Code, DeviceError> {
        Ok(Code { handle: module.backend.function(module.handle, kernel)?, module: module.clone() })
    }
}

/// A kernel on a device. The types of its arguments are checked when it is bound. Its accesses are checked while it
/// runs, unless it was loaded by an `unsafe` function.
#[derive(Clone)]
pub struct Function {
    code: Code,
    /// The unmodified module.
    original: Arc<Validated>,
    index: usize,
    /// The data for its checks, if the code has any.
    guarded: Option<Arc<GuardedKernel>>,
    /// The code without checks, created on first use.
    plain: Arc<OnceLock<Code>>,
    name: Arc<str>,
    params: Arc<[Parameter]>,
    shape: Option<LaunchShape>,
    waits_itself: bool,
    /// How it may overlap with other launches, computed on first use.
    overlap: Arc<OnceLock<Overlap>>,
}

/// The declared alignment of every pointer parameter.
const ALIGN: u64 = 16;

impl Function {
    /// Kernel `index` of a module, whose code is `module`: the module itself, or its guarded version.
    pub(crate) fn new(
        module: &Arc<LoadedModule>,
        original: &Arc<Validated>,
        index: usize,
        guarded: Option<Arc<GuardedKernel>>,
    ) -> Result<Function, DeviceError> {
        let kernel = &original.module().kernels[index];
        let params = kernel.params.iter().map(|p| Parameter {
            name: p.name.clone(),
            size: u64::from(p.ty.bytes()) * u64::from(p.len.unwrap_or(1)),
            info: None,
            needed: 0,
        });
        Ok(Function {
            code: Code::new(module, &kernel.name)?,
            original: original.clone(),
            index,
            guarded,
            plain: Arc::default(),
            name: kernel.name.as_str().into(),
            params: params.collect(),
            shape: None,
            waits_itself: original.waits(index),
            overlap: Arc::default(),
        })
    }

    /// Adds the parameters' types.
    pub(crate) fn typed(mut self, info: &[ArgInfo]) -> Function {
        let typed = self.params.iter().zip(info).map(|(p, &i)| Parameter { info: Some(i), ..p.clone() });
        self.params = typed.collect();
        self
    }

    /// Adds the parameters' names in the source, and the minimum sizes of their buffers.
    pub(crate) fn sized(mut self, names: &[&str], bytes: &[u64]) -> Function {
        let bytes = bytes.iter().copied().chain(std::iter::repeat(0));
        let sized = self.params.iter().zip(names).zip(bytes);
        let sized = sized.map(|((p, &name), needed)| Parameter { name: name.to_owned(), needed, ..p.clone() });
        self.params = sized.collect();
        self
    }

    /// Adds the default launch, which [`call`](Self::call) uses.
    #[must_use]
    pub fn shaped(mut self, shape: LaunchShape) -> Function {
        self.shape = Some(shape);
        self
    }

    fn kernel(&self) -> &Kernel {
        &self.original.module().kernels[self.index]
    }

    /// The kernel's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it may overlap with the launches before and after it, in programmatic dependent launch.
    pub fn overlap(&self) -> &Overlap {
        self.overlap.get_or_init(|| self.original.overlap(self.index))
    }

    /// A call with the kernel's default launch.
    ///
    /// # Errors
    /// If it has none, or an argument does not match its parameter.
    pub fn call(&self, arguments: &[Argument<'_>]) -> Result<Call, DeviceError> {
        let shape = self.shape.ok_or_else(|| LaunchError::Shape {
            kernel: self.name.to_string(),
            what: "grid",
            shape: [0; 3],
            why: "the kernel has no default launch; give one with `bind`".to_owned(),
        })?;
        self.bind(shape, arguments)
    }

    /// A call: the kernel, its launch, its arguments.
    ///
    /// # Errors
    /// If the shape does not match the kernel or exceeds the GPU's limits, or an argument does not match its parameter.
    pub fn bind(&self, shape: impl Into<LaunchShape>, arguments: &[Argument<'_>]) -> Result<Call, DeviceError> {
        self.bind_code(shape.into(), arguments, &self.code, self.guarded.as_ref())
    }

    /// A call of the kernel without checks of its accesses. The first such call compiles that code.
    ///
    /// # Safety
    /// Whenever the call runs, the kernel must read and write only inside the buffers of its arguments, write only to
    /// those that were passed for writing, and stay inside its own arrays; every access must be aligned to its size.
    ///
    /// # Errors
    /// As [`bind`](Self::bind), and if the code does not compile.
    pub unsafe fn bind_unchecked(
        &self,
        shape: impl Into<LaunchShape>,
        arguments: &[Argument<'_>],
    ) -> Result<Call, DeviceError> {
        let code = match (&self.guarded, self.plain.get()) {
            (None, _) => &self.code,
            (Some(_), Some(code)) => code,
            (Some(_), None) => {
                let backend = self.code.module.backend.clone();
                let handle = backend.load(&self.original)?;
                let code = Code::new(&Arc::new(LoadedModule { backend, handle }), &self.name)?;
                self.plain.get_or_init(|| code)
            }
        };
        self.bind_code(shape.into(), arguments, code, None)
    }

    fn bind_code(
        &self,
        shape: LaunchShape,
        arguments: &[Argument<'_>],
        code: &Code,
        guarded: Option<&Arc<GuardedKernel>>,
    ) -> Result<Call, DeviceError> {
        let block = self.block(shape)?;
        if arguments.len() != self.params.len() {
            let (expected, got) = (self.params.len(), arguments.len());
            return Err(LaunchError::ArgCount { kernel: self.name.to_string(), expected, got }.into());
        }
        let mut params = SmallVec::new();
        let mut memory = SmallVec::new();
        let mut lengths = SmallVec::new();
        for (index, (argument, param)) in arguments.iter().zip(self.params.iter()).enumerate() {
            let checked =
                self.check(argument, param).and_then(|bytes| self.check_guard(index, argument).map(|()| bytes));
            let bytes = checked.map_err(|what| DeviceError::Argument {
                kernel: self.name.to_string(),
                index,
                param: param.name.clone(),
                what,
            })?;
            params.push(bytes);
            lengths.push(if let Kind::Buffer { bytes, .. } = argument.0 { bytes } else { 0 });
            if let Kind::Buffer { allocation, .. } = argument.0 {
                memory.push(allocation.clone());
            }
        }
        let watch = match guarded.filter(|g| !g.extras.is_empty()) {
            None => None,
            Some(guarded) => code.module.backend.record()?.map(|slot| {
                let infos = self.params.iter().map(|p| p.info);
                let (module, dynamic) = (&self.original, shape.dynamic_shared);
                Arc::new(Watch::new(slot, guarded, module, self.index, lengths, infos, dynamic))
            }),
        };
        params.extend(watch.iter().flat_map(|w| w.extras()));
        let raw = RawLaunch {
            function: code.handle,
            kernel: self.name.clone(),
            grid: shape.grid,
            block,
            dynamic_shared: shape.dynamic_shared,
            params,
            waits_itself: self.waits_itself,
            watch,
        };
        Ok(Call { raw, module: code.module.clone(), memory })
    }

    /// The assumptions of a guard: pointers are buffers, and those that it writes may be written.
    fn check_guard(&self, index: usize, argument: &Argument<'_>) -> Result<(), ArgumentError> {
        let Some(guarded) = &self.guarded else { return Ok(()) };
        let pointer = self.kernel().params.get(index).is_some_and(|p| p.pointer.is_some());
        let (buffer, writes) = match argument.0 {
            Kind::Buffer { writes, .. } => (true, writes),
            Kind::Scalar { .. } | Kind::Bytes(_) => (false, true),
        };
        let written = guarded.writes.get(index).copied().unwrap_or(false);
        if buffer && (writes || !written) || !buffer && !pointer {
            return Ok(());
        }
        let expected = if written { "a buffer to write (`&mut`)" } else { "a buffer" };
        let got = if buffer { "a buffer to read" } else { "a number" };
        Err(ArgumentError::Kind { expected: expected.to_owned(), got: got.to_owned() })
    }

    /// The block's shape, if the kernel accepts the launch.
    fn block(&self, shape: LaunchShape) -> Result<[u32; 3], LaunchError> {
        let kernel = self.kernel();
        let block = shape.block.or(kernel.bounds.required).ok_or_else(|| LaunchError::Shape {
            kernel: self.name.to_string(),
            what: "block",
            shape: [0; 3],
            why: "the kernel requires no block shape, so the launch has to give one".to_owned(),
        })?;
        check_shapes(kernel, shape.grid, block)?;
        Ok(block)
    }

    fn check(&self, argument: &Argument<'_>, param: &Parameter) -> Result<ParamBytes, ArgumentError> {
        let (bytes, kind) = match argument.0 {
            Kind::Scalar { ty, bits } => {
                (ParamBytes::from_slice(&bits.to_le_bytes()[..ty.bytes() as usize]), Some(ArgInfo::Scalar(ty)))
            }
            Kind::Bytes(bytes) => (ParamBytes::from_slice(bytes), None),
            Kind::Buffer { ty, format, address, writes, .. } => {
                let info = ArgInfo::Buffer { ty, format, reads: true, writes };
                (ParamBytes::from_slice(&address.to_le_bytes()), Some(info))
            }
        };
        let fits = match (param.info, kind) {
            (None, _) => bytes.len() as u64 == param.size,
            (Some(ArgInfo::Scalar(want)), Some(ArgInfo::Scalar(got))) => want == got,
            (
                Some(ArgInfo::Buffer { ty: want, format, writes, .. }),
                Some(ArgInfo::Buffer { ty: got, format: has, writes: may, .. }),
            ) => want == got && has.is_none_or(|has| format == Some(has)) && (may || !writes),
            _ => false,
        };
        if !fits {
            let expected = param.info.map_or_else(|| format!("{} bytes", param.size), describe);
            let got = kind.map_or_else(|| format!("{} bytes", bytes.len()), describe);
            return Err(ArgumentError::Kind { expected, got });
        }
        if let Kind::Buffer { allocation, start, bytes: got, .. } = argument.0 {
            if !Arc::ptr_eq(&allocation.backend, &self.code.module.backend) {
                return Err(ArgumentError::Foreign);
            }
            if got < param.needed {
                return Err(ArgumentError::Short { needed: param.needed, got });
            }
            if !start.is_multiple_of(ALIGN) {
                return Err(ArgumentError::Misaligned { off: start % ALIGN });
            }
        }
        Ok(bytes)
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kernel {} on {}", self.name, self.code.module.backend.name())
    }
}

/// `a buffer of f32 to write`.
fn describe(info: ArgInfo) -> String {
    let article = |ty: ScalarType| if ty.name().starts_with('f') { "an" } else { "a" };
    match info {
        ArgInfo::Scalar(ty) => format!("{} {ty}", article(ty)),
        ArgInfo::Buffer { ty, format, writes, .. } => {
            let what = format.map_or_else(|| ty.to_string(), str::to_owned);
            format!("a buffer of {what}{}", if writes { " to write (`&mut`)" } else { "" })
        }
    }
}

/// A kernel on a device, with static parameter types `A`.
pub struct Loaded<A> {
    function: Function,
    args: PhantomData<fn(A)>,
}

impl<A> Loaded<A> {
    pub(crate) fn new(function: Function) -> Self {
        Loaded { function, args: PhantomData }
    }

    /// The same kernel without static types.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// A call: the kernel, its launch, its arguments.
    ///
    /// # Errors
    /// If the shape does not match the kernel or exceeds the GPU's limits, or a buffer belongs to another device.
    pub fn bind<'a>(&self, shape: impl Into<LaunchShape>, args: impl LaunchArgs<'a, A>) -> Result<Call, DeviceError> {
        self.function.bind(shape, &args.arguments())
    }

    /// A call of the kernel without checks of its accesses.
    ///
    /// # Safety
    /// As [`Function::bind_unchecked`].
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub unsafe fn bind_unchecked<'a>(
        &self,
        shape: impl Into<LaunchShape>,
        args: impl LaunchArgs<'a, A>,
    ) -> Result<Call, DeviceError> {
        // SAFETY: the caller guarantees the requirements.
        unsafe { self.function.bind_unchecked(shape, &args.arguments()) }
    }
}

impl<A> Clone for Loaded<A> {
    fn clone(&self) -> Self {
        Loaded::new(self.function.clone())
    }
}

impl<A> fmt::Debug for Loaded<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.function.fmt(f)
    }
}

/// A checked launch, which can run any number of times, alone or in a [`Graph`](crate::Graph). It keeps its buffers'
/// memory and its kernel alive.
#[derive(Clone)]
#[must_use = "a call does nothing until a stream or a graph runs it"]
pub struct Call {
    pub(crate) raw: RawLaunch,
    pub(crate) module: Arc<LoadedModule>,
    /// Kept alive, and ordered with the host's reads and writes.
    pub(crate) memory: SmallVec<[Arc<Allocation>; 8]>,
}

impl Call {
    /// The kernel's name.
    pub fn kernel(&self) -> &str {
        &self.raw.kernel
    }

    /// Whether it may start before the previous launch has ended: the kernel waits for that launch itself, if the
    /// device supports it.
    pub fn waits_itself(&self) -> bool {
        self.raw.waits_itself
    }

    /// The same call, but it starts after the previous one has ended, even if the kernel waits itself. For kernels that
    /// would touch memory too early after the launches before them ([`Function::overlap`] shows that).
    pub fn in_order(mut self) -> Call {
        self.raw.waits_itself = false;
        self
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?} blocks of {:?} threads", self.raw.kernel, self.raw.grid, self.raw.block)
    }
}
