//! A comparison in progress.

use super::{
    Choice, Comparison, Difference, Distribution, Growth, LayerChoices, OtherToken, Perplexities, Place, Side,
    Thresholds, TopTokens, Verdict,
    sums::{Element, Sums},
};
use crate::{
    graph::Dim,
    likelihood::negative_log_likelihood,
    trace::{Gather, Stage, Tensor, TraceData, live},
};
use indexmap::IndexMap;
use ptxgen_dsl::reference::argmax;
use std::collections::{BTreeSet, HashMap};

/// Accumulates the differences of two runs, as pieces of their traces arrive.
#[derive(Debug, Default)]
pub(super) struct Comparing {
    stages: IndexMap<(Stage, Option<usize>), Sums>,
    distributions: IndexMap<Stage, (Gather, Gather)>,
    experts: IndexMap<usize, (usize, Vec<Choice>)>,
    missing: BTreeSet<Stage>,
    positions: u64,
    top: Option<TopTokens>,
    likelihood: (u64, f64, f64),
}

impl Comparing {
    /// Records stages that only one side has.
    pub(super) fn missing(&mut self, stages: &[Stage]) {
        self.missing.extend(stages);
    }

    /// Adds a piece of both sides: the same positions of a prompt. Tensors of both have the same widths, except for
    /// keys after a position.
    pub(super) fn add(&mut self, prompt: usize, tokens: &[u32], left: &TraceData, right: &TraceData) {
        self.positions += left.positions.len() as u64;
        for (&(stage, layer), l) in &left.tensors {
            let Some(r) = right.get(stage, layer) else { continue };
            let pairs = Pairs::new(stage, layer, (left, right), (l, r));
            self.stage((stage, layer), prompt, &pairs);
        }
        let layers = left.tensors.keys().filter(|at| at.0 == Stage::RouterExperts).filter_map(|at| at.1);
        for layer in layers {
            self.choices(layer, prompt, left, right);
        }
        if let (Some(l), Some(r)) = (left.get(Stage::Logits, None), right.get(Stage::Logits, None)) {
            self.logits((prompt, &left.positions), tokens, l, r);
        }
    }

    fn stage(&mut self, (stage, layer): (Stage, Option<usize>), prompt: usize, pairs: &Pairs<'_>) {
        let sums = self.stages.entry((stage, layer)).or_default();
        let number = stage.is_number();
        let (left, right) = self.distributions.entry(stage).or_default();
        for (row, &position) in pairs.positions.iter().enumerate() {
            pairs.of(row, |i, a, b| {
                sums.add(a, b, || Place { stage, layer, prompt, position, index: i });
                if number {
                    left.add(a.value());
                    right.add(b.value());
                }
            });
        }
    }

    /// The choices of experts in a layer.
    fn choices(&mut self, layer: usize, prompt: usize, left: &TraceData, right: &TraceData) {
        let row_of = |data: &TraceData, stage: Stage, row: usize| Some(row_of(data.get(stage, Some(layer))?, row));
        for (row, &position) in left.positions.iter().enumerate() {
            let experts = |data| row_of(data, Stage::RouterExperts, row);
            let (Some(l), Some(r)) = (experts(left), experts(right)) else { return };
            let ids = |row: Vec<f64>| row.into_iter().map(|e| e as usize).collect::<Vec<_>>();
            let (l, r) = (ids(l), ids(r));
            let logits = |data| row_of(data, Stage::RouterLogits, row);
            let (of_l, of_r) = (logits(left), logits(right));
            let shift = of_l.as_ref().zip(of_r).map(|(l, r)| {
                l.iter()
                    .zip(r)
                    .map(|(l, r)| (l - r).abs())
                    .fold(0.0, |m: f64, d| if d > m || d.is_nan() { d } else { m })
            });
            let choice = Choice {
                prompt,
                position,
                shared: l.iter().filter(|e| r.contains(e)).count(),
                same_order: l == r,
                margin: of_l.and_then(|logits| margin(&logits, &l)),
                shift,
            };
            self.experts.entry(layer).or_insert((l.len(), Vec::new())).1.push(choice);
        }
    }

