//! A mixture of experts: their choice, their products, and the sum onto the stream.

use super::{Dims, KernelId, LoadError, Node, P, Part, Plan, Role, Rule, S, STATE, choice, part, size};
use crate::device::{choice::Kind, slot::Slot};
use crate::gguf::TensorType;

const ROUTER: &[S] = &[S::RouterLogits, S::RouterWeights, S::RouterExperts];
const GATE_UP: &[S] = &[S::ExpertGate, S::ExpertUp, S::ExpertSilu, S::ExpertSwiglu];
const DOWN: &[S] = &[S::ExpertOut, S::MoeFfnOut, S::LayerOut];

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "norm into experts",
        stages: &[&[
            S::FfnNorm,
            S::RouterLogits,
            S::RouterWeights,
            S::RouterExperts,
            S::ExpertGate,
            S::ExpertUp,
            S::ExpertSilu,
            S::ExpertSwiglu,
        ]],
        needs: "one token; gate and up of the same superblock type; room in shared memory",
        push: norm_experts,
    },
    Rule { name: "router", stages: &[ROUTER], needs: "", push: router },
    Rule {
        name: "gate and up together",
        stages: &[GATE_UP],
        needs: "gate and up of the same superblock type",
        push: together,
    },
    Rule { name: "gate and up apart", stages: &[GATE_UP], needs: "", push: apart },
    Rule { name: "down", stages: &[DOWN], needs: "", push: down },
];

/// Distance in bytes between the layers' words of [`Slot::RouterStatus`].
pub(in crate::device) const STATUS_STRIDE: u64 = 16;

/// The router's logits.
const LOGITS: (P, Part) = (P::Logits, part(Slot::RouterLogits));

/// The choice of experts.
const IDS: (P, Part) = (P::Ids, part(Slot::Experts));
const WEIGHTS: (P, Part) = (P::Weights, part(Slot::ExpertWeights));

/// Which tokens each expert has.
const LISTS: [(P, Part); 2] = [(P::Offsets, part(Slot::ListStarts)), (P::Pairs, part(Slot::ListPairs))];

/// A token's norm, its router logits, the choice of experts, and their gate and up projections, in two launches, each
/// of which computes the norm.
fn norm_experts(plan: &mut Plan<'_>, nodes: &[Node]) -> Result<bool, LoadError> {
    let [norm, router, _, _, gate, up, ..] = nodes else { return Ok(false) };
    let together = choice::gate_up(plan.weights(gate).0, plan.weights(up).0);
    let Some(names) = together.filter(|_| plan.tokens == 1) else { return Ok(false) };
    let c = &plan.model.config;
    let dims = Dims { tokens: None, rows: None, used: None, ..plan.experts(0, c.hidden) };
    let gate_up = plan.experts(c.expert_ff, c.hidden);
    let unnormed = plan.unnormed(norm);
    let weights = [(P::W, plan.weights(router).1.into()), LOGITS];
    if !plan.push_if_it_fits(KernelId::NormRouterLogits, dims, &[weights, unnormed].concat())? {
        return Ok(false);
    }
    plan.makes(&[S::RouterLogits]);
    let matrices = [
        (P::Gate, plan.weights(gate).1.into()),
        (P::Up, plan.weights(up).1.into()),
        (P::H, Slot::Inner.into()),
        LOGITS,
    ];
    let places = [&matrices[..], &plan.chosen(), &unnormed].concat();
    let fits = plan.push_if_it_fits(names.normed, gate_up, &places)?;
    if fits {
        plan.makes(&[S::RouterWeights, S::RouterExperts, S::ExpertSwiglu]);
        plan.chooses_by_logits();
    } else {
        plan.take_back();
    }
    Ok(fits)
}

/// Logits and choice; then, if kernels by expert follow, the list of tokens of each expert.
fn router(plan: &mut Plan<'_>, nodes: &[Node]) -> Result<bool, LoadError> {
    let dims = Dims { tokens: Some(plan.tokens), rows: None, ..plan.experts(0, plan.model.config.hidden) };
    let w = plan.weights(&nodes[0]).1.into();
    let places = [(P::W, w), (P::X, Slot::Normed.into()), STATE, LOGITS, (P::Counter, Slot::RouterCounter.into())];
    plan.push(KernelId::Matrix(Role::Router, TensorType::F32), dims, &[&places[..], &plan.chosen()].concat())?;
    plan.makes(ROUTER);
    let ty = |stage| plan.model.graph.node(stage).map(|node| plan.weights(node).0);
    let quantized = |stage| ty(stage).is_some_and(|ty| Kind::of(ty) == Kind::Quantized);
    let [gate, up, down] = [S::ExpertGate, S::ExpertUp, S::ExpertOut].map(quantized);
    let has_together = plan.has_together();
    if !has_together && (gate || up) || plan.tokens > 1 && (gate || down) {
        let group = Dims { cols: None, rows: None, ..plan.pairs(0, 0) };
        plan.push(KernelId::MoeGroup, group, &[&[IDS, STATE][..], &LISTS].concat())?;
    }
    Ok(true)
}

fn together(plan: &mut Plan<'_>, nodes: &[Node]) -> Result<bool, LoadError> {
    let [(gate, gates), (up, ups)] = [&nodes[0], &nodes[1]].map(|node| plan.weights(node));
    let Some(names) = choice::gate_up(gate, up) else { return Ok(false) };
    let dims = plan.experts(plan.model.config.expert_ff, plan.model.config.hidden);
    let x = plan.input(gate, Slot::Normed);
    let places = [(P::Gate, gates.into()), (P::Up, ups.into()), (P::X, x.into()), (P::H, Slot::Inner.into())];
    match plan.tokens {
        1 => plan.push(names.one, dims, &[&places[..], &[IDS]].concat())?,
        _ => plan.push(names.pass, dims, &[&places[..], &LISTS].concat())?,
    }
    plan.makes(&[S::ExpertSwiglu]);
    Ok(true)
}

