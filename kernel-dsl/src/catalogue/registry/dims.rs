//! The sizes for which a kernel is specialized, by name.

macro_rules! dims {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal;)*) => {
        /// Sizes by name; `None` if a kernel has no such size, or none was requested.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub struct Dims {
            $($(#[doc = $doc])+ pub $name: Option<u32>,)*
        }

        /// The same with every choice made; 0 if a kernel has no such size.
        #[derive(Clone, Copy, Debug)]
        pub struct Sizes {
            $($(#[doc = $doc])+ pub $name: u32,)*
        }

        impl Dims {
            /// No sizes.
            pub const NONE: Dims = Dims { $($name: None),* };

            /// These sizes, with `other`'s where these have none.
            pub fn or(self, other: Dims) -> Dims {
                Dims { $($name: self.$name.or(other.$name)),* }
            }

            /// These without those that `of` does not have.
            pub fn within(self, of: Dims) -> Dims {
                Dims { $($name: self.$name.filter(|_| of.$name.is_some())),* }
            }

            /// Names as on the command line, and values, of the existing sizes.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u32)> {
                [$(($word, self.$name)),*].into_iter().filter_map(|(name, value)| Some((name, value?)))
            }

            /// Numbers for all, once nothing is left to choose.
            pub fn sizes(&self) -> Sizes {
                Sizes { $($name: self.$name.unwrap_or(0)),* }
            }
        }
    };
}

dims! {
    /// Rows of a matrix, or elements of an elementwise kernel.
    rows = "rows";
    /// Columns of a matrix, or elements of a vector.
    cols = "cols";
    /// Experts of a layer.
    experts = "experts";
    /// Experts that a token uses.
    used = "used";
    /// Maximum number of tokens of a pass.
    tokens = "tokens";
    /// Query heads.
    heads = "heads";
    /// Key and value heads.
    kv_heads = "kv-heads";
    /// Width of a head.
    head_dim = "head-dim";
    /// Positions of a KV cache or a table.
    positions = "positions";
    /// Sequences of a batch.
    sequences = "sequences";
    /// Pages, of 64 positions, of a batch's cache.
    pages = "pages";
}

impl Default for Dims {
    fn default() -> Dims {
        Dims::NONE
    }
}
