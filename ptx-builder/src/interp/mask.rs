//! Masks of a warp's lanes.

use crate::table::WARP;

/// The lanes of a mask, lowest first.
pub(super) fn lanes(mask: u32) -> impl Iterator<Item = usize> {
    let mut rest = mask;
    std::iter::from_fn(move || {
        let lane = rest.trailing_zeros();
        rest &= rest.wrapping_sub(1);
        (lane < 32).then_some(lane as usize)
    })
}

/// A thread's warp, and the mask of its lane alone.
pub(super) fn warp_and_mask(thread: u32) -> (u32, u32) {
    (thread / WARP as u32, 1 << (thread % WARP as u32))
}
