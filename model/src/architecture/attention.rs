//! Attention, which both Qwen3 architectures share.

use crate::{
    config::TensorRole as T,
    graph::{Node, Operation as O, Stage as S},
};

/// From the residual stream to the stream plus attention: queries, keys and values of the normalized stream, norm and
/// RoPE of each query and key head, causal attention with grouped queries, and the output projection.
pub(super) fn normed_heads() -> Vec<Node> {
    vec![
        Node::of_stream(S::AttnNorm, O::Norm(T::AttnNorm), &[]),
        Node::new(S::Q, O::Product(T::AttnQ), &[S::AttnNorm]),
        Node::new(S::K, O::Product(T::AttnK), &[S::AttnNorm]),
        Node::new(S::V, O::Product(T::AttnV), &[S::AttnNorm]),
        Node::new(S::QPostRope, O::HeadNormRope(T::AttnQNorm), &[S::Q]),
        Node::new(S::KPostRope, O::HeadNormRope(T::AttnKNorm), &[S::K]),
        Node::new(S::AttnScores, O::AttentionScores, &[S::QPostRope, S::KPostRope]),
        Node::new(S::AttnSoftmax, O::AttentionSoftmax, &[S::QPostRope, S::KPostRope]).through(&[S::AttnScores]),
        Node::new(S::Attention, O::Attention, &[S::QPostRope, S::KPostRope, S::V])
            .through(&[S::AttnScores, S::AttnSoftmax]),
        Node::new(S::AttnOut, O::Product(T::AttnOutput), &[S::Attention]),
        Node::of_stream(S::PostAttnResidual, O::Residual, &[S::AttnOut]),
    ]
}
