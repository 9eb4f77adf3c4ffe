//! A warp: registers, and where its lanes are.

use super::exec::Exact;
use super::spin::{Probe, Spin};
use super::wide::regs::Regs;
use crate::table::{Lanes, WARP};

/// What a group of lanes waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Ready,
    /// Block barrier of this number.
    Barrier(u8),
    /// The other lanes of this member mask, at this instruction.
    Warp(u32),
    /// Other launches, at `griddepcontrol`.
    Held,
    /// A change of memory: it has gone once around a loop that changed nothing.
    Spin(Spin),
}

/// Lanes that are at the same instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub pc: u32,
    pub mask: u32,
    pub state: State,
}

/// How often the group with the lowest position may be preferred before the
/// others get a turn: a lane that spins until another lane of its warp lets it
/// go must not spin forever.
const PATIENCE: u32 = 20_000;

/// The same once lanes of the warp have been found to spin.
const IMPATIENCE: u32 = 32;

/// How many instructions the others then get.
pub(super) const TURN: u64 = 256;

/// Which group runs next.
pub(super) struct Pick {
    pub group: usize,
    /// Another group is at or after this position; stop there to join it.
    pub limit: u32,
    /// Whether this is a turn out of order.
    pub out_of_order: bool,
}

pub(super) struct Warp {
    pub id: u32,
    pub regs: Vec<Lanes>,
    pub groups: Vec<Group>,
    /// Lanes that have not exited.
    pub live: u32,
    /// Lanes that exist.
    pub lanes: u32,
    /// `%tid`.
    pub tid: [Lanes; 3],
    /// Looks for loops that change nothing.
    pub probe: Probe,
    /// The last instruction since a backward branch that read memory, and the address in its
    /// first lane.
    pub polled: Option<(u32, u64)>,
    /// How often lanes of it have met at a `.sync` instruction.
    pub meetings: u64,
    /// What is known of the registers that indices are computed in; empty until the first.
    pub exact: Vec<[Exact; WARP]>,
    /// The registers' shadows, where they are followed.
    pub wide: Option<Regs>,
    picks: u32,
    turn: u32,
    spins: bool,
}

impl Warp {
    /// A warp at the start of a kernel. `threads` are in the block before it,
    /// `count` in it.
    pub fn new(id: u32, count: u32, block: [u32; 3], registers: usize) -> Self {
        let lanes = if count >= 32 { u32::MAX } else { (1 << count) - 1 };
        let mut tid = [[0; WARP]; 3];
        for lane in 0..WARP as u32 {
            let t = id * WARP as u32 + lane;
            let at = [t % block[0], t / block[0] % block[1], t / block[0] / block[1]];
            for (d, x) in at.into_iter().enumerate() {
                tid[d][lane as usize] = u64::from(x);
            }
        }
        let groups = vec![Group { pc: 0, mask: lanes, state: State::Ready }];
        Warp {
            id,
            regs: vec![[0; WARP]; registers],
            groups,
            live: lanes,
            lanes,
            tid,
            probe: Probe::default(),
            polled: None,
            meetings: 0,
            exact: Vec::new(),
            wide: None,
            picks: 0,
            turn: 0,
            spins: false,
        }
    }

    /// Whether some of its lanes go around a loop that changes nothing.
    pub fn is_spinning(&self) -> bool {
        self.groups.iter().any(|g| matches!(g.state, State::Spin(_)))
    }

    /// Lets spinning lanes look again, those only that have not seen the last
    /// of `changes`; whether there are any.
    pub fn wake_spinning(&mut self, changes: Option<u64>) -> bool {
        let mut woken = false;
        for g in &mut self.groups {
            if let State::Spin(spin) = g.state
                && Some(spin.since) != changes
            {
                g.state = State::Ready;
                woken = true;
            }
        }
        woken
    }

    /// Whether some of its lanes wait for other launches.
    pub fn is_held(&self) -> bool {
        self.groups.iter().any(|g| g.state == State::Held)
    }

