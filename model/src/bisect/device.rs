//! What the devices of two runs have to do with their difference.

use super::{Factor, Run, factor::Site, measure};
use crate::{
    DeviceName, RunSpec,
    plain::Choice,
    trace::{Stage, TraceData},
};
use ptxgen_dsl::precision::{Math, Policy};
use serde::Serialize;

/// Runs that tell what devices do: each run's choices on the other run's device. A device's part is
/// measured with those that are there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Swapped<'a> {
    /// The left run's choices on the right run's device.
    pub left: Option<&'a TraceData>,
    /// The right run's choices on the left run's device.
    pub right: Option<&'a TraceData>,
    /// Runs with one choice of the other, each on its own device, for runs with approximate math: what those
    /// instructions give is the device's own business, within a tolerance, so no plain forward has their bits.
    pub factors: &'a [(Factor, [Option<&'a TraceData>; 2])],
}

/// The part of the devices, where the runs are of two. It is measured like a factor's: by the left run on
/// the right one's device, and the other way round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceShare {
    /// The left run's device.
    pub left: String,
    /// The right run's.
    pub right: String,
    /// The mean of `first` and `last`, or the one that there is; without both what no choice explains.
    pub explains: f64,
    /// Share of the divergence that goes when only the device of the left run is changed.
    pub first: Option<f64>,
    /// Share that comes back when only the device of the right run is changed.
    pub last: Option<f64>,
    /// Relative error between the left run and the same on the right run's device.
    pub alone: Option<f64>,
    /// Values in which a run differs from the same on the other device, in both exchanges together; none
    /// where neither could be run.
    pub differing: Option<usize>,
}

/// How the swapped runs of two runs are run, where these are of two devices that are known: the left
/// run's choices on the right one's device, and the other way round.
pub fn swaps(left: Run<'_>, right: Run<'_>) -> Option<[RunSpec; 2]> {
    let (left, right) = (spec(left)?, spec(right)?);
    let on = |choices: RunSpec, device: RunSpec| RunSpec { device: device.device, ..choices };
    (left.device != right.device).then(|| [on(left, right), on(right, left)])
}

/// How the runs of [`Swapped::factors`] are run: the left run with the right one's choice, and the other way
/// round, where the device has approximate instructions and one of the runs uses them.
pub fn factor_swaps(left: Run<'_>, right: Run<'_>) -> Vec<(Factor, [Option<RunSpec>; 2])> {
    let (Some(left), Some(right)) = (spec(left), spec(right)) else { return Vec::new() };
    let approximate = [left, right].iter().any(|run| run.policy.math == Math::Approx);
    let with = |factor: Factor, run: RunSpec, other: RunSpec| {
        let (mut own, other) = (Choice::of(run.policy, run.kv), Choice::of(other.policy, other.kv));
        factor.take(&mut own, &other);
        let policy = Policy { act: own.act, acc: own.acc, math: own.math };
        (run.device != DeviceName::Cpu).then_some(RunSpec { policy, kv: own.kv, ..run })
    };
    let differs = |factor: &Factor| {
        let [l, r] = [left, right].map(|run| factor.value(&Choice::of(run.policy, run.kv)));
        approximate && l != r
    };
    let factors = [Factor::Act, Factor::Acc, Factor::Math, Factor::Kv].into_iter().filter(differs);
    factors.map(|factor| (factor, [with(factor, left, right), with(factor, right, left)])).collect()
}

/// How a run says that it was run.
fn spec(run: Run<'_>) -> Option<RunSpec> {
    let meta = &run.trace.meta;
    let device = *DeviceName::ALL.iter().find(|d| Some(d.name()) == meta.device.as_deref().map(kind))?;
    Some(RunSpec { device, policy: meta.policy?, kv: meta.kv?, threads: None })
}

/// A device's name without what is told in brackets.
pub(super) fn kind(name: &str) -> &str {
    name.split(" (").next().unwrap_or(name)
}

impl DeviceShare {
    /// The devices' part in a divergence that is measured at a stage; `unexplained` is what no choice
    /// explains.
    pub(super) fn of(left: Run<'_>, right: Run<'_>, swapped: Swapped<'_>, at: Site, unexplained: f64) -> Option<Self> {
        let device = |run: Run<'_>| run.trace.meta.device.clone();
        let devices = (device(left)?, device(right)?);
        if kind(&devices.0) == kind(&devices.1) {
            return None;
        }
        let distance = |a: &TraceData, b: &TraceData| measure::distance_at(a, b, at);
        let whole = distance(left.trace, right.trace)?;
        let first = swapped.left.and_then(|run| Some(1.0 - distance(run, right.trace)? / whole));
        let last = swapped.right.and_then(|run| Some(distance(run, right.trace)? / whole));
        let found: Vec<f64> = [first, last].into_iter().flatten().collect();
        let pairs = [(left, swapped.left), (right, swapped.right)];
        let exchanged = pairs.into_iter().filter_map(|(own, other)| Some(differing(own.trace, other?)));
        Some(Self {
            explains: if found.is_empty() { unexplained } else { found.iter().sum::<f64>() / found.len() as f64 },
            first,
            last,
            alone: swapped.left.and_then(|run| Some(distance(run, left.trace)? / measure::norm_at(left.trace, at))),
            differing: exchanged.reduce(|a, b| a + b),
            left: devices.0,
            right: devices.1,
        })
    }

    /// Whether a run was the same on both devices, bit by bit, in every exchange that could be run.
    pub fn same_bits(&self) -> bool {
        self.differing == Some(0)
    }
}

/// Values that differ, in all stages that both runs have.
fn differing(a: &TraceData, b: &TraceData) -> usize {
    let of = |(at, tensor): (&(Stage, Option<usize>), _)| {
        measure::differing(tensor, b.get(at.0, at.1)?).map(|(_, count)| count)
    };
    a.tensors.iter().filter_map(of).sum()
}
