//! Seals the builder's traits: no other crate can implement them, so that everything that a generic method emits is in
//! the table.

use crate::table::Mod;
use crate::types;

/// Types that the builder knows.
pub trait Sealed {}

/// The properties of a state space that the builder needs.
pub trait Space {
    /// The space.
    const SPACE: types::Space;
    /// The modifier of its loads and stores.
    const MOD: Mod;
    /// Whether its addresses are 64 bits wide; otherwise 32.
    const WIDE: bool;
    /// Whether loads take the read-only path (`.nc`).
    const READ_ONLY: bool;
}
