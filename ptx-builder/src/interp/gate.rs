//! Where a launch stops that overlaps with others.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A launch by itself has none: it neither waits nor stops.
#[derive(Default, Debug)]
pub(super) struct Gate {
    overlaps: bool,
    /// Earlier launches are still running.
    waits: AtomicBool,
    /// It stops where it lets others start.
    stops: AtomicBool,
}

impl Gate {
    /// Of a launch among others: it stops at its release, and, if `waits`, where it waits.
    pub fn closed(waits: bool) -> Gate {
        Gate { overlaps: true, waits: waits.into(), stops: true.into() }
    }

    /// Whether other launches overlap with it.
    pub fn overlaps(&self) -> bool {
        self.overlaps
    }

    pub fn holds_at_wait(&self) -> bool {
        self.waits.load(Relaxed)
    }

    pub fn holds_at_release(&self) -> bool {
        self.stops.load(Relaxed)
    }

    /// The launches before it have ended.
    pub fn end_wait(&self) {
        self.waits.store(false, Relaxed);
    }

    /// The launches after it have started, or it is too large for all its blocks to stop.
    pub fn pass_release(&self) {
        self.stops.store(false, Relaxed);
    }
}
