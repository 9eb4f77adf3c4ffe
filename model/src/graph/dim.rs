//! Sizes of a model by name.

use crate::config::ModelConfig;
use std::fmt;

macro_rules! dims {
    ($($(#[$doc:meta])* $variant:ident = $name:literal: |$c:ident, $keys:ident| $size:expr;)+) => {
        /// A size that stages and tensors share.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Dim { $($(#[$doc])* $variant),+ }

        impl Dim {
            /// Its name in tables and messages.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Its value in a model, for a position that attends to `keys` keys.
            #[allow(unused_variables)]
            pub fn of(self, config: &ModelConfig, keys: usize) -> usize {
                match self { $(Self::$variant => { let ($c, $keys) = (config, keys); $size }),+ }
            }
        }
    };
}

dims! {
    /// Width of the residual stream.
    Hidden = "hidden": |c, keys| c.hidden;
    /// Query heads.
    Heads = "heads": |c, keys| c.heads;
    /// Key and value heads.
    KvHeads = "kv_heads": |c, keys| c.kv_heads;
    /// Width of a head.
    HeadDim = "head_dim": |c, keys| c.head_dim;
    /// Width of all query heads.
    QueryWidth = "heads * head_dim": |c, keys| c.query_width();
    /// Width of all key heads, and of all value heads.
    KvWidth = "kv_heads * head_dim": |c, keys| c.kv_width();
    /// Positions that are attended to.
    Keys = "keys": |c, keys| keys;
    /// Experts of a layer.
    Experts = "experts": |c, keys| c.experts;
    /// Experts that a token uses.
    ExpertsUsed = "experts_used": |c, keys| c.experts_used;
    /// Inner width of an expert.
    ExpertFf = "expert_ff": |c, keys| c.expert_ff;
    /// Inner width of a dense feed-forward.
    Ff = "ff": |c, keys| c.ff;
    /// Size of the vocabulary.
    Vocab = "vocab": |c, keys| c.vocab;
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
