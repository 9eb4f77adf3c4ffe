//! The shadows of global memory, which blocks share.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::pages::{Entry, Found, PAGE, Pages};

/// Pages are distributed over this many locks.
const SHARDS: u64 = 64;

/// The shadows of global memory.
pub(in crate::interp) struct Global {
    shards: Vec<Mutex<Pages>>,
    /// A bit for each 64 MiB of addresses (modulo 64), where anything inexact may be.
    touched: AtomicU64,
}

impl Default for Global {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Global { shards, touched: AtomicU64::new(0) }
    }
}

/// The bit of an address. A buffer has such a piece of the address space for itself.
fn bit(at: u64) -> u64 {
    1 << (at >> 26 & 63)
}

impl Global {
    /// The pages that hold an address; the lock is held while the result exists.
    pub fn pages(&self, at: u64) -> MutexGuard<'_, Pages> {
        self.shards[(at / PAGE % SHARDS) as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn may_hold(&self, at: u64) -> bool {
        self.touched.load(Relaxed) & bit(at) != 0
    }

    pub fn touch(&self, at: u64) {
        if !self.may_hold(at) {
            self.touched.fetch_or(bit(at), Relaxed);
        }
    }

    pub fn load(&self, at: u64, bytes: u32, value: u64) -> Option<Found> {
        if self.may_hold(at) { self.pages(at).load(at, bytes, value) } else { None }
    }

    pub fn store(&self, at: u64, bytes: u32, value: u64, found: &Found) {
        self.touch(at);
        self.pages(at).store(at, bytes, value, found);
    }

    pub fn clear(&self, at: u64, bytes: u32) {
        if self.may_hold(at) {
            self.pages(at).clear(at, bytes);
        }
    }

    /// For tests: which pieces of the address space may hold something.
    #[cfg(test)]
    fn pieces(&self) -> Vec<u64> {
        (0..64).filter(|i| self.may_hold(i << 26)).collect()
    }

    /// All entries, by address.
    pub fn entries(&self) -> Vec<(u64, Entry)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let pages = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(pages.entries().map(|(at, e)| (at, *e)));
        }
        all.sort_unstable_by_key(|(at, e)| (*at, e.size));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::Who;
    use super::super::shape::{Format, Shape};
    use super::*;

    /// Only pieces that something inexact was stored in are looked at, and a value is found in its own alone.
    #[test]
    fn pieces_that_nothing_was_stored_in_hold_nothing() {
        let global = Global::default();
        let found = Found { shape: Shape::of(Format::F32, 1), err: [0.5; 4], who: [Who::introduced(1); 4] };
        assert_eq!(global.pieces(), [0; 0]);
        for piece in [0, 1, 31, 63] {
            let at = (piece << 26) + 8;
            assert!(global.load(at, 4, 7).is_none());
            global.clear(at, 4);
            assert!(!global.may_hold(at));
            global.store(at, 4, 7, &found);
            assert!(global.may_hold(at) && global.may_hold((piece << 26) + (1 << 26) - 1));
            assert!(global.load(at, 4, 7).is_some_and(|f| f.err[0] == 0.5));
        }
        assert_eq!(global.pieces(), [0, 1, 31, 63]);
        assert_eq!(global.entries().iter().map(|(at, _)| at >> 26).collect::<Vec<_>>(), [0, 1, 31, 63]);
        global.touch(5 << 26);
        global.touch(5 << 26);
        assert_eq!(global.pieces(), [0, 1, 5, 31, 63]);
        global.clear((31 << 26) + 8, 4);
        assert!(global.load((31 << 26) + 8, 4, 7).is_none() && global.load((63 << 26) + 8, 4, 7).is_some());
    }
}
