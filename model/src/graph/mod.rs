//! A model as data: its stages, with their inputs, operations and weights.
//!
//! An [architecture](crate::architecture) builds a [`Graph`] from a configuration. Everything that needs to know the
//! forward uses it: the plain forward interprets it; traces, comparison and bisection take their stages from it,
//! loading its tensors, and a device's plan the order of its launches. The fast CPU forward is written by hand, and a
//! test compares it with the graph.

mod dim;
mod operation;
mod stage;
#[cfg(test)]
mod tests;

pub use dim::Dim;
pub use operation::{Concern, Operation};
pub(crate) use stage::Scope;
pub use stage::{Stage, StageType, UnknownStage};

use crate::config::{ModelConfig, TensorRole};
use std::collections::BTreeSet;

/// A stage and its layer; stages outside the layers have none.
pub type At = (Stage, Option<usize>);

/// The source of a stage's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The residual stream: the result of the stages before the layers, or of the previous layer.
    Stream,
    /// A stage of the same layer, or of the same end of the forward.
    Stage(Stage),
}

/// A stage of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name, which determines its values' type and dimensions.
    pub stage: Stage,
    /// Its operation.
    pub operation: Operation,
    /// Its inputs, in the operation's order.
    pub inputs: Vec<Source>,
    /// Stages between the inputs and this one that no other stage reads: this one computes them again itself.
    pub between: Vec<Stage>,
}

impl Node {
    /// A stage that reads others of its layer.
    pub(crate) fn new(stage: Stage, operation: Operation, inputs: &[Stage]) -> Self {
        let inputs = inputs.iter().map(|&stage| Source::Stage(stage)).collect();
        Self { stage, operation, inputs, between: Vec::new() }
    }

    /// A stage that reads the residual stream, and after it others of its layer.
    pub(crate) fn of_stream(stage: Stage, operation: Operation, inputs: &[Stage]) -> Self {
        let mut node = Self::new(stage, operation, inputs);
        node.inputs.insert(0, Source::Stream);
        node
    }

    /// Sets the stages between the inputs and this one.
    pub(crate) fn through(self, between: &[Stage]) -> Self {
        Self { between: between.to_vec(), ..self }
    }

    /// Whether it reads a stage of its layer.
    pub fn reads(&self, stage: Stage) -> bool {
        self.inputs.contains(&Source::Stage(stage))
    }
}

/// The stages of a forward, in its order. The last stage of each part is the residual stream that the next part reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    /// Layers.
    pub blocks: usize,
    /// From tokens to the residual stream.
    pub before: Vec<Node>,
    /// A layer, from stream to stream; all layers are identical.
    pub layer: Vec<Node>,
    /// From the stream to logits.
    pub after: Vec<Node>,
}

impl Graph {
    /// Every node once, in the forward's order.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> + Clone {
        self.before.iter().chain(&self.layer).chain(&self.after)
    }

    /// Every stage with its layer, in the forward's order.
    pub fn stages(&self) -> impl Iterator<Item = At> + use<'_> {
        let once = |nodes: &'_ [Node]| nodes.iter().map(|n| (n.stage, None)).collect::<Vec<At>>();
        let layers = (0..self.blocks).flat_map(|l| self.layer.iter().map(move |n| (n.stage, Some(l))));
        once(&self.before).into_iter().chain(layers).chain(once(&self.after))
    }

    /// A stage's node, if the model has it.
    pub fn node(&self, stage: Stage) -> Option<&Node> {
        self.nodes().find(|n| n.stage == stage)
    }

    /// The residual stream that enters a layer, or leaves the last one.
    pub fn stream(&self, layer: usize) -> Option<At> {
        match layer.checked_sub(1) {
            None => Some((self.before.last()?.stage, None)),
            Some(before) => Some((self.layer.last()?.stage, Some(before))),
        }
    }

    /// The stages that a stage reads, with their layers; empty for a stage that the model lacks.
    pub fn inputs(&self, stage: Stage, layer: Option<usize>) -> Vec<At> {
        let Some(node) = self.node(stage) else { return Vec::new() };
        let stream = || self.stream(layer.unwrap_or(if stage.scope() == Scope::After { self.blocks } else { 0 }));
        let input = |source: &Source| match *source {
            Source::Stream => stream(),
            Source::Stage(stage) => Some((stage, layer)),
        };
        node.inputs.iter().filter_map(input).collect()
    }

    /// Whether no other stage reads a stage, and it is not the result of the forward: it exists only for traces.
    pub fn is_aside(&self, stage: Stage) -> bool {
        let ends = [&self.before, &self.layer, &self.after];
        let is_end = ends.iter().any(|part| part.last().is_some_and(|n| n.stage == stage));
        !is_end && !self.nodes().any(|n| n.reads(stage))
    }

    /// The tensors of such a model's file, in the order of files written by `ptxgen synth`.
    pub fn tensors(&self) -> impl Iterator<Item = (TensorRole, Option<usize>)> + use<> {
        let roles: BTreeSet<TensorRole> = self.nodes().filter_map(|n| n.operation.weights()).collect();
        let (whole, layer): (Vec<_>, Vec<_>) = roles.into_iter().partition(|r| r.is_whole());
        let layers = (0..self.blocks).flat_map(move |b| layer.clone().into_iter().map(move |r| (r, Some(b))));
        whole.into_iter().map(|r| (r, None)).chain(layers)
    }

    /// Bytes of weights that a token reads, given the size of each tensor: for experts only those of the chosen ones,
    /// for lookup tables none.
    pub fn bytes_of_a_token(&self, config: &ModelConfig, bytes: impl Fn(TensorRole, Option<usize>) -> u64) -> u64 {
        let of = |node: &Node, layer: Option<usize>| {
            let role = node.operation.weights()?;
            let layer = layer.filter(|_| !role.is_whole());
            Some(node.operation.bytes_of_a_token(config, bytes(role, layer)))
        };
        let ends = self.before.iter().chain(&self.after).filter_map(|n| of(n, None)).sum::<u64>();
        ends + (0..self.blocks).flat_map(|l| self.layer.iter().filter_map(move |n| of(n, Some(l)))).sum::<u64>()
    }
}
