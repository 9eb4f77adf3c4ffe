//! Qwen3-MoE (llama.cpp `LLM_ARCH_QWEN3MOE`): every feed-forward is a mixture of experts.

use super::{Definition, attention::normed_heads, decoder};
use crate::{
    config::{Architecture, ConfigError, FeedForward, Keys, ModelConfig, Neutral, TensorRole as T},
    graph::{Graph, Node, Operation as O, Stage as S},
};

/// Qwen3-MoE.
pub static QWEN3_MOE: Architecture = Architecture { name: "qwen3moe", title: "Qwen3-MoE" };

pub(super) static DEFINITION: Definition = Definition {
    architecture: &QWEN3_MOE,
    keys: &["feed_forward_length", "expert_count", "expert_used_count", "expert_feed_forward_length"],
    neutral: &[
        ("router_logit_softcapping", Neutral::Number(&[0.0])),
        ("expert_weights_scale", Neutral::Number(&[0.0, 1.0])),
        ("expert_weights_norm", Neutral::Bool(true)),
        // llama.cpp: 0 is the architecture's default, 1 is softmax.
        ("expert_gating_func", Neutral::Number(&[0.0, 1.0])),
        ("expert_shared_count", Neutral::Number(&[0.0])),
        ("expert_shared_feed_forward_length", Neutral::Number(&[0.0])),
        ("expert_group_count", Neutral::Number(&[0.0, 1.0])),
        ("leading_dense_block_count", Neutral::Number(&[0.0])),
    ],
    feed_forward,
    graph,
};

fn feed_forward(keys: Keys<'_>) -> Result<FeedForward, ConfigError> {
    let experts = keys.number("expert_count")?;
    let experts_used = keys.number("expert_used_count")?;
    if experts_used > experts {
        let expected = format!("at most expert_count, {experts}");
        return Err(keys.wrong("expert_used_count", experts_used.to_string(), expected));
    }
    let expert_ff = match keys.optional("expert_feed_forward_length")? {
        Some(v) => v,
        // llama.cpp's default for older files.
        None => keys.number("feed_forward_length")? / experts_used,
    };
    Ok(FeedForward { experts, experts_used, expert_ff, ff: 0 })
}

fn graph(config: &ModelConfig) -> Graph {
    let experts = vec![
        Node::new(S::FfnNorm, O::Norm(T::FfnNorm), &[S::PostAttnResidual]),
        Node::new(S::RouterLogits, O::RouterLogits(T::FfnGateInp), &[S::FfnNorm]),
        Node::new(S::RouterWeights, O::RouterWeights, &[S::RouterLogits]),
        Node::new(S::RouterExperts, O::RouterExperts, &[S::RouterLogits]),
        Node::new(S::ExpertGate, O::ExpertProduct(T::FfnGateExps), &[S::FfnNorm, S::RouterExperts]),
        Node::new(S::ExpertUp, O::ExpertProduct(T::FfnUpExps), &[S::FfnNorm, S::RouterExperts]),
        Node::new(S::ExpertSilu, O::Silu, &[S::ExpertGate]),
        Node::new(S::ExpertSwiglu, O::SwiGlu, &[S::ExpertGate, S::ExpertUp]).through(&[S::ExpertSilu]),
        Node::new(S::ExpertOut, O::ExpertProduct(T::FfnDownExps), &[S::ExpertSwiglu, S::RouterExperts]),
        Node::new(S::MoeFfnOut, O::ExpertsSum, &[S::ExpertOut, S::RouterWeights]),
        Node::new(S::LayerOut, O::Residual, &[S::PostAttnResidual, S::MoeFfnOut]),
    ];
    decoder(config, normed_heads(), experts)
}
