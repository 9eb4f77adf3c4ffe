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
