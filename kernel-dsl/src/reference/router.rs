//! The contract's "Router": f64 for every policy.

use super::{Accumulator, gemv, tree};
use crate::{
    format::{DecodeError, TensorType},
    precision::Act,
};

/// A router logit has no finite distance to the largest, so there are no probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the router logit of expert {expert} is NaN or infinite")]
#[non_exhaustive]
pub struct NanInRouter {
    /// The first expert whose distance to the largest logit is NaN.
    pub expert: usize,
}

/// The experts chosen for a token, in rank order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routed {
    /// Expert ids.
    pub experts: Vec<u32>,
    /// Their renormalized weights.
    pub weights: Vec<f32>,
}

/// The router's logits in f64: `w` is the router's matrix in any plain type, [experts, x.len()].
///
/// # Errors
/// If `w` is not whole rows of `x.len()` weights.
pub fn router_logits(ty: TensorType, w: &[u8], x: &[f32]) -> Result<Vec<f64>, DecodeError> {
    gemv::rows::<f64>(Act::F32, ty, w, x)
}

/// Softmax over all experts, the top `k` by probability with ties to the lower id, renormalized:
/// `p_e = exp(l_e - max)`, `p_e / Tree(p)`, `w_k = p_k / Tree(p of the chosen, in rank order)`,
/// each weight rounded to f32.
///
/// # Errors
/// If a logit's distance to the largest is NaN: it is NaN or +inf, or all are -inf.
#[inline(always)]
pub fn route(logits: &[f64], k: usize) -> Result<Routed, NanInRouter> {
    let p = router_probabilities(logits)?;
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[b].total_cmp(&p[a]).then(a.cmp(&b)));
    order.truncate(k);
    Ok(renormalize(&p, &order))
}

/// The softmax over all experts of [`route`], in the type of the logits (f64 under the contract).
///
/// # Errors
/// As [`route`].
#[inline(always)]
pub fn router_probabilities<A: Accumulator>(logits: &[A]) -> Result<Vec<A>, NanInRouter> {
    let m = logits.iter().copied().fold(A::from_f32(f32::NEG_INFINITY), A::larger);
    if let Some(expert) = logits.iter().position(|&l| (l - m).to_f64().is_nan()) {
        return Err(NanInRouter { expert });
    }
    let p: Vec<A> = logits.iter().map(|&l| (l - m).exp()).collect();
    let total = tree(&p);
    Ok(p.iter().map(|&p| p / total).collect())
}

/// The experts `order` of [`route`], chosen by any rule, with their weights.
#[inline(always)]
pub fn renormalize<A: Accumulator>(p: &[A], order: &[usize]) -> Routed {
    let chosen: Vec<A> = order.iter().map(|&e| p[e]).collect();
    let sum = tree(&chosen);
    Routed {
        experts: order.iter().map(|&e| e as u32).collect(),
        weights: chosen.iter().map(|&p| (p / sum).to_f32()).collect(),
    }
}
