//! The launches of a device for the stages of a graph.
//!
//! A [`Rule`] says which kernels compute a group of consecutive stages, and what these kernels need. For the next
//! stages, the first rule of [`RULES`] that fits is used. So fused kernels are listed before the kernels that they
//! replace. Any rule except the last one for its stages can be left out without changing bits; `tests` checks this.

use super::{
    LoadError,
    choice::{self, Kind},
    place::{Part, Section, part},
    plan::Plan,
    slot::Slot,
};
use crate::{
    gguf::TensorType,
    graph::{Node, Stage as S},
};
use ptxgen_dsl::catalogue::{Dims, KernelId, Param as P, Role};

mod attention;
mod dense;
mod ends;
mod experts;
#[cfg(test)]
mod tests;

pub(super) use experts::STATUS_STRIDE;

/// A rule for the launches of some stages.
pub(crate) struct Rule {
    /// Its name, for documentation and tests.
    pub(crate) name: &'static str,
    /// The stages that it launches, or several alternative groups of them.
    pub(crate) stages: &'static [&'static [S]],
    /// Its requirements as text, for documentation, which a test writes.
    #[cfg_attr(not(test), expect(dead_code))]
    pub(crate) needs: &'static str,
    /// Appends the launches of these nodes; returns `false` and appends nothing if a requirement is not met.
    push: fn(&mut Plan<'_>, &[Node]) -> Result<bool, LoadError>,
}

/// Every rule, preferred ones first.
const RULES: &[&[Rule]] = &[attention::RULES, experts::RULES, dense::RULES, ends::RULES];

/// Every rule in one list.
pub(crate) fn rules() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().copied().flatten()
}

impl Rule {
    /// The number of these nodes, from the first on, that it launches.
    fn fits(&self, nodes: &[Node]) -> Option<usize> {
        let begins =
            |stages: &&&[S]| nodes.len() >= stages.len() && stages.iter().zip(nodes).all(|(s, n)| *s == n.stage);
        self.stages.iter().find(begins).map(|stages| stages.len())
    }
}

/// What kernels read of the pass.
const STATE: (P, Part) = (P::State, part(Slot::State));

/// A size for a kernel; one that does not fit is rejected as too large.
fn size(n: usize) -> Option<u32> {
    Some(u32::try_from(n).unwrap_or(u32::MAX))
}

/// The buffer in which a device keeps a stage's values, if a launch writes them.
pub(super) fn slot(stage: S, layer: Option<usize>) -> Option<Slot> {
    Some(match stage {
        S::Embedding | S::PostAttnResidual | S::LayerOut => Slot::Stream,
        S::AttnNorm | S::FfnNorm | S::FinalNorm => Slot::Normed,
        S::Q | S::K | S::V => Slot::Projected,
        S::QPostRope => Slot::Queries,
        S::KPostRope => Slot::Keys(layer?),
        S::Attention => Slot::Attended,
        S::RouterLogits => Slot::RouterLogits,
        S::RouterWeights => Slot::ExpertWeights,
        S::RouterExperts => Slot::Experts,
        S::ExpertGate | S::FfnGate => Slot::Gates,
        S::ExpertUp | S::FfnUp => Slot::Ups,
        S::ExpertSwiglu | S::FfnSwiglu => Slot::Inner,
        S::ExpertOut => Slot::Products,
        S::Logits => Slot::Logits,
        S::AttnScores | S::AttnSoftmax | S::AttnOut | S::ExpertSilu | S::MoeFfnOut | S::FfnSilu | S::FfnOut => {
            return None;
        }
    })
}

/// The buffer with the same values rounded to Q8_K.
fn rounded(slot: Slot) -> Option<Slot> {
    match slot {
        Slot::Normed => Some(Slot::NormedQ8K),
        Slot::Attended => Some(Slot::AttendedQ8K),
        Slot::Inner => Some(Slot::InnerQ8K),
        _ => None,
    }
}

