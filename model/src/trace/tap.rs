//! How a forward hands its values over while it runs.

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
    /// Keys as a cache of f16 holds them ([`Stage::KPostRope`] only): rounded.
    F16(&'a [f16]),
}

impl Slice<'_> {
    /// Elements.
    pub fn len(self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
            Self::U32(v) => v.len(),
            Self::F16(v) => v.len(),
        }
    }

    /// Whether there are none.
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
    /// Positions.
    pub tokens: usize,
    /// `[tokens, ..]`, the rest as in [`Stage::dims`].
    pub values: Slice<'a>,
}

/// Takes a forward's values as they are made: batch after batch, in each the stages that the device
/// writes, in the forward's order. A stage that a device keeps in registers does not come; the
/// residual stream ([`Stage::Embedding`], [`Stage::LayerOut`]) always does. The final norm and the
/// logits come for the positions whose logits were asked for.
pub trait Tap: Send {
    /// Takes a stage's values.
    fn take(&mut self, block: Block<'_>);
}

impl<F: FnMut(Block<'_>) + Send> Tap for F {
    fn take(&mut self, block: Block<'_>) {
        self(block);
    }
}
