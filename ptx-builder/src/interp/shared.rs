//! The shared memory of a cluster's blocks.

use super::bytes::Bytes;
use crate::table::window::{shared_offset, shared_rank};

/// A piece of memory for each block; an address has the block's rank in it.
pub(super) struct Shared(Vec<Bytes>);

impl Shared {
    /// Unwritten memory of `len` bytes a block.
    pub fn uninit(blocks: u32, len: u64) -> Self {
        Shared((0..blocks).map(|_| Bytes::uninit(len as usize)).collect())
    }

    /// Whether these bytes lie in a block's memory.
    pub fn holds(&self, at: u64, bytes: u64) -> bool {
        let block = (at >> 32 == 0).then(|| self.0.get(shared_rank(at) as usize)).flatten();
        block.is_some_and(|block| shared_offset(at).saturating_add(bytes) <= block.len())
    }

    /// The value of up to 16 bytes; in bounds.
    #[inline]
    pub fn load(&self, at: u64, bytes: u32) -> u128 {
        self.0[shared_rank(at) as usize].load(shared_offset(at), bytes)
    }

    /// Stores the low `bytes` of a value; in bounds.
    #[inline]
    pub fn store(&mut self, at: u64, bytes: u32, value: u128) {
        self.0[shared_rank(at) as usize].store(shared_offset(at), bytes, value);
    }

    /// Whether every byte has been written.
    #[inline]
    pub fn is_init(&self, at: u64, bytes: u32) -> bool {
        self.0[shared_rank(at) as usize].is_init(shared_offset(at), bytes)
    }
}

#[test]
fn each_block_has_its_own() {
    use crate::table::window::shared_in;
    let mut shared = Shared::uninit(3, 64);
    for rank in 0..3 {
        shared.store(shared_in(16, rank), 4, u128::from(rank) + 7);
    }
    for rank in 0..3 {
        assert_eq!(shared.load(shared_in(16, rank), 4), u128::from(rank) + 7);
        assert!(shared.is_init(shared_in(16, rank), 4) && !shared.is_init(shared_in(20, rank), 1));
        assert!(shared.holds(shared_in(0, rank), 64) && !shared.holds(shared_in(1, rank), 64));
    }
    assert!(!shared.holds(shared_in(0, 3), 1) && !shared.holds(u64::from(u32::MAX), 1) && !shared.holds(1 << 32, 1));
}