    /// Makes threads that wait for other launches check again.
    pub fn let_go(&mut self) {
        self.groups.iter_mut().filter(|g| g.state == State::Held).for_each(|g| g.state = State::Ready);
    }

    pub fn is_ready(&self) -> bool {
        self.groups.iter().any(|g| g.state == State::Ready)
    }

    /// Chooses the ready group at the lowest position, so that lanes that went
    /// apart converge again, after joining groups that have met.
    pub fn pick(&mut self) -> Option<Pick> {
        if let [only] = &self.groups[..] {
            let pick = Pick { group: 0, limit: u32::MAX, out_of_order: false };
            return (only.state == State::Ready).then_some(pick);
        }
        self.join();
        let ready = || self.groups.iter().enumerate().filter(|(_, g)| g.state == State::Ready);
        let lowest = ready().min_by_key(|(_, g)| g.pc).map(|(i, _)| i)?;
        self.picks += 1;
        let mut chosen = lowest;
        if self.picks > if self.spins { IMPATIENCE } else { PATIENCE } {
            self.picks = 0;
            self.spins = true;
            self.turn = self.turn.wrapping_add(1);
            let others = ready().filter(|&(i, _)| i != lowest).map(|(i, _)| i);
            let n = others.clone().count();
            if n > 0 {
                chosen = others.clone().nth(self.turn as usize % n).unwrap_or(lowest);
            }
        }
        let pc = self.groups[chosen].pc;
        let ahead = |g: &&Group| g.pc > pc && matches!(g.state, State::Ready | State::Warp(_));
        let limit = self.groups.iter().filter(ahead).map(|g| g.pc).min().unwrap_or(u32::MAX);
        Some(Pick { group: chosen, limit, out_of_order: chosen != lowest })
    }

    /// Joins ready groups at one position, and those that wait there for
    /// lanes of their warp.
    fn join(&mut self) {
        self.groups.sort_by_key(|g| g.pc);
        self.groups.dedup_by(|b, a| {
            let meets = |g: &Group| matches!(g.state, State::Ready | State::Warp(_));
            let same = a.pc == b.pc && meets(a) && meets(b);
            if same {
                a.mask |= b.mask;
                a.state = State::Ready;
            }
            same
        });
    }

    /// After lanes have exited, those that waited for them look again.
    pub fn wake_warp_waiters(&mut self) {
        for g in &mut self.groups {
            if matches!(g.state, State::Warp(_)) {
                g.state = State::Ready;
            }
        }
    }

