//! The tensors of files: names, shapes, roles (llama.cpp `LLM_TENSOR_*`).

use super::{ConfigError, ModelConfig, error::SOUGHT};
use crate::{
    gguf::{Gguf, TensorType},
    graph::Dim,
};
use std::collections::HashSet;

/// The kind of a tensor's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TensorKind {
    /// A norm's, always F32.
    Norm,
    /// The router's matrix, always F32.
    Router,
    /// A matrix of any type.
    Matrix,
    /// Matrices of any type, one for each expert.
    Experts,
}

/// Whether a model has a tensor once, or in each layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Whole,
    Layer,
}

macro_rules! roles {
    ($($(#[$doc:meta])* $variant:ident = $stem:literal: $place:ident, $kind:ident, [$($dim:ident),+];)+) => {
        /// The role of a tensor. This list has the tensors of all architectures, in the order of files written by
        /// `ptxgen synth`; a model's tensors are those that its [graph](crate::graph::Graph) reads.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum TensorRole { $($(#[$doc])* $variant),+ }

        impl TensorRole {
            /// The name in a file without block prefix and suffix.
            const fn stem(self) -> &'static str {
                match self { $(Self::$variant => $stem),+ }
            }

            const fn place(self) -> Place {
                match self { $(Self::$variant => Place::$place),+ }
            }

            /// The kind of its weights.
            pub const fn kind(self) -> TensorKind {
                match self { $(Self::$variant => TensorKind::$kind),+ }
            }

            /// The dimensions by name, innermost first.
            pub const fn dim_names(self) -> &'static [Dim] {
                match self { $(Self::$variant => &[$(Dim::$dim),+]),+ }
            }
        }
    };
}

roles! {
    /// Rows are the tokens' embeddings.
    TokenEmbd = "token_embd": Whole, Matrix, [Hidden, Vocab];
    /// Norm before the output projection.
    OutputNorm = "output_norm": Whole, Norm, [Hidden];
    /// Output projection to the vocabulary.
    Output = "output": Whole, Matrix, [Hidden, Vocab];
    /// Norm before attention.
    AttnNorm = "attn_norm": Layer, Norm, [Hidden];
    /// Norm before the feed-forward.
    FfnNorm = "ffn_norm": Layer, Norm, [Hidden];
    /// Norm of each query head.
    AttnQNorm = "attn_q_norm": Layer, Norm, [HeadDim];
    /// Norm of each key head.
    AttnKNorm = "attn_k_norm": Layer, Norm, [HeadDim];
    /// Query projection.
    AttnQ = "attn_q": Layer, Matrix, [Hidden, QueryWidth];
    /// Key projection.
    AttnK = "attn_k": Layer, Matrix, [Hidden, KvWidth];
    /// Value projection.
    AttnV = "attn_v": Layer, Matrix, [Hidden, KvWidth];
    /// Attention's output projection.
    AttnOutput = "attn_output": Layer, Matrix, [QueryWidth, Hidden];
    /// Router.
    FfnGateInp = "ffn_gate_inp": Layer, Router, [Hidden, Experts];
    /// The experts' gate projections.
    FfnGateExps = "ffn_gate_exps": Layer, Experts, [Hidden, ExpertFf, Experts];
    /// The experts' up projections.
    FfnUpExps = "ffn_up_exps": Layer, Experts, [Hidden, ExpertFf, Experts];
    /// The experts' down projections.
    FfnDownExps = "ffn_down_exps": Layer, Experts, [ExpertFf, Hidden, Experts];
    /// Gate projection of a dense feed-forward.
    FfnGate = "ffn_gate": Layer, Matrix, [Hidden, Ff];
    /// Its up projection.
    FfnUp = "ffn_up": Layer, Matrix, [Hidden, Ff];
    /// Its down projection.
    FfnDown = "ffn_down": Layer, Matrix, [Ff, Hidden];
}

impl TensorRole {
    /// The name in a file: `blk.3.attn_q.weight` for block 3, or without a block.
    pub fn name(self, block: Option<usize>) -> String {
        let stem = self.stem();
        match block {
            Some(b) => format!("blk.{b}.{stem}.weight"),
            None => format!("{stem}.weight"),
        }
    }

    /// The dimensions, innermost first.
    pub fn dims(self, config: &ModelConfig) -> Vec<usize> {
        self.dim_names().iter().map(|dim| dim.of(config, 0)).collect()
    }

    /// Whether a model has it once, and not in each layer.
    pub fn is_whole(self) -> bool {
        self.place() == Place::Whole
    }

    /// Whether the tensor must be F32: norms and the router, which are never quantized.
    pub(crate) fn is_f32(self) -> bool {
        matches!(self.kind(), TensorKind::Norm | TensorKind::Router)
    }
}

/// The differences between the file's tensors and the model's.
pub(super) fn faults(gguf: &Gguf, config: &ModelConfig) -> Vec<ConfigError> {
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
        title: config.architecture.title,
        blocks: config.blocks,
    }));
    faults
}
