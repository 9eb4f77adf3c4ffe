//! The times of the launches of a pass.

use super::{
    DeviceModel, LoadError,
    bind::{Buffers, Kernels},
    passes::Passes,
    slot::Slot,
};
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
