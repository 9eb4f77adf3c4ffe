//! Stages that a device does not write, derived from those that it writes.

use super::{Block, Fault, Selected, Slice, Stage, Tap, Tensor, TraceData, TraceError, Values};
use crate::{
    graph::{At, Operation},
    plain::{Choice, PlainModel},
};
use half::f16;
use indexmap::IndexMap;
use ptxgen_dsl::precision::Math;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ops::Range,
};

/// Receives what a device writes and passes the selected values on: blocks of consecutive selected positions, each
/// batch in the forward's order. Missing stages are computed from written ones by the contract's plain functions. Where
/// such a derivation leads to a written stage, the two must have the same bits; a difference is a [`Fault`].
pub(super) struct Complete<'a> {
    model: &'a PlainModel<'a>,
    choice: Choice,
    tokens: &'a [u32],
    selected: &'a Selected,
    /// The destination of the selected stages.
    sink: &'a mut dyn Tap,
    state: &'a mut State,
    /// The batch's values so far: of a layer, and the residual stream into it.
    written: IndexMap<At, Tensor>,
    /// Keys as stored in an f16 cache.
    rounded: Option<Vec<f16>>,
    batch: Range<usize>,
    failure: Option<TraceError>,
}

/// State that remains from batch to batch.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Keys and values of the positions so far, by layer, if attention is derived.
    cache: IndexMap<At, Vec<f32>>,
    pub(super) derived: BTreeSet<Stage>,
    pub(super) faults: BTreeMap<(usize, Stage), Fault>,
}

/// The actions for the stages of a layer.
#[derive(Debug, Default)]
struct Plan {
    /// Derived, because nothing wrote them.
    derive: BTreeSet<Stage>,
    /// Written, and derived for comparison.
    check: BTreeSet<Stage>,
}

impl Plan {
    /// `wanted` and `written` are the stages of one layer.
    fn new(model: &PlainModel<'_>, wanted: &HashSet<Stage>, written: &HashSet<Stage>) -> Self {
        let mut plan = Plan { derive: wanted.difference(written).copied().collect(), check: BTreeSet::new() };
        loop {
            let before = (plan.derive.len(), plan.check.len());
            // The stages after a derived stage, up to written ones.
            for stage in model.graph().layer.iter().map(|n| n.stage) {
                if chain(model, stage).any(|s| plan.derive.contains(&s)) {
                    let set = if written.contains(&stage) { &mut plan.check } else { &mut plan.derive };
                    set.insert(stage);
                }
            }
            // The inputs for that.
            for stage in plan.derive.union(&plan.check).copied().collect::<Vec<_>>() {
                let own = model.graph().inputs(stage, Some(0)).into_iter().filter(|(_, layer)| *layer == Some(0));
                plan.derive.extend(own.map(|(s, _)| s).filter(|s| s.in_layer() && !written.contains(s)));
            }
            if before == (plan.derive.len(), plan.check.len()) {
                return plan;
            }
        }
    }

    fn attends(&self, model: &PlainModel<'_>) -> bool {
        let attending = |s: &Stage| model.operation(*s).is_some_and(Operation::attends);
        self.derive.union(&self.check).any(attending)
    }
}

/// The inputs of a stage in the same layer, including intermediate stages that no other stage reads.
fn chain(model: &PlainModel<'_>, stage: Stage) -> impl Iterator<Item = Stage> {
    let graph = model.graph();
    let inputs = graph.inputs(stage, Some(0)).into_iter().filter(|(_, layer)| *layer == Some(0));
    inputs.map(|(s, _)| s).chain(graph.node(stage).into_iter().flat_map(|n| n.between.iter().copied()))
}

impl<'a> Complete<'a> {
    pub(super) fn new(
        model: &'a PlainModel<'a>,
        choice: Choice,
        tokens: &'a [u32],
        selected: &'a Selected,
        sink: &'a mut dyn Tap,
        state: &'a mut State,
    ) -> Self {
        let written = IndexMap::new();
        Self { model, choice, tokens, selected, sink, state, written, rounded: None, batch: 0..0, failure: None }
    }

    /// The first error, if there was one.
    pub(super) fn finish(self) -> Result<(), TraceError> {
        self.failure.map_or(Ok(()), Err)
    }

    /// The selected positions of the batch, as ranges.
    fn runs(&self) -> Vec<Range<usize>> {
        let rows = self.selected.rows(self.batch.start, self.batch.len());
        let runs = self.selected.positions[rows].chunk_by(|a, b| a + 1 == *b);
        runs.map(|run| run[0]..run[0] + run.len()).collect()
    }

