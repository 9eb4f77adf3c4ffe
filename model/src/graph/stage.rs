//! The named stages of forwards, with the type and shape of their values. Graphs define how they are computed.

use super::{At, Dim};
use crate::{config::ModelConfig, suggest::nearest};
use serde::Serialize;
use std::{fmt, str::FromStr};

/// Where a stage occurs in a forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Once in a forward, before the layers.
    Before,
    /// Once in each layer.
    Layer,
    /// Once in a forward, after the layers.
    After,
}

/// The type of a stage's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StageType {
    /// Binary32.
    F32,
    /// Binary64.
    F64,
    /// Ids, which have no magnitude: they are equal or different.
    Id,
}

macro_rules! stages {
    ($($(#[$doc:meta])* $variant:ident = $name:literal: $scope:ident, $ty:ident, [$($dim:ident),+];)+) => {
        /// A stage of a forward, by its name. The list has the stages of every architecture, in the order of their
        /// forwards; a model's stages are those of its [`Graph`](super::Graph).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Stage { $($(#[$doc])* $variant),+ }

        impl Stage {
            /// Every stage of every architecture, in the forward's order.
            pub const ALL: &[Stage] = &[$(Stage::$variant),+];

            /// The stage's name in traces and on the command line.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Where it occurs in a forward.
            pub(crate) const fn scope(self) -> Scope {
                match self { $(Self::$variant => Scope::$scope),+ }
            }

            /// The type of its values.
            pub const fn ty(self) -> StageType {
                match self { $(Self::$variant => StageType::$ty),+ }
            }

            /// The dimensions of one position's values.
            pub const fn dims(self) -> &'static [Dim] {
                match self { $(Self::$variant => &[$(Dim::$dim),+]),+ }
            }
        }
    };
}

stages! {
    /// The token's row of the embedding: the start of the residual stream.
    Embedding = "embedding": Before, F32, [Hidden];
    /// RMSNorm of the stream before attention.
    AttnNorm = "attn_norm": Layer, F32, [Hidden];
    /// Query projection, before its norm and RoPE.
    Q = "q": Layer, F32, [Heads, HeadDim];
    /// Key projection, before its norm and RoPE.
    K = "k": Layer, F32, [KvHeads, HeadDim];
    /// Value projection.
    V = "v": Layer, F32, [KvHeads, HeadDim];
    /// Queries after their norm and RoPE.
    QPostRope = "q_post_rope": Layer, F32, [Heads, HeadDim];
    /// Keys after their norm and RoPE, before the cache rounds them.
    KPostRope = "k_post_rope": Layer, F32, [KvHeads, HeadDim];
    /// Scaled products of a query with the keys at or before its position; -inf after it.
    AttnScores = "attn_scores": Layer, F32, [Heads, Keys];
    /// Their softmax; 0 after the position.
    AttnSoftmax = "attn_softmax": Layer, F32, [Heads, Keys];
    /// Attention's result for each query head, before the output projection.
    Attention = "attention": Layer, F32, [Heads, HeadDim];
    /// The output projection.
    AttnOut = "attn_out": Layer, F32, [Hidden];
    /// The residual stream after adding attention.
    PostAttnResidual = "post_attn_residual": Layer, F32, [Hidden];
    /// RMSNorm of the stream before the feed-forward.
    FfnNorm = "ffn_norm": Layer, F32, [Hidden];
    /// The router's logits, in f64.
    RouterLogits = "router_logits": Layer, F64, [Experts];
    /// Renormalized weights of the chosen experts, in rank order.
    RouterWeights = "router_weights": Layer, F32, [ExpertsUsed];
    /// Ids of the chosen experts, in rank order.
    RouterExperts = "router_experts": Layer, Id, [ExpertsUsed];
    /// Gate projections of the chosen experts, in rank order.
    ExpertGate = "expert_gate": Layer, F32, [ExpertsUsed, ExpertFf];
    /// Up projections of the chosen experts.
    ExpertUp = "expert_up": Layer, F32, [ExpertsUsed, ExpertFf];
    /// SiLU of the gate projections.
    ExpertSilu = "expert_silu": Layer, F32, [ExpertsUsed, ExpertFf];
    /// SiLU of the gate times up, rounded once.
    ExpertSwiglu = "expert_swiglu": Layer, F32, [ExpertsUsed, ExpertFf];
    /// Down projections of the chosen experts, not yet weighted.
    ExpertOut = "expert_out": Layer, F32, [ExpertsUsed, Hidden];
    /// The experts' weighted sum.
    MoeFfnOut = "moe_ffn_out": Layer, F32, [Hidden];
    /// Gate projection of a dense feed-forward.
    FfnGate = "ffn_gate": Layer, F32, [Ff];
    /// Its up projection.
    FfnUp = "ffn_up": Layer, F32, [Ff];
    /// SiLU of the gate projection.
    FfnSilu = "ffn_silu": Layer, F32, [Ff];
    /// SiLU of the gate times up, rounded once.
    FfnSwiglu = "ffn_swiglu": Layer, F32, [Ff];
    /// The down projection.
    FfnOut = "ffn_out": Layer, F32, [Hidden];
    /// The residual stream after the layer.
    LayerOut = "layer_out": Layer, F32, [Hidden];
    /// RMSNorm of the stream after the last layer.
    FinalNorm = "final_norm": After, F32, [Hidden];
    /// The logits.
    Logits = "logits": After, F32, [Vocab];
}

impl Stage {
    /// Whether every layer has this stage: its [name](Self::tensor_name) then takes one.
    pub const fn in_layer(self) -> bool {
        matches!(self.scope(), Scope::Layer)
    }

    /// Whether a position's values have an element for every key, of which only those up to the position are
    /// meaningful.
    pub(crate) const fn is_causal(self) -> bool {
        matches!(self, Self::AttnScores | Self::AttnSoftmax)
    }

    /// The value at keys after a position, for such stages.
    pub(crate) const fn padding(self) -> f32 {
        if matches!(self, Self::AttnScores) { f32::NEG_INFINITY } else { 0.0 }
    }

    /// The values of [`dims`](Self::dims) in a model, with this many keys.
    pub fn shape(self, config: &ModelConfig, keys: usize) -> Vec<usize> {
        self.dims().iter().map(|dim| dim.of(config, keys)).collect()
    }

    /// Whether its values are numbers, not ids.
    pub const fn is_number(self) -> bool {
        !matches!(self.ty(), StageType::Id)
    }

    /// The name of a tensor with this stage's values: `layers.03.attn_norm`, `logits`.
    pub fn tensor_name(self, layer: Option<usize>) -> String {
        match layer {
            Some(layer) => format!("layers.{layer:02}.{self}"),
            None => self.name().to_owned(),
        }
    }

    /// Every stage that a model with this many layers may have in any architecture, with its layer, in the forward's
    /// order: for traces of unknown models.
    pub fn all_of(layers: usize) -> impl Iterator<Item = At> {
        let of = |scope| Self::ALL.iter().copied().filter(move |s: &Stage| s.scope() == scope);
        let once = move |scope| of(scope).map(|s| (s, None));
        let layers = (0..layers).flat_map(move |l| of(Scope::Layer).map(move |s| (s, Some(l))));
        once(Scope::Before).chain(layers).chain(once(Scope::After))
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Stage {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A name that no stage has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown stage `{name}`{}", .nearest.map_or_else(all_names, |n| format!(": did you mean `{n}`?")))]
pub struct UnknownStage {
    /// The name.
    pub name: String,
    /// The stage with the most similar name.
    pub nearest: Option<Stage>,
}

/// `; stages are ...`, if there is no similar name.
fn all_names() -> String {
    let names: Vec<_> = Stage::ALL.iter().map(|s| s.name()).collect();
    format!("; stages are {}", names.join(", "))
}

impl FromStr for Stage {
    type Err = UnknownStage;
    fn from_str(name: &str) -> Result<Self, UnknownStage> {
        let find = |name: &str| Self::ALL.iter().copied().find(|s| s.name() == name);
        find(name).ok_or_else(|| UnknownStage {
            name: name.to_owned(),
            nearest: nearest(name, Self::ALL.iter().map(|s| s.name())).and_then(find),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::Preset;

    #[test]
    fn names_are_read_back_and_a_wrong_one_is_helped() {
        for stage in Stage::ALL {
            assert_eq!(stage.name().parse(), Ok(*stage));
        }
        let error = "atn_scores".parse::<Stage>().unwrap_err();
        assert_eq!(error.to_string(), "unknown stage `atn_scores`: did you mean `attn_scores`?");
        let error = "x".parse::<Stage>().unwrap_err().to_string();
        assert!(
            error.starts_with("unknown stage `x`; stages are embedding, ") && error.ends_with(", logits"),
            "{error}"
        );
    }

    #[test]
    fn shapes_and_names_of_a_model() {
        let config = Preset::Tiny.config();
        assert_eq!(Stage::AttnScores.shape(&config, 7), [config.heads, 7]);
        assert_eq!(Stage::ExpertOut.shape(&config, 7), [config.experts_used, config.hidden]);
        assert_eq!(Stage::AttnScores.tensor_name(Some(3)), "layers.03.attn_scores");
        assert_eq!(Stage::Logits.tensor_name(None), "logits");
        let all: Vec<_> = Stage::all_of(2).collect();
        assert_eq!((all[0], all[1]), ((Stage::Embedding, None), (Stage::AttnNorm, Some(0))));
        assert_eq!(all.len(), 3 + 2 * 27);
        assert_eq!(all.last(), Some(&(Stage::Logits, None)));
    }
}
