//! Which warp of a block runs next.

use super::WarpOrder;
use super::exec::mix;
use super::warp::Warp;

/// Warp instructions that a warp may execute in a row; it ends earlier at a barrier.
const SLICE: u64 = 512;

pub(super) struct Scheduler {
    order: WarpOrder,
    turn: usize,
    random: u64,
}

impl Scheduler {
    pub fn new(order: WarpOrder, block: u64) -> Self {
        let random = match order {
            WarpOrder::Seeded(seed) => mix(seed ^ mix(block)),
            _ => 0,
        };
        Scheduler { order, turn: 0, random }
    }

    /// The next warp and how long it may run; none where no warp can go on.
    pub fn next(&mut self, warps: &[Warp]) -> Option<(usize, u64)> {
        let n = warps.len();
        match self.order {
            WarpOrder::RoundRobin => {
                let warp = (0..n).map(|i| (self.turn + i) % n).find(|&w| warps[w].is_ready())?;
                self.turn = warp + 1;
                Some((warp, SLICE))
            }
            WarpOrder::Seeded(_) => {
                self.random = mix(self.random);
                let start = self.random as usize % n;
                let warp = (0..n).map(|i| (start + i) % n).find(|&w| warps[w].is_ready())?;
                Some((warp, 1 + (self.random >> 32) % 64))
            }
            // The last warp as far as it gets, then the one before it; the
            // turn moves only so that a spinning warp does not stop the rest.
            WarpOrder::Adversarial => {
                let warp = (0..n).map(|i| (2 * n - 1 - self.turn - i) % n).find(|&w| warps[w].is_ready())?;
                self.turn = (n - 1 - warp + 1) % n;
                Some((warp, 64 * SLICE))
            }
        }
    }
}