impl Plan<'_> {
    /// Appends the launches of a section's stages.
    pub(super) fn lower(&mut self, nodes: &[Node], section: Section) -> Result<(), LoadError> {
        self.begin(section);
        let mut rest = nodes;
        while let Some(first) = rest.first() {
            let taken = self.first_rule(rest)?;
            let taken = taken.ok_or(LoadError::NoRule { stage: first.stage })?;
            rest = &rest[taken..];
        }
        self.begin(Section::After);
        Ok(())
    }

    /// Appends the launches of the first rule that fits; returns their number of nodes.
    fn first_rule(&mut self, nodes: &[Node]) -> Result<Option<usize>, LoadError> {
        for rule in rules().filter(|r| !self.model.without.contains(&r.name)) {
            if let Some(n) = rule.fits(nodes)
                && (rule.push)(self, &nodes[..n])?
            {
                return Ok(Some(n));
            }
        }
        Ok(None)
    }

    /// The type of a node's weights, and their buffer.
    fn weights(&self, node: &Node) -> (TensorType, Slot) {
        let role = node.operation.weights().expect("the rule is for stages with weights");
        let layer = self.layer().filter(|_| !role.is_whole());
        (self.model.ty(role, layer), Slot::Weight(role, layer))
    }

    /// The name of a node's weights in the file.
    fn tensor(&self, node: &Node) -> String {
        match self.weights(node).1 {
            Slot::Weight(role, layer) => role.name(layer),
            other => unreachable!("{other:?} are weights"),
        }
    }

    /// The kernel with this role for a node's matrix.
    fn kernel(&self, role: Role, node: &Node) -> Result<KernelId, LoadError> {
        choice::kernel(role, self.weights(node).0, || self.tensor(node))
    }

    /// The types of the matrices that a stage's values are multiplied with.
    fn readers(&self, stage: S) -> Vec<TensorType> {
        let readers = self.model.graph.nodes().filter(|n| n.reads(stage) && n.operation.matrix().is_some());
        readers.map(|n| self.weights(n).0).collect()
    }

    fn pass(&self) -> Dims {
        Dims { tokens: Some(self.tokens), ..Dims::NONE }
    }

    fn matrix(&self, rows: usize, cols: usize) -> Dims {
        Dims { rows: size(rows), cols: size(cols), ..self.pass() }
    }

    /// The sizes of a product with a node's matrix.
    fn product_dims(&self, node: &Node) -> Dims {
        let role = node.operation.weights().expect("a product has a matrix");
        let dims = role.dims(&self.model.config);
        self.matrix(dims[1], dims[0])
    }

    /// The activations that a matrix of this type uses.
    fn input(&self, ty: TensorType, plain: Slot) -> Slot {
        let rounds = self.rounds() && Kind::of(ty) == Kind::Quantized;
        rounded(plain).filter(|_| rounds).unwrap_or(plain)
    }

    /// Whether one of these matrices uses Q8_K.
    fn any_rounded(&self, types: &[TensorType]) -> bool {
        self.rounds() && types.iter().any(|&t| Kind::of(t) == Kind::Quantized)
    }

    /// Rounds the contents of a slot to Q8_K: `vectors` of `width` for each token.
    fn quantize(&mut self, plain: Slot, vectors: usize, width: usize) -> Result<(), LoadError> {
        let Some(to) = rounded(plain) else { return Ok(()) };
        let dims = Dims { cols: size(width), used: size(vectors), ..self.pass() };
        let places = [(P::X, plain.into()), (P::Y, to.into()), STATE];
        self.push(KernelId::QuantizeQ8K, dims, &places[..if self.tokens > 1 { 3 } else { 2 }])
    }

    /// A product with the vectors of the pass, into a place or onto the residual stream.
    fn product(&mut self, node: &Node, x: Slot, to: Part, adds: bool) -> Result<(), LoadError> {
        let (ty, w) = self.weights(node);
        let mut places = vec![(P::W, w.into()), (P::X, x.into())];
        let plain = Kind::of(ty) == Kind::Plain;
        if plain || self.tokens > 1 {
            places.push(STATE);
        }
        places.push((if plain && adds { P::Stream } else { P::Y }, to));
        let id = self.kernel(if adds { Role::ProductAdded } else { Role::Product }, node)?;
        self.push(id, self.product_dims(node), &places)
    }

    /// The stream and the weights of its norm.
    fn unnormed(&self, norm: &Node) -> [(P, Part); 2] {
        [(P::X, Slot::Stream.into()), (P::Norm, self.weights(norm).1.into())]
    }
}

/// The rules that can be left out: they have requirements, and other rules apply if these are not met.
#[cfg(test)]
fn optional() -> impl Iterator<Item = &'static str> {
    rules().filter(|r| !r.needs.is_empty()).map(|r| r.name)
}
