//! What mistakes a matrix and a layer carry, in builds with planted ones (`plant`).

use crate::plain::{Inner, Mistake};
use ptxgen_dsl::precision::{Acc, Act};

/// Of a matrix.
pub(super) type OfMatrix = Option<Change>;

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
pub(super) struct OfLayer {
    pub(super) interleaved_queries: bool,
    pub(super) interleaved_keys: bool,
    pub(super) ties_to_higher: bool,
    pub(super) router_in_f32: bool,
    pub(super) inner: Option<Inner>,
}
