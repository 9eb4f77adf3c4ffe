//! Loops that change nothing.
//!
//! A thread that waits for memory goes around a loop until another thread has
//! changed what it reads. Once it has come back to the same place with the same
//! registers and has written nothing, going around again is of no use until
//! something changes: it lets others go first. So a lock that the lanes of a
//! warp take one by one makes progress, as it does on hardware that schedules
//! lanes independently; and if every thread that is left waits so, none will
//! ever go on.

use super::mask::lanes;
use crate::table::{Lanes, WARP};

/// Backward branches of a warp before it is first looked at. Each look copies
/// its registers, so the next one comes after twice as many.
const FIRST_LOOK: u32 = 64;

/// What lanes that spin wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Spin {
    /// The block's changes when the last time around began. With as many
    /// changes now, the next time around would be the same.
    pub since: u64,
    /// The last instruction of the loop that read memory, or the branch where none did.
    pub polls: u32,
    /// The address that it read.
    pub at: Option<u64>,
}

/// The registers of lanes that have jumped back to a place.
struct Seen {
    target: u32,
    mask: u32,
    regs: Vec<Lanes>,
    changes: u64,
    meetings: u64,
    /// A register that was found to differ, to be compared first.
    differs: usize,
    /// Whether lanes have come back here unchanged.
    spun: bool,
}

/// Watches the backward branches of a warp.
pub(super) struct Probe {
    jumps: u32,
    next: u32,
    seen: Option<Seen>,
}

impl Default for Probe {
    fn default() -> Self {
        Probe { jumps: 0, next: FIRST_LOOK, seen: None }
    }
}

/// What a warp is at a backward branch.
pub(super) struct Jump<'a> {
    pub target: u32,
    /// Lanes that jump.
    pub mask: u32,
    /// Whether no other lanes of the warp are left.
    pub whole: bool,
    pub regs: &'a [Lanes],
    /// Changes of the block's memory and barriers so far.
    pub changes: u64,
    /// Meetings of the warp's lanes so far.
    pub meetings: u64,
}

impl Probe {
    /// Lanes jump back. Where they are as they were when they last came here,
    /// gives the number of changes at that time.
    #[inline]
    pub fn jump(&mut self, jump: &Jump<'_>) -> Option<u64> {
        self.jumps = self.jumps.saturating_add(1);
        let mut again = self.jumps >= self.next;
        if let Some(seen) = &mut self.seen
            && seen.target == jump.target
            && jump.mask & !seen.mask == 0
        {
            // Lanes that are elsewhere may have communicated with these at a convergence point.
            let alone = jump.whole || seen.meetings == jump.meetings;
            if seen.is_same(jump) && alone {
                seen.spun = true;
                return Some(std::mem::replace(&mut seen.changes, jump.changes));
            }
            again |= seen.spun;
        }
        if again {
            self.look(jump);
        }
        None
    }

    #[cold]
    fn look(&mut self, jump: &Jump<'_>) {
        if self.jumps >= self.next {
            self.next = self.next.saturating_mul(2);
        }
        self.seen = Some(Seen {
            target: jump.target,
            mask: jump.mask,
            regs: jump.regs.to_vec(),
            changes: jump.changes,
            meetings: jump.meetings,
            differs: 0,
            spun: false,
        });
    }
}

impl Seen {
    fn is_same(&mut self, jump: &Jump<'_>) -> bool {
        let same = |a: &Lanes, b: &Lanes| match jump.mask {
            u32::MAX => a == b,
            mask => lanes(mask).all(|l| a[l] == b[l]),
        };
        let n = self.regs.len();
        let differs = (0..n).map(|i| (self.differs + i) % n).find(|&i| !same(&self.regs[i], &jump.regs[i]));
        self.differs = differs.unwrap_or(0);
        differs.is_none()
    }
}

/// A register's lanes are compared whole.
const _: () = assert!(WARP == 32);

#[cfg(test)]
mod tests {
    use super::*;

