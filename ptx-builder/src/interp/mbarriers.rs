//! The state of mbarrier objects (PTX ISA 9.7.13.15).

use std::collections::HashMap;

use super::shadow::Snapshot;

/// One mbarrier.
#[derive(Default)]
pub(super) struct Mbarrier {
    /// Arrivals that a phase expects.
    count: u32,
    /// Those missing in the current phase.
    missing: i64,
    /// Bytes missing in the current phase.
    bytes: i64,
    /// Completed phases.
    pub phase: u64,
    /// What the current phase's arrivals order before what follows, and what
    /// the completed phases do.
    arriving: Snapshot,
    pub complete: Snapshot,
    /// `cp.async` copies whose completion is to arrive here: threads and what
    /// they had done.
    pub promised: Vec<(u32, Snapshot)>,
}

/// The mbarriers of a block by shared address.
#[derive(Default)]
pub(super) struct Mbarriers(HashMap<u64, Mbarrier>);

impl Mbarriers {
    pub fn init(&mut self, at: u64, count: u32) {
        self.0.insert(at, Mbarrier { count, missing: i64::from(count), ..Mbarrier::default() });
    }

    /// Whether there was one.
    pub fn invalidate(&mut self, at: u64) -> bool {
        self.0.remove(&at).is_some()
    }

    pub fn get(&mut self, at: u64) -> Option<&mut Mbarrier> {
        self.0.get_mut(&at)
    }
}

impl Mbarrier {
    /// Expects arrivals in addition, for the current phase only.
    pub fn expect(&mut self, arrivals: u32) {
        self.missing += i64::from(arrivals);
    }

    pub fn expect_bytes(&mut self, bytes: u32) {
        self.bytes += i64::from(bytes);
    }

    /// Arrives; false if that is more often than the phase expects.
    pub fn arrive(&mut self, arrivals: u32, clock: &Snapshot) -> bool {
        self.missing -= i64::from(arrivals);
        self.arriving.merge(clock);
        let ok = self.missing >= 0;
        self.advance();
        ok
    }

    /// Bytes of a copy have come.
    pub fn bytes_came(&mut self, bytes: u32, clock: &Snapshot) {
        self.bytes -= i64::from(bytes);
        self.arriving.merge(clock);
        self.advance();
    }

    fn advance(&mut self) {
        if self.missing <= 0 && self.bytes == 0 {
            self.phase += 1;
            self.missing = i64::from(self.count);
            self.complete.merge(&std::mem::take(&mut self.arriving));
        }
    }
}
