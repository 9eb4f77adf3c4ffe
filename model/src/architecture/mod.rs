//! The architectures that are known, each in a file: its keys in GGUF files, and the graph of its stages.
//!
//! To add one, write such a file and put it into [`ALL`]. What it computes by operations that there are
//! ([`Operation`](crate::graph::Operation)), the rest of the crate can run.

mod attention;
mod qwen3;
mod qwen3moe;

pub use qwen3::QWEN3;
pub use qwen3moe::QWEN3_MOE;

use crate::{
    config::{ConfigError, FeedForward, Keys, ModelConfig, Neutral, TensorRole as T},
    graph::{Graph, Node, Operation as O, Stage as S},
};
use std::fmt;

/// Every architecture that is known.
pub static ALL: &[&Architecture] = &[&QWEN3_MOE, &QWEN3];

/// A kind of model.
pub struct Architecture {
    /// `general.architecture` of its GGUF files, and what its keys begin with.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// The keys that only it has.
    pub(crate) keys: &'static [&'static str],
    /// Keys that would change what it computes, with the values that do not.
    pub(crate) neutral: &'static [(&'static str, Neutral)],
    /// Reads the sizes of its feed-forward.
    pub(crate) feed_forward: fn(Keys<'_>) -> Result<FeedForward, ConfigError>,
    /// The stages of a model.
    pub(crate) graph: fn(&ModelConfig) -> Graph,
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

/// The architecture of this name in GGUF files.
pub fn find(name: &str) -> Option<&'static Architecture> {
    ALL.iter().find(|a| a.name == name).copied()
}

/// `"qwen3moe" (Qwen3-MoE) and "qwen3" (Qwen3)`.
pub(crate) fn names() -> String {
    ALL.iter().map(|a| format!("\"{}\" ({})", a.name, a.title)).collect::<Vec<_>>().join(" and ")
}

/// A decoder of equal layers, each attention and a feed-forward on a residual stream, between an embedding and a normed
/// output projection.
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
