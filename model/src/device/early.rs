//! Early starts, which are edges of a plan: which launches may start before the previous ones have ended.
//!
//! In programmatic dependent launch, a kernel that waits itself (`griddepcontrol.wait`) starts while the previous
//! launch is running. If that one lets it start before its own wait, even earlier launches may be running. A launch
//! must then not read memory before its wait that they write, and not write memory that they access. The instructions
//! of each kernel show which parameters these are ([`Overlap`]), and the plan shows which memory they refer to. A
//! launch that would be too early waits until the previous launch has ended, as launches without early starts do.

use super::{
    place::{Home, Place},
    plan::{Launch, Plan},
    slot::Slot,
};
use ptxgen_builder::analysis::{Overlap, Uses};
use std::{fmt, ops::Range};

#[cfg(test)]
mod tests;

/// Memory that a launch accesses.
struct Touch {
    param: usize,
    home: Home,
    bytes: Range<u64>,
    /// Before the launch waits.
    early: Uses,
    /// At any time.
    ever: Uses,
}

impl Touch {
    fn meets(&self, other: &Touch) -> bool {
        self.home == other.home && self.bytes.start < other.bytes.end && other.bytes.start < self.bytes.end
    }
}

/// The reason why a launch may not start early.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Race {
    /// Its kernel.
    pub(super) kernel: &'static str,
    /// The memory that it accesses too early.
    pub(super) param: &'static str,
    /// The kernel that may still use it; `None` if the previous launches are unknown.
    pub(super) before: Option<&'static str>,
}

impl fmt::Display for Race {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.before.unwrap_or("whatever runs before");
        write!(f, "{} touches {} before it waits, while {before} may be at work on it", self.kernel, self.param)
    }
}

/// For each of some consecutive launches, the reason why it may not start before the previous one has ended; `None` if
/// it may, or if its kernel does not wait itself. Nothing is known about launches before the first. `overlap` is that of
/// a launch's kernel, and `moved` is added to the offset in a slot.
pub(super) fn races<'o>(
    plan: &Plan<'_>,
    launches: &[Launch],
    overlap: impl Fn(&Launch) -> &'o Overlap,
    (slot, by): (Slot, u64),
) -> Vec<Option<Race>> {
    let touches = |launch: &Launch| -> Vec<Touch> {
        let (params, overlap) = (&plan.kernels[launch.kernel].params, overlap(launch));
        let ever = overlap.ever();
        let touch = |(param, place): (usize, &Place)| {
            let start = place.start + if place.home.slot == slot { by } else { 0 };
            let bytes = start..start + params[param].bytes;
            Touch { param, home: place.home, bytes, early: overlap.early[param], ever: ever[param] }
        };
        launch.places.iter().enumerate().map(touch).collect()
    };
    let all: Vec<Vec<Touch>> = launches.iter().map(touches).collect();
    let name = |launch: &Launch| plan.kernels[launch.kernel].entry.name;
    let mut found: Vec<Option<Race>> = Vec::with_capacity(launches.len());
    for (i, launch) in launches.iter().enumerate() {
        let race = |touch: &Touch, before| {
            let param = plan.kernels[launch.kernel].params[touch.param].name;
            Some(Race { kernel: name(launch), param, before })
        };
        let overlap = |i: usize| overlap(&launches[i]);
        let early = || all[i].iter().filter(|touch| touch.early.any());
        let mut at_work = (0..i).rev();
        let first = loop {
            if !overlap(i).waits {
                break None;
            }
            let Some(before) = at_work.next() else {
                break early().find(|touch| !touch.home.slot.is_constant()).and_then(|touch| race(touch, None));
            };
            let clash =
                |touch: &&Touch| all[before].iter().any(|other| touch.meets(other) && touch.early.clash(other.ever));
            let hit = early().find(clash).and_then(|touch| race(touch, Some(name(&launches[before]))));
            // A launch that itself started early leaves earlier launches running, if it is eager or some thread does
            // not wait.
            let leaves = overlap(before).is_eager || !overlap(before).always_waits;
            let is_last = !(leaves && overlap(before).waits && found[before].is_none());
            if hit.is_some() || is_last {
                break hit;
            }
        };
        found.push(first);
    }
    found
}
