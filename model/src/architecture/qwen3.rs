//! Qwen3 (llama.cpp `LLM_ARCH_QWEN3`): Qwen3-MoE's attention, and a dense feed-forward.

use super::{Definition, attention::normed_heads, decoder};
use crate::{
    config::{Architecture, ConfigError, FeedForward, Keys, ModelConfig, TensorRole as T},
    graph::{Graph, Node, Operation as O, Stage as S},
};

/// Qwen3.
pub static QWEN3: Architecture = Architecture { name: "qwen3", title: "Qwen3" };

pub(super) static DEFINITION: Definition =
    Definition { architecture: &QWEN3, keys: &["feed_forward_length"], neutral: &[], feed_forward, graph };

fn feed_forward(keys: Keys<'_>) -> Result<FeedForward, ConfigError> {
    Ok(FeedForward { ff: keys.number("feed_forward_length")?, ..FeedForward::default() })
}

fn graph(config: &ModelConfig) -> Graph {
    let dense = vec![
        Node::new(S::FfnNorm, O::Norm(T::FfnNorm), &[S::PostAttnResidual]),
        Node::new(S::FfnGate, O::Product(T::FfnGate), &[S::FfnNorm]),
        Node::new(S::FfnUp, O::Product(T::FfnUp), &[S::FfnNorm]),
        Node::new(S::FfnSilu, O::Silu, &[S::FfnGate]),
        Node::new(S::FfnSwiglu, O::SwiGlu, &[S::FfnGate, S::FfnUp]).through(&[S::FfnSilu]),
        Node::new(S::FfnOut, O::Product(T::FfnDown), &[S::FfnSwiglu]),
        Node::new(S::LayerOut, O::Residual, &[S::PostAttnResidual, S::FfnOut]),
    ];
    decoder(config, normed_heads(), dense)
}