    /// The group that a lane is in.
    pub fn group_of(&self, lane: u32) -> Option<&Group> {
        self.groups.iter().find(|g| g.mask >> lane & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A warp whose lanes are at these places.
    fn warp(groups: &[(u32, u32, State)]) -> Warp {
        let mut warp = Warp::new(0, 32, [32, 1, 1], 0);
        warp.groups = groups.iter().map(|&(pc, mask, state)| Group { pc, mask, state }).collect();
        warp
    }

    const SPIN: State = State::Spin(Spin { since: 4, polls: 0, at: None });

    #[test]
    fn a_warp_has_its_threads() {
        for (id, count, lanes) in [(0, 32, u32::MAX), (0, 40, u32::MAX), (1, 5, 31), (0, 31, u32::MAX >> 1), (1, 1, 1)]
        {
            let warp = Warp::new(id, count, [4, 3, 9], 2);
            assert_eq!((warp.live, warp.lanes, warp.groups[0].mask, warp.regs.len()), (lanes, lanes, lanes, 2));
            for lane in 0..32 {
                let t = u64::from(id * 32 + lane);
                let place = warp.tid.map(|d| d[lane as usize]);
                assert_eq!(place, [t % 4, t / 4 % 3, t / 12], "{id} {lane}");
            }
        }
    }

    #[test]
    fn the_lowest_goes_first_and_stops_where_others_are() {
        use State::{Barrier, Ready};
        for (groups, expected) in [
            (&[(7, 1, Ready)][..], Some((0, u32::MAX))),
            (&[(7, 1, Barrier(0))], None),
            (&[(7, 1, Ready), (3, 2, Ready)], Some((0, 7))),
            (
                &[(3, 1, Barrier(0)), (5, 2, Ready), (9, 4, SPIN), (12, 8, State::Warp(9)), (14, 16, Ready)],
                Some((1, 12)),
            ),
            (&[(3, 1, Ready), (9, 4, SPIN), (12, 8, Barrier(1))], Some((0, u32::MAX))),
            (&[(3, 1, SPIN), (9, 4, SPIN)], None),
        ] {
            let pick = warp(groups).pick();
            assert_eq!(pick.as_ref().map(|p| (p.group, p.limit)), expected, "{groups:?}");
            assert!(pick.is_none_or(|p| !p.out_of_order));
        }
    }

    #[test]
    fn groups_that_have_met_are_one() {
        use State::{Barrier, Ready, Warp as Waits};
        let joined = |groups: &[(u32, u32, State)]| {
            let mut warp = warp(groups);
            warp.join();
            warp.groups.iter().map(|g| (g.pc, g.mask, g.state)).collect::<Vec<_>>()
        };
        assert_eq!(joined(&[(5, 1, Ready), (3, 2, Ready), (5, 4, Ready)]), [(3, 2, Ready), (5, 5, Ready)]);
        assert_eq!(joined(&[(5, 1, Waits(3)), (5, 2, Ready)]), [(5, 3, Ready)]);
        assert_eq!(joined(&[(5, 1, Ready), (5, 2, Waits(3))]), [(5, 3, Ready)]);
        assert_eq!(joined(&[(5, 1, Ready), (5, 2, Barrier(0))]).len(), 2);
        assert_eq!(joined(&[(5, 1, SPIN), (5, 2, Ready)]).len(), 2);
    }

    /// Lanes that go first for too long let the others have a turn, each in its own, and sooner the next time.
    #[test]
    fn turns_come_after_patience() {
        let groups = [(3, 1, State::Ready), (5, 2, State::Ready), (9, 4, State::Ready)];
        let mut warp = warp(&groups);
        let mut turns = Vec::new();
        for n in 1..=PATIENCE + 1 + 4 * (IMPATIENCE + 1) {
            let pick = warp.pick().expect("one is ready");
            assert_eq!(pick.out_of_order, pick.group != 0);
            assert_eq!(pick.limit, [5, 9, u32::MAX][pick.group]);
            if pick.out_of_order {
                turns.push((n - PATIENCE - 1, pick.group));
            }
        }
        let after = IMPATIENCE + 1;
        assert_eq!(turns, [(0, 2), (after, 1), (2 * after, 2), (3 * after, 1), (4 * after, 2)]);
    }

    /// Where only one can go on, its turn is its own.
    #[test]
    fn a_turn_needs_another() {
        let mut warp = warp(&[(3, 1, State::Ready), (5, 2, State::Barrier(0))]);
        for _ in 0..=PATIENCE + 1 {
            assert!(warp.pick().is_some_and(|p| p.group == 0 && !p.out_of_order));
        }
    }

    #[test]
    fn who_spins_looks_again_after_a_change() {
        for (changes, woken) in [(None, true), (Some(4), false), (Some(5), true)] {
            let mut warp = warp(&[(3, 1, SPIN), (5, 2, State::Barrier(0))]);
            assert!(warp.is_spinning() && !warp.is_ready());
            assert_eq!(warp.wake_spinning(changes), woken);
            assert_eq!((warp.is_ready(), warp.is_spinning()), (woken, !woken));
        }
        let mut warp = warp(&[(3, 1, State::Warp(3)), (5, 2, State::Barrier(0))]);
        assert!(!warp.wake_spinning(None) && !warp.is_ready());
        warp.wake_warp_waiters();
        assert_eq!(warp.groups.iter().map(|g| g.state).collect::<Vec<_>>(), [State::Ready, State::Barrier(0)]);
        assert_eq!(
            (0..4).map(|lane| warp.group_of(lane).map(|g| g.pc)).collect::<Vec<_>>(),
            [Some(3), Some(5), None, None]
        );
    }
}
