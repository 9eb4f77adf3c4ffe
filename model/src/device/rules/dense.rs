//! A dense feed-forward.

use super::{Dims, KernelId, LoadError, Node, P, Plan, Rule, S, choice, size};
use crate::device::slot::Slot;

const GATE_UP: &[S] = &[S::FfnGate, S::FfnUp, S::FfnSilu, S::FfnSwiglu];

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "dense gate and up of a token",
        stages: &[GATE_UP],
        needs: "one token; gate and up of the same superblock type; room in shared memory",
        push: of_a_token,
    },
    Rule { name: "dense gate and up", stages: &[GATE_UP], needs: "", push: products },
];

/// Both projections and SwiGLU in one launch: the experts' kernel with one expert. The expert's id is read from zeros
/// that nothing writes.
fn of_a_token(plan: &mut Plan<'_>, nodes: &[Node]) -> Result<bool, LoadError> {
    let [(gate, gates), (up, ups)] = [&nodes[0], &nodes[1]].map(|node| plan.weights(node));
    let Some(names) = choice::gate_up(gate, up).filter(|_| plan.tokens == 1) else { return Ok(false) };
    let dims = Dims { tokens: None, experts: Some(1), used: Some(1), ..plan.product_dims(&nodes[0]) };
    let places = [
        (P::Gate, gates.into()),
        (P::Up, ups.into()),
        (P::X, plan.input(gate, Slot::Normed).into()),
        (P::H, Slot::Inner.into()),
        (P::Ids, Slot::OnlyExpert.into()),
    ];
    let fits = plan.push_if_it_fits(names.one, dims, &places)?;
    if fits {
        plan.makes(&[S::FfnSwiglu]);
    }
    Ok(fits)
}

/// Two products, and SwiGLU of all elements.
fn products(plan: &mut Plan<'_>, nodes: &[Node]) -> Result<bool, LoadError> {
    for (node, to) in nodes.iter().zip([Slot::Gates, Slot::Ups]) {
        plan.product(node, plan.input(plan.weights(node).0, Slot::Normed), to.into(), false)?;
        plan.makes(&[node.stage]);
    }
    let elements = plan.model.config.ff * plan.tokens as usize;
    let places = [(P::Gate, Slot::Gates.into()), (P::Up, Slot::Ups.into()), (P::H, Slot::Inner.into())];
    plan.push(KernelId::Swiglu, Dims { rows: size(elements), ..Dims::NONE }, &places)?;
    plan.makes(&[S::FfnSwiglu]);
    Ok(true)
}
