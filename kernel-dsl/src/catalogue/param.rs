//! Parameters of kernels by what they are for, so that a plan binds buffers to them without names.

use std::fmt;

macro_rules! params {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// What a parameter of the catalogue's kernels is for; each kernel has some of them, each once.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum Param { $($(#[$doc])* $variant),+ }

        impl Param {
            /// Every one.
            pub const ALL: &[Param] = &[$(Param::$variant),+];

            /// The parameter's name in the kernel.
            pub const fn name(self) -> &'static str {
                match self { $(Param::$variant => $name),+ }
            }
        }
    };
}

params! {
    /// The weights of a matrix or a norm.
    W = "w",
    /// A vector that is read, or the residual stream.
    X = "x",
    /// A result.
    Y = "y",
    /// The same result in Q8_K.
    YQ8K = "y_q8k",
    /// The experts' inner vectors.
    H = "h",
    /// Gate projections' matrices, or what they gave.
    Gate = "gate",
    /// Up projections' matrices, or what they gave.
    Up = "up",
    /// Down projections' matrices.
    Down = "down",
    /// The query projection, or queries.
    Q = "q",
    /// The key projection, or keys.
    K = "k",
    /// The value projection, or values.
    V = "v",
    /// Projected queries, keys and values side by side.
    Qkv = "qkv",
    /// Weights of the queries' norm.
    QNorm = "q_norm",
    /// Weights of the keys' norm.
    KNorm = "k_norm",
    /// Cosines and sines of positions.
    Rope = "rope",
    /// Weights of a norm that the kernel computes for itself.
    Norm = "norm",
    /// The [pass](crate::device::pass).
    State = "state",
    /// A layer's keys, or logits as keys.
    Keys = "keys",
    /// A layer's values.
    Values = "values",
    /// Sums of chunks or lists.
    Sums = "sums",
    /// Outputs of the chunks of attention.
    Outputs = "outputs",
    /// The [rows](crate::device::rows) of a batch.
    Rows = "rows",
    /// The pages of each sequence.
    Tables = "tables",
    /// The embedding.
    Table = "table",
    /// Token ids.
    Tokens = "tokens",
    /// Logits of a router or of the model.
    Logits = "logits",
    /// Blocks that are done.
    Counter = "counter",
    /// Whether a router found NaN.
    Status = "status",
    /// Ids of the chosen experts.
    Ids = "ids",
    /// Weights of the chosen experts.
    Weights = "weights",
    /// Where each expert's list begins.
    Offsets = "offsets",
    /// The lists of tokens and ranks.
    Pairs = "pairs",
    /// The best logit so far.
    Best = "best",
    /// Tokens that rows have chosen.
    Chosen = "chosen",
    /// The next pass's token.
    Next = "next",
    /// Tokens that the host has not read.
    Ring = "ring",
    /// Random words.
    Random = "random",
    /// The residual stream, which is added to.
    Stream = "stream",
    /// The distribution that is drawn from.
    From = "from",
}

impl Param {
    /// The parameter of this name.
    pub(super) fn named(name: &str) -> Option<Param> {
        Param::ALL.iter().copied().find(|p| p.name() == name)
    }
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
