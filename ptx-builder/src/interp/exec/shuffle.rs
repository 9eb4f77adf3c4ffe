//! Member masks and `shfl.sync` (PTX ISA 9.7.9.6).

use super::{Exec, Flow};
use crate::interp::block::Stop;
use crate::interp::report::FindingKind;
use crate::interp::warp::{State, lanes};
use crate::table::{Shuffle, WARP};

impl Exec<'_> {
    /// Waits until the lanes that the member mask (source `i`) names are here.
    /// Gives what to do meanwhile, or `None` once they are: then the
    /// instruction is counted and the lanes' memory accesses are ordered.
    pub(super) fn converge(&mut self, i: usize) -> Result<Option<Flow>, Stop> {
        if self.mask == 0 {
            self.count();
            return Ok(Some(Flow::Next));
        }
        let members = self.src_or(i, 0xffff_ffff);
        let (mut named, mut strangers) = (0, 0);
        for lane in lanes(self.mask) {
            let mask = members[lane] as u32;
            named |= mask;
            if mask >> lane & 1 == 0 {
                strangers |= 1 << lane;
            }
        }
        let missing = named & self.warp.live & !self.mask;
        // Lanes of this very group will not come: their guard is false.
        let unable = missing & self.group;
        if unable != 0 {
            let lane = unable.trailing_zeros();
            return Err(self.fault(
                FindingKind::WarpMask,
                self.mask,
                format!("the member mask {named:#010x} names lane {lane}, where the instruction's guard is false"),
            ));
        }
        if missing != 0 {
            return Ok(Some(Flow::Retry(State::Warp(named))));
        }
        self.count();
        if strangers != 0 {
            self.find(FindingKind::WarpMask, strangers, || {
                let lane = strangers.trailing_zeros();
                format!("lane {lane} executes it, but is not in its member mask {named:#010x}")
            });
        }
        let gone = named & !self.warp.live;
        if gone != 0 {
            let lanes = self.warp.lanes;
            self.find(FindingKind::WarpMask, self.mask, || {
                let lane = gone.trailing_zeros();
                let why = if lanes >> lane & 1 == 1 { "which has exited" } else { "which the block does not have" };
                format!("the member mask {named:#010x} names lane {lane}, {why}")
            });
        }
        self.st.order_warp(self.warp, named & self.mask);
        Ok(None)
    }

    /// `shfl.sync`: sources are the value, b, c, and the member mask.
    pub(super) fn shuffle(&mut self, mode: Shuffle) -> Flow {
        let (a, b, c, members) = (self.src_or(0, 0), self.src_or(1, 0), self.src_or(2, 0), self.src_or(3, u64::MAX));
        let (mut d, mut p) = ([0; WARP], [0; WARP]);
        let mut inactive = 0u32;
        for lane in lanes(self.mask) {
            let (j, valid) = source_lane(mode, lane as u32, b[lane] as u32, c[lane] as u32);
            p[lane] = u64::from(valid);
            d[lane] = a[j as usize];
            let there = self.mask & members[lane] as u32;
            if there >> j & 1 == 0 {
                inactive |= 1 << lane;
            }
        }
        if inactive != 0 {
            let lane = inactive.trailing_zeros();
            let (j, _) = source_lane(mode, lane, b[lane as usize] as u32, c[lane as usize] as u32);
            self.find(FindingKind::InactiveLane, inactive, || {
                format!("lane {lane} reads the register of lane {j}, which does not take part: the result is undefined")
            });
        }
        self.set(0, &d);
        self.set(1, &p);
        Flow::Next
    }
}

/// The lane that is read, and whether it was in range.
fn source_lane(mode: Shuffle, lane: u32, b: u32, c: u32) -> (u32, bool) {
    let b = b & 31;
    let (clamp, segment) = (c & 31, c >> 8 & 31);
    let last = lane & segment | clamp & !segment & 31;
    let first = lane & segment;
    let (j, valid) = match mode {
        Shuffle::Up => (lane.wrapping_sub(b), lane as i64 - i64::from(b) >= i64::from(last)),
        Shuffle::Down => (lane + b, lane + b <= last),
        Shuffle::Bfly => (lane ^ b, lane ^ b <= last),
        Shuffle::Idx => (first | b & !segment & 31, first | b & !segment & 31 <= last),
    };
    if valid { (j & 31, true) } else { (lane, false) }
}
