//! Passes the values of a pass to a tap: the stages that each launch completes, read after it.

use super::{
    bind::Buffers,
    place::Home,
    plan::{Launch, Model, Plan},
    recording::Single,
    rules::slot,
    slot::Slot,
};
use crate::{
    kv::KvType,
    trace::{Block, Slice, Stage, Tap},
};
use half::f16;
use ptxgen_runtime::{Buffer, DeviceError, Element};
use std::ops::Range;

/// The launches of a pass, one by one, with the values to read after each.
pub(super) struct Recorded {
    calls: Vec<(Single, Vec<Reading>)>,
}

/// A stage's values in a buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    stage: Stage,
    layer: Option<usize>,
    home: Home,
}

/// The tokens of a pass.
#[derive(Clone, Copy)]
pub(super) struct Tokens {
    /// Position of the first.
    pub(super) position: usize,
    pub(super) count: usize,
}

impl Recorded {
    /// `calls` are those of the plan's `launches`.
    pub(super) fn new(plan: &Plan<'_>, launches: Range<usize>, calls: Vec<Single>) -> Self {
        Self { calls: calls.into_iter().zip(readings(plan, launches)).collect() }
    }

    /// Runs the pass and passes its values on.
    pub(super) fn run(
        &self,
        model: &Model,
        buffers: &Buffers,
        tokens: Tokens,
        tap: &mut dyn Tap,
    ) -> Result<(), DeviceError> {
        for (call, readings) in &self.calls {
            call.run(tokens.count)?;
            for reading in readings {
                reading.give(model, buffers, tokens, tap)?;
            }
        }
        Ok(())
    }
}

/// The values to read after each of some launches: the stages that it completes, with their buffers.
fn readings(plan: &Plan<'_>, launches: Range<usize>) -> Vec<Vec<Reading>> {
    let of = |launch: &Launch| {
        let reading = |&stage: &Stage| {
            let home = Home { device: launch.device, slot: slot(stage, launch.layer)? };
            Some(Reading { stage, layer: launch.layer, home })
        };
        launch.makes.iter().filter_map(reading).collect()
    };
    plan.launches[launches].iter().map(of).collect()
}

impl Reading {
    fn give(self, model: &Model, buffers: &Buffers, tokens: Tokens, tap: &mut dyn Tap) -> Result<(), DeviceError> {
        let Some(buffer) = buffers.get(&self.home) else { return Ok(()) };
        let c = &model.config;
        let Tokens { position, count } = tokens;
        let width: usize = self.stage.shape(c, 0).iter().product();
        let mut give = |values: Slice<'_>| {
            tap.take(Block { stage: self.stage, layer: self.layer, position, tokens: count, values });
        };
        match (self.stage, self.home.slot) {
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

    /// Keys of the pass's positions, from the cache, which is [kv_heads, positions, head_dim].
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
