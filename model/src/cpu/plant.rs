//! Mistakes planted in the CPU's forward, for tests of bisection: what finds a mistake must be shown to
//! find it in a run that makes it. Only builds with the feature `plants` and debug assertions have this.

use super::{
    matrix::{Inputs, Matrix},
    product::product,
    simd::Simd,
    weights::{InputForms, Layer, Weights},
};
use crate::{
    plain::{Choice, Lane, Mistake, qk_norm_rope, route},
    trace::Stage,
};
use ptxgen_dsl::{
    format::TensorType,
    precision::{Acc, Act, Policy},
    reference::{NanInRouter, RopeTable, Routed},
};
use std::{cell::RefCell, ops::Range, str::FromStr};

/// Something that the forward does otherwise than its options say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Another format of activations.
    Act(Act),
    /// Another accumulator.
    Acc(Acc),
    /// A known mistake.
    Mistake(Mistake),
}

/// A change of one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plant {
    /// The stage: a matrix product, `q_post_rope`, `k_post_rope` or `router_experts`.
    pub stage: Stage,
    /// Its layer; None is every layer.
    pub layer: Option<usize>,
    /// What changes.
    pub change: Change,
}

impl FromStr for Plant {
    type Err = String;
    /// Reads `v@3:q6k-as-q4k` and the like; `act=..`, `acc=..`, `left-out=GROUP`, `ties-to-higher` and
    /// `rope-interleaved` are the other changes.
    fn from_str(s: &str) -> Result<Self, String> {
        let wrong = || format!("`{s}` is no plant: write STAGE[@LAYER]:CHANGE");
        let (place, change) = s.split_once(':').ok_or_else(wrong)?;
        let (stage, layer) = match place.split_once('@') {
            Some((stage, layer)) => (stage, Some(layer.parse().map_err(|_| wrong())?)),
            None => (place, None),
        };
        let change = match change.split_once('=').unwrap_or((change, "")) {
            ("act", act) => Change::Act(act.parse().map_err(|_| wrong())?),
            ("acc", acc) => Change::Acc(acc.parse().map_err(|_| wrong())?),
            ("left-out", group) => Change::Mistake(Mistake::LeftOut(Lane::Group(group.parse().map_err(|_| wrong())?))),
            ("q6k-as-q4k", "") => Change::Mistake(Mistake::Q6kAsQ4k),
            ("ties-to-higher", "") => Change::Mistake(Mistake::TiesToHigher),
            ("rope-interleaved", "") => Change::Mistake(Mistake::RopeInterleaved),
            _ => return Err(wrong()),
        };
        Ok(Self { stage: stage.parse().map_err(|_| wrong())?, layer, change })
    }
}

thread_local! {
    static PLANTS: RefCell<Vec<Plant>> = const { RefCell::new(Vec::new()) };
}

/// Models that `load` loads on this thread have these plants.
pub fn with_plants<T>(plants: &[Plant], load: impl FnOnce() -> T) -> T {
    let before = PLANTS.replace(plants.to_vec());
    let loaded = load();
    PLANTS.set(before);
    loaded
}

/// The plants of a model that is loaded now: the thread's, or those that `PTXGEN_PLANT` names.
///
/// # Panics
/// If the variable names none.
fn plants() -> Vec<Plant> {
    let own = PLANTS.with_borrow(Clone::clone);
    match std::env::var("PTXGEN_PLANT") {
        Ok(text) if own.is_empty() => text.split(',').map(|p| p.parse().unwrap_or_else(|e| panic!("{e}"))).collect(),
        _ => own,
    }
}

/// Puts the plants where the forward meets them.
pub(super) fn plant(weights: &mut Weights<'_>) {
    for Plant { stage, layer, change } in plants() {
        if stage == Stage::Logits {
            change_matrix(&mut weights.output, change);
        }
        let layers = weights.layers.iter_mut().enumerate().filter(|(i, _)| layer.is_none_or(|l| l == *i));
        layers.for_each(|(_, l)| change_layer(l, stage, change));
        // A changed format may need a form that nothing else does.
        let InputForms { attention, attention_out, experts, down, output } = &mut weights.forms;
        for forms in [attention, attention_out, experts, down, output] {
            (forms.q8k, forms.lanes) = (true, true);
        }
    }
}

