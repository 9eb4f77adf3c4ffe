//! The interface through which a forward passes its values on while it runs.

use super::Stage;
use half::f16;

/// Some elements, in row-major order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slice<'a> {
    /// Binary32.
    F32(&'a [f32]),
    /// Binary64.
    F64(&'a [f64]),
    /// Ids.
    U32(&'a [u32]),
    /// Keys rounded as in an f16 cache ([`Stage::KPostRope`] only).
    F16(&'a [f16]),
}

impl Slice<'_> {
    /// Number of elements.
    pub fn len(self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
            Self::U32(v) => v.len(),
            Self::F16(v) => v.len(),
        }
    }

    /// Whether it is empty.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// A stage's values for consecutive positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block<'a> {
    /// The stage.
    pub stage: Stage,
    /// Its layer.
    pub layer: Option<usize>,
    /// The first position.
    pub position: usize,
    /// Number of positions.
    pub tokens: usize,
    /// `[tokens, ..]`, then [`Stage::dims`].
    pub values: Slice<'a>,
}

/// Receives a forward's values as they are computed: batch after batch, in each the stages that the device writes, in
/// the forward's order. A stage that a device keeps in registers is missing; the residual stream ([`Stage::Embedding`],
/// [`Stage::LayerOut`]) is always there. The final norm and the logits are there for the positions whose logits were
/// requested.
pub trait Tap: Send {
    /// Receives a stage's values.
    fn take(&mut self, block: Block<'_>);
}

impl<F: FnMut(Block<'_>) + Send> Tap for F {
    fn take(&mut self, block: Block<'_>) {
        self(block);
    }
}
