//! The state of mbarrier objects (PTX ISA 9.7.13.15).

use std::collections::BTreeMap;

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
    /// The engine whose copies complete here, where there are marks.
    pub engine: Option<u32>,
    /// Bytes of copies under way that are to complete here.
    under_way: i64,
    /// Instruction and thread of the last of them.
    pub last: Option<(u32, u32)>,
    /// The last wait that found its phase incomplete: a parity or a phase.
    pub waits: Option<Waits>,
}

/// What a wait asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Waits {
    Parity(u64),
    Phase(u64),
}

/// Whether a phase has ended as it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    Well,
    /// More arrivals than it expects.
    TooMany,
    /// Bytes of copies to it are still under way.
    Early,
}

/// Most bytes that a phase may wait for (PTX ISA 9.7.13.15.3).
const MOST_BYTES: i64 = (1 << 20) - 1;

/// The phase in a state.
pub(super) fn phase_of(state: u64) -> u64 {
    state >> PENDING_BITS
}

/// The mbarriers of a cluster by shared address.
#[derive(Default)]
pub(super) struct Mbarriers {
    all: BTreeMap<u64, Mbarrier>,
    made: u64,
}

impl Mbarriers {
    /// Makes one, and gives the number of this initialization.
    pub fn init(&mut self, at: u64, count: u32) -> u64 {
        self.all.insert(at, Mbarrier { count, missing: i64::from(count), ..Mbarrier::default() });
        self.made += 1;
        self.made
    }

    /// Whether there was one.
    pub fn invalidate(&mut self, at: u64) -> bool {
        self.all.remove(&at).is_some()
    }

    pub fn get(&mut self, at: u64) -> Option<&mut Mbarrier> {
        self.all.get_mut(&at)
    }

    pub fn look(&self, at: u64) -> Option<&Mbarrier> {
        self.all.get(&at)
    }

    /// Where more bytes have come than were expected: the address, how many, and the last copy.
    pub fn overfull(&self) -> Vec<(u64, u64, (u32, u32))> {
        let more = |(&at, m): (&u64, &Mbarrier)| m.last.filter(|_| m.unexpected() > 0).map(|l| (at, m.unexpected(), l));
        self.all.iter().filter_map(more).collect()
    }
}

impl Mbarrier {
    /// Expects arrivals in addition, for the current phase only.
    pub fn expect(&mut self, arrivals: u32) {
        self.missing += i64::from(arrivals);
    }

    /// Expects bytes in addition; false if these are more than a phase may wait for.
    pub fn expect_bytes(&mut self, bytes: u32) -> bool {
        self.bytes += i64::from(bytes);
        self.bytes <= MOST_BYTES
    }

    /// A copy begins that is to complete here.
    pub fn issued(&mut self, bytes: u32, pc: u32, thread: u32) {
        self.under_way += i64::from(bytes);
        self.last = Some((pc, thread));
    }

    /// Bytes that have come and that nobody has expected.
    fn unexpected(&self) -> u64 {
        self.bytes.min(0).unsigned_abs()
    }

    /// What is missing, for people.
    pub fn lacks(&self) -> String {
        let bytes = match self.bytes {
            0 => String::new(),
            n @ 1.. => format!(" and {n} bytes are missing"),
            n => format!(", and {} more bytes have come than were expected", n.unsigned_abs()),
        };
        let arrivals = match (self.missing, self.bytes) {
            (0, 1..) => return format!("no arrival{bytes}"),
            (0, _) => return format!("no arrival is missing{bytes}"),
            (n, 1..) => format!("{n} of {} arrivals", self.count),
            (n, _) => format!("{n} of {} arrivals are missing", self.count),
        };
        arrivals + &bytes
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

    /// Arrives.
    pub fn arrive(&mut self, arrivals: u32, clock: &Snapshot) -> Ending {
        self.missing -= i64::from(arrivals);
        self.arriving.merge(clock);
        let ok = self.missing >= 0;
        let ending = self.advance();
        if ok { ending } else { Ending::TooMany }
    }

    /// Bytes have come, as if of a copy.
    pub fn bytes_came(&mut self, bytes: u32, clock: &Snapshot) -> Ending {
        self.bytes -= i64::from(bytes);
        self.arriving.merge(clock);
        self.advance()
    }

    /// A copy has come.
    pub fn copy_came(&mut self, bytes: u32, clock: &Snapshot) -> Ending {
        self.under_way -= i64::from(bytes);
        self.bytes_came(bytes, clock)
    }

    fn advance(&mut self) -> Ending {
        if self.missing > 0 || self.bytes != 0 {
            return Ending::Well;
        }
        self.phase += 1;
        self.missing = i64::from(self.count);
        self.complete.merge(&std::mem::take(&mut self.arriving));
        if let Some(engine) = self.engine {
            self.complete.raise(engine, self.phase as u32);
        }
        if self.under_way == 0 { Ending::Well } else { Ending::Early }
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
        let ending = b.arrive(n, &Snapshot::default());
        (ending == Ending::Well, b.phase)
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
    fn a_phase_that_ends_before_its_copies_is_early() {
        let mut b = barrier(1);
        b.issued(64, 3, 0);
        b.issued(64, 4, 0);
        assert!(b.expect_bytes(64));
        assert_eq!(arrive(&mut b, 1), (true, 0));
        assert_eq!(b.lacks(), "no arrival and 64 bytes are missing");
        assert_eq!((b.copy_came(64, &Snapshot::default()), b.phase), (Ending::Early, 1));
        assert_eq!(b.copy_came(64, &Snapshot::default()), Ending::Well);
        assert_eq!(b.unexpected(), 64);
        assert_eq!(b.lacks(), "1 of 1 arrivals are missing, and 64 more bytes have come than were expected");
        assert!(b.expect_bytes(128) && !b.expect_bytes(1 << 20));
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
