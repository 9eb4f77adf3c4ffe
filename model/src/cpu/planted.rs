//! What mistakes a matrix and a layer carry: none, but in builds with planted ones (`plant`).

#[cfg(not(all(feature = "plants", debug_assertions)))]
mod kinds {
    /// Of a matrix.
    pub(in super::super) type OfMatrix = ();
    /// Of a layer, beside its products.
    pub(in super::super) type OfLayer = ();
}

#[cfg(all(feature = "plants", debug_assertions))]
mod kinds {
    use crate::plain::{Inner, Mistake};
    use ptxgen_dsl::precision::{Acc, Act};

    /// Of a matrix.
    pub(in super::super) type OfMatrix = Option<Change>;

    /// Something that the forward does otherwise than its options say.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Change {
        /// Another format of activations.
        Act(Act),
        /// Another accumulator.
        Acc(Acc),
        /// SwiGLU's result kept in another type.
        Inner(Inner),
        /// The router in f32.
        RouterInF32,
        /// A known mistake.
        Mistake(Mistake),
    }

    /// Of a layer, beside its products.
    #[derive(Clone, Copy, Debug, Default)]
    pub(in super::super) struct OfLayer {
        pub(in super::super) interleaved_queries: bool,
        pub(in super::super) interleaved_keys: bool,
        pub(in super::super) ties_to_higher: bool,
        pub(in super::super) router_in_f32: bool,
        pub(in super::super) inner: Option<Inner>,
    }
}

#[cfg(all(feature = "plants", debug_assertions))]
pub use kinds::Change;
pub(super) use kinds::{OfLayer, OfMatrix};