    /// Passes on a stage outside the layers.
    fn pass_on(&mut self, block: Block<'_>) {
        if !self.selected.has(block.stage, block.layer) {
            return;
        }
        for run in self.runs() {
            let (start, end) = (run.start.max(block.position), run.end.min(block.position + block.tokens));
            if start >= end {
                continue;
            }
            let (row, width) = (start - block.position, block.values.len() / block.tokens);
            let part = row * width..(row + end - start) * width;
            let values = match block.values {
                Slice::F32(v) => Slice::F32(&v[part]),
                Slice::F64(v) => Slice::F64(&v[part]),
                Slice::U32(v) => Slice::U32(&v[part]),
                Slice::F16(v) => Slice::F16(&v[part]),
            };
            self.sink.take(Block { position: start, tokens: end - start, values, ..block });
        }
    }

    /// The final norm of the positions with logits, if nothing wrote it.
    fn final_norm(&mut self, positions: Range<usize>) -> Result<(), TraceError> {
        let at = (Stage::FinalNorm, None);
        if !self.selected.has(at.0, at.1) || self.written.contains_key(&at) {
            return Ok(());
        }
        let data = self.part(self.model.config().blocks - 1, &positions);
        let tensor = self.model.stage(&self.choice, at, &self.tokens[positions.clone()], &data)?;
        let Values::F32(values) = &tensor.values else { return Ok(()) };
        self.state.derived.insert(at.0);
        let (position, tokens) = (positions.start, positions.len());
        self.pass_on(Block { stage: at.0, layer: at.1, position, tokens, values: Slice::F32(values) });
        Ok(())
    }

    /// Completes a layer and passes the selected values on.
    fn layer(&mut self, layer: usize) -> Result<(), TraceError> {
        let wanted = self.selected.stages.iter().filter(|(_, l)| *l == Some(layer)).map(|(s, _)| *s).collect();
        let written: HashSet<Stage> = self.written.keys().filter(|(_, l)| *l == Some(layer)).map(|(s, _)| *s).collect();
        let plan = Plan::new(self.model, &wanted, &written);
        self.cache(layer, &plan)?;
        for run in self.runs() {
            let mut data = self.part(layer, &run);
            for stage in self.model.graph().layer.iter().map(|n| n.stage) {
                let at = (stage, Some(layer));
                if plan.derive.contains(&stage) && !data.tensors.contains_key(&at) {
                    let tensor = self.model.stage(&self.choice, at, &self.tokens[run.clone()], &data)?;
                    data.tensors.insert(at, tensor);
                } else if plan.check.contains(&stage) && self.has_one_answer(stage) {
                    let tensor = self.model.stage(&self.choice, at, &self.tokens[run.clone()], &data)?;
                    self.compare(at, &run, &data.tensors[&at], &tensor);
                }
            }
            for &(stage, at) in self.selected.stages.iter().filter(|(_, l)| *l == Some(layer)) {
                let Some(tensor) = data.tensors.get(&(stage, at)) else { continue };
                // Where attention is derived, keys and values exist from position 0 on.
                let width = tensor.width();
                let first = (tensor.shape[0] - run.len()) * width;
                let values = match &tensor.values {
                    Values::F32(v) => Slice::F32(&v[first..]),
                    Values::F64(v) => Slice::F64(&v[first..]),
                    Values::U32(v) => Slice::U32(&v[first..]),
                };
                if plan.derive.contains(&stage) {
                    self.state.derived.insert(stage);
                }
                self.sink.take(Block { stage, layer: at, position: run.start, tokens: run.len(), values });
            }
        }
        // The next layer needs the stream.
        self.written.retain(|at, _| *at == (Stage::LayerOut, Some(layer)));
        self.rounded = None;
        Ok(())
    }

    /// Whether the contract fixes a stage's bits; approximate functions depend on the hardware.
    fn has_one_answer(&self, stage: Stage) -> bool {
        self.choice.math == Math::Exact || self.model.operation(stage) != Some(Operation::SwiGlu)
    }

