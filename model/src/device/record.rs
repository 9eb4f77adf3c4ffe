//! What a tap gets of a pass: the buffers that each launch writes, read behind it.

use super::{
    bind::Buffers,
    plan::{self, Model, Plan},
    slot::Slot,
};
use crate::{
    kv::KvType,
    trace::{Block, Slice, Stage, Tap},
};
use half::f16;
use ptxgen_builder::build::ArgInfo;
use ptxgen_runtime::{Buffer, Call, Device, DeviceError, Element};
use std::ops::Range;

/// Launches of a pass, one by one, with what is read behind each.
pub(super) struct Recorded {
    calls: Vec<(Call, Vec<Reading>)>,
}

/// A stage's values in a buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    stage: Stage,
    layer: Option<usize>,
    slot: Slot,
}

/// The tokens of a pass.
#[derive(Clone, Copy)]
pub(super) struct Tokens {
    /// Position of the first.
    pub(super) position: usize,
    pub(super) count: usize,
}

impl Recorded {
    /// `calls` are those of the plan's `stages`.
    pub(super) fn new(plan: &Plan<'_>, stages: Range<usize>, calls: Vec<Call>) -> Self {
        Self { calls: calls.into_iter().zip(readings(plan, stages)).collect() }
    }

    /// Runs the pass and hands over what it writes.
    pub(super) fn run(
        &self,
        device: &Device,
        model: &Model,
        buffers: &Buffers,
        tokens: Tokens,
        tap: &mut dyn Tap,
    ) -> Result<(), DeviceError> {
        for (call, readings) in &self.calls {
            device.run(call)?;
            for reading in readings {
                reading.give(model, buffers, tokens, tap)?;
            }
        }
        Ok(())
    }
}

/// The buffers that a stage writes.
pub(super) fn written<'p>(plan: &'p Plan<'_>, stage: &'p plan::Stage) -> impl Iterator<Item = Slot> + use<'p> {
    let args = stage.places.iter().zip(plan.kernels[stage.kernel].kernel().args());
    args.filter(|(_, info)| matches!(info, ArgInfo::Buffer { writes: true, .. })).map(|(place, _)| place.slot)
}

/// What is read behind each of some stages: a buffer behind the last launch that writes it before
/// something else uses it.
fn readings(plan: &Plan<'_>, stages: Range<usize>) -> Vec<Vec<Reading>> {
    let stages = &plan.stages[stages];
    let written = |i: usize| written(plan, &stages[i]);
    let mut all = Vec::with_capacity(stages.len());
    let mut attended = None;
    for (i, stage) in stages.iter().enumerate() {
        let layer = stage.layer;
        let rest = i + 1..stages.len();
        let again =
            |slot| rest.clone().take_while(|&j| stages[j].layer == layer).any(|j| written(j).any(|s| s == slot));
        let mut readings = Vec::new();
        for slot in written(i) {
            if slot == Slot::Attended {
                attended = layer;
            }
            let behind = layer.is_some() && attended == layer;
            let found: &[Stage] = match slot {
                Slot::Stream if layer.is_none() => &[Stage::Embedding],
                Slot::Stream if again(slot) => &[Stage::PostAttnResidual],
                Slot::Stream => &[Stage::LayerOut],
                Slot::Normed if layer.is_none() => &[Stage::FinalNorm],
                Slot::Normed if behind => &[Stage::FfnNorm],
                Slot::Normed => &[Stage::AttnNorm],
                // Each of three products writes its part.
                Slot::Projected if again(slot) => &[],
                Slot::Projected => &[Stage::Q, Stage::K, Stage::V],
                Slot::Queries => &[Stage::QPostRope],
                Slot::Keys(_) => &[Stage::KPostRope],
                Slot::Attended => &[Stage::Attention],
                Slot::RouterLogits => &[Stage::RouterLogits],
                Slot::ExpertWeights => &[Stage::RouterWeights],
                Slot::Experts => &[Stage::RouterExperts],
                Slot::Gates => &[Stage::ExpertGate],
                Slot::Ups => &[Stage::ExpertUp],
                Slot::Inner => &[Stage::ExpertSwiglu],
                Slot::Products => &[Stage::ExpertOut],
                Slot::Logits => &[Stage::Logits],
                _ => &[],
            };
            readings.extend(found.iter().map(|&stage| Reading { stage, layer, slot }));
        }
        readings.sort_by_key(|r| r.stage);
        all.push(readings);
    }
    all
}

impl Reading {
    fn give(self, model: &Model, buffers: &Buffers, tokens: Tokens, tap: &mut dyn Tap) -> Result<(), DeviceError> {
        let Some(buffer) = buffers.get(&self.slot) else { return Ok(()) };
        let c = &model.config;
        let Tokens { position, count } = tokens;
        let width: usize = self.stage.shape(c, 0).iter().product();
        let mut give = |values: Slice<'_>| {
            tap.take(Block { stage: self.stage, layer: self.layer, position, tokens: count, values });
        };
        match (self.stage, self.slot) {
            (Stage::RouterLogits, _) => give(Slice::F64(&read(buffer, 0, count * width)?)),
            (_, Slot::Experts) => give(Slice::U32(&read(buffer, 0, count * width)?)),
            (_, Slot::Keys(_)) => match model.kv {
                KvType::F32 => give(Slice::F32(&self.keys::<f32>(model, buffer, tokens)?)),
                KvType::F16 => give(Slice::F16(&self.keys::<f16>(model, buffer, tokens)?)),
            },
            (stage, Slot::Projected) => {
                let row = c.query_width() + 2 * c.kv_width();
                let first = match stage {
                    Stage::Q => 0,
                    Stage::K => c.query_width(),
                    _ => c.query_width() + c.kv_width(),
                };
                let rows: Vec<f32> = read(buffer, 0, count * row)?;
                let part: Vec<f32> = rows.chunks_exact(row).flat_map(|r| &r[first..first + width]).copied().collect();
                give(Slice::F32(&part));
            }
            _ => give(Slice::F32(&read(buffer, 0, count * width)?)),
        }
        Ok(())
    }

    /// Keys of the pass's positions as the cache has them, which is [kv_heads, positions, head_dim].
    fn keys<E: Element + Default>(
        self,
        model: &Model,
        buffer: &Buffer<u8>,
        Tokens { position, count }: Tokens,
    ) -> Result<Vec<E>, DeviceError> {
        let c = &model.config;
        let capacity = buffer.len() / (c.kv_width() * size_of::<E>());
        let mut keys = vec![E::default(); count * c.kv_width()];
        for head in 0..c.kv_heads {
            let part: Vec<E> = read(buffer, (head * capacity + position) * c.head_dim, count * c.head_dim)?;
            for (t, key) in part.chunks_exact(c.head_dim).enumerate() {
                keys[(t * c.kv_heads + head) * c.head_dim..][..c.head_dim].copy_from_slice(key);
            }
        }
        Ok(keys)
    }
}

/// Elements of a buffer, from element `first` on.
fn read<T: Element>(buffer: &Buffer<u8>, first: usize, len: usize) -> Result<Vec<T>, DeviceError> {
    let size = size_of::<T>();
    buffer.slice(first * size..(first + len) * size)?.cast::<T>()?.read()
}