fn change_layer(layer: &mut Layer<'_>, stage: Stage, change: Change) {
    match stage {
        Stage::Q => change_matrix(&mut layer.q, change),
        Stage::K => change_matrix(&mut layer.k, change),
        Stage::V => change_matrix(&mut layer.v, change),
        Stage::AttnOut => change_matrix(&mut layer.o, change),
        Stage::ExpertGate => change_matrix(&mut layer.gate, change),
        Stage::ExpertUp => change_matrix(&mut layer.up, change),
        Stage::ExpertOut => change_matrix(&mut layer.down, change),
        Stage::QPostRope => layer.planted.interleaved_queries = true,
        Stage::KPostRope => layer.planted.interleaved_keys = true,
        Stage::RouterExperts => layer.planted.ties_to_higher = true,
        _ => {}
    }
}

fn change_matrix(matrix: &mut Matrix<'_>, change: Change) {
    match change {
        Change::Mistake(Mistake::Q6kAsQ4k) if matrix.ty == TensorType::Q6_K => matrix.ty = TensorType::Q4_K,
        _ => matrix.planted = Some(change),
    }
}

/// What a layer does otherwise beside its products.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Planted {
    interleaved_queries: bool,
    interleaved_keys: bool,
    ties_to_higher: bool,
}

/// A product with a changed matrix.
///
/// # Safety
/// As [`product`].
pub(super) unsafe fn changed_product<'o>(
    simd: Simd,
    (act, acc): (Act, Acc),
    (w, range): (&Matrix<'_>, Range<usize>),
    (inputs, slots): (&Inputs, &[u32]),
    out: impl FnMut(usize, Range<usize>) -> &'o mut [f32],
) {
    let mut w = *w;
    let change = w.planted.take();
    let act = if let Some(Change::Act(act)) = change { act } else { act };
    let acc = if let Some(Change::Acc(acc)) = change { acc } else { acc };
    let less;
    let inputs = match change {
        Some(Change::Mistake(Mistake::LeftOut(Lane::Group(g)))) => {
            // SAFETY: the caller's promise.
            less = unsafe { inputs.without(slots, usize::from(g)) };
            &less
        }
        _ => inputs,
    };
    // SAFETY: the caller's promise; the copy is nobody else's.
    unsafe {
        match acc {
            Acc::F32 => product::<f32>(simd, act, &w, range, inputs, slots, out),
            Acc::F64 => product::<f64>(simd, act, &w, range, inputs, slots, out),
        }
    }
}

/// Norm and RoPE of a head, if they are planted for its norm's weights.
pub(super) fn norm_rope(
    weights: &Weights<'_>,
    acc: Acc,
    head: &mut [f32],
    (w, eps): (&[f32], f32),
    table: (&RopeTable, usize),
) -> bool {
    let is = |own: &[f32]| std::ptr::eq(own.as_ptr(), w.as_ptr());
    let planted = weights
        .layers
        .iter()
        .any(|l| is(&l.q_norm) && l.planted.interleaved_queries || is(&l.k_norm) && l.planted.interleaved_keys);
    if planted {
        let choice = choice(acc, Some(Mistake::RopeInterleaved));
        head.copy_from_slice(&qk_norm_rope(&choice, head, 1, w, eps, table));
    }
    planted
}

/// The choice of experts where it is planted.
pub(super) fn routed(layer: &Layer<'_>, logits: &[f64], used: usize) -> Option<Result<Routed, NanInRouter>> {
    let choice = choice(Acc::F64, Some(Mistake::TiesToHigher));
    layer.planted.ties_to_higher.then(|| route(&choice, logits, used))
}

fn choice(acc: Acc, mistake: Option<Mistake>) -> Choice {
    Choice { mistake, ..Choice::of(Policy::new(Act::F32, acc), super::KvType::F32) }
}
