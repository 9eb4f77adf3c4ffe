//! The supported architectures, one file each: its keys in GGUF files, and the graph of its stages.
//!
//! To add one, write such a file and put it into the list `ALL`. What it computes by operations that there are
//! ([`Operation`](crate::graph::Operation)), the rest of the crate can run.

mod attention;
mod qwen3;
mod qwen3moe;

pub use crate::config::Architecture;
pub use qwen3::QWEN3;
pub use qwen3moe::QWEN3_MOE;

use crate::{
    config::{ConfigError, FeedForward, Keys, ModelConfig, Neutral, TensorRole as T},
    graph::{Graph, Node, Operation as O, Stage as S},
};

/// The definitions of all.
pub(crate) static ALL: &[&Definition] = &[&qwen3moe::DEFINITION, &qwen3::DEFINITION];

/// Every architecture that is known.
pub fn all() -> impl Iterator<Item = &'static Architecture> {
    ALL.iter().map(|d| d.architecture)
}

/// What an architecture is.
pub(crate) struct Definition {
    pub(crate) architecture: &'static Architecture,
    /// The keys that only it has.
    pub(crate) keys: &'static [&'static str],
    /// Keys that would change the result, with the values that do not change it.
    pub(crate) neutral: &'static [(&'static str, Neutral)],
    /// Reads the sizes of its feed-forward.
    pub(crate) feed_forward: fn(Keys<'_>) -> Result<FeedForward, ConfigError>,
    /// The stages of a model.
    pub(crate) graph: fn(&ModelConfig) -> Graph,
}

/// The architecture of this name in GGUF files.
pub(crate) fn find(name: &str) -> Option<&'static Definition> {
    ALL.iter().find(|d| d.architecture.name == name).copied()
}

/// What an architecture is.
pub(crate) fn definition(of: &Architecture) -> &'static Definition {
    find(of.name).expect("every architecture is in the list")
}

/// `"qwen3moe" (Qwen3-MoE) and "qwen3" (Qwen3)`.
pub(crate) fn names() -> String {
    let named = |d: &&Definition| format!("\"{}\" ({})", d.architecture.name, d.architecture.title);
    ALL.iter().map(named).collect::<Vec<_>>().join(" and ")
}

/// A decoder of identical layers, each with attention and a feed-forward on a residual stream, between an embedding and
/// a norm with an output projection.
fn decoder(config: &ModelConfig, attention: Vec<Node>, feed_forward: Vec<Node>) -> Graph {
    let output = if config.tied { T::TokenEmbd } else { T::Output };
    Graph {
        blocks: config.blocks,
        before: vec![Node::new(S::Embedding, O::Embedding(T::TokenEmbd), &[])],
        layer: [attention, feed_forward].concat(),
        after: vec![
            Node::of_stream(S::FinalNorm, O::Norm(T::OutputNorm), &[]),
            Node::new(S::Logits, O::Product(output), &[S::FinalNorm]),
        ],
    }
}
