//! The meaning of a form, for the interpreter and the analyses.

use super::{LaneFn, Matrix};
use crate::types::{ScalarType, Space};

/// The meaning of a form.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Meaning {
    /// Each lane's results follow from its own sources, exactly.
    Lane(LaneFn),
    /// As `Lane`, within a tolerance: hardware may differ from this result by at most that.
    Approx(LaneFn, Tolerance),
    /// Reads memory into the result.
    Load(Memory),
    /// Writes the source to memory.
    Store(Memory),
    /// Reads, changes and writes memory in one step.
    Atomic(Memory, Atomic),
    /// A hint about memory, without effect on values.
    Prefetch(Space),
    /// Leaves 128 bytes of memory with any contents.
    Discard(Space),
    /// Reads another lane's register.
    Shuffle(Shuffle),
    /// Combines a predicate or value over the lanes of a mask.
    Vote(Vote),
    /// The mask of active lanes.
    ActiveMask,
    /// Waits for other threads of the block or warp, or arrives.
    Barrier(Barrier),
    /// Orders memory accesses.
    Fence(Fence),
    /// Asynchronous copies and their completion.
    Async(Async),
    /// Warp-wide matrix operations.
    Matrix(Matrix),
    /// Calls another module's function.
    Call,
    /// Operations that the interpreter cannot simulate: memory of several devices.
    Foreign,
    /// Text that the table does not know: anything.
    Opaque {
        /// Whether it may access memory.
        memory: bool,
        /// Whether all lanes of a warp must come to it together.
        aligned: bool,
    },
    /// Jumps.
    Branch,
    /// Ends the thread.
    Exit,
    /// Ends the grid with an error.
    Trap,
    /// Timing only: `nanosleep`, `griddepcontrol`.
    Pause,
}

/// Bits of an mbarrier's state that hold the arrivals missing; how the state is made up is up to the machine.
pub(crate) const PENDING_BITS: u32 = 20;

/// Most results of a text that the table does not know.
pub const MOST_OPAQUE_RESULTS: usize = 5;

/// Most operands of it.
pub const MOST_OPAQUE_OPERANDS: usize = 16;

/// Most values that a call gives to another module's function.
pub const CALL_ARGUMENTS: usize = 8;

/// The dependencies of an instruction's results.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Depends {
    /// Only the lane's own sources: it may be removed if unused, and repeating it gives the same result.
    Sources,
    /// Those, and memory that nothing changes during the launch.
    Constants,
    /// Memory, other threads, time; or it has a side effect. It stays unchanged and in place.
    Others,
}

/// The maximum difference between an approximate instruction and the result of the interpreter (PTX ISA, "Floating
/// Point Instructions").
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tolerance {
    /// Largest error in units in the last place of the result.
    pub ulp: f32,
    /// Or this absolute error, if it is larger.
    pub absolute: f32,
    /// The documented bound as text.
    pub doc: &'static str,
}

/// Memory ordering of an access (PTX ISA 8, "Memory Consistency Model").
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Order {
    /// No ordering.
    Weak,
    /// As relaxed with system scope, and not merged.
    Volatile,
    /// Atomic, no ordering.
    Relaxed,
    /// Acquire.
    Acquire,
    /// Release.
    Release,
    /// Both.
    AcqRel,
}

/// The scope of an ordering.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Scope {
    /// The block.
    Cta,
    /// The cluster (sm_90).
    Cluster,
    /// The GPU.
    Gpu,
    /// All devices and the host.
    Sys,
}

/// A memory access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// Where.
    pub space: Space,
    /// Element type.
    pub ty: ScalarType,
    /// Elements.
    pub len: u8,
    /// Ordering.
    pub order: Order,
    /// Its scope; the block's if the instruction has none.
    pub scope: Scope,
    /// Whether the data must not change during the kernel (`.nc`).
    pub read_only: bool,
}

impl Memory {
    /// Bytes accessed by a lane.
    pub fn bytes(&self) -> u32 {
        self.ty.bytes() * u32::from(self.len)
    }
}

/// A read-modify-write: the new value from the old one and up to two sources
/// (bits, zero-extended). `returns` is false for `red`.
#[derive(Clone, Copy, Debug)]
pub struct Atomic {
    /// New value from (old, b, c).
    pub update: fn(u64, u64, u64) -> u64,
    /// Whether the old value is a result.
    pub returns: bool,
}

/// Which lane `shfl.sync` reads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Shuffle {
    /// The lane below by `b`.
    Up,
    /// The lane above by `b`.
    Down,
    /// The lane at xor `b`.
    Bfly,
    /// Lane `b`.
    Idx,
}

impl Shuffle {
    /// The lane that a lane reads, and whether it was in range (PTX ISA 9.7.9.6).
    pub(crate) fn source(self, lane: u32, b: u32, c: u32) -> (u32, bool) {
        let b = b & 31;
        let (clamp, segment) = (c & 31, c >> 8 & 31);
        let last = lane & segment | clamp & !segment & 31;
        let first = lane & segment;
        let (j, valid) = match self {
            Shuffle::Up => (lane.wrapping_sub(b), i64::from(lane) - i64::from(b) >= i64::from(last)),
            Shuffle::Down => (lane + b, lane + b <= last),
            Shuffle::Bfly => (lane ^ b, lane ^ b <= last),
            Shuffle::Idx => (first | b & !segment & 31, first | b & !segment & 31 <= last),
        };
        if valid { (j & 31, true) } else { (lane, false) }
    }
}

