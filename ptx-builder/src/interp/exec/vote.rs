//! `vote.sync`, `match.sync`, `redux.sync`, `elect.sync` (PTX ISA 9.7.13.9 to 9.7.13.12).

use super::{Exec, Flow};
use crate::interp::mask::lanes;
use crate::table::{Vote, WARP};

impl Exec<'_> {
    /// Sources are the value and the member mask (only the mask for `elect`).
    pub(super) fn vote(&mut self, vote: Vote) -> Flow {
        let (a, members) = match vote {
            Vote::Elect => ([0; WARP], self.src_or(0, u64::MAX)),
            _ => (self.src_zero(0), self.src_or(1, u64::MAX)),
        };
        let (mut d, mut p) = ([0; WARP], [0; WARP]);
        for lane in lanes(self.mask) {
            let set = self.mask & members[lane] as u32;
            let holds = lanes(set).fold(0u32, |m, l| m | ((a[l] as u32 & 1) << l));
            let equal = lanes(set).fold(0u32, |m, l| m | (u32::from(a[l] == a[lane]) << l));
            // The lowest lane; in the adversarial order the highest.
            let leader = if self.cx.is_adversarial() { (set | 1).ilog2() } else { set.trailing_zeros() };
            d[lane] = match vote {
                Vote::All => u64::from(holds == set),
                Vote::Any => u64::from(holds != 0),
                Vote::Uni => u64::from(holds == 0 || holds == set),
                Vote::Ballot => u64::from(holds),
                Vote::MatchAny => u64::from(equal),
                Vote::MatchAll => u64::from(if equal == set { set } else { 0 }),
                Vote::Elect => u64::from(leader),
                Vote::Redux(f) => lanes(set).map(|l| a[l]).reduce(f).unwrap_or(0),
            };
            // Of these only two have a second result.
            p[lane] = u64::from(if let Vote::Elect = vote { leader == lane as u32 } else { equal == set });
        }
        if let Vote::Redux(_) = vote {
            self.wide_ends();
        }
        self.set(0, &d);
        self.set(1, &p);
        Flow::Next
    }
}
