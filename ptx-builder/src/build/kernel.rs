//! Kernels as values.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use super::Dim3;
use super::args::{ArgInfo, Args};
use super::state::{Body, Recording};
use crate::ir::{self, LaunchBounds, Module, Variable};
use crate::opt::{OptOptions, finish};
use crate::target::Target;
use crate::types::Space;
use crate::verify::{Validated, VerifyErrors};

/// A kernel with parameters `A`, not yet verified.
pub struct Kernel<A> {
    pub(super) kernel: ir::Kernel,
    /// The numbers of the arrays that each part declares.
    pub(super) parts: Vec<Range<usize>>,
    variables: Vec<Variable>,
    passes: OptOptions,
    /// The parameters' names in the source.
    names: Vec<&'static str>,
    args: PhantomData<fn(A)>,
}

impl<A> Clone for Kernel<A> {
    fn clone(&self) -> Self {
        Kernel {
            kernel: self.kernel.clone(),
            parts: self.parts.clone(),
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

/// Builds a kernel: `name` is its entry, `names` are its parameters' names (the entry's name is their prefix), and
/// `write` emits its body from the typed parameters.
///
/// # Panics
/// If two parameters have the same name, or one has none; and if `write` uses a handle where it is undefined.
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
    recorded(recording, list.to_vec())
}

/// The kernel that has been recorded, with these names of parameters.
#[track_caller]
pub(super) fn recorded<A>(recording: Recording, names: Vec<&'static str>) -> Kernel<A> {
    let (kernel, variables, parts) = recording.finish();
    Kernel { kernel, parts, variables, passes: OptOptions::ALL, names, args: PhantomData }
}

/// A kernel without static parameter types.
#[derive(Clone, Debug)]
pub struct AnyKernel {
    pub(super) kernel: Kernel<()>,
    pub(super) args: Cow<'static, [ArgInfo]>,
}

impl AnyKernel {
    /// What a launch needs to know about each parameter.
    pub fn args(&self) -> &[ArgInfo] {
        &self.args
    }

    /// The same with a change of the kernel that leaves its parameters as they are: other bounds, for example.
    #[must_use]
    pub fn changed(self, change: impl FnOnce(Kernel<()>) -> Kernel<()>) -> AnyKernel {
        AnyKernel { kernel: change(self.kernel), ..self }
    }
}

impl std::ops::Deref for AnyKernel {
    type Target = Kernel<()>;
    fn deref(&self) -> &Kernel<()> {
        &self.kernel
    }
}

impl<A: Args> Kernel<A> {
    /// Drops the static parameter types.
    #[must_use]
    pub fn erase(self) -> AnyKernel {
        let Kernel { kernel, parts, variables, passes, names, .. } = self;
        let kernel = Kernel { kernel, parts, variables, passes, names, args: PhantomData };
        AnyKernel { kernel, args: Cow::Borrowed(A::INFO) }
    }

    /// What a launch needs to know about each parameter.
    pub fn args(&self) -> &'static [ArgInfo] {
        A::INFO
    }
}

impl<A> Kernel<A> {
    /// The entry's name.
    pub fn name(&self) -> &str {
        &self.kernel.name
    }

    /// The parameters' names in the source.
    pub fn param_names(&self) -> &[&'static str] {
        &self.names
    }

    /// Bytes of its static shared memory, each array at its alignment.
    pub fn shared_bytes(&self) -> u64 {
        Variable::total(self.kernel.variables.iter().filter(|v| v.space == Space::Shared))
    }

    /// Its launch bounds.
    pub fn bounds(&self) -> LaunchBounds {
        self.kernel.bounds
    }

    /// The same kernel with other launch bounds.
    #[must_use]
    pub fn with_bounds(mut self, bounds: LaunchBounds) -> Self {
        self.kernel.bounds = bounds;
        self
    }

    /// The same kernel with exactly this block shape: `256` threads in x, or `[32, 8]`.
    #[must_use]
    pub fn with_block(mut self, threads: impl Into<Dim3>) -> Self {
        self.kernel.bounds.required = Some(threads.into().0);
        self
    }

    /// The same kernel, which is printed, run and loaded without optimization: to see what a line of Rust becomes, or
    /// to look for an error of the optimizer.
    #[must_use]
    pub fn unoptimized(mut self) -> Self {
        self.passes = OptOptions::NONE;
        self
    }

    /// A module with only this kernel, neither verified nor optimized.
    pub fn module(&self, target: Target) -> Module {
        Module { variables: self.variables.clone(), kernels: vec![self.kernel.clone()], ..Module::new(target) }
    }

    /// Verifies the kernel for a target as written, then [optimizes](crate::opt) it, unless it is
    /// [`unoptimized`](Self::unoptimized). The result is what is printed, run, proved and loaded.
    ///
    /// The author of a kernel can change it, so what only a run can decide is an error here;
    /// [`verify`](crate::verify::verify) of its [`module`](Self::module) only warns.
    ///
    /// # Errors
    /// Everything that is or may be wrong with it, each at its line in the source, also in code whose results are not
    /// used.
    pub fn verify(&self, target: Target) -> Result<Validated, VerifyErrors> {
        finish(self.module(target), &self.passes)
    }
}

/// Modules of several kernels, whose parameters may differ in type: `Module::new(target).with(&one).with(&two)`.
impl Module {
    /// Adds a kernel to the module. Each kernel keeps its own constants and arrays.
    #[must_use]
    pub fn with<A>(mut self, kernel: &Kernel<A>) -> Module {
        let mut more = kernel.kernel.clone();
        // The kernel refers to this part of its module by number: its dynamic shared memory.
        let first = self.variables.len() as u32;
        more.shift_module_symbols(first);
        self.variables.extend(kernel.variables.iter().cloned());
        self.kernels.push(more);
        self
    }
}