/// Two products, and SwiGLU of all elements.
fn apart(plan: &mut Plan<'_>, nodes: &[Node]) -> Result<bool, LoadError> {
    for (node, to) in nodes.iter().zip([Slot::Gates, Slot::Ups]) {
        match Kind::of(plan.weights(node).0) {
            Kind::Plain => plan.plain_experts(Role::Experts, node, Slot::Normed, to)?,
            Kind::Quantized => plan.grouped_experts(node, to)?,
        }
        plan.makes(&[node.stage]);
    }
    let c = &plan.model.config;
    let elements = c.expert_ff * c.experts_used * plan.tokens as usize;
    let places = [(P::Gate, Slot::Gates.into()), (P::Up, Slot::Ups.into()), (P::H, Slot::Inner.into())];
    plan.push(KernelId::Swiglu, Dims { rows: size(elements), ..Dims::NONE }, &places)?;
    plan.makes(&[S::ExpertSwiglu]);
    Ok(true)
}

/// The experts' down projections, weighted and added to the stream.
fn down(plan: &mut Plan<'_>, nodes: &[Node]) -> Result<bool, LoadError> {
    let node = &nodes[0];
    let c = &plan.model.config;
    let (width, used, dims) = (c.expert_ff, c.experts_used, plan.experts(c.hidden, c.expert_ff));
    let (ty, downs) = plan.weights(node);
    if Kind::of(ty) == Kind::Plain {
        plan.plain_experts(Role::ExpertsDown, node, Slot::Inner, Slot::Products)?;
        return plan.sum_experts();
    }
    if plan.rounds() {
        plan.quantize(Slot::Inner, used, width)?;
    }
    let places = [(P::Down, downs.into()), (P::X, plan.input(ty, Slot::Inner).into())];
    if plan.tokens > 1 {
        let y = (P::Y, Slot::Products.into());
        plan.push(plan.kernel(Role::GroupedDown, node)?, dims, &[&places[..], &LISTS, &[y]].concat())?;
        return plan.sum_experts();
    }
    let y = (P::Y, Slot::Stream.into());
    // What chooses by itself does it by logits that are older than the launch before.
    match plan.has_chosen_by_logits() {
        true => plan.push(plan.kernel(Role::RoutedDownAdded, node)?, dims, &[&places[..], &[LOGITS, y]].concat())?,
        false => plan.push(plan.kernel(Role::DownAdded, node)?, dims, &[&places[..], &[IDS, WEIGHTS, y]].concat())?,
    }
    plan.makes(&[S::LayerOut]);
    Ok(true)
}

impl Plan<'_> {
    /// The sizes of the experts' kernels; kernels for one token have no number of tokens.
    fn experts(&self, rows: usize, cols: usize) -> Dims {
        let c = &self.model.config;
        let tokens = if self.tokens == 1 { None } else { Some(self.tokens) };
        Dims { experts: size(c.experts), used: size(c.experts_used), tokens, ..self.matrix(rows, cols) }
    }

    /// The sizes of the experts' kernels of a pass, even for one token.
    fn pairs(&self, rows: usize, cols: usize) -> Dims {
        Dims { tokens: Some(self.tokens), ..self.experts(rows, cols) }
    }

    /// Where the choice of experts goes.
    fn chosen(&self) -> [(P, Part); 3] {
        let layer = self.layer().unwrap_or(0) as u64;
        [(P::Status, Slot::RouterStatus.at(layer * STATUS_STRIDE)), IDS, WEIGHTS]
    }

    /// Whether gate and up projections fit into one launch.
    fn has_together(&self) -> bool {
        let ty = |stage| self.model.graph.node(stage).map_or(TensorType::F32, |node| self.weights(node).0);
        !self.model.without.contains(&"gate and up together")
            && choice::gate_up(ty(S::ExpertGate), ty(S::ExpertUp)).is_some()
    }

    /// The products of the experts, weighted and added to the stream.
    fn sum_experts(&mut self) -> Result<bool, LoadError> {
        self.makes(&[S::ExpertOut]);
        let c = &self.model.config;
        let dims = Dims { cols: size(c.hidden), used: size(c.experts_used), ..self.pass() };
        let places = [(P::Y, Slot::Products.into()), WEIGHTS, STATE, (P::X, Slot::Stream.into())];
        self.push(KernelId::ExpertsSum, dims, &places)?;
        self.makes(&[S::LayerOut]);
        Ok(true)
    }

    /// The products of the tokens' vectors with the matrices of their experts, by expert.
    fn grouped_experts(&mut self, node: &Node, to: Slot) -> Result<(), LoadError> {
        let (ty, w) = self.weights(node);
        let dims = self.pairs(self.model.config.expert_ff, self.model.config.hidden);
        let places = [(P::W, w.into()), (P::X, self.input(ty, Slot::Normed).into()), (P::Y, to.into())];
        self.push(self.kernel(Role::GroupedExperts, node)?, dims, &[&places[..], &LISTS].concat())
    }

    fn plain_experts(&mut self, does: Role, node: &Node, x: Slot, to: Slot) -> Result<(), LoadError> {
        let Dims { rows, cols, .. } = self.product_dims(node);
        let dims = Dims { rows, cols, ..self.pairs(0, 0) };
        let w = self.weights(node).1;
        let places = [(P::W, w.into()), (P::X, x.into()), IDS, STATE, (P::Y, to.into())];
        self.push(self.kernel(does, node)?, dims, &places)
    }
}
