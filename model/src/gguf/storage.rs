//! The storage of a file's bytes.

use memmap2::Mmap;
#[cfg(unix)]
use memmap2::{Advice, UncheckedAdvice};

/// 64 bytes, aligned, so that a copy of a file keeps the alignment of its tensors.
#[derive(Clone, Copy, bytemuck::Zeroable, bytemuck::Pod)]
#[repr(C, align(64))]
pub(super) struct Line([u8; 64]);

/// The bytes of a file.
pub(super) enum Storage {
    Mapped(Mmap),
    Static(&'static [u8]),
    Owned { lines: Vec<Line>, len: usize },
}

impl Storage {
    pub(super) fn copy_of(bytes: &[u8]) -> Self {
        let mut lines = vec![Line([0; 64]); bytes.len().div_ceil(64)];
        bytemuck::cast_slice_mut(&mut lines)[..bytes.len()].copy_from_slice(bytes);
        Self::Owned { lines, len: bytes.len() }
    }

    /// Releases the memory of the first `len` bytes if they are a mapped file, from which they can be read again, and
    /// makes them a separate mapping, so that they are not read again together with the bytes after them.
    pub(super) fn forget(&self, len: usize) {
        #[cfg(unix)]
        if let Self::Mapped(map) = self {
            // SAFETY: the map is read-only and of a file, so dropped pages are read again unchanged. Failure leaves
            // them in memory.
            let _ = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, 0, len) };
            let _ = map.advise_range(Advice::Random, 0, len);
        }
        #[cfg(not(unix))]
        let _ = len;
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(m) => m,
            Self::Static(b) => b,
            Self::Owned { lines, len } => &bytemuck::cast_slice(lines)[..*len],
        }
    }
}
