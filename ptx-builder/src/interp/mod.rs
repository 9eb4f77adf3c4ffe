//! The interpreter: a second device.
//!
//! It runs whole grids of a verified kernel with the same results as hardware,
//! and reports what hardware does not: data races, reads of uninitialized
//! memory, accesses out of bounds, barriers that part of a block does not
//! reach, each at the line in the source. It also counts instructions,
//! shared-memory bank conflicts and sectors of global memory.
//!
//! Warps run in lockstep with an active mask. When lanes diverge, those at
//! the lowest position in the kernel's text run first, so that structured code
//! converges again; `.sync` instructions wait for the lanes that they name. Lanes
//! that repeat a loop without changing anything let the others run first, so
//! that a lock per lane makes progress, as on hardware.
//!
//! Exact instructions give the hardware's bits. Approximate ones
//! ([`Meaning::Approx`](crate::table::Meaning::Approx)) give the interpreter's
//! own result, from which hardware may differ by the documented tolerance;
//! [`Options::perturb`] shows whether a result depends on that. Float
//! matrix products are sums in f64 of exact products, rounded once; hardware
//! may differ in the last bits.
//!
//! [`Launch::measure`] also computes what each float would be without rounding
//! (shadow precision), and finds the instructions that cause the error.
//!
//! ```
//! use ptxgen_builder::build::{Out, kernel};
//! use ptxgen_builder::interp::{Arg, Launch, Memory, Options};
//! use ptxgen_builder::target::Target;
//!
//! let ids = kernel::<(Out<u32>,)>("ids", ["y"], |k, (y,)| {
//!     let i = k.global_thread_id();
//!     y.at(i).store(k, i);
//! });
//! let module = ids.verify(Target::SM_90).unwrap();
//! let mut memory = Memory::new();
//! let y = memory.alloc_uninit(4 * 128 * 4, 16)?;
//! let launch = Launch {
//!     module: &module, kernel: "ids", grid: [4, 1, 1], block: [128, 1, 1], dynamic_shared: 0,
//!     args: &[Arg::from(y)], globals: None, options: &Options::default(),
//! };
//! assert!(launch.run(&mut memory)?.is_clean());
//! assert_eq!(memory.read(y)?[4..8], [1, 0, 0, 0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block;
mod bytes;
mod context;
mod copies;
mod counters;
mod exec;
mod findings;
mod gate;
mod grid;
mod homes;
mod index;
mod launch;
mod layout;
mod mask;
mod mbarriers;
mod memory;
mod overlap;
mod place;
mod program;
mod report;
mod schedule;
mod shadow;
mod shared;
mod site;
mod spin;
mod state;
mod sync;
mod text;
mod waiting;
mod warp;
mod wide;

pub use counters::{Counters, Counts, SiteCounts};
pub use launch::{Arg, Globals, Launch, LaunchError, check_shapes};
pub use memory::{Buffer, Memory, MemoryError};
pub use overlap::{Overlapping, run_overlapping};
pub use report::{Finding, FindingKind, Other, Report};
pub use site::Site;
pub use wide::measured::{Decision, ElementError, IntegerRounding, Measured, ShadowEnd};
pub use wide::summary::{BufferErrors, ErrorLine, Worst};

use crate::ir::Kernel;
use crate::target::Gpu;

/// In which order the warps of a block run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum WarpOrder {
    /// In turn, in slices of some hundred instructions.
    RoundRobin,
    /// At random, in short slices; the seed fixes everything.
    Seeded(u64),
    /// Unkind: the last warp runs as far as it can before the others start,
    /// atomics go from the highest lane down, and asynchronous copies land
    /// only when they are waited for.
    Adversarial,
}

/// How the blocks of a grid share the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Blocks {
    /// In parallel on rayon's threads, each to its end, or until it only waits
    /// for memory that another block is to change; those that wait then go on
    /// in turn.
    Parallel,
    /// All in turn on one thread. The result is the same in every run, also of
    /// kernels whose blocks wait for each other.
    Interleaved,
}

/// What to look for. Faults (out of bounds, deadlock, ...) are always found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checks {
    /// Data races on shared and global memory.
    pub races: bool,
    /// Reads of uninitialized memory.
    pub uninit: bool,
}

/// How to run a launch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// The order of warps.
    pub order: WarpOrder,
    /// The schedule of blocks.
    pub schedule: Blocks,
    /// What to look for.
    pub check: Checks,
    /// Whether to look for memory accessed at indices whose 32-bit arithmetic wrapped.
    pub wraps: bool,
    /// Blocks of a cluster in x, y and z, as a launch may name them (the attribute `cudaLaunchAttributeClusterDimension`)
    /// where the kernel does not (`.reqnctapercluster`).
    pub cluster: Option<[u32; 3]>,
    /// The GPU whose blocks are to be resident together where they wait for each other; without one, the largest of
    /// the module's architecture.
    pub gpu: Option<Gpu>,
    /// Warp instructions that a block may execute before it counts as endless.
    pub max_steps: u64,
    /// Whether to fill in the report's counters.
    pub count: bool,
    /// Moves the results of approximate instructions to the edge of their
    /// tolerance, up or down as a hash of this seed and the sources says.
    pub perturb: Option<u64>,
}

impl Options {
    /// Blocks of a cluster in x, y and z, where the launch or the kernel names them.
    fn named_cluster(&self, kernel: &Kernel) -> Option<[u32; 3]> {
        self.cluster.or(kernel.bounds.cluster)
    }
}

impl Default for Options {
    /// Round robin, blocks in parallel, races and uninitialized reads are looked for, counters off, and up to
    /// 100 million warp instructions a block.
    fn default() -> Self {
        Options {
            order: WarpOrder::RoundRobin,
            schedule: Blocks::Parallel,
            check: Checks { races: true, uninit: true },
            wraps: false,
            cluster: None,
            gpu: None,
            max_steps: 100_000_000,
            count: false,
            perturb: None,
        }
    }
}