    fn logits(&mut self, (prompt, positions): (usize, &[usize]), tokens: &[u32], l: &Tensor, r: &Tensor) {
        let top =
            self.top.get_or_insert(TopTokens { positions: 0, same: 0, prompts: 0, same_at_the_end: 0, first: None });
        let vocab = l.width();
        let row = |t: &Tensor, row: usize| -> Vec<f32> {
            (row * vocab..(row + 1) * vocab).map(|i| t.values.at(i) as f32).collect()
        };
        for (i, &position) in positions.iter().enumerate() {
            let (l, r) = (row(l, i), row(r, i));
            let (left, right) = (argmax(&l) as u32, argmax(&r) as u32);
            let same = u64::from(left == right);
            top.positions += 1;
            top.same += same;
            if position + 1 == tokens.len() {
                top.prompts += 1;
                top.same_at_the_end += same;
            }
            if same == 0 {
                top.first.get_or_insert(OtherToken { prompt, position, left, right });
            }
            if let Some(&next) = tokens.get(position + 1).filter(|&&next| (next as usize) < vocab) {
                self.likelihood.0 += 1;
                self.likelihood.1 += negative_log_likelihood(&l, next);
                self.likelihood.2 += negative_log_likelihood(&r, next);
            }
        }
    }

    /// The result.
    pub(super) fn finish(mut self, left: Side, right: Side, prompts: usize, thresholds: Thresholds) -> Comparison {
        self.stages.sort_unstable_by_key(|&(stage, layer), _| (stage.scope() as u8, layer, stage));
        let stages: Vec<Difference> = self.stages.into_iter().map(|((s, l), sums)| sums.finish(s, l)).collect();
        self.distributions.sort_unstable_keys();
        let numbers = self.distributions.into_iter().filter(|(stage, _)| stage.is_number());
        let distributions = numbers.map(|(stage, (l, r))| Distribution { stage, left: l.finish(), right: r.finish() });
        let mut experts: Vec<_> =
            self.experts.into_iter().map(|(layer, (used, c))| layer_choices(layer, used, c)).collect();
        experts.sort_unstable_by_key(|e| e.layer);
        let (values, differing) = stages.iter().fold((0, 0), |(v, d), s| (v + s.values, d + s.differing));
        let given = thresholds.min_cos.is_some() || thresholds.max_rel.is_some();
        let notable = Thresholds { min_cos: None, max_rel: Some(Comparison::NOTABLE) };
        let past = stages.iter().find(|d| is_past(d, if given { &thresholds } else { &notable }));
        let verdict = match past {
            _ if differing == 0 => Verdict::Equal,
            Some(_) if given => Verdict::Past,
            _ => Verdict::Differs,
        };
        let (tokens, l, r) = self.likelihood;
        let perplexity = |sum: f64| (sum / tokens as f64).exp();
        Comparison {
            left,
            right,
            prompts,
            positions: self.positions,
            values,
            differing,
            missing: self.missing.into_iter().collect(),
            distributions: distributions.collect(),
            experts,
            top: self.top,
            perplexity: (tokens > 0).then(|| Perplexities { tokens, left: perplexity(l), right: perplexity(r) }),
            first: stages.iter().find_map(|d| d.first),
            first_past: past.and_then(|d| d.first),
            growth: growth(&stages),
            thresholds,
            verdict,
            stages,
        }
    }
}

/// The values of one position.
fn row_of(tensor: &Tensor, row: usize) -> Vec<f64> {
    let width = tensor.width();
    (row * width..(row + 1) * width).map(|i| tensor.values.at(i)).collect()
}

/// The pairs of values of a stage: those with the same index; for experts, those of the same expert, whatever its rank.
/// An expert that only one side chose is not compared.
struct Pairs<'a> {
    stage: Stage,
    positions: &'a [usize],
    tensors: (&'a Tensor, &'a Tensor),
    /// Both sides' choices, for stages that have values for each chosen expert.
    experts: Option<(&'a Tensor, &'a Tensor)>,
}

