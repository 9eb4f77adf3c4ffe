//! Where a file's bytes are.

use memmap2::Mmap;

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

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(m) => m,
            Self::Static(b) => b,
            Self::Owned { lines, len } => &bytemuck::cast_slice(lines)[..*len],
        }
    }
}
