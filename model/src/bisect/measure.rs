//! The distance between two runs.

use super::{BisectError, Divergence, Run, factor::Site};
use crate::{
    NotFinite,
    plain::PlainModel,
    trace::{Stage, Tensor, TraceData, Values, live},
};

/// Whether two values are the same in the type of the first: equal bits, or both NaN.
fn same_value(a: &Values, b: &Values, i: usize) -> bool {
    match (a, b) {
        (Values::U32(a), Values::U32(b)) => a[i] == b[i],
        (Values::F64(a), Values::F64(b)) => a[i].to_bits() == b[i].to_bits() || a[i].is_nan() && b[i].is_nan(),
        // A file of another program may use f32 where we use f64.
        _ => {
            let (a, b) = (a.at(i) as f32, b.at(i) as f32);
            a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
        }
    }
}

/// The first value that differs between two tensors of one shape, and the number of values that differ.
pub(super) fn differing(a: &Tensor, b: &Tensor) -> Option<(usize, usize)> {
    let mut all = (0..a.values.len().min(b.values.len())).filter(|&i| !same_value(&a.values, &b.values, i));
    let first = all.next()?;
    Some((first, 1 + all.count()))
}

/// The first stage of a run that contains NaN or infinity.
pub(super) fn not_finite(model: &PlainModel<'_>, run: &TraceData) -> Option<NotFinite> {
    model.graph().stages().find_map(|(stage, layer)| {
        let tensor = run.get(stage, layer)?;
        run.positions.iter().enumerate().find_map(|(row, &position)| {
            let value = |index: usize| tensor.values.at(row * tensor.width() + index);
            let index = live(stage, position, &tensor.shape[1..]).find(|&i| !value(i).is_finite())?;
            Some(NotFinite { stage, layer, position, index, nan: value(index).is_nan() })
        })
    })
}

/// A NaN or an infinity counts as 0, so that the distance of a run that ends in them is as large as the other run's
/// values.
fn finite(x: f64) -> f64 {
    if x.is_finite() { x } else { 0.0 }
}

/// Norm of the difference; for ids, the square root of the number of differences.
pub(super) fn distance(a: &Tensor, b: &Tensor) -> f64 {
    let ids = matches!(a.values, Values::U32(_));
    let square = |i| {
        if same_value(&a.values, &b.values, i) {
            return 0.0;
        }
        let difference = if ids { 1.0 } else { finite(a.values.at(i)) - finite(b.values.at(i)) };
        difference * difference
    };
    (0..a.values.len().min(b.values.len())).map(square).sum::<f64>().sqrt()
}

pub(super) fn norm(a: &Tensor) -> f64 {
    if matches!(a.values, Values::U32(_)) {
        return (a.values.len() as f64).sqrt();
    }
    (0..a.values.len()).map(|i| finite(a.values.at(i))).map(|x| x * x).sum::<f64>().sqrt()
}

/// [`distance`] of one stage, if both runs have it.
pub(super) fn distance_at(a: &TraceData, b: &TraceData, at: Site) -> Option<f64> {
    Some(distance(a.get(at.0, at.1)?, b.get(at.0, at.1)?))
}

pub(super) fn norm_at(a: &TraceData, at: Site) -> f64 {
    a.get(at.0, at.1).map_or(1.0, norm)
}

pub(super) fn same_at(a: &TraceData, b: &TraceData, at: Site) -> bool {
    matches!((a.get(at.0, at.1), b.get(at.0, at.1)), (Some(a), Some(b)) if differing(a, b).is_none())
}

/// Choices of experts, one for each token and layer, that are not the same set.
pub(super) fn flips(a: &TraceData, b: &TraceData) -> usize {
    let sets = |t: &Tensor| -> Vec<Vec<u32>> {
        let Values::U32(ids) = &t.values else { return Vec::new() };
        let sorted = |ids: &[u32]| {
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            ids
        };
        ids.chunks_exact(t.width().max(1)).map(sorted).collect()
    };
    let layers = a.tensors.iter().filter(|((stage, _), _)| *stage == Stage::RouterExperts);
    layers
        .filter_map(|((stage, layer), a)| Some((a, b.get(*stage, *layer)?)))
        .map(|(a, b)| sets(a).iter().zip(&sets(b)).filter(|(a, b)| a != b).count())
        .sum()
}

/// Positions with different most likely tokens, and the number of positions.
fn top(a: &TraceData, b: &TraceData) -> Option<(usize, usize)> {
    let (a, b) = (a.get(Stage::Logits, None)?, b.get(Stage::Logits, None)?);
    let largest = |t: &Tensor, row: usize| {
        let row: Vec<f32> = (row * t.width()..(row + 1) * t.width()).map(|i| t.values.at(i) as f32).collect();
        ptxgen_dsl::reference::argmax(&row)
    };
    let rows = a.shape[0];
    Some(((0..rows).filter(|&row| largest(a, row) != largest(b, row)).count(), rows))
}

/// How the runs differ, or that they do not. It is measured at the last differing stage that depends on everything
/// before it, which is the logits if they differ; otherwise at the last stage that differs.
pub(super) fn divergence(
    model: &PlainModel<'_>,
    left: Run<'_>,
    right: Run<'_>,
) -> Result<Option<Divergence>, BisectError> {
    let mut found: Vec<(Site, usize, usize)> = Vec::new();
    let (mut values, mut common) = (0, false);
    for at in model.graph().stages() {
        let (Some(a), Some(b)) = (left.trace.get(at.0, at.1), right.trace.get(at.0, at.1)) else { continue };
        common = true;
        values += a.values.len();
        if let Some((first, count)) = differing(a, b) {
            found.push((at, first / a.width().max(1), count));
        }
    }
    if !common {
        let (left, right) = (left.name.to_owned(), right.name.to_owned());
        return Err(BisectError::NothingCommon { left, right });
    }
    let stream = found.iter().rev().find(|(at, ..)| measurable(at.0));
    let Some(&((stage, layer), _, _)) = stream.or(found.last()) else { return Ok(None) };
    let ((first_stage, first_layer), first_position, _) = found[0];
    let (a, b) = (left.trace.get(stage, layer), right.trace.get(stage, layer));
    let (Some(a), Some(b)) = (a, b) else { return Ok(None) };
    Ok(Some(Divergence {
        stage,
        layer,
        relative: distance(a, b) / norm(a),
        values,
        differing: found.iter().map(|(.., count)| count).sum(),
        first_stage,
        first_layer,
        first_position,
        flips: flips(left.trace, right.trace),
        choices: left
            .trace
            .tensors
            .iter()
            .filter(|((s, _), _)| *s == Stage::RouterExperts)
            .map(|(_, t)| t.shape[0])
            .sum(),
        top: top(left.trace, right.trace),
    }))
}

/// Whether a stage depends on everything before it.
fn measurable(stage: Stage) -> bool {
    matches!(stage, Stage::LayerOut | Stage::Logits | Stage::FinalNorm)
}
