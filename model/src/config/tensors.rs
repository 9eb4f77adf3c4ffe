//! The tensors of a Qwen3-MoE file: names, shapes, roles (llama.cpp `LLM_ARCH_QWEN3MOE`).

use super::{ConfigError, Qwen3MoeConfig, error::SOUGHT};
use crate::gguf::{Gguf, TensorType};
use std::collections::HashSet;

/// What a tensor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TensorRole {
    /// Rows are the tokens' embeddings.
    TokenEmbd,
    /// Norm in front of the output projection.
    OutputNorm,
    /// Output projection to the vocabulary.
    Output,
    /// Norm in front of attention.
    AttnNorm,
    /// Norm in front of the experts.
    FfnNorm,
    /// Norm of each query head.
    AttnQNorm,
    /// Norm of each key head.
    AttnKNorm,
    /// Query projection.
    AttnQ,
    /// Key projection.
    AttnK,
    /// Value projection.
    AttnV,
    /// Attention's output projection.
    AttnOutput,
    /// Router.
    FfnGateInp,
    /// The experts' gate projections.
    FfnGateExps,
    /// The experts' up projections.
    FfnUpExps,
    /// The experts' down projections.
    FfnDownExps,
}

impl TensorRole {
    /// The tensors that a model has once.
    pub(crate) const WHOLE: [Self; 3] = [Self::TokenEmbd, Self::OutputNorm, Self::Output];

    /// The tensors of each layer.
    pub(crate) const BLOCK: [Self; 12] = [
        Self::AttnNorm,
        Self::FfnNorm,
        Self::AttnQNorm,
        Self::AttnKNorm,
        Self::AttnQ,
        Self::AttnK,
        Self::AttnV,
        Self::AttnOutput,
        Self::FfnGateInp,
        Self::FfnGateExps,
        Self::FfnUpExps,
        Self::FfnDownExps,
    ];

    /// The name in a file: `blk.3.attn_q.weight` for block 3, or without a block.
    pub fn name(self, block: Option<usize>) -> String {
        let stem = match self {
            Self::TokenEmbd => "token_embd",
            Self::OutputNorm => "output_norm",
            Self::Output => "output",
            Self::AttnNorm => "attn_norm",
            Self::FfnNorm => "ffn_norm",
            Self::AttnQNorm => "attn_q_norm",
            Self::AttnKNorm => "attn_k_norm",
            Self::AttnQ => "attn_q",
            Self::AttnK => "attn_k",
            Self::AttnV => "attn_v",
            Self::AttnOutput => "attn_output",
            Self::FfnGateInp => "ffn_gate_inp",
            Self::FfnGateExps => "ffn_gate_exps",
            Self::FfnUpExps => "ffn_up_exps",
            Self::FfnDownExps => "ffn_down_exps",
        };
        match block {
            Some(b) => format!("blk.{b}.{stem}.weight"),
            None => format!("{stem}.weight"),
        }
    }

    /// The dimensions, innermost first.
    pub fn dims(self, c: &Qwen3MoeConfig) -> Vec<usize> {
        match self {
            Self::TokenEmbd | Self::Output => vec![c.hidden, c.vocab],
            Self::OutputNorm | Self::AttnNorm | Self::FfnNorm => vec![c.hidden],
            Self::AttnQNorm | Self::AttnKNorm => vec![c.head_dim],
            Self::AttnQ => vec![c.hidden, c.query_width()],
            Self::AttnK | Self::AttnV => vec![c.hidden, c.kv_width()],
            Self::AttnOutput => vec![c.query_width(), c.hidden],
            Self::FfnGateInp => vec![c.hidden, c.experts],
            Self::FfnGateExps | Self::FfnUpExps => vec![c.hidden, c.expert_ff, c.experts],
            Self::FfnDownExps => vec![c.expert_ff, c.hidden, c.experts],
        }
    }

    /// Whether the tensor is a norm's weights.
    pub(crate) fn is_norm(self) -> bool {
        matches!(self, Self::OutputNorm | Self::AttnNorm | Self::FfnNorm | Self::AttnQNorm | Self::AttnKNorm)
    }

    /// Whether the tensor has to be F32: norms and the router, which are never quantized.
    pub(crate) fn is_f32(self) -> bool {
        self.is_norm() || self == Self::FfnGateInp
    }
}

/// What keeps the file from having exactly the model's tensors.
pub(super) fn faults(gguf: &Gguf, config: &Qwen3MoeConfig) -> Vec<ConfigError> {
    let file = || gguf.file().to_owned();
    let (mut faults, mut expected) = (Vec::new(), HashSet::new());
    for (role, block) in config.tensors() {
        let name = role.name(block);
        let dims = role.dims(config);
        match gguf.tensor(&name) {
            Err(e) => faults.push(e.into()),
            Ok(t) if t.dims != dims => {
                let (tensor, found) = (name.clone(), t.dims.to_vec());
                faults.push(ConfigError::Shape { file: file(), tensor, found, expected: dims });
            }
            Ok(t) if role.is_f32() && t.ty != TensorType::F32 => {
                faults.push(ConfigError::Type { file: file(), tensor: name.clone(), found: t.ty });
            }
            Ok(_) => (),
        }
        expected.insert(name);
        if faults.len() >= SOUGHT {
            return faults;
        }
    }
    let unknown = gguf.tensors().filter(|t| !expected.contains(t.name));
    faults.extend(unknown.take(SOUGHT).map(|t| ConfigError::UnknownTensor {
        file: file(),
        tensor: t.name.into(),
        blocks: config.blocks,
    }));
    faults
}
