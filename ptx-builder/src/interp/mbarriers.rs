//! The state of mbarrier objects (PTX ISA 9.7.13.15).

use std::collections::HashMap;

use super::shadow::Snapshot;
use crate::table::PENDING_BITS;

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
    /// `cp.async` copies whose completion is to arrive here: threads, how many copies the block had issued, and what the
    /// threads had done.
    pub promised: Vec<(u32, u64, Snapshot)>,
}

/// The phase in a state.
pub(super) fn phase_of(state: u64) -> u64 {
    state >> PENDING_BITS
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

    /// What an arrival gives of the time before it: the arrivals that are missing, which `mbarrier.pending_count` tells
    /// (`table/rows/mbarrier.rs`), and above them the phase.
    pub fn state(&self) -> u64 {
        self.phase << PENDING_BITS | self.missing.max(0) as u64
    }

    /// Later phases expect fewer arrivals.
    pub fn drop(&mut self, arrivals: u32) {
        self.count = self.count.saturating_sub(arrivals);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A barrier for `count` arrivals, and an arrival.
    fn barrier(count: u32) -> Mbarrier {
        let mut all = Mbarriers::default();
        all.init(8, count);
        assert!(all.get(16).is_none());
        assert!(!all.invalidate(16));
        let made = std::mem::take(all.get(8).expect("it was made"));
        assert!(all.invalidate(8) && !all.invalidate(8));
        made
    }

    fn arrive(b: &mut Mbarrier, n: u32) -> (bool, u64) {
        let ok = b.arrive(n, &Snapshot::default());
        (ok, b.phase)
    }

    #[test]
    fn phases_end_with_the_last_arrival() {
        let mut b = barrier(3);
        assert_eq!(arrive(&mut b, 1), (true, 0));
        assert_eq!(arrive(&mut b, 2), (true, 1));
        // The next phase expects as many again.
        assert_eq!(arrive(&mut b, 2), (true, 1));
        assert_eq!(arrive(&mut b, 1), (true, 2));
        // More arrivals than a phase expects are reported.
        assert_eq!(arrive(&mut b, 4), (false, 3));
        assert_eq!(arrive(&mut b, 3), (true, 4));
    }

    #[test]
    fn more_arrivals_are_expected_in_one_phase() {
        let mut b = barrier(1);
        b.expect(2);
        assert_eq!(arrive(&mut b, 1), (true, 0));
        assert_eq!(arrive(&mut b, 2), (true, 1));
        assert_eq!(arrive(&mut b, 1), (true, 2));
    }

    #[test]
    fn who_drops_out_is_not_expected_again() {
        let mut b = barrier(3);
        b.drop(2);
        assert_eq!(arrive(&mut b, 2), (true, 0));
        assert_eq!(b.state(), 1);
        assert_eq!(arrive(&mut b, 1), (true, 1));
        assert_eq!(phase_of(b.state()), 1);
        // One is left.
        assert_eq!(arrive(&mut b, 1), (true, 2));
    }

    #[test]
    fn bytes_and_arrivals_end_a_phase_together() {
        let mut b = barrier(1);
        b.expect_bytes(48);
        assert_eq!(arrive(&mut b, 1), (true, 0));
        b.bytes_came(32, &Snapshot::default());
        assert_eq!(b.phase, 0);
        b.bytes_came(16, &Snapshot::default());
        assert_eq!(b.phase, 1);
        // In the other order.
        b.expect_bytes(16);
        b.bytes_came(16, &Snapshot::default());
        assert_eq!(b.phase, 1);
        assert_eq!(arrive(&mut b, 1), (true, 2));
    }
}
