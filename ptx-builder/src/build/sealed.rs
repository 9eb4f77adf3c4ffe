//! What keeps the builder's traits its own: no other crate can implement them, so that whatever a
//! generic method emits is in the table.

use crate::table::Mod;
use crate::types;

/// Types that the builder knows.
pub trait Sealed {}

/// What code has to know of a state space.
pub trait Space {
    /// The space.
    const SPACE: types::Space;
    /// The modifier of its loads and stores.
    const MOD: Mod;
    /// Whether its addresses are 64 bits wide; else 32.
    const WIDE: bool;
    /// Whether loads take the read-only path (`.nc`).
    const READ_ONLY: bool;
}
