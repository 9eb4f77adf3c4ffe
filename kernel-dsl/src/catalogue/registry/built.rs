//! A generated kernel with all that is needed to run it.

use ptxgen_builder::build::{AnyKernel, AnyLaunchable, Launchable};
use ptxgen_builder::interp::{Arg, Launch, Options};
use ptxgen_builder::target::Target;
use ptxgen_builder::verify::Validated;

use super::super::contents::{Declared, Parameters};
use super::super::request::Resolved;
use super::Entry;
use crate::device::pass;
use crate::format::{Q8KPlanar, TensorType};
use crate::precision::{Act, Policy};

/// What a buffer holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contents {
    /// Blocks of a quantized tensor, or the rows of a plain one.
    Weights(TensorType),
    /// Activations in a format: f32, or a [`Q8KPlanar`] vector (several, one
    /// after the other).
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
    /// Vectors that it holds one after the other, all of the same bytes; 1
    /// where it is not made of vectors.
    pub vectors: u32,
    /// How often what the kernel writes there is rounded from f64 to f32 on its way under acc = f64,
    /// where that is another number than [`Entry::stages`].
    pub rounded: Option<u32>,
}

/// What the type of a parameter leaves open.
#[derive(Clone, Copy, Debug)]
pub(in crate::catalogue) struct Size {
    length: Length,
    words: Option<Words>,
    vectors: u32,
    rounded: Option<u32>,
}

/// How much a buffer holds.
#[derive(Clone, Copy, Debug)]
enum Length {
    Bytes(u64),
    Elements(u64),
    /// So many vectors of activations.
    Vectors {
        cols: u32,
        count: u32,
    },
}

impl Size {
    fn new(length: Length) -> Size {
        Size { length, words: None, vectors: 1, rounded: None }
    }

    /// So many bytes.
    pub(in crate::catalogue) fn bytes(bytes: u64) -> Size {
        Size::new(Length::Bytes(bytes))
    }

    /// So many elements of the parameter's type.
    pub(in crate::catalogue) fn elements(n: u64) -> Size {
        Size::new(Length::Elements(n))
    }

    /// `count` vectors of `cols` activations, one after the other.
    pub(in crate::catalogue) fn vectors(cols: u32, count: u32) -> Size {
        Size { vectors: count, ..Size::new(Length::Vectors { cols, count }) }
    }

    /// `n` u32.
    pub(in crate::catalogue) fn words(words: Words, n: u32) -> Size {
        Size::word_bytes(words, u64::from(n) * 4)
    }

    /// So many bytes of words.
    pub(in crate::catalogue) fn word_bytes(words: Words, bytes: u64) -> Size {
        Size { words: Some(words), ..Size::bytes(bytes) }
    }

    /// Words that the kernel finds and leaves the same, or updates.
    pub(in crate::catalogue) fn kept(word: u32, bytes: u64) -> Size {
        Size::word_bytes(Words::Is(word), bytes)
    }

    /// The state of a pass, of one token.
    pub(in crate::catalogue) fn state() -> Size {
        Size::words(Words::Is(1), pass::STATE_WORDS)
    }

    /// The same as one piece: results that are not taken apart into vectors.
    pub(in crate::catalogue) fn unlisted(self) -> Size {
        Size { vectors: 1, ..self }
    }

    /// Rounded so often from f64 to f32 on its way: see [`ParamSpec::rounded`].
    pub(in crate::catalogue) fn rounded(self, times: u32) -> Size {
        Size { rounded: Some(times), ..self }
    }

    /// The parameter of this name.
    fn of(self, name: &'static str, declared: &Declared) -> ParamSpec {
        let words = || Contents::Words(self.words.unwrap_or_else(|| unreachable!("{name} says what its words may be")));
        let contents = declared.contents.unwrap_or_else(words);
        let bytes = match (self.length, contents) {
            (Length::Bytes(bytes), _) => bytes,
            (Length::Elements(n), _) => n * u64::from(declared.element),
            (Length::Vectors { cols, count }, Contents::Activations(act)) => vector_bytes(act, cols) * u64::from(count),
            (Length::Vectors { .. }, other) => unreachable!("{name} holds {other:?}, no vectors"),
        };
        ParamSpec { name, access: declared.access, contents, bytes, vectors: self.vectors, rounded: self.rounded }
    }
}

/// Bytes of a vector of activations.
fn vector_bytes(act: Act, cols: u32) -> u64 {
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
}

impl Built {
    /// What an entry has generated for a request; `sizes` are those of the parameters.
    pub(in crate::catalogue) fn new<A: Parameters>(
        entry: &'static Entry,
        r: &Resolved,
        launchable: Launchable<A>,
        weights: u64,
        sizes: Vec<Size>,
    ) -> Built {
        let mut launch = launchable.erase(r.how.target);
        let declared = A::declared();
        assert_eq!(declared.len(), sizes.len(), "{}: a size for each parameter", entry.name);
        let params = launch.kernel.param_names().iter().zip(&declared).zip(sizes);
        let params: Vec<_> = params.map(|((name, declared), size)| size.of(name, declared)).collect();
        launch.bytes = params.iter().map(|p| p.bytes).collect();
        Built { entry, launch, params, policy: r.policy, weights }
    }

    /// The GPU that it was written for.
    pub fn target(&self) -> Target {
        self.launch.target
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
        if self.entry.is_eager {
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
