//! A warp's stream of tiles through a ring of shared-memory slots.

use ptxgen_builder::build::{Body, Shared, Val};

use super::CopyMode;

/// Runs `compute` on the tiles `first`, `first + step`, ... below `end`, with
/// the copies of up to `slots` tiles under way. `issue` starts a tile's copy
/// into a slot. Both are called by whole warps; the ring is the warp's own.
#[track_caller]
pub fn stream_tiles(
    k: &mut Body,
    mode: CopyMode,
    ring: Shared<u8>,
    (slots, slot_bytes): (u32, u32),
    (first, end, step): (Val<u32>, Val<u32>, Val<u32>),
    mut issue: impl FnMut(&mut Body, Val<u32>, Shared<u8>),
    compute: impl FnOnce(&mut Body, Val<u32>, Shared<u8>),
) {
    let base = ring.address();
    // A group a slot, empty where the tiles run out, so that the number of
    // groups under way tells which tile has arrived.
    for slot in 0..slots {
        let tile = if slot == 0 { first } else { first + step * slot };
        let to = Shared::from_address(base + slot * slot_bytes);
        k.if_(tile.lt(end), |k| issue(k, tile, to));
        commit(k, mode);
    }
    let mut slot = k.var::<u32>(base);
    let ahead = step * slots;
    k.for_(first, end, step, |k, tile, _| {
        if mode == CopyMode::Async {
            k.copy_async_wait(slots - 1);
        }
        k.sync_warp(0xffff_ffff);
        let here = Shared::from_address(slot.get());
        compute(k, tile, here);
        // All lanes have read the slot before it is filled again.
        k.sync_warp(0xffff_ffff);
        let next = tile + ahead;
        k.if_(next.lt(end), |k| issue(k, next, here));
        commit(k, mode);
        if slots > 1 {
            let following = slot.get() + slot_bytes;
            slot.set(base.select(following.ge(base + slots * slot_bytes), following));
        }
    });
}

fn commit(k: &mut Body, mode: CopyMode) {
    if mode == CopyMode::Async {
        k.copy_async_commit();
    }
}
