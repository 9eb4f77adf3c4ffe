//! Race detection by happens-before.
//!
//! Every access to shared or global memory leaves a mark: which thread, which
//! instruction, at which time of its warp's clock. A later access to the same
//! bytes is a race unless one of these holds: it is the same thread, neither
//! writes, both are strong (atomic, volatile, relaxed or stronger, in scopes
//! that include both threads) and of one size, or the first is ordered before the second.
//!
//! What orders (the model; PTX ISA 8):
//! - barriers (`bar`, `barrier`, named ones too) order what a warp did before
//!   it arrived before what warps do after they waited;
//! - `bar.warp.sync` orders the lanes of its mask. Shuffles, votes, matches and
//!   matrix instructions let lanes wait for each other and order no memory (PTX
//!   ISA 9.7.9.6, 9.7.13.2);
//! - release and acquire operations, and the patterns *fence, then a strong
//!   write or atomic* and *a strong read or atomic, then fence*, at the same
//!   address; so flags, "last block" counters and grid barriers work;
//! - `mbarrier` arrivals before what follows a successful wait.
//!
//! What asynchronous instructions do to shared memory is marked as the work of an engine, with a clock of its own: a
//! thread is ordered after it by a wait for the mbarrier's phase, or for the bulk group, and by nothing else. So a missing
//! wait shows whether or not the data has come.
//!
//! Bulk copies access memory through another proxy: what is ordered before them
//! by the above reaches them only if a `fence.proxy.async` lies on the way. That
//! is looked for where they read or write memory that threads of the cluster have written.
//!
//! The blocks of a cluster are looked at together, as their warps with one set of marks.
//!
//! Between warps the clock is the warp's: what one lane releases or acquires
//! counts for the other lanes of its warp. That can hide a race, and never
//! invents one.

mod cells;
mod clock;
mod cross;
mod footprint;
#[cfg(test)]
mod model;
mod pages;
mod strong;

pub(super) use cells::Mark;
pub(super) use clock::{Engine, Known, Order, Snapshot, merge_known};
pub(super) use cross::{CrossConflict, Trace, conflicts};
pub(super) use footprint::{Footprint, Meeting, meetings};
pub(super) use pages::{Cells, Conflict, PageHasher};
pub(super) use strong::Strong;

/// How strong an access is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Strength {
    Weak,
    /// Atomic, volatile, relaxed or stronger.
    Strong(Strong),
}

impl Strength {
    /// If it is strong, how.
    pub fn strong(self) -> Option<Strong> {
        match self {
            Strength::Weak => None,
            Strength::Strong(strong) => Some(strong),
        }
    }
}

/// A kind of access.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub write: bool,
    pub strength: Strength,
    /// Through the read-only path.
    pub read_only: bool,
}

/// Who accesses: an execution of an instruction by a warp.
#[derive(Clone, Copy, Debug)]
pub(super) struct By {
    pub pc: u32,
    pub warp: u32,
    /// Tells apart executions of the same instruction.
    pub serial: u16,
}
