//! Generic addresses: the windows of state spaces in the interpreter (PTX ISA 5.1, 6.4.1). `cvta` adds and removes the
//! bases; hardware has other bases, and no program may depend on them.

use crate::types::Space;

/// Bytes in each window.
pub const WINDOW: u64 = 1 << 32;

/// The generic address of the first byte of a space; 0 for global (and
/// generic) addresses, which are the same in both.
pub const fn base(space: Space) -> u64 {
    match space {
        Space::Shared => 0x7f00_0000_0000,
        Space::Local => 0x7e00_0000_0000,
        Space::Const => 0x7d00_0000_0000,
        Space::Param => 0x7c00_0000_0000,
        Space::Global | Space::Generic => 0,
    }
}

/// Where a block's rank in its cluster begins in the address of a byte of its shared memory. A block's own addresses have
/// it too, so that each address means the same byte for the whole cluster.
const RANK: u32 = 24;

/// The shared address of the first byte of a cluster's block.
pub const fn shared_base(rank: u32) -> u64 {
    (rank as u64) << RANK
}

/// The shared address that an address is, which may be generic.
pub const fn as_shared(address: u64) -> u64 {
    match space_of(address) {
        Space::Shared => address - base(Space::Shared),
        _ => address,
    }
}

/// The rank of the block that a shared address, generic or not, belongs to.
pub const fn shared_rank(address: u64) -> u32 {
    (address as u32) >> RANK
}

/// The place of a shared address in its block's memory.
pub const fn shared_offset(address: u64) -> u64 {
    address & ((1 << RANK) - 1)
}

/// The address that is this one in another block of the cluster.
pub const fn shared_in(address: u64, rank: u32) -> u64 {
    address & !(0xff << RANK) | shared_base(rank & 0xff)
}

/// The space of a generic address.
pub const fn space_of(address: u64) -> Space {
    match address >> 32 {
        0x7f00 => Space::Shared,
        0x7e00 => Space::Local,
        0x7d00 => Space::Const,
        0x7c00 => Space::Param,
        _ => Space::Global,
    }
}
