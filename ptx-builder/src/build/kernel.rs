//! Kernels as values.

use std::fmt;
use std::marker::PhantomData;

use super::Dim3;
use super::args::{ArgInfo, Args};
use super::state::{Body, Recording};
use crate::ir::{self, LaunchBounds, Module, Variable};
use crate::opt::{OptOptions, finish};
use crate::target::Target;
use crate::types::Space;
use crate::verify::{Validated, VerifyErrors};

/// A kernel with parameters `A`, written but not verified.
pub struct Kernel<A> {
    pub(super) kernel: ir::Kernel,
    variables: Vec<Variable>,
    passes: OptOptions,
    /// The parameters' names, as their author wrote them.
    names: Vec<&'static str>,
    args: PhantomData<fn(A)>,
}

impl<A> Clone for Kernel<A> {
    fn clone(&self) -> Self {
        Kernel {
            kernel: self.kernel.clone(),
            variables: self.variables.clone(),
            passes: self.passes,
            names: self.names.clone(),
            args: PhantomData,
        }
    }
}

impl<A> fmt::Debug for Kernel<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").field("kernel", &self.kernel).field("variables", &self.variables).finish()
    }
}

/// Writes a kernel: `name` is its entry, `names` its parameters' (the entry's
/// name goes before them), and `write` its body, given the typed parameters.
///
/// # Panics
/// If two parameters have one name, or one has none; and wherever `write` uses a handle where it means nothing.
#[track_caller]
pub fn kernel<A: Args>(name: &str, names: A::Names, write: impl FnOnce(&Body, A::Handles)) -> Kernel<A> {
    let list = names.as_ref();
    for (i, one) in list.iter().enumerate() {
        assert!(!one.is_empty(), "parameter {i} of kernel '{name}' has no name; names are {list:?}");
        let twice = list[..i].contains(one);
        assert!(
            !twice,
            "kernel '{name}' has two parameters named '{one}'; names are {list:?}, in the order of the types"
        );
    }
    let recording = Recording::begin(name);
    let handles = A::declare(&names);
    write(&recording.body, handles);
    let (kernel, variables) = recording.finish();
    Kernel { kernel, variables, passes: OptOptions::ALL, names: names.as_ref().to_vec(), args: PhantomData }
}

/// A kernel whose parameter types are known at run time only.
#[derive(Clone, Debug)]
pub struct AnyKernel {
    pub(super) kernel: Kernel<()>,
    pub(super) args: &'static [ArgInfo],
}

impl AnyKernel {
    /// What a launch needs to know of each parameter.
    pub fn args(&self) -> &'static [ArgInfo] {
        self.args
    }
}

impl std::ops::Deref for AnyKernel {
    type Target = Kernel<()>;
    fn deref(&self) -> &Kernel<()> {
        &self.kernel
    }
}

impl<A: Args> Kernel<A> {
    /// Forgets the parameter types.
    #[must_use]
    pub fn erase(self) -> AnyKernel {
        let Kernel { kernel, variables, passes, names, .. } = self;
        AnyKernel { kernel: Kernel { kernel, variables, passes, names, args: PhantomData }, args: A::INFO }
    }

    /// What a launch needs to know of each parameter.
    pub fn args(&self) -> &'static [ArgInfo] {
        A::INFO
    }
}

impl<A> Kernel<A> {
    /// The entry's name.
    pub fn name(&self) -> &str {
        &self.kernel.name
    }

    /// The parameters' names, as their author wrote them.
    pub fn param_names(&self) -> &[&'static str] {
        &self.names
    }

    /// Bytes of shared memory that it declares, each array at its alignment.
    pub fn shared_bytes(&self) -> u64 {
        Variable::total(self.kernel.variables.iter().filter(|v| v.space == Space::Shared))
    }

    /// Its promises about launches.
    pub fn bounds(&self) -> LaunchBounds {
        self.kernel.bounds
    }

    /// The same kernel with other promises about launches.
    #[must_use]
    pub fn with_bounds(mut self, bounds: LaunchBounds) -> Self {
        self.kernel.bounds = bounds;
        self
    }

    /// The same kernel, promising blocks of exactly this shape: `256` threads in a row, or `[32, 8]`.
    #[must_use]
    pub fn with_block(mut self, threads: impl Into<Dim3>) -> Self {
        self.kernel.bounds.required = Some(threads.into().0);
        self
    }

    /// The same kernel, which is printed, run and loaded as it was written,
    /// instruction by instruction: to read what a line of Rust becomes, or to
    /// look for a mistake of the optimizer.
    #[must_use]
    pub fn unoptimized(mut self) -> Self {
        self.passes = OptOptions::NONE;
        self
    }

    /// A module of this kernel alone, as it was written: neither verified nor
    /// optimized.
    pub fn module(&self, target: Target) -> Module {
        Module { variables: self.variables.clone(), kernels: vec![self.kernel.clone()], ..Module::new(target) }
    }

    /// Verifies the kernel for a target as it was written, then
    /// [optimizes](crate::opt) it, unless it is
    /// [`unoptimized`](Self::unoptimized). This is the kernel that is printed,
    /// run, proved and loaded.
    ///
    /// Whoever writes a kernel can change it, so what cannot be decided without
    /// running it is an error; [`verify`](crate::verify::verify) of its
    /// [`module`](Self::module) only warns of that.
    ///
    /// # Errors
    /// Everything that is or may be wrong with it, each at the author's line,
    /// also in code whose results nothing uses.
    pub fn verify(&self, target: Target) -> Result<Validated, VerifyErrors> {
        finish(self.module(target), &self.passes)
    }
}

/// Modules of several kernels, whose parameters may differ in type: `Module::new(target).with(&one).with(&two)`.
impl Module {
    /// The module with one more kernel. Each keeps its own constants and arrays.
    #[must_use]
    pub fn with<A>(mut self, kernel: &Kernel<A>) -> Module {
        let mut more = kernel.kernel.clone();
        // What the kernel knows of its module by number: its dynamic shared memory.
        let first = self.variables.len() as u32;
        more.shift_module_symbols(first);
        self.variables.extend(kernel.variables.iter().cloned());
        self.kernels.push(more);
        self
    }
}
