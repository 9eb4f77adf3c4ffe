//! A warp's stream of tiles through a ring of shared-memory slots.

use ptxgen_builder::build::{Body, Shared, Val};

use super::CopyMode;

/// The tiles `first`, `first + step`, ... below `end` on their way through a
/// ring of slots that is the warp's own, copies of up to `slots` tiles under
/// way. All is done by whole warps.
#[derive(Clone, Copy)]
pub struct TileStream {
    /// How tiles get to shared memory.
    pub mode: CopyMode,
    /// The address of the ring.
    pub ring: Val<u32>,
    /// Its slots.
    pub slots: u32,
    /// Bytes of each.
    pub slot_bytes: u32,
    /// The first tile.
    pub first: Val<u32>,
    /// Tiles end before it.
    pub end: Val<u32>,
    /// From a tile to the next.
    pub step: Val<u32>,
}

impl TileStream {
    /// Starts the first tiles' copies. `issue` starts a tile's copy into a slot.
    #[track_caller]
    pub fn start(&self, k: &Body, issue: &impl Fn(&Body, Val<u32>, Shared<u8>)) {
        // A group a slot, empty where the tiles run out, so that the number of
        // pending groups shows which tile has arrived.
        for slot in 0..self.slots {
            let tile = if slot == 0 { self.first } else { self.first + self.step * slot };
            let to = Shared::from_address(self.ring + slot * self.slot_bytes);
            k.if_(tile.lt(self.end), |k| issue(k, tile, to));
            self.commit(k);
        }
    }

    /// Runs `compute` on the tiles, whose first copies have been started.
    #[track_caller]
    pub fn run(
        &self,
        k: &Body,
        issue: &impl Fn(&Body, Val<u32>, Shared<u8>),
        compute: impl Fn(&Body, Val<u32>, Shared<u8>),
    ) {
        // An offset, so that the address stays one of the ring's: analyses distinguish arrays.
        let slot = k.var::<u32>(0u32);
        let ahead = self.step * self.slots;
        k.for_(self.first, self.end, self.step, |k, tile, _| {
            if self.mode == CopyMode::Async {
                k.copy_async_wait(self.slots - 1);
            }
            k.sync_warp(0xffff_ffff);
            let here = Shared::from_address(if self.slots > 1 { self.ring + slot.get() } else { self.ring });
            compute(k, tile, here);
            // All lanes have read the slot before it is filled again.
            k.sync_warp(0xffff_ffff);
            let next = tile + ahead;
            k.if_(next.lt(self.end), |k| issue(k, next, here));
            self.commit(k);
            if self.slots > 1 {
                let following = slot.get() + self.slot_bytes;
                slot.set(Val::from(0u32).select(following.ge(self.slots * self.slot_bytes), following));
            }
        });
    }

    #[track_caller]
    fn commit(&self, k: &Body) {
        if self.mode == CopyMode::Async {
            k.copy_async_commit();
        }
    }
}
