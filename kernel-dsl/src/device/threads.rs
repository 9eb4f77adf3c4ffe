//! Threads that work together.

use ptxgen_builder::build::{Body, Val};

/// Threads that work together: those of a block, or of a warp.
#[derive(Clone, Copy)]
pub struct Threads {
    /// This one, from 0.
    pub this: Val<u32>,
    /// How many there are.
    pub count: u32,
}

impl Threads {
    /// Waits for all of them, and for what they wrote to shared memory.
    #[track_caller]
    pub fn sync(&self, k: &Body) {
        if self.count == 32 { k.sync_warp(0xffff_ffff) } else { k.barrier() }
    }
}