    /// Derives keys and values of the whole batch if they are needed, and keeps them for later positions.
    fn cache(&mut self, layer: usize, plan: &Plan) -> Result<(), TraceError> {
        let whole = self.batch.clone();
        for stage in [Stage::K, Stage::KPostRope, Stage::V] {
            let at = (stage, Some(layer));
            if plan.derive.contains(&stage) {
                let data = self.part(layer, &whole);
                let tensor = self.model.stage(&self.choice, at, &self.tokens[whole.clone()], &data)?;
                if let (Stage::KPostRope, Some(rounded)) = (stage, self.rounded.take()) {
                    let shape = tensor.shape.clone();
                    let found = Values::F32(rounded.iter().map(|v| v.to_f32()).collect());
                    let follows = (0..tensor.values.len()).map(|i| f16::from_f64(tensor.values.at(i)).to_f32());
                    let follows = Tensor { shape: shape.clone(), values: Values::F32(follows.collect()) };
                    self.compare(at, &whole, &Tensor { shape, values: found }, &follows);
                }
                self.written.insert(at, tensor);
            }
            if plan.attends(self.model)
                && stage != Stage::K
                && let Some(Tensor { values: Values::F32(values), .. }) = self.written.get(&at)
            {
                self.state.cache.entry(at).or_default().extend_from_slice(values);
            }
        }
        Ok(())
    }

    /// The written values of some positions of the batch; keys and values from position 0 on if they are kept.
    fn part(&self, layer: usize, run: &Range<usize>) -> TraceData {
        let rows = run.start - self.batch.start..run.end - self.batch.start;
        let tensor = |(&at, tensor): (&At, &Tensor)| {
            let width = tensor.width();
            let kept = self.state.cache.get(&at).filter(|kept| kept.len() == self.batch.end * width);
            let part = rows.start * width..rows.end * width;
            let values = match (kept, &tensor.values) {
                (Some(kept), _) => Values::F32(kept[..run.end * width].to_vec()),
                (None, Values::F32(v)) => Values::F32(v[part.clone()].to_vec()),
                (None, Values::F64(v)) => Values::F64(v[part.clone()].to_vec()),
                (None, Values::U32(v)) => Values::U32(v[part.clone()].to_vec()),
            };
            let mut shape = tensor.shape.clone();
            shape[0] = if kept.is_some() { run.end } else { rows.len() };
            (at, Tensor { shape, values })
        };
        let near = |at: &At| at.1 == Some(layer) || matches!(at.0, Stage::Embedding | Stage::LayerOut);
        let tensors = self.written.iter().filter(|(at, _)| near(at)).map(tensor).collect();
        TraceData { positions: run.clone().collect(), tensors, ..TraceData::default() }
    }

    /// Compares written with derived values.
    fn compare(&mut self, (stage, layer): At, run: &Range<usize>, written: &Tensor, follows: &Tensor) {
        let mut fault: Option<Fault> = None;
        let width = follows.width();
        let first = written.values.len() - follows.values.len();
        for i in 0..follows.values.len() {
            let (recorded, expected) = (written.values.at(first + i), follows.values.at(i));
            if recorded.to_bits() == expected.to_bits() || recorded.is_nan() && expected.is_nan() {
                continue;
            }
            let (position, index) = (run.start + i / width, i % width);
            let new = Fault { stage, layer, position, index, recorded, expected, differing: 0 };
            fault.get_or_insert(new).differing += 1;
        }
        let Some(fault) = fault else { return };
        match self.state.faults.entry((layer.unwrap_or(0), stage)) {
            std::collections::btree_map::Entry::Vacant(entry) => drop(entry.insert(fault)),
            std::collections::btree_map::Entry::Occupied(mut entry) => entry.get_mut().differing += fault.differing,
        }
    }
}

impl Tap for Complete<'_> {
    fn take(&mut self, block: Block<'_>) {
        if self.failure.is_some() {
            return;
        }
        if block.stage == Stage::Embedding {
            self.written.clear();
            self.batch = block.position..block.position + block.tokens;
        }
        if block.stage == Stage::Logits
            && let Err(e) = self.final_norm(block.position..block.position + block.tokens)
        {
            self.failure = Some(e);
            return;
        }
        if !block.stage.in_layer() {
            self.pass_on(block);
        }
        let shape = std::iter::once(block.tokens).chain(block.stage.shape(self.model.config(), 0)).collect();
        let values = match block.values {
            Slice::F32(v) => Values::F32(v.to_vec()),
            Slice::F64(v) => Values::F64(v.to_vec()),
            Slice::U32(v) => Values::U32(v.to_vec()),
            Slice::F16(v) => {
                self.rounded = Some(v.to_vec());
                return;
            }
        };
        self.written.insert((block.stage, block.layer), Tensor { shape, values });
        if let (Stage::LayerOut, Some(layer)) = (block.stage, block.layer) {
            self.failure = self.layer(layer).err();
        }
    }
}