impl<'a> Pairs<'a> {
    fn new(
        stage: Stage,
        layer: Option<usize>,
        (left, right): (&'a TraceData, &'a TraceData),
        tensors: (&'a Tensor, &'a Tensor),
    ) -> Self {
        let of_experts = stage.is_number() && stage.dims().first() == Some(&Dim::ExpertsUsed);
        let chosen = |data: &'a TraceData| data.get(Stage::RouterExperts, layer).filter(|_| of_experts);
        Self { stage, positions: &left.positions, tensors, experts: chosen(left).zip(chosen(right)) }
    }

    /// The pairs of one row, each with its index on the left side.
    fn of(&self, row: usize, mut give: impl FnMut(usize, Element, Element)) {
        let (l, r) = self.tensors;
        let (at_l, at_r) = (row * l.width(), row * r.width());
        let mut pair = |i: usize, j: usize| give(i, Element::of(l, at_l + i), Element::of(r, at_r + j));
        let Some((left, right)) = self.experts else {
            let live = |t: &Tensor| live(self.stage, self.positions[row], &t.shape[1..]);
            return live(l).zip(live(r)).for_each(|(i, j)| pair(i, j));
        };
        let (left, right) = (row_of(left, row), row_of(right, row));
        let width = l.width() / left.len().max(1);
        for (rank, expert) in left.iter().enumerate() {
            if let Some(other) = right.iter().position(|e| e == expert) {
                (0..width).for_each(|i| pair(rank * width + i, other * width + i));
            }
        }
    }
}

/// The margin between the least likely of the chosen experts and the most likely of the others.
fn margin(logits: &[f64], chosen: &[usize]) -> Option<f64> {
    let last = chosen.iter().filter_map(|&e| logits.get(e)).copied().reduce(f64::min)?;
    let others = logits.iter().enumerate().filter(|(e, _)| !chosen.contains(e)).map(|(_, l)| *l);
    Some(last - others.reduce(f64::max)?)
}

fn layer_choices(layer: usize, used: usize, choices: Vec<Choice>) -> LayerChoices {
    let margins = |same: bool| {
        choices.iter().filter(move |c| (c.shared == used) == same).filter_map(|c| c.margin).collect::<Vec<_>>()
    };
    LayerChoices {
        layer,
        used,
        same: choices.iter().filter(|c| c.shared == used).count(),
        least_margin_of_same: margins(true).into_iter().reduce(f64::min),
        largest_margin_of_other: margins(false).into_iter().reduce(f64::max),
        choices,
    }
}

/// Whether a stage exceeds a threshold; NaN exceeds every one.
pub(super) fn is_past(d: &Difference, thresholds: &Thresholds) -> bool {
    let cosine = d.cosine.zip(thresholds.min_cos).is_some_and(|(found, least)| found < least);
    let relative = d.relative.zip(thresholds.max_rel).is_some_and(|(found, most)| found > most);
    cosine || relative || d.not_finite > 0
}

/// The layer whose output's relative error exceeds its input's most.
fn growth(stages: &[Difference]) -> Option<Growth> {
    let known: HashMap<_, _> = stages.iter().map(|d| ((d.stage, d.layer), d.relative)).collect();
    let relative = |stage: Stage, layer: Option<usize>| known.get(&(stage, layer)).copied().flatten();
    let layers = stages.iter().filter(|d| d.stage == Stage::LayerOut).filter_map(|d| d.layer);
    let of = layers.filter_map(|layer| {
        let before = match layer.checked_sub(1) {
            None => relative(Stage::Embedding, None),
            Some(before) => relative(Stage::LayerOut, Some(before)),
        };
        Some(Growth { layer, before: before?, after: relative(Stage::LayerOut, Some(layer))? })
    });
    of.filter(|g| g.after > g.before).max_by(|a, b| (a.after - a.before).total_cmp(&(b.after - b.before)))
}
