//! Mistakes planted in the CPU's forward, for tests of bisection, which must find them in a run. They are written
//! independently of the code that looks for them. Only builds with the feature `plants` and debug assertions contain
//! this module.

use super::{
    matrix::{Forms, Inputs, Lanes, Matrix},
    planted::{Change, OfLayer},
    product::product,
    simd::Simd,
    weights::{InputForms, Layer, Weights},
};
use crate::{
    plain::{Inner, Lane, Mistake},
    trace::Stage,
};
use half::{bf16, f16};
use ptxgen_dsl::{
    format::{SUPERBLOCK, TensorType},
    precision::{Acc, Act},
    reference::{Accumulator, NanInRouter, RopeTable, Routed, renormalize, router_probabilities},
};
use std::{cell::RefCell, ops::Range, str::FromStr};

/// A change of one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plant {
    /// The stage: a matrix product, `q_post_rope`, `k_post_rope`, `expert_swiglu`, `router_logits` (and all that
    /// follows in the router) or `router_experts`.
    pub stage: Stage,
    /// Its layer; `None` means every layer.
    pub layer: Option<usize>,
    /// What changes.
    pub change: Change,
}

impl FromStr for Plant {
    type Err = String;
    /// Parses `v@3:q6k-as-q4k` and similar; `act=..`, `acc=..`, `inner=..`, `router=f32`, `left-out=GROUP`,
    /// `ties-to-higher` and `rope-interleaved` are the other changes.
    fn from_str(s: &str) -> Result<Self, String> {
        let wrong = || format!("`{s}` is not a plant: write STAGE[@LAYER]:CHANGE");
        let (place, change) = s.split_once(':').ok_or_else(wrong)?;
        let (stage, layer) = match place.split_once('@') {
            Some((stage, layer)) => (stage, Some(layer.parse().map_err(|_| wrong())?)),
            None => (place, None),
        };
        let change = match change.split_once('=').unwrap_or((change, "")) {
            ("act", act) => Change::Act(act.parse().map_err(|_| wrong())?),
            ("acc", acc) => Change::Acc(acc.parse().map_err(|_| wrong())?),
            ("left-out", group) => Change::Mistake(Mistake::LeftOut(Lane::Group(group.parse().map_err(|_| wrong())?))),
            ("inner", "f16") => Change::Inner(Inner::F16),
            ("inner", "bf16") => Change::Inner(Inner::BF16),
            ("router", "f32") => Change::RouterInF32,
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

/// Models that `load` loads on this thread get these plants.
pub fn with_plants<T>(plants: &[Plant], load: impl FnOnce() -> T) -> T {
    let before = PLANTS.replace(plants.to_vec());
    let loaded = load();
    PLANTS.set(before);
    loaded
}

/// The plants of a model that is being loaded: the thread's, or those in `PTXGEN_PLANT`.
///
/// # Panics
/// If the variable has no valid plant.
fn plants() -> Vec<Plant> {
    let own = PLANTS.with_borrow(Clone::clone);
    match std::env::var("PTXGEN_PLANT") {
        Ok(text) if own.is_empty() => text.split(',').map(|p| p.parse().unwrap_or_else(|e| panic!("{e}"))).collect(),
        _ => own,
    }
}

/// Distributes the plants to the places of the forward that they change.
pub(super) fn plant(weights: &mut Weights<'_>) {
    for Plant { stage, layer, change } in plants() {
        if stage == Stage::Logits {
            change_matrix(&mut weights.output, change);
        }
        let layers = weights.layers.iter_mut().enumerate().filter(|(i, _)| layer.is_none_or(|l| l == *i));
        layers.for_each(|(_, l)| change_layer(l, stage, change));
        // A changed format may need a form of the input that nothing else needs.
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
        Stage::ExpertGate | Stage::FfnGate => change_matrix(&mut layer.gate, change),
        Stage::ExpertUp | Stage::FfnUp => change_matrix(&mut layer.up, change),
        Stage::ExpertOut | Stage::FfnOut => change_matrix(&mut layer.down, change),
        Stage::QPostRope => layer.planted.interleaved_queries = true,
        Stage::KPostRope => layer.planted.interleaved_keys = true,
        Stage::RouterExperts => layer.planted.ties_to_higher = true,
        Stage::RouterLogits => layer.planted.router_in_f32 = true,
        Stage::ExpertSwiglu | Stage::FfnSwiglu => {
            if let Change::Inner(inner) = change {
                layer.planted.inner = Some(inner);
            }
        }
        _ => {}
    }
}

fn change_matrix(matrix: &mut Matrix<'_>, change: Change) {
    match change {
        Change::Mistake(Mistake::Q6kAsQ4k) if matrix.ty == TensorType::Q6_K => matrix.ty = TensorType::Q4_K,
        _ => matrix.planted = Some(change),
    }
}

/// A product, of a changed matrix where that is planted.
///
/// # Safety
/// As [`product`].
pub(super) unsafe fn multiply<'o, A: Accumulator>(
    simd: Simd,
    act: Act,
    w: &Matrix<'_>,
    range: Range<usize>,
    inputs: &Inputs,
    slots: &[u32],
    out: impl FnMut(usize, Range<usize>) -> &'o mut [f32],
) {
    let own = if size_of::<A>() == size_of::<f32>() { Acc::F32 } else { Acc::F64 };
    let acc = if let Some(Change::Acc(acc)) = w.planted { acc } else { own };
    let act = if let Some(Change::Act(act)) = w.planted { act } else { act };
    let less = match w.planted {
        // SAFETY: the caller's promise.
        Some(Change::Mistake(Mistake::LeftOut(Lane::Group(g)))) => Some(unsafe { without(inputs, slots, g.into()) }),
        _ => None,
    };
    let inputs = less.as_ref().unwrap_or(inputs);
    // SAFETY: the caller's promise; the copy is nobody else's.
    unsafe {
        match acc {
            Acc::F32 => product::<f32>(simd, act, w, range, inputs, slots, out),
            Acc::F64 => product::<f64>(simd, act, w, range, inputs, slots, out),
        }
    }
}

/// A copy of some slots without group `g` of every block.
///
/// # Safety
/// Nobody writes the slots before the next meeting.
unsafe fn without(inputs: &Inputs, slots: &[u32], g: usize) -> Inputs {
    let most = slots.iter().max().map_or(0, |&s| s as usize + 1);
    let copy = Inputs::new(most, inputs.blocks() * SUPERBLOCK, Forms { q8k: true, lanes: true });
    for slot in slots.iter().map(|&s| s as usize) {
        // SAFETY: the copy is this worker's alone, and the slots are only read.
        let (q8k, lanes) = unsafe {
            let (q8k, lanes) = (copy.write_q8k(slot, inputs.blocks()), copy.write_lanes(slot, inputs.blocks()));
            q8k.clone_from_slice(inputs.q8k(slot));
            lanes.copy_from_slice(inputs.lanes(slot));
            (q8k, lanes)
        };
        for block in q8k {
            block.q[16 * g..16 * g + 16].fill(0);
            block.sums[g] = 0;
        }
        for block in lanes {
            block.iter_mut().for_each(|row| row[g] = 0.0);
        }
    }
    copy
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
        match acc {
            Acc::F32 => interleaved_f32(head, (w, eps), table.0.at(table.1)),
            Acc::F64 => interleaved_f64(head, (w, eps), table.0.at(table.1)),
        }
    }
    planted
}

macro_rules! interleaved {
    ($name:ident, $ty:ident) => {
        /// Norm of a head, and RoPE of pairs 2i and 2i + 1.
        #[allow(clippy::useless_conversion, clippy::unnecessary_cast)] // they are none for f64
        fn $name(head: &mut [f32], (w, eps): (&[f32], f32), (cos, sin): (&[f32], &[f32])) {
            // Chains of four squares, then pairwise sums.
            let four = |x: &[f32]| x.iter().fold(0.0, |sum: $ty, &x| $ty::from(x).mul_add($ty::from(x), sum));
            let mut squares: Vec<$ty> = head.chunks(4).map(four).collect();
            squares.resize(squares.len().next_power_of_two(), 0.0);
            while squares.len() > 1 {
                squares = squares.chunks(2).map(|pair| pair[0] + pair[1]).collect();
            }
            let r = 1.0 / (squares[0] / head.len() as $ty + $ty::from(eps)).sqrt();
            for (i, pair) in head.chunks_exact_mut(2).enumerate() {
                let a = $ty::from(pair[0]) * r * $ty::from(w[2 * i]);
                let b = $ty::from(pair[1]) * r * $ty::from(w[2 * i + 1]);
                let (c, s) = ($ty::from(cos[i]), $ty::from(sin[i]));
                pair[0] = a.mul_add(c, -(b * s)) as f32;
                pair[1] = b.mul_add(c, a * s) as f32;
            }
        }
    };
}
interleaved!(interleaved_f32, f32);
interleaved!(interleaved_f64, f64);

/// The choice of experts if a plant changes it; `logits` become those that it is based on.
pub(super) fn routed(
    layer: &Layer<'_>,
    x: &[Lanes<f32>],
    logits: &mut [f64],
    used: usize,
) -> Option<Result<Routed, NanInRouter>> {
    let OfLayer { router_in_f32, ties_to_higher, .. } = layer.planted;
    let router = layer.router.as_ref()?;
    if router_in_f32 {
        let rows = router.weights.chunks_exact(router.blocks);
        for (logit, row) in logits.iter_mut().zip(rows) {
            *logit = f64::from(dot_f32(row, x));
        }
        let narrow: Vec<f32> = logits.iter().map(|&l| l as f32).collect();
        return Some(router_probabilities(&narrow).map(|p| renormalize(&p, &best(&p, used, false))));
    }
    ties_to_higher.then(|| router_probabilities(logits).map(|p| renormalize(&p, &best(&p, used, true))))
}

/// The largest probabilities, one by one; of equal ones the first, or the last.
fn best<T: Copy + PartialOrd>(p: &[T], used: usize, last: bool) -> Vec<usize> {
    let mut chosen = Vec::new();
    while chosen.len() < used {
        let mut found: Option<usize> = None;
        for e in (0..p.len()).filter(|e| !chosen.contains(e)) {
            if found.is_none_or(|f| p[e] > p[f] || last && p[e] == p[f]) {
                found = Some(e);
            }
        }
        chosen.extend(found);
    }
    chosen
}

/// A row of the router times a vector, every operation in f32.
fn dot_f32(row: &[Lanes<f32>], x: &[Lanes<f32>]) -> f32 {
    let block = |w: &Lanes<f32>, x: &Lanes<f32>| {
        // Sixteen chains, one for each run of 16 weights; then sums of groups at distances 2, 4, 8 and 1.
        let mut c: [f32; 16] = std::array::from_fn(|g| (0..16).fold(0.0, |sum, i| w[i][g].mul_add(x[i][g], sum)));
        for distance in [2, 4, 8, 1] {
            c = std::array::from_fn(|g| c[g] + c[g ^ distance]);
        }
        c[0]
    };
    let mut terms: Vec<f32> = row.iter().zip(x).map(|(w, x)| block(w, x)).collect();
    terms.resize(terms.len().next_power_of_two(), 0.0);
    while terms.len() > 1 {
        terms = terms.chunks(2).map(|pair| pair[0] + pair[1]).collect();
    }
    terms[0]
}

/// Rounds SwiGLU's results to the planted type.
pub(super) fn keep_inner(layer: &Layer<'_>, h: &mut [f32]) {
    match layer.planted.inner {
        Some(Inner::F16) => h.iter_mut().for_each(|h| *h = f16::from_f32(*h).to_f32()),
        Some(Inner::BF16) => h.iter_mut().for_each(|h| *h = bf16::from_f32(*h).to_f32()),
        Some(Inner::F32) | None => {}
    }
}
