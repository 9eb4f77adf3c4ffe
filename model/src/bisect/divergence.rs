//! How two runs differ, in numbers.

use crate::trace::Stage;
use serde::Serialize;

/// How two runs differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Divergence {
    /// The stage at which it is measured: the logits, or the last that differs.
    pub stage: Stage,
    /// Its layer.
    pub layer: Option<usize>,
    /// Norm of the difference over the norm of the left side, there.
    pub relative: f64,
    /// Values that both runs have, in all stages.
    pub values: usize,
    /// Those whose bits differ.
    pub differing: usize,
    /// The first stage that differs at all.
    pub first_stage: Stage,
    /// Its layer.
    pub first_layer: Option<usize>,
    /// The first position at which it does.
    pub first_position: usize,
    /// Choices of experts, one for each token and layer, that are not the same set.
    pub flips: usize,
    /// Choices of experts.
    pub choices: usize,
    /// Positions whose most likely tokens differ, and positions; where both have logits.
    pub top: Option<(usize, usize)>,
}
