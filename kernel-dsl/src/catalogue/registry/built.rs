//! A generated kernel with everything that is needed to run it.

use ptxgen_builder::build::AnyKernel;
use ptxgen_builder::interp::{Arg, Launch, Options};
use ptxgen_builder::target::Target;
use ptxgen_builder::verify::Validated;

use super::super::contents::{Declared, Parameters};
use super::super::held::{Contents, Words};
use super::super::param::Param;
use super::super::request::Resolved;
use super::super::stage::Stage;
use super::{Built, Entry, ParamSpec};
use crate::device::pass;
use crate::format::Q8KPlanar;
use crate::precision::Act;

/// What the type of a parameter does not determine.
#[derive(Clone, Copy, Debug)]
pub(in crate::catalogue) struct Size {
    length: Length,
    words: Option<Words>,
    vectors: u32,
    rounded: Option<u32>,
}

/// The size of a buffer.
#[derive(Clone, Copy, Debug)]
enum Length {
    Bytes(u64),
    Elements(u64),
    /// This many vectors of activations.
    Vectors {
        cols: u32,
        count: u32,
    },
}

impl Size {
    fn new(length: Length) -> Size {
        Size { length, words: None, vectors: 1, rounded: None }
    }

    /// This many bytes.
    pub(in crate::catalogue) fn bytes(bytes: u64) -> Size {
        Size::new(Length::Bytes(bytes))
    }

    /// This many elements of the parameter's type.
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

    /// This many bytes of words.
    pub(in crate::catalogue) fn word_bytes(words: Words, bytes: u64) -> Size {
        Size { words: Some(words), ..Size::bytes(bytes) }
    }

    /// Words that the kernel reads and keeps, or updates.
    pub(in crate::catalogue) fn kept(word: u32, bytes: u64) -> Size {
        Size::word_bytes(Words::Is(word), bytes)
    }

    /// The state of a pass of one token.
    pub(in crate::catalogue) fn state() -> Size {
        Size::words(Words::Is(1), pass::STATE_WORDS)
    }

    /// The same as one piece: results that are not divided into vectors.
    pub(in crate::catalogue) fn unlisted(self) -> Size {
        Size { vectors: 1, ..self }
    }

    /// Rounded this often from f64 to f32: see [`ParamSpec::rounded`].
    pub(in crate::catalogue) fn rounded(self, times: u32) -> Size {
        Size { rounded: Some(times), ..self }
    }

    /// The parameter of this name.
    fn of(self, name: &str, declared: &Declared) -> ParamSpec {
        let words = || Contents::Words(self.words.unwrap_or_else(|| unreachable!("{name} says what its words may be")));
        let contents = declared.contents.unwrap_or_else(words);
        let bytes = match (self.length, contents) {
            (Length::Bytes(bytes), _) => bytes,
            (Length::Elements(n), _) => n * u64::from(declared.element),
            (Length::Vectors { cols, count }, Contents::Activations(act)) => vector_bytes(act, cols) * u64::from(count),
            (Length::Vectors { .. }, other) => unreachable!("{name} holds {other:?}, no vectors"),
        };
        let id = Param::named(name)
            .unwrap_or_else(|| unreachable!("{name} is missing in the list of parameters (param.rs)"));
        ParamSpec {
            id,
            name: id.name(),
            access: declared.access,
            contents,
            bytes,
            vectors: self.vectors,
            rounded: self.rounded,
        }
    }
}

/// Bytes of a vector of activations.
fn vector_bytes(act: Act, cols: u32) -> u64 {
    match act {
        Act::F32 => u64::from(cols) * 4,
        Act::Q8K => Q8KPlanar::new(cols as usize).bytes() as u64,
    }
}

impl Built {
    /// The kernel of a stage that an entry generated for a request; `sizes` are those of the parameters.
    pub(in crate::catalogue) fn new<A: Parameters + 'static>(
        entry: &'static Entry,
        r: &Resolved,
        stage: Stage<A>,
        weights: u64,
        sizes: Vec<Size>,
    ) -> Built {
        let part = stage.part();
        let mut launch = stage.alone().erase(r.how.target);
        let declared = A::declared();
        assert_eq!(declared.len(), sizes.len(), "{}: a size for each parameter", entry.name);
        let params = launch.kernel.param_names().iter().zip(&declared).zip(sizes);
        let params: Vec<_> = params.map(|((name, declared), size)| size.of(name, declared)).collect();
        launch.bytes = params.iter().map(|p| p.bytes).collect();
        Built { entry, launch, params, policy: r.policy, weights, part }
    }

    /// The target for which it was generated.
    pub fn target(&self) -> Target {
        self.launch.target
    }

    /// The kernel.
    pub fn kernel(&self) -> &AnyKernel {
        &self.launch.kernel
    }

    /// Whether programmatic dependent launch may start it before the previous kernels have ended: it waits for them
    /// itself.
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

    /// The entry and its variant, such as `q4k-gemv-q8k-f64`: a file name.
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
