//! A generated kernel with all that is needed to run it.

use ptxgen_builder::build::{AnyKernel, Args};
use ptxgen_builder::interp::{Arg, Launch, Options};
use ptxgen_builder::target::Target;
use ptxgen_builder::verify::Validated;

use super::super::launchable::{AnyLaunchable, Launchable};
use super::super::request::Resolved;
use super::Entry;
use crate::format::{Q8KPlanar, TensorType};
use crate::precision::{Act, Policy};

/// What a buffer holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contents {
    /// Blocks of a quantized tensor, or the rows of a plain one.
    Weights(TensorType),
    /// Activations in a format: f32, or a [`Q8KPlanar`] vector (several, one
    /// behind the other).
    Activations(Act),
    /// f32 that are neither: a norm's weights, the RoPE table, routing weights.
    F32,
    /// f16: a KV cache.
    F16,
    /// f64: partial sums under acc = f64.
    F64,
    /// f64: a router's logits.
    Logits,
    /// u32: ids, positions, counts.
    Words(Words),
}

/// Which u32 a buffer may hold. A kernel need not check them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Words {
    /// All different as far as there are so many: numbers of experts.
    Distinct {
        /// They are below it.
        below: u32,
    },
    /// Each on its own: tokens.
    Below(u32),
    /// The same everywhere it is tried: a position, a count, a status.
    Is(u32),
    /// Starts of consecutive lists: rising from 0 to `total`.
    Offsets {
        /// The end of the last list.
        total: u32,
    },
}

/// What a kernel does with a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reads it.
    In,
    /// Writes it; what it held does not matter.
    Out,
    /// Reads and writes it: the residual stream, a KV cache.
    InOut,
}

impl Access {
    /// Whether the kernel writes it.
    pub fn writes(self) -> bool {
        self != Access::In
    }
}

/// A parameter of a generated kernel: a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ParamSpec {
    /// Its name.
    pub name: &'static str,
    /// What the kernel does with it.
    pub access: Access,
    /// What it holds.
    pub contents: Contents,
    /// Bytes of its buffer.
    pub bytes: u64,
    /// Vectors that it holds one behind the other, all of the same bytes; 1
    /// where it is not made of vectors.
    pub vectors: u32,
    /// How often what the kernel writes there is rounded from f64 to f32 on its way under acc = f64,
    /// where that is another number than [`Entry::stages`].
    pub rounded: Option<u32>,
}

impl ParamSpec {
    /// A buffer that the kernel reads.
    pub(in crate::catalogue) fn read(name: &'static str, contents: Contents, bytes: u64) -> ParamSpec {
        ParamSpec { name, access: Access::In, contents, bytes, vectors: 1, rounded: None }
    }

    /// A buffer that the kernel writes.
    pub(in crate::catalogue) fn written(name: &'static str, contents: Contents, bytes: u64) -> ParamSpec {
        ParamSpec { name, access: Access::Out, contents, bytes, vectors: 1, rounded: None }
    }

    /// `count` vectors of `cols` activations that the kernel reads.
    pub(in crate::catalogue) fn vectors(name: &'static str, act: Act, cols: u32, count: u32) -> ParamSpec {
        let bytes = vector_bytes(act, cols) * u64::from(count);
        ParamSpec { vectors: count, ..ParamSpec::read(name, Contents::Activations(act), bytes) }
    }

    /// `n` f32 that the kernel writes.
    pub(in crate::catalogue) fn result(name: &'static str, n: u64) -> ParamSpec {
        ParamSpec::written(name, Contents::Activations(Act::F32), n * 4)
    }

    /// `n` u32 that the kernel reads.
    pub(in crate::catalogue) fn words(name: &'static str, words: Words, n: u32) -> ParamSpec {
        ParamSpec::read(name, Contents::Words(words), u64::from(n) * 4)
    }
}

/// Bytes of a vector of activations.
pub(in crate::catalogue) fn vector_bytes(act: Act, cols: u32) -> u64 {
    match act {
        Act::F32 => u64::from(cols) * 4,
        Act::Q8K => Q8KPlanar::new(cols as usize).bytes() as u64,
    }
}

/// A generated kernel with all that is needed to run it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Built {
    /// The entry that it is of.
    pub entry: &'static Entry,
    /// The kernel and its launch.
    pub launch: AnyLaunchable,
    /// Its parameters in order.
    pub params: Vec<ParamSpec>,
    /// The policy that it was made for.
    pub policy: Policy,
    /// Weights that a launch multiplies (elements, for elementwise kernels).
    pub weights: u64,
    /// The GPU that it was written for.
    pub target: Target,
}

impl Built {
    /// What an entry has generated for a request.
    pub(in crate::catalogue) fn new<A: Args>(
        entry: &'static Entry,
        r: &Resolved,
        launchable: Launchable<A>,
        weights: u64,
        params: Vec<ParamSpec>,
    ) -> Built {
        Built { entry, launch: launchable.erase(), params, policy: r.policy, weights, target: r.how.target }
    }

    /// The kernel.
    pub fn kernel(&self) -> &AnyKernel {
        &self.launch.kernel
    }

    /// Whether programmatic dependent launch may start it before the kernels
    /// before it have ended: it waits for them itself.
    pub fn starts_early(&self) -> bool {
        self.kernel().waits()
    }

    /// The same kernel, which waits at its start if it does not wait elsewhere.
    pub(super) fn waiting(mut self) -> Built {
        self.launch.kernel = self.launch.kernel.waiting();
        if self.entry.is_eager() {
            self.launch.kernel = self.launch.kernel.eager();
        }
        self
    }

    /// The entry and its variant, such as `q4k-gemv-q8k-f64`: the name of a file.
    pub fn title(&self) -> String {
        let variant = self.entry.variant(self.policy);
        let dash = if variant.is_empty() { "" } else { "-" };
        format!("{}{dash}{variant}", self.entry.name)
    }

    /// The launch of `module`, this kernel verified (and perhaps optimized), in
    /// the interpreter, with an argument for each parameter.
    pub(in crate::catalogue) fn in_interpreter<'a>(
        &'a self,
        module: &'a Validated,
        args: &'a [Arg],
        options: &'a Options,
    ) -> Launch<'a> {
        Launch {
            module,
            kernel: self.kernel().name(),
            grid: self.launch.grid,
            block: [self.launch.block, 1, 1],
            dynamic_shared: self.launch.dynamic_shared,
            args,
            globals: None,
            options,
        }
    }
}
