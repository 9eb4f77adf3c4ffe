//! What a file says of its model, checked before anything is computed.

mod error;
mod keys;
mod tensors;

pub use error::ConfigError;
pub(crate) use keys::{Keys, Neutral};
pub use tensors::{TensorKind, TensorRole};

use crate::{
    architecture::{self, Architecture},
    gguf::Gguf,
    graph::Graph,
};
use ptxgen_dsl::reference::{Rope, RopeScaling};

/// The hyperparameters of a model. Immutable facts of a file, so every field is public.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// What kind of model it is (`general.architecture`).
    pub architecture: &'static Architecture,
    /// Layers (`block_count`).
    pub blocks: usize,
    /// The longest sequence that the model was made for (`context_length`).
    pub context: usize,
    /// Width of the residual stream (`embedding_length`).
    pub hidden: usize,
    /// Query heads (`attention.head_count`).
    pub heads: usize,
    /// Key and value heads (`attention.head_count_kv`), a divisor of `heads`.
    pub kv_heads: usize,
    /// Width of a head (`attention.key_length`), even. The query width is `heads * head_dim`,
    /// which need not be `hidden`.
    pub head_dim: usize,
    /// Experts of a layer (`expert_count`); 0 where the feed-forward is dense.
    pub experts: usize,
    /// Experts that a token goes through (`expert_used_count`), at most `experts`.
    pub experts_used: usize,
    /// Inner width of an expert (`expert_feed_forward_length`); 0 where there are none.
    pub expert_ff: usize,
    /// Inner width of a dense feed-forward (`feed_forward_length`); 0 where there are experts.
    pub ff: usize,
    /// Rows of the embedding.
    pub vocab: usize,
    /// RMSNorm's epsilon (`attention.layer_norm_rms_epsilon`).
    pub rms_eps: f32,
    /// RoPE's base (`rope.freq_base`).
    pub rope_base: f32,
    /// How RoPE is stretched to a longer context (`rope.scaling.*`).
    pub rope_scaling: RopeScaling,
    /// Whether the output projection is the embedding, because `output.weight` is absent.
    pub tied: bool,
}

/// The sizes of a feed-forward, which an architecture reads: see [`ModelConfig`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FeedForward {
    pub(crate) experts: usize,
    pub(crate) experts_used: usize,
    pub(crate) expert_ff: usize,
    pub(crate) ff: usize,
}

impl ModelConfig {
    /// Reads and checks the hyperparameters, and that exactly the tensors of such a model are
    /// there, each in its shape and with a type it may have.
    ///
    /// # Errors
    /// Names every architecture, key or tensor that is missing, wrong, or not supported. A key of
    /// the architecture that is not known here is refused too: it could change what the model
    /// computes.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, ConfigError> {
        let name = gguf.metadata().str("general.architecture")?;
        // Of another one nothing else can be said.
        let architecture = architecture::find(name)
            .ok_or_else(|| ConfigError::Architecture { file: gguf.file().to_owned(), found: name.into() })?;
        let keys = Keys { gguf, architecture };
        let mut faults = keys.faults();
        let config = keys.read();
        match &config {
            Ok(config) => faults.extend(tensors::faults(gguf, config)),
            Err(e) => faults.push(e.clone()),
        }
        match faults.len() {
            0 => config,
            1 => Err(faults.remove(0)),
            _ => Err(ConfigError::Several { all: faults }),
        }
    }

    /// The model's stages.
    pub fn graph(&self) -> Graph {
        (self.architecture.graph)(self)
    }

    /// RoPE's base and scaling.
    pub fn rope(&self) -> Rope {
        Rope { theta: f64::from(self.rope_base), scaling: self.rope_scaling }
    }

    /// Width of all query heads together.
    pub fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of all key heads together, which is that of the value heads.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Inner vectors of a token in a layer: one for each expert that it goes through, or the one of a dense
    /// feed-forward.
    pub fn inner_vectors(&self) -> usize {
        self.experts_used.max(1)
    }

    /// Width of an inner vector.
    pub fn inner_width(&self) -> usize {
        if self.experts == 0 { self.ff } else { self.expert_ff }
    }

    /// Bytes of the KV cache for each position, with `element` bytes a value (4 for f32, 2 for
    /// f16).
    pub fn kv_bytes_per_token(&self, element: usize) -> usize {
        self.blocks * 2 * self.kv_width() * element
    }

    /// The tensors of the model, in the order in which `ptxgen synth` writes them.
    pub fn tensors(&self) -> impl Iterator<Item = (TensorRole, Option<usize>)> + use<> {
        self.graph().tensors()
    }
}