    fn jump<'a>(target: u32, mask: u32, regs: &'a [Lanes], changes: u64, meetings: u64) -> Jump<'a> {
        Jump { target, mask, whole: false, regs, changes, meetings }
    }

    /// A probe that has been looked at once, at the first look, with these registers, at 5 changes and 7 meetings.
    fn looked(mask: u32, regs: &[Lanes]) -> Probe {
        let mut probe = Probe::default();
        for _ in 0..FIRST_LOOK {
            assert!(probe.seen.is_none());
            assert_eq!(probe.jump(&jump(3, mask, regs, 5, 7)), None);
        }
        assert!(probe.seen.is_some());
        probe
    }

    #[test]
    fn looks_come_after_twice_as_many_jumps() {
        let mut probe = Probe::default();
        let mut looks = Vec::new();
        for n in 1..=5 * FIRST_LOOK {
            // Another place each time, so that nothing is ever the same.
            probe.jump(&jump(n, u32::MAX, &[[0; WARP]], 0, 0));
            if probe.seen.take().is_some() {
                looks.push(n);
            }
        }
        assert_eq!(looks, [FIRST_LOOK, 2 * FIRST_LOOK, 4 * FIRST_LOOK]);
    }

    #[test]
    fn the_same_again_gives_the_changes_of_the_last_time() {
        let regs = [[1; WARP], [2; WARP]];
        let mut probe = looked(0xff, &regs);
        assert_eq!(probe.jump(&jump(3, 0xff, &regs, 6, 7)), Some(5));
        assert_eq!(probe.jump(&jump(3, 0x0f, &regs, 9, 7)), Some(6));
        // Another place, more lanes, or lanes that have met others.
        assert_eq!(probe.jump(&jump(4, 0xff, &regs, 9, 7)), None);
        assert_eq!(probe.jump(&jump(3, 0x1ff, &regs, 9, 7)), None);
        assert_eq!(probe.jump(&jump(3, 0xff, &regs, 9, 8)), None);
        let mut whole = looked(0xff, &regs);
        assert_eq!(whole.jump(&Jump { whole: true, ..jump(3, 0xff, &regs, 6, 8) }), Some(5));
    }

    #[test]
    fn only_registers_of_the_lanes_that_jump_are_compared() {
        let regs = [[1; WARP], [2; WARP], [3; WARP]];
        for (register, lane) in [(0, 0), (1, 7), (2, 3)] {
            let mut other = regs;
            other[register][lane] = 9;
            assert_eq!(looked(0xff, &regs).jump(&jump(3, 0xff, &other, 6, 7)), None, "{register} {lane}");
            assert_eq!(looked(u32::MAX, &regs).jump(&jump(3, u32::MAX, &other, 6, 7)), None, "{register} {lane}");
            assert_eq!(looked(0xff, &regs).jump(&jump(3, 0xff & !(1 << lane), &other, 6, 7)), Some(5));
            // What differed is compared first, and the rest all the same.
            let mut seen = looked(0xff, &regs).seen.expect("a look");
            assert!(!seen.is_same(&jump(3, 0xff, &other, 6, 7)));
            assert_eq!(seen.differs, register);
            for (second, lane) in [(0, 1), (1, 1), (2, 1)] {
                let mut other = regs;
                other[second][lane] = 9;
                seen.differs = register;
                assert!(!seen.is_same(&jump(3, 0xff, &other, 6, 7)));
                assert_eq!(seen.differs, second);
            }
            assert!(seen.is_same(&jump(3, 0xff, &regs, 6, 7)));
        }
    }

    #[test]
    fn lanes_that_have_spun_and_change_are_looked_at_at_once() {
        let (regs, other) = ([[1; WARP]], [[2; WARP]]);
        let mut probe = looked(0xff, &regs);
        // Not before they have spun.
        assert_eq!(probe.jump(&jump(3, 0xff, &other, 6, 7)), None);
        assert_eq!(probe.jump(&jump(3, 0xff, &other, 7, 7)), None);
        assert_eq!(probe.jump(&jump(3, 0xff, &regs, 8, 7)), Some(5));
        assert_eq!(probe.jump(&jump(3, 0xff, &other, 9, 7)), None);
        assert_eq!(probe.jump(&jump(3, 0xff, &other, 10, 7)), Some(9));
        // A group that is checked again has not spun, and needs no separate check.
        let next = probe.next;
        assert_eq!(next, 2 * FIRST_LOOK);
        assert_eq!(probe.jump(&jump(3, 0xff, &regs, 11, 7)), None);
        assert!(probe.seen.as_ref().is_some_and(|seen| !seen.spun && seen.changes == 11));
        assert_eq!(probe.jump(&jump(3, 0xff, &other, 12, 7)), None);
        assert!(probe.seen.as_ref().is_some_and(|seen| seen.changes == 11));
    }
}
