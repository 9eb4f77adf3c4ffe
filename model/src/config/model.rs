//! The hyperparameters of a model.

use ptxgen_dsl::reference::{Rope, RopeScaling};
use std::fmt;

/// A kind of model. Those that are known are [`architecture::all`](crate::architecture::all).
#[derive(Clone, Copy, Eq)]
#[non_exhaustive]
pub struct Architecture {
    /// `general.architecture` of its GGUF files, and what its keys begin with.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
}

impl PartialEq for Architecture {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

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
}
