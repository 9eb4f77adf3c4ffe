//! The times of the launches of a pass.

use super::{
    DeviceModel, DeviceSession, LoadError,
    bind::{Buffers, Kernels},
    passes::Passes,
    slot::Slot,
};
use crate::engine::Engine;
use ptxgen_runtime::{Call, Device, DeviceError};
use std::time::Duration;

/// A stage of a pass: the same stage of every layer, or one outside the layers.
#[derive(Clone, Debug)]
pub struct StageTime {
    /// The kernel; some layers may use the variant for another type.
    pub kernel: &'static str,
    /// Launches in a pass.
    pub launches: usize,
    /// Bytes of weights and of the KV cache that a launch reads, on average.
    pub bytes: u64,
    /// The median time of a launch.
    pub time: Duration,
}

impl DeviceSession<'_> {
    /// Measures every stage of a token at the session's position, over `runs` runs: the launches of a stage in all
    /// layers one after the other, each with its own weights, recorded as one graph. Afterwards the session is empty.
    ///
    /// # Errors
    /// If the device failed.
    pub fn stage_times(&mut self, runs: usize) -> Result<Vec<StageTime>, LoadError> {
        let position = self.position().min(self.capacity().saturating_sub(1));
        self.rewind(0);
        self.set_pass(&[0], position)?;
        // Every buffer holds something sensible then.
        self.one.body.replay(1)?;
        let (model, buffers) = (self.model(), &mut self.rows.buffers);
        let times = times_of(model, &mut buffers.all, (&self.plans.one, position + 1), runs)?;
        buffers.clear_status()?;
        Ok(times)
    }

    /// The same for a prompt of these tokens, as many as fit into one pass.
    ///
    /// # Errors
    /// If the device failed.
    pub fn prompt_stage_times(&mut self, tokens: &[u32], runs: usize) -> Result<Vec<StageTime>, LoadError> {
        self.rewind(0);
        let Some(which) = self.passes_for(tokens.len()) else { return self.stage_times(runs) };
        let tokens = &tokens[..tokens.len().min(self.plans.many[which].plan.tokens as usize)];
        self.set_pass(tokens, 0)?;
        self.many[which].body.replay(tokens.len())?;
        let (model, buffers) = (self.model(), &mut self.rows.buffers);
        let times = times_of(model, &mut buffers.all, (&self.plans.many[which], tokens.len()), runs)?;
        buffers.clear_status()?;
        Ok(times)
    }
}

/// Measures the stages of passes, including the choice of a token if they have one; their tokens attend to this many
/// positions.
pub(super) fn times_of(
    model: &DeviceModel,
    buffers: &mut Buffers,
    (passes, positions): (&Passes<'_>, usize),
    runs: usize,
) -> Result<Vec<StageTime>, LoadError> {
    let stages = &passes.plan.launches[..passes.choice.end];
    let kernels = Kernels::load(&model.devices, &passes.plan)?;
    let nowhere = (Slot::Stream, 0);
    let legs = kernels.legs(&passes.plan, stages, &model.weights, buffers, nowhere)?;
    let calls: Vec<Call> = legs.into_iter().flat_map(|leg| leg.calls).collect();

    // Each stage by its index in its layer, in the order of the first layer that has it.
    let mut groups: Vec<(Option<usize>, Vec<usize>)> = Vec::new();
    let mut at = 0;
    for (i, stage) in stages.iter().enumerate() {
        at = if i > 0 && stages[i - 1].layer == stage.layer { at + 1 } else { 0 };
        let key = stage.layer.map(|_| at);
        match groups.iter_mut().find(|(k, _)| key.is_some() && *k == key) {
            Some((_, group)) => group.push(i),
            None => groups.push((key, vec![i])),
        }
    }
    let mut times = Vec::new();
    for (_, group) in groups {
        let bytes = group.iter().map(|&i| passes.plan.bytes_read(&stages[i], positions)).sum::<u64>();
        let kernel = passes.plan.kernels[stages[group[0]].kernel].entry.name;
        let count = group.len();
        let mut all = Duration::ZERO;
        // Layers of a device are consecutive.
        for of_device in group.chunk_by(|&a, &b| stages[a].device == stages[b].device) {
            let launches: Vec<Call> = of_device.iter().map(|&i| calls[i].clone()).collect();
            all += time(&model.devices[stages[of_device[0]].device], &launches, runs)?;
        }
        times.push(StageTime { kernel, launches: count, bytes: bytes / count as u64, time: all / count as u32 });
    }
    Ok(times)
}

/// The median time of some launches as one graph.
fn time(device: &Device, calls: &[Call], runs: usize) -> Result<Duration, DeviceError> {
    let graph = device.graph(calls)?;
    device.replay(&graph)?;
    let mut times = Vec::with_capacity(runs.max(1));
    for _ in 0..runs.max(1) {
        let start = device.stream().event()?;
        device.replay(&graph)?;
        times.push(device.stream().event()?.since(&start)?);
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
