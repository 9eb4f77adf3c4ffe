//! Kernels without one of their statements.

use std::ops::Range;

/// The statements of a body, each with its place.
pub fn statements(body: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    let ends = body.match_indices(';').map(|(at, _)| at + 1);
    ends.map(|end| std::mem::replace(&mut start, end)..end).collect()
}

/// One number for a text (FNV-1a).
pub fn digest(bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.fold(0, |d, b| (d ^ u32::from(b)).wrapping_mul(0x0100_0193))
}
