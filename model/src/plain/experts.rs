//! The stages of the mixture of experts, except its products.

use super::{Choice, Inner, Mistake, with_acc};
use half::{bf16, f16};
use ptxgen_dsl::{
    format::TensorType,
    precision::{Acc, Act, Math},
    reference::{self, Accumulator, NanInRouter, Routed},
};

/// `router_logits`: the router's products with each vector of `x`, [tokens, experts]. `w` is
/// [experts, width].
///
/// # Panics
/// If `w` is not whole rows.
pub(super) fn router_logits(choice: &Choice, w: &[f32], x: &[f32], width: usize) -> Vec<f64> {
    let bytes: Vec<u8> = w.iter().flat_map(|w| w.to_le_bytes()).collect();
    let logits = |x| match choice.router {
        Acc::F64 => reference::router_logits(TensorType::F32, &bytes, x),
        Acc::F32 => reference::gemv::<f32>(Act::F32, TensorType::F32, &bytes, x)
            .map(|logits| logits.into_iter().map(f64::from).collect()),
    };
    x.chunks_exact(width).flat_map(|x| logits(x).expect("the router has whole rows")).collect()
}

/// `router_experts` and `router_weights` of one token, from its logits.
///
/// # Errors
/// If a logit is NaN or infinite.
pub(super) fn route(choice: &Choice, logits: &[f64], used: usize) -> Result<Routed, NanInRouter> {
    match (choice.router, choice.mistake) {
        (Acc::F64, Some(Mistake::TiesToHigher)) => ties_to_higher(logits, used),
        (Acc::F64, _) => reference::route(logits, used),
        (Acc::F32, mistake) => {
            let logits: Vec<f32> = logits.iter().map(|&l| l as f32).collect();
            if mistake == Some(Mistake::TiesToHigher) {
                return ties_to_higher(&logits, used);
            }
            let p = reference::router_probabilities(&logits)?;
            Ok(reference::renormalize(&p, &ranked(&p, used, usize::cmp)))
        }
    }
}

fn ties_to_higher<A: Accumulator>(logits: &[A], used: usize) -> Result<Routed, NanInRouter> {
    let p = reference::router_probabilities(logits)?;
    Ok(reference::renormalize(&p, &ranked(&p, used, |a, b| b.cmp(a))))
}

/// The `used` most likely experts; `ties` orders equal ones.
fn ranked<A: Accumulator>(p: &[A], used: usize, ties: fn(&usize, &usize) -> std::cmp::Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*b].to_f64().total_cmp(&p[*a].to_f64()).then(ties(a, b)));
    order.truncate(used);
    order
}

/// `expert_silu`: rounded to f32; no other stage reads it.
pub(super) fn silu(choice: &Choice, gate: &[f32]) -> Vec<f32> {
    with_acc!(choice.acc, |A| {
        let silu = |g: &f32| match choice.math {
            Math::Exact => reference::silu::<A>(*g).to_f32(),
            Math::Approx => reference::silu_approx::<A>(*g).to_f32(),
        };
        gate.iter().map(silu).collect()
    })
}

/// `expert_swiglu`: `silu(gate) * up`.
pub(super) fn swiglu(choice: &Choice, gate: &[f32], up: &[f32]) -> Vec<f32> {
    let swiglu = match (choice.acc, choice.math) {
        (Acc::F32, Math::Exact) => reference::swiglu::<f32>,
        (Acc::F64, Math::Exact) => reference::swiglu::<f64>,
        (Acc::F32, Math::Approx) => reference::swiglu_approx::<f32>,
        (Acc::F64, Math::Approx) => reference::swiglu_approx::<f64>,
    };
    let kept = |h: f32| match choice.inner {
        Inner::F32 => h,
        Inner::F16 => f16::from_f32(h).to_f32(),
        Inner::BF16 => bf16::from_f32(h).to_f32(),
    };
    gate.iter().zip(up).map(|(&g, &u)| kept(swiglu(g, u))).collect()
}

/// `moe_ffn_out`: the experts' outputs `y`, [tokens, experts used, hidden], summed with `weights`,
/// [tokens, experts used].
pub(super) fn experts_sum(choice: &Choice, weights: &[f32], y: &[f32], used: usize, hidden: usize) -> Vec<f32> {
    let sum = |w: &[f32], y: &[f32], i: usize| {
        let terms = w.iter().zip(y.chunks_exact(hidden)).map(|(&w, y)| (w, y[i]));
        with_acc!(choice.acc, |A| reference::experts_sum::<A>(terms))
    };
    let tokens = weights.chunks_exact(used).zip(y.chunks_exact(used * hidden));
    tokens.flat_map(|(w, y)| (0..hidden).map(move |i| sum(w, y, i))).collect()
}
