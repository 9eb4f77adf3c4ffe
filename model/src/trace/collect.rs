//! Traces in memory.

use super::{Block, Selected, Slice, Stage, Tap, Tensor, TraceData, Values};
use crate::{config::ModelConfig, graph::StageType};
use std::borrow::Cow;

/// Keeps the selected values in memory: only blocks of selected positions.
#[derive(Debug)]
pub struct Collect<'a> {
    config: &'a ModelConfig,
    selected: &'a Selected,
    keys: usize,
    data: TraceData,
}

impl<'a> Collect<'a> {
    /// Capacity for the selection, with `keys` keys at every position.
    pub fn new(config: &'a ModelConfig, selected: &'a Selected, keys: usize) -> Self {
        let positions = selected.positions.clone();
        let tensor = |&(stage, layer): &(Stage, Option<usize>)| {
            let shape: Vec<usize> = std::iter::once(positions.len()).chain(stage.shape(config, keys)).collect();
            let all = shape.iter().product();
            let values = match stage.ty() {
                StageType::F64 => Values::F64(vec![0.0; all]),
                StageType::Id => Values::U32(vec![0; all]),
                StageType::F32 => Values::F32(vec![0.0; all]),
            };
            ((stage, layer), Tensor { shape, values })
        };
        let tensors = selected.stages.iter().map(tensor).collect();
        Self { config, selected, keys, data: TraceData { positions, tensors, ..TraceData::default() } }
    }

    /// The recorded values, without metadata.
    pub fn finish(self) -> TraceData {
        self.data
    }
}

impl Tap for Collect<'_> {
    fn take(&mut self, block: Block<'_>) {
        let Some(tensor) = self.data.tensors.get_mut(&(block.stage, block.layer)) else { return };
        let rows = self.selected.rows(block.position, block.tokens);
        let width = tensor.width();
        let at = rows.start * width..rows.end * width;
        match (&mut tensor.values, block.values) {
            (Values::F32(to), Slice::F32(from)) => {
                to[at].copy_from_slice(&padded(&block, from, self.config.heads, self.keys));
            }
            (Values::F64(to), Slice::F64(from)) => to[at].copy_from_slice(from),
            (Values::U32(to), Slice::U32(from)) => to[at].copy_from_slice(from),
            (to, from) => unreachable!("{} comes as {from:?} for {to:?}", block.stage),
        }
    }
}

/// Extends a causal stage's values, which have the keys up to the block's end, to `keys` keys; other stages' values
/// stay unchanged.
pub(super) fn padded<'v>(block: &Block<'_>, values: &'v [f32], heads: usize, keys: usize) -> Cow<'v, [f32]> {
    let seen = values.len() / (block.tokens * heads);
    if !block.stage.is_causal() || seen == keys {
        return Cow::Borrowed(values);
    }
    let mut all = vec![block.stage.padding(); block.tokens * heads * keys];
    for (to, from) in all.chunks_exact_mut(keys).zip(values.chunks_exact(seen)) {
        to[..seen].copy_from_slice(from);
    }
    Cow::Owned(all)
}
