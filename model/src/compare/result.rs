//! The result of a comparison, from which text, JSON and reports are written.
//!
//! In JSON a number that is NaN or infinite is `null`.

use crate::trace::{Fault, Stage, Statistics};
use serde::Serialize;

/// Information about one of the two runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Side {
    /// Its name: `cpu:act=f32,acc=f64`, or a trace's file.
    pub name: String,
    /// The device, in a few words for messages.
    pub device: Option<String>,
    /// The policy, as `act=q8k,acc=f32`.
    pub policy: Option<String>,
    /// The KV cache's type.
    pub kv: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// SHA-256 of the model's file.
    pub model_sha256: Option<String>,
    /// The version of the program that ran it.
    pub version: Option<String>,
    /// Stages that were not read from the device but derived from what was read.
    pub derived: Vec<Stage>,
    /// Where a derived value differs from the value that the device wrote.
    pub faults: Vec<Fault>,
}

/// A value of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The stage.
    pub stage: Stage,
    /// Its layer.
    pub layer: Option<usize>,
    /// The index of the prompt, from 0.
    pub prompt: usize,
    /// The position in the prompt.
    pub position: usize,
    /// The index of the value at that position.
    pub index: usize,
}

/// How the two sides differ in one stage of one layer, over all prompts and positions.
///
/// Values of chosen experts are compared expert by expert, whatever the rank. Those of an expert that only one side
/// chose are not compared; such differences show in [`LayerChoices`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The stage.
    pub stage: Stage,
    /// Its layer.
    pub layer: Option<usize>,
    /// Number of compared values.
    pub values: u64,
    /// Number of values whose bits differ, or that are NaN or infinite on either side.
    pub differing: u64,
    /// Of those, pairs with a NaN or an infinity; the other measures do not include them.
    pub not_finite: u64,
    /// Cosine of the angle between the sides; 1 if both are zero. `None` for ids.
    pub cosine: Option<f64>,
    /// Norm of the difference over the norm of the left side, 0 if both are zero. `None` for ids.
    pub relative: Option<f64>,
    /// The largest absolute difference. `None` for ids.
    pub largest: Option<f64>,
    /// The largest difference in units in the last place of f32. `None` for ids.
    pub largest_ulp: Option<u64>,
    /// The first value that differs.
    pub first: Option<Place>,
}

/// The distribution of one stage's values over all layers, on both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Distribution {
    /// The stage.
    pub stage: Stage,
    /// The left side's values.
    pub left: Statistics,
    /// The right side's.
    pub right: Statistics,
}

/// The choice of experts for one token in one layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// The index of the prompt, from 0.
    pub prompt: usize,
    /// The position in the prompt.
    pub position: usize,
    /// Experts that both sides chose.
    pub shared: usize,
    /// Whether the sides chose the same experts in the same order.
    pub same_order: bool,
    /// The margin between the left side's last chosen expert and the first one that it did not choose, in router
    /// logits; `None` if the logits are unknown or all experts are used.
    pub margin: Option<f64>,
    /// The largest difference between the sides' router logits.
    pub shift: Option<f64>,
}

/// The choices of experts in one layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerChoices {
    /// The layer.
    pub layer: usize,
    /// Experts chosen for each token.
    pub used: usize,
    /// Tokens with the same experts on both sides.
    pub same: usize,
    /// The smallest margin of the left side among tokens with the same experts.
    pub least_margin_of_same: Option<f64>,
    /// The largest margin of the left side among tokens with different experts.
    pub largest_margin_of_other: Option<f64>,
    /// Every token's choice, in the order of prompts.
    pub choices: Vec<Choice>,
}

/// Agreement on the most likely next token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TopTokens {
    /// Positions with logits on both sides.
    pub positions: u64,
    /// Positions where both sides find the same token most likely.
    pub same: u64,
    /// The same at the last position of each prompt.
    pub prompts: u64,
    /// Number of prompts whose last position agrees.
    pub same_at_the_end: u64,
    /// The first position that does not agree.
    pub first: Option<OtherToken>,
}

/// A position with different most likely tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct OtherToken {
    /// The index of the prompt, from 0.
    pub prompt: usize,
    /// The position in the prompt.
    pub position: usize,
    /// The left side's token.
    pub left: u32,
    /// The right side's token.
    pub right: u32,
}

/// Perplexity of both sides over the same tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Perplexities {
    /// Tokens predicted.
    pub tokens: u64,
    /// The left side's perplexity.
    pub left: f64,
    /// The right side's perplexity.
    pub right: f64,
}

/// The layer over which the error of the residual stream grows most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Growth {
    /// The layer.
    pub layer: usize,
    /// Relative error of the layer's input stream.
    pub before: f64,
    /// Relative error of the layer's output stream.
    pub after: f64,
}

/// The thresholds of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Thresholds {
    /// The minimum cosine of every stage.
    pub min_cos: Option<f64>,
    /// The maximum relative error of every stage.
    pub max_rel: Option<f64>,
}

/// The outcome of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Verdict {
    /// Every value has the same bits.
    Equal,
    /// Values differ, within the thresholds if there are any.
    Differs,
    /// A stage exceeds a threshold.
    Past,
}

/// Two runs of one model, compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The left side, to which errors are relative.
    pub left: Side,
    /// The right side.
    pub right: Side,
    /// Number of prompts.
    pub prompts: usize,
    /// Number of compared positions of all prompts.
    pub positions: u64,
    /// Number of compared values.
    pub values: u64,
    /// Number of values whose bits differ.
    pub differing: u64,
    /// Every stage that both sides have, in the forward's order.
    pub stages: Vec<Difference>,
    /// Stages that only one side has, which were not compared.
    pub missing: Vec<Stage>,
    /// The stages' values over all layers.
    pub distributions: Vec<Distribution>,
    /// The choices of experts, layer by layer.
    pub experts: Vec<LayerChoices>,
    /// Agreement on the next token, if there are logits.
    pub top: Option<TopTokens>,
    /// Perplexity, if there are logits and later tokens.
    pub perplexity: Option<Perplexities>,
    /// The first value that differs.
    pub first: Option<Place>,
    /// The first stage that exceeds a threshold; without thresholds, the first whose relative error is above
    /// [`Comparison::NOTABLE`].
    pub first_past: Option<Place>,
    /// The layer over which the error grows most.
    pub growth: Option<Growth>,
    /// The thresholds.
    pub thresholds: Thresholds,
    /// The outcome.
    pub verdict: Verdict,
}

impl Comparison {
    /// The relative error from which on a stage is named if no threshold was given.
    pub const NOTABLE: f64 = 1e-3;

    /// A stage's difference.
    pub fn stage(&self, stage: Stage, layer: Option<usize>) -> Option<&Difference> {
        self.stages.iter().find(|d| (d.stage, d.layer) == (stage, layer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_without_a_value_are_null_in_json() {
        let difference = Difference {
            stage: Stage::AttnOut,
            layer: Some(1),
            values: 4,
            differing: 1,
            not_finite: 0,
            cosine: Some(0.0),
            relative: Some(f64::INFINITY),
            largest: Some(0.5),
            largest_ulp: Some(3),
            first: Some(Place { stage: Stage::AttnOut, layer: Some(1), prompt: 0, position: 2, index: 0 }),
        };
        let json = serde_json::to_value(difference).unwrap();
        assert_eq!(json["stage"], "attn_out");
        assert!(json["relative"].is_null());
        assert_eq!(json["first"]["position"], 2);
        assert_eq!(serde_json::to_value(Verdict::Equal).unwrap()["kind"], "equal");
    }
}
