//! The effect of the devices on the difference of two runs.

use super::{Factor, Run, factor::Site, measure};
use crate::{
    DeviceName, RunSpec,
    plain::Choice,
    trace::{Stage, TraceData},
};
use ptxgen_dsl::precision::{Math, Policy};
use serde::Serialize;

/// Runs that show the effect of the devices: each run's choices on the other run's device. The effect is measured with
/// those that exist.
#[derive(Clone, Copy, Debug, Default)]
pub struct Swapped<'a> {
    /// The left run's choices on the right run's device.
    pub left: Option<&'a TraceData>,
    /// The right run's choices on the left run's device.
    pub right: Option<&'a TraceData>,
    /// Runs with one choice of the other run, each on its own device, for runs with approximate math. The results of
    /// those instructions depend on the device, within a tolerance, so no plain forward reproduces their bits.
    pub factors: &'a [(Factor, [Option<&'a TraceData>; 2])],
}

/// The effect of the devices, if the runs are of two devices. It is measured like a factor: by the left run on the
/// right run's device, and vice versa.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceShare {
    /// The left run's device.
    pub left: String,
    /// The right run's.
    pub right: String,
    /// The mean of `first` and `last`, or the one that exists; without both, what no choice explains.
    pub explains: f64,
    /// Share of the divergence that disappears when only the device of the left run is changed.
    pub first: Option<f64>,
    /// Share that reappears when only the device of the right run is changed.
    pub last: Option<f64>,
    /// Relative error between the left run and the same on the right run's device.
    pub alone: Option<f64>,
    /// Values that differ between a run and the same run on the other device, in both exchanges together; `None` if
    /// neither could be run.
    pub differing: Option<usize>,
}

/// How to run the exchanges of two runs, if they are of two known devices: the left run's choices on the right run's
/// device, and vice versa.
pub fn swaps(left: Run<'_>, right: Run<'_>) -> Option<[RunSpec; 2]> {
    let (left, right) = (spec(left)?, spec(right)?);
    let on = |choices: &RunSpec, other: &RunSpec| RunSpec { devices: other.devices.clone(), ..choices.clone() };
    (left.devices != right.devices).then(|| [on(&left, &right), on(&right, &left)])
}

/// How to run the exchanges of [`Swapped::factors`]: the left run with the right run's choice, and vice versa, if the
/// device has approximate instructions and one of the runs uses them.
pub fn factor_swaps(left: Run<'_>, right: Run<'_>) -> Vec<(Factor, [Option<RunSpec>; 2])> {
    let (Some(left), Some(right)) = (spec(left), spec(right)) else { return Vec::new() };
    let approximate = [&left, &right].iter().any(|run| run.policy.math == Math::Approx);
    let with = |factor: Factor, run: &RunSpec, other: &RunSpec| {
        let (mut own, other) = (Choice::of(run.policy, run.kv), Choice::of(other.policy, other.kv));
        factor.take(&mut own, &other);
        let policy = Policy { act: own.act, acc: own.acc, math: own.math };
        (!run.devices.is_cpu()).then(|| RunSpec { policy, kv: own.kv, ..run.clone() })
    };
    let differs = |factor: &Factor| {
        let [l, r] = [&left, &right].map(|run| factor.value(&Choice::of(run.policy, run.kv)));
        approximate && l != r
    };
    let factors = [Factor::Act, Factor::Acc, Factor::Math, Factor::Kv].into_iter().filter(differs);
    factors.map(|factor| (factor, [with(factor, &left, &right), with(factor, &right, &left)])).collect()
}

/// The choices that a run states.
fn spec(run: Run<'_>) -> Option<RunSpec> {
    let meta = &run.trace.meta;
    let device = *DeviceName::ALL.iter().find(|d| Some(d.kind()) == meta.device.as_deref().map(kind))?;
    Some(RunSpec { devices: device.into(), policy: meta.policy?, kv: meta.kv?, threads: None })
}

/// A device's name without the text in brackets.
pub(super) fn kind(name: &str) -> &str {
    name.split(" (").next().unwrap_or(name)
}

impl DeviceShare {
    /// The devices' effect on a divergence that is measured at a stage; `unexplained` is the part that no choice
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