/// A combination over a mask's lanes.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Vote {
    /// Whether all predicates hold.
    All,
    /// Whether any holds.
    Any,
    /// Whether all are equal.
    Uni,
    /// The mask of lanes where it holds.
    Ballot,
    /// The mask of lanes with this lane's value.
    MatchAny,
    /// The mask if all values are equal, otherwise 0, with a predicate for equality.
    MatchAll,
    /// An associative integer reduction.
    Redux(fn(u64, u64) -> u64),
    /// One lane of the mask, chosen by the hardware, with a predicate that is true there.
    Elect,
}

/// A barrier.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Barrier {
    /// Waits for all threads of the block (or the given number). `aligned` forms require that all threads of a warp
    /// execute it together.
    Sync {
        /// Whether the whole warp must arrive together.
        aligned: bool,
    },
    /// Arrives without waiting.
    Arrive {
        /// Whether the whole warp must arrive together.
        aligned: bool,
    },
    /// Waits, and combines a predicate over the block.
    Reduce {
        /// The combination.
        op: BarrierReduce,
        /// Whether the whole warp must arrive together.
        aligned: bool,
    },
    /// Waits for the lanes of a mask.
    Warp,
    /// Arrives at the cluster's barrier (sm_90).
    ClusterArrive,
    /// Waits for the cluster (sm_90).
    ClusterWait,
}

/// The result of `barrier.red`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum BarrierReduce {
    /// Threads where the predicate holds.
    Popc,
    /// Whether it holds in all.
    And,
    /// Whether it holds in any.
    Or,
}

/// A fence.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Fence {
    /// Acquire-release or sequentially consistent ordering at a scope.
    Thread(Scope),
    /// Orders generic against asynchronous accesses (`fence.proxy.async`).
    Proxy,
    /// Makes `mbarrier.init` visible to the cluster.
    MbarrierInit,
}

/// Asynchronous copies and `mbarrier` (PTX ISA 9.7.9.25 and 9.7.13.15).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Async {
    /// `cp.async` global to shared, of a constant number of bytes; if a fourth operand limits the bytes read, zeros
    /// follow them.
    Copy,
    /// Commits the current group.
    Commit,
    /// Waits until at most N groups are pending.
    WaitGroup,
    /// Waits for all.
    WaitAll,
    /// `cp.async.mbarrier.arrive`.
    CopyArrive {
        /// Whether the pending count is unchanged.
        noinc: bool,
    },
    /// `cp.async.bulk` global to shared, completing on an mbarrier.
    BulkLoad,
    /// `cp.async.bulk` shared to global, completing with its bulk group.
    BulkStore,
    /// `cp.async.bulk.prefetch.L2`.
    BulkPrefetch,
    /// `cp.async.bulk.commit_group`.
    BulkCommit,
    /// `cp.async.bulk.wait_group`; `read`: only the sources need be read.
    BulkWait {
        /// Whether it waits for the reads only.
        read: bool,
    },
    /// `mbarrier.init`.
    MbarrierInit,
    /// `mbarrier.inval`.
    MbarrierInval,
    /// `mbarrier.arrive`. Its source after the address, if there is one, is the number of arrivals, or with `expect_tx`
    /// the bytes to expect.
    MbarrierArrive {
        /// Whether it also expects bytes.
        expect_tx: bool,
        /// Whether later phases expect that many arrivals less.
        drops: bool,
    },
    /// `mbarrier.complete_tx`.
    MbarrierCompleteTx,
    /// `mbarrier.expect_tx`.
    MbarrierExpectTx,
    /// `mbarrier.test_wait` or `try_wait`, by state or by parity.
    MbarrierWait {
        /// Whether the phase is given as a parity.
        parity: bool,
        /// Whether it may suspend the thread.
        may_suspend: bool,
    },
}

impl Meaning {
    /// The dependencies of the results.
    pub fn depends(&self) -> Depends {
        match self {
            Meaning::Lane(_) | Meaning::Approx(..) => Depends::Sources,
            Meaning::Load(m) if matches!(m.space, Space::Param | Space::Const) && m.order == Order::Weak => {
                Depends::Constants
            }
            Meaning::Load(_)
            | Meaning::Store(_)
            | Meaning::Atomic(..)
            | Meaning::Prefetch(_)
            | Meaning::Discard(_)
            | Meaning::Shuffle(_)
            | Meaning::Vote(_)
            | Meaning::ActiveMask
            | Meaning::Barrier(_)
            | Meaning::Fence(_)
            | Meaning::Async(_)
            | Meaning::Matrix(_)
            | Meaning::Call
            | Meaning::Foreign
            | Meaning::Opaque { .. }
            | Meaning::Branch
            | Meaning::Exit
            | Meaning::Trap
            | Meaning::Pause => Depends::Others,
        }
    }

    /// Whether results depend only on the sources, so that an unused or repeated instruction may be removed.
    pub fn is_pure(&self) -> bool {
        self.depends() == Depends::Sources
    }

    /// Whether control may leave the straight line here.
    pub fn ends_block(&self) -> bool {
        match self {
            Meaning::Branch | Meaning::Exit | Meaning::Trap => true,
            Meaning::Lane(_)
            | Meaning::Approx(..)
            | Meaning::Load(_)
            | Meaning::Store(_)
            | Meaning::Atomic(..)
            | Meaning::Prefetch(_)
            | Meaning::Discard(_)
            | Meaning::Shuffle(_)
            | Meaning::Vote(_)
            | Meaning::ActiveMask
            | Meaning::Barrier(_)
            | Meaning::Fence(_)
            | Meaning::Async(_)
            | Meaning::Matrix(_)
            | Meaning::Call
            | Meaning::Foreign
            | Meaning::Opaque { .. }
            | Meaning::Pause => false,
        }
    }
}
