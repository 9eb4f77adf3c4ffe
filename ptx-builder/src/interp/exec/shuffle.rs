//! Member masks and `shfl.sync` (PTX ISA 9.7.9.6).

use super::{Exec, Flow, Meeting};
use crate::interp::mask::lanes;
use crate::interp::report::FindingKind;
use crate::interp::state::Stop;
use crate::interp::warp::State;
use crate::table::{Lanes, Shuffle, WARP};

impl Exec<'_> {
    /// Waits until the lanes that the member mask (source `i`) names are here.
    /// Lanes that have exited, or that the block does not have, are not waited
    /// for.
    pub(super) fn converge(&mut self, i: usize) -> Result<Meeting, Stop> {
        if self.mask == 0 {
            self.count();
            return Ok(Meeting::Else(Flow::Next));
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
            return Ok(Meeting::Else(Flow::Retry(State::Warp(named))));
        }
        self.count();
        if strangers != 0 {
            self.find(FindingKind::WarpMask, strangers, || {
                let lane = strangers.trailing_zeros();
                format!("lane {lane} executes it, but is not in its member mask {named:#010x}")
            });
        } else {
            self.compare_masks(&members);
        }
        // mutants: same [1 to 2], a count that is only compared with what it was
        self.warp.meetings += 1;
        Ok(Meeting::Here(named & self.mask))
    }

    /// Lanes that name each other have the same member mask.
    fn compare_masks(&mut self, members: &Lanes) {
        let first = members[self.mask.trailing_zeros() as usize];
        if lanes(self.mask).all(|lane| members[lane] == first) {
            return;
        }
        let another = |lane: usize| {
            let mask = members[lane] as u32;
            lanes(mask & self.mask).find(|&other| members[other] as u32 != mask)
        };
        let odd = lanes(self.mask).fold(0, |odd, lane| odd | u32::from(another(lane).is_some()) << lane);
        let Some(lane) = lanes(odd).next() else { return };
        let (other, mask) = (another(lane).unwrap_or(lane), members[lane] as u32);
        self.find(FindingKind::WarpMask, odd, || {
            let its = members[other] as u32;
            format!("lane {lane} names lane {other} in its member mask {mask:#010x}, which has another, {its:#010x}")
        });
    }

    /// `shfl.sync`: sources are the value, b, c, and the member mask.
    pub(super) fn shuffle(&mut self, mode: Shuffle) -> Flow {
        let (a, b, c, members) = (self.src_zero(0), self.src_zero(1), self.src_zero(2), self.src_or(3, u64::MAX));
        let (mut d, mut p) = ([0; WARP], [0; WARP]);
        let mut from = [0; WARP];
        let mut inactive = 0u32;
        for lane in lanes(self.mask) {
            let (j, valid) = mode.source(lane as u32, b[lane] as u32, c[lane] as u32);
            p[lane] = u64::from(valid);
            d[lane] = a[j as usize];
            from[lane] = j;
            let there = self.mask & members[lane] as u32;
            if there >> j & 1 == 0 {
                inactive |= 1 << lane;
            }
        }
        if inactive != 0 {
            let lane = inactive.trailing_zeros();
            let (j, _) = mode.source(lane, b[lane as usize] as u32, c[lane as usize] as u32);
            self.find(FindingKind::InactiveLane, inactive, || {
                format!("lane {lane} reads the register of lane {j}, which does not take part: the result is undefined")
            });
        }
        let shadow = self.wide_permuted(&from);
        self.set(0, &d);
        self.set(1, &p);
        shadow.iter().for_each(|shadow| self.wide_put(0, shadow));
        Flow::Next
    }
}
