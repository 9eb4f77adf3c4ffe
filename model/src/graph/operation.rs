//! The operations of stages.

use crate::{
    config::{ModelConfig, TensorRole},
    gguf::TensorType,
};
use std::fmt;

/// How a stage's values are computed from its inputs. docs/numerics.md defines the arithmetic of each; models use only
/// these operations.
///
/// Inputs are in the order in which an operation lists them. Weights are named by their role, in the stage's layer or,
/// for tensors that a model has once, outside the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// The tokens' rows of a table.
    Embedding(TensorRole),
    /// RMSNorm of each position's values.
    Norm(TensorRole),
    /// RMSNorm of each head, then RoPE.
    HeadNormRope(TensorRole),
    /// A matrix times each position's vector.
    Product(TensorRole),
    /// Scaled products of queries and keys. Inputs: queries, keys.
    AttentionScores,
    /// The weights of the values. Inputs: queries, keys.
    AttentionSoftmax,
    /// Sum of the values, weighted by the softmax of the scores. Inputs: queries, keys, values.
    Attention,
    /// The sum of two inputs, element by element.
    Residual,
    /// The router's matrix times each position's vector, in f64.
    RouterLogits(TensorRole),
    /// Renormalized probabilities of the most likely experts.
    RouterWeights,
    /// The most likely experts.
    RouterExperts,
    /// Matrices of the chosen experts times a vector: the position's, or one for each expert. Inputs: vectors, experts.
    ExpertProduct(TensorRole),
    /// SiLU, element by element.
    Silu,
    /// SiLU of the first input times the second.
    SwiGlu,
    /// The weighted sum of the experts' vectors. Inputs: vectors, weights.
    ExpertsSum,
}

/// A part of a numeric policy, or another choice, on which an operation's result may depend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Concern {
    /// The format of activations in products with superblock matrices.
    Act,
    /// The accumulator.
    Acc,
    /// Exact or approximate functions, and the type of their stored result.
    Math,
    /// The type of the router's products and softmax, f64 by contract.
    Router,
    /// The type of the KV cache.
    Kv,
}

impl Operation {
    /// The weights that it reads, if any.
    pub fn weights(self) -> Option<TensorRole> {
        match self {
            Self::Embedding(role)
            | Self::Norm(role)
            | Self::HeadNormRope(role)
            | Self::Product(role)
            | Self::RouterLogits(role)
            | Self::ExpertProduct(role) => Some(role),
            Self::AttentionScores
            | Self::AttentionSoftmax
            | Self::Attention
            | Self::Residual
            | Self::RouterWeights
            | Self::RouterExperts
            | Self::Silu
            | Self::SwiGlu
            | Self::ExpertsSum => None,
        }
    }

    /// The matrix, or the experts' matrices, that it multiplies with under the policy's formats.
    pub fn matrix(self) -> Option<TensorRole> {
        match self {
            Self::Product(role) | Self::ExpertProduct(role) => Some(role),
            _ => None,
        }
    }

    /// The choices on which its result depends, in addition to inputs and weights.
    pub fn concerns(self) -> &'static [Concern] {
        match self {
            Self::Product(_) | Self::ExpertProduct(_) => &[Concern::Act, Concern::Acc],
            Self::Norm(_) | Self::HeadNormRope(_) | Self::ExpertsSum => &[Concern::Acc],
            Self::AttentionScores | Self::AttentionSoftmax | Self::Attention => &[Concern::Acc, Concern::Kv],
            Self::Silu | Self::SwiGlu => &[Concern::Acc, Concern::Math],
            Self::RouterLogits(_) | Self::RouterWeights | Self::RouterExperts => &[Concern::Router],
            Self::Embedding(_) | Self::Residual => &[],
        }
    }

    /// Whether all inputs except the first contain the positions from 0 on, not only those of the stage.
    pub fn attends(self) -> bool {
        matches!(self, Self::AttentionScores | Self::AttentionSoftmax | Self::Attention)
    }

    /// Bytes of its weights, `all` of them, that it reads for one token; a row of a lookup table is not counted.
    pub fn bytes_of_a_token(self, config: &ModelConfig, all: u64) -> u64 {
        match self {
            Self::Embedding(_) => 0,
            Self::ExpertProduct(_) => all / config.experts.max(1) as u64 * config.experts_used as u64,
            _ if self.weights().is_some() => all,
            _ => 0,
        }
    }

    /// Whether its values depend on the format of activations, where its weights have type `ty`.
    pub fn rounds_activations(self, ty: TensorType) -> bool {
        self.concerns().contains(&Concern::Act) && ty.reads_q8k()
    }

    /// A short description for tables.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Embedding(_) => "lookup of the tokens' rows",
            Self::Norm(_) => "RMSNorm",
            Self::HeadNormRope(_) => "RMSNorm of each head, then RoPE",
            Self::Product(_) => "product",
            Self::AttentionScores => "scaled scores",
            Self::AttentionSoftmax => "softmax of the scores",
            Self::Attention => "attention",
            Self::Residual => "sum",
            Self::RouterLogits(_) => "product in f64",
            Self::RouterWeights => "weights of the most likely, renormalized",
            Self::RouterExperts => "ids of the most likely",
            Self::ExpertProduct(_) => "products of the chosen experts",
            Self::Silu => "SiLU",
            Self::SwiGlu => "SiLU of the first times the second",
            Self::ExpertsSum => "weighted sum",
        }
    }
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Act => "act",
            Self::Acc => "acc",
            Self::Math => "math",
            Self::Router => "f64",
            Self::Kv => "kv",
        })
    }
}
