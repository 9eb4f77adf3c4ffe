//! Times of graphs on a device.

use ptxgen_runtime::{Call, Device, DeviceError};
use std::{cmp::Ordering, time::Duration};

/// The median time of a launch when `calls` run one after the other as one graph, over `runs` runs of it.
pub fn launch_time(device: &Device, calls: &[Call], runs: usize) -> Result<Duration, DeviceError> {
    let graph = device.graph(calls)?;
    // The first run is slower: code and page tables are not in the caches yet.
    device.replay(&graph)?;
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = device.stream().event()?;
        device.replay(&graph)?;
        times.push(device.stream().event()?.since(&start)?);
    }
    let median = median(&mut times, Duration::cmp).unwrap_or_default();
    Ok(Duration::from_secs_f64(median.as_secs_f64() / calls.len().max(1) as f64))
}

/// Gigabytes (10^9) per second.
pub fn rate(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64().max(1e-12) / 1e9
}

/// The middle of some values, in order; none of none.
pub fn median<T: Copy>(values: &mut [T], order: impl FnMut(&T, &T) -> Ordering) -> Option<T> {
    values.sort_unstable_by(order);
    values.get(values.len() / 2).copied()
}
