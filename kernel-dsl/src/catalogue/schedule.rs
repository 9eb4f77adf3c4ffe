//! Shapes and schedules: what a kernel is made for, and how it does it.

use ptxgen_builder::build::{AnyKernel, Kernel};
use ptxgen_builder::target::Target;

use crate::device::{CopyMode, DeviceActivation, DeviceFloat, DeviceFormat, LaneGroups, StagedTile};
use crate::format::SUPERBLOCK;
use crate::precision::{Acc, Act, Policy};

/// The shape of a matrix, specialized into its kernel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Shape {
    /// Rows: outputs.
    pub rows: u32,
    /// Columns: inputs, a multiple of 256.
    pub cols: u32,
}

/// How a matrix kernel does its work. No value of it changes a bit of the
/// result.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Schedule {
    /// Rows that a lane group works on one after the other with the same
    /// activations in registers.
    pub rows: u32,
    /// Lane groups that share a row (a power of two): the split of K. Clamped
    /// to what the row and the warp allow.
    pub split: u32,
    /// Warps of a block.
    pub warps: u32,
    /// Tiles of weights under way in each warp: loads in flight.
    pub slots: u32,
    /// Blocks of the grid, each taking several tiles in turn; as many as there
    /// are tiles where `None`.
    pub blocks: Option<u32>,
}

/// How a kernel is written. Nothing in it changes a bit of the result.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct How {
    /// The schedule.
    pub schedule: Schedule,
    /// The GPU to write for.
    pub target: Target,
    /// Whether the kernel is written for programmatic dependent launch, from
    /// sm_90 on: it requests what does not depend on the kernel before, then
    /// waits for that.
    pub pdl: bool,
}

impl How {
    /// Without programmatic dependent launch.
    pub fn new(schedule: Schedule, target: Target) -> How {
        How { schedule, target, pdl: false }
    }

    /// Whether to write its instructions.
    pub(super) fn waits(&self) -> bool {
        self.pdl && self.target.sm() >= 90
    }
}

impl Default for Schedule {
    /// Four rows at a time, the warp on one row, four warps, four tiles under
    /// way: of short rows, such as the down projections', fewer are not enough
    /// bytes to keep the memory busy.
    fn default() -> Self {
        Schedule { rows: 4, split: 8, warps: 4, slots: 4, blocks: None }
    }
}

/// Multiprocessors of the GPU that schedules are chosen for: an H100 or H200.
const MULTIPROCESSORS: u32 = 132;

impl Schedule {
    /// For a matrix of `rows` rows: the model's output projection has so many that a warp takes
    /// several tiles. f32 activations are staged once for as many rows as possible, and lanes have half
    /// of a long row: what is summed across lanes costs more than what is loaded.
    pub(super) fn gemv(rows: u32, act: Act) -> Schedule {
        let usual = Schedule::default();
        match act {
            Act::Q8K if rows < 1 << 14 => usual,
            Act::Q8K => Schedule { rows: 2, warps: 8, slots: 2, ..usual },
            Act::F32 if rows < 1 << 9 => usual,
            Act::F32 if rows < 1 << 14 => {
                let rows = if rows < 1 << 12 { 1 } else { 2 };
                Schedule { rows, split: 4, slots: 2, blocks: Some(MULTIPROCESSORS), ..usual }
            }
            Act::F32 => Schedule { slots: 1, ..usual },
        }
    }

    /// For attention's projections of a norm that the kernel computes itself. With f32 activations
    /// many lanes have rows of their own: what is summed across lanes costs more than what is loaded.
    pub(super) fn behind_norm(act: Act) -> Schedule {
        let usual = Schedule { warps: 8, ..Schedule::default() };
        match act {
            Act::Q8K => usual,
            Act::F32 => Schedule { rows: 1, split: 2, ..usual },
        }
    }

    /// For the experts' gate and up projections: two tiles under way in each warp, and no more blocks
    /// than there are multiprocessors, so that all have the same work; with f32 activations, which
    /// compute more, twice as many.
    pub(super) fn gate_up(rows: u32, act: Act) -> Schedule {
        let usual = Schedule { warps: 8, slots: 2, ..Schedule::default() };
        match act {
            _ if rows < 1 << 9 => Schedule::default(),
            Act::Q8K => Schedule { rows: 2, blocks: Some(MULTIPROCESSORS), ..usual },
            Act::F32 => Schedule { rows: 1, blocks: Some(2 * MULTIPROCESSORS), ..usual },
        }
    }

    /// For the attention of one token, rows standing for query heads, and blocks for those that share
    /// out the chunks, each one if there are fewer: of a short cache each head in a block of its own; of
    /// a long one all that share keys and values, which are then read once, in one round of blocks.
    pub(super) fn decode_attention(positions: u32) -> Schedule {
        let usual = Schedule { blocks: Some(1024), ..Schedule::default() };
        match positions {
            ..=1024 => Schedule { rows: 1, ..usual },
            1025..=2048 => usual,
            _ => Schedule { rows: 8, warps: 8, ..usual },
        }
    }

    /// For rows of several experts at once: where they are short, a lane group has whole ones.
    /// In f64, two rows are more than the registers hold on some GPUs.
    pub(super) fn experts_at_once(cols: u32, policy: Policy) -> Schedule {
        let usual = Schedule { warps: 8, ..Schedule::default() };
        let rows = if (policy.act, policy.acc) == (Act::F32, Acc::F64) { 1 } else { 2 };
        if cols <= 2048 { Schedule { rows, split: 1, ..usual } } else { usual }
    }

    /// The next smaller schedule in shared memory, `None` for the smallest. Rows
    /// are what a lane's activations are loaded for, so they go after warps.
    pub fn smaller(self) -> Option<Schedule> {
        match self {
            Schedule { slots: 3.., .. } => Some(Schedule { slots: self.slots / 2, ..self }),
            Schedule { warps: 3.., .. } => Some(Schedule { warps: self.warps / 2, ..self }),
            Schedule { rows: 2.., .. } => Some(Schedule { rows: self.rows / 2, ..self }),
            Schedule { slots: 2.., .. } => Some(Schedule { slots: 1, ..self }),
            Schedule { warps: 2.., .. } => Some(Schedule { warps: 1, ..self }),
            _ => None,
        }
    }
}

/// A request that the catalogue cannot serve.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// No kernel of that name.
    #[error("unknown kernel '{name}'{}; known kernels: {known}", suggestion.as_ref().map_or(String::new(), |s| format!(", did you mean '{s}'?")))]
    UnknownKernel {
        /// The name asked for.
        name: String,
        /// The nearest known name.
        suggestion: Option<String>,
        /// All names.
        known: String,
    },
    /// A size that the kernel does not have.
    #[error("{kernel} has no size '{found}'; it has {known}")]
    Dimension {
        /// The kernel.
        kernel: &'static str,
        /// What was asked for.
        found: &'static str,
        /// What there is.
        known: String,
    },
    /// A dimension that the kernel is not made for.
    #[error("{kernel}: {dimension} is {found}, expected {expected}")]
    Shape {
        /// The kernel.
        kernel: &'static str,
        /// Which dimension or schedule value.
        dimension: &'static str,
        /// What was asked.
        found: u64,
        /// What is possible.
        expected: &'static str,
    },
    /// A policy that the kernel has no variant for.
    #[error("{kernel} has no variant with {option}={found}; it has {expected}")]
    Policy {
        /// The kernel.
        kernel: &'static str,
        /// `act`, `acc` or `math`.
        option: &'static str,
        /// What was asked.
        found: String,
        /// What there is.
        expected: String,
    },
    /// A schedule and shape that need more shared memory than a block has.
    #[error(
        "{kernel}: this shape and schedule need {needed} bytes of shared memory, a block has {available}; use fewer warps, rows or slots"
    )]
    SharedMemory {
        /// The kernel.
        kernel: &'static str,
        /// Bytes needed.
        needed: u64,
        /// Bytes a block has.
        available: u64,
    },
}

/// A kernel with the launch it was made for.
#[derive(Clone, Debug)]
pub struct Launchable<A> {
    /// The kernel.
    pub kernel: Kernel<A>,
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: u32,
    /// Bytes of dynamic shared memory.
    pub dynamic_shared: u32,
}

/// The same with its parameter types forgotten.
#[derive(Clone, Debug)]
pub struct AnyLaunchable {
    /// The kernel.
    pub kernel: AnyKernel,
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: u32,
    /// Bytes of dynamic shared memory.
    pub dynamic_shared: u32,
}

impl<A> Launchable<A> {
    /// `kernel` in blocks of `block` threads, promised in its text, without
    /// dynamic shared memory.
    pub fn new(kernel: Kernel<A>, grid: [u32; 3], block: u32) -> Self {
        Launchable { kernel: kernel.with_block(block), grid, block, dynamic_shared: 0 }
    }
}

impl<A: ptxgen_builder::build::Args> Launchable<A> {
    /// Forgets the parameter types.
    pub fn erase(self) -> AnyLaunchable {
        let Launchable { kernel, grid, block, dynamic_shared } = self;
        AnyLaunchable { kernel: kernel.erase(), grid, block, dynamic_shared }
    }
}

/// Static shared memory of a block (CUDA C++ programming guide, "Compute
/// capabilities").
pub(super) const SHARED_LIMIT: u64 = 48 * 1024;

/// A schedule resolved for a matrix: lanes, tiles, memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub shape: Shape,
    pub groups: LaneGroups,
    pub schedule: Schedule,
    pub mode: CopyMode,
    pub row_bytes: u32,
    pub rows_per_tile: u32,
    pub tiles: u32,
    /// Such matrices (or pairs of them), one behind the other: the experts of a token.
    pub sets: u32,
    /// Matrices whose tiles go through the ring together.
    pub matrices: u32,
    /// A tile of one of them in shared memory.
    pub tile: StagedTile,
    /// Slots of a warp's ring.
    pub slots: u32,
    /// Bytes for a staged vector of activations; 0 where they are read where they lie.
    pub staging: u32,
    /// Whether each warp has a vector of its own.
    pub vector_a_warp: bool,
    /// Whether the kernel makes its vectors itself.
    pub makes: bool,
    /// Whether the launch may add shared memory, where a block needs more than a kernel may declare.
    pub may_add_shared: bool,
    /// Whether to wait for the kernel before: see [`How::pdl`].
    pub pdl: bool,
}

impl Plan {
    pub(super) fn new<F: DeviceFormat, X: DeviceActivation, A: DeviceFloat>(
        kernel: &'static str,
        shape: Shape,
        matrices: u32,
        how: How,
    ) -> Result<Plan, CatalogueError> {
        let How { schedule, target, .. } = how;
        let wrong = |dimension, found: u32, expected| {
            Err(CatalogueError::Shape { kernel, dimension, found: u64::from(found), expected })
        };
        if shape.rows == 0 || shape.rows > 1 << 24 {
            return wrong("rows", shape.rows, "1 to 16,777,216");
        }
        if shape.cols == 0 || !shape.cols.is_multiple_of(SUPERBLOCK as u32) || shape.cols > 1 << 15 {
            return wrong("cols", shape.cols, "a multiple of 256, from 256 to 32,768");
        }
        if !(1..=32).contains(&schedule.warps) {
            return wrong("warps", schedule.warps, "1 to 32");
        }
        if !(1..=16).contains(&schedule.rows) {
            return wrong("rows a lane group", schedule.rows, "1 to 16");
        }
        if !(1..=8).contains(&schedule.slots) {
            return wrong("slots", schedule.slots, "1 to 8");
        }
        if !schedule.split.is_power_of_two() {
            return wrong("split", schedule.split, "a power of two");
        }
        let blocks = shape.cols / SUPERBLOCK as u32;
        let per_row = schedule.split.min(32 / F::LANES).min(blocks.next_power_of_two());
        let groups = LaneGroups { per_block: F::LANES, per_row, blocks };
        let row_bytes = blocks * F::BLOCK_BYTES;
        let tile = |rows: u32| {
            let (bytes, matrix) = (rows * row_bytes, u64::from(shape.rows) * u64::from(row_bytes));
            StagedTile { bytes, aligned: matrix.is_multiple_of(16) && bytes.is_multiple_of(16) }
        };
        let rows_per_tile = groups.rows() * schedule.rows;
        // Activations are staged if the smallest ring fits beside them.
        let staging = X::staging::<F, A>(shape.cols);
        let fits = u64::from(staging + matrices * tile(groups.rows()).slot_bytes()) <= SHARED_LIMIT;
        let plan = Plan {
            shape,
            groups,
            schedule,
            mode: if target.sm() >= 80 { CopyMode::Async } else { CopyMode::Registers },
            row_bytes,
            rows_per_tile,
            tiles: shape.rows.div_ceil(rows_per_tile),
            sets: 1,
            matrices,
            tile: tile(rows_per_tile),
            slots: 1,
            staging: if fits { staging } else { 0 },
            vector_a_warp: false,
            makes: false,
            may_add_shared: false,
            pdl: how.waits(),
        };
        Ok(plan.of_sets(1))
    }

    /// The same for so many matrices of this shape.
    pub(super) fn of_sets(self, sets: u32) -> Plan {
        let plan = Plan { sets, ..self };
        // No more slots than a warp has tiles.
        let slots = plan.schedule.slots.min(plan.all_tiles().div_ceil(plan.grid() * plan.schedule.warps)).max(1);
        Plan { slots, ..plan }
    }

    /// Tiles of all sets.
    pub(super) fn all_tiles(&self) -> u32 {
        self.tiles * self.sets
    }

    /// The same with vectors that the kernel brings into their format itself.
    pub(super) fn making<F: DeviceFormat, X: DeviceActivation, A: DeviceFloat>(self) -> Plan {
        Plan { staging: X::made_bytes::<F, A>(self.shape.cols), makes: true, may_add_shared: true, ..self }
    }

    /// The same for warps that keep one tile, in as many blocks as it takes.
    pub(super) fn resident(self) -> Plan {
        Plan { schedule: Schedule { blocks: None, ..self.schedule }, slots: 1, ..self }
    }

    /// Blocks of the grid, in x.
    pub(super) fn grid(&self) -> u32 {
        let needed = self.all_tiles().div_ceil(self.schedule.warps);
        self.schedule.blocks.map_or(needed, |b| b.clamp(1, needed))
    }

    /// Whether no warp has more than one tile.
    pub(super) fn one_tile_each(&self) -> bool {
        self.all_tiles() <= self.grid() * self.schedule.warps
    }

    pub(super) fn threads(&self) -> u32 {
        self.schedule.warps * 32
    }

    pub(super) fn slot_bytes(&self) -> u32 {
        self.matrices * self.tile.slot_bytes()
    }

    /// Bytes for all staged vectors.
    pub(super) fn staged_bytes(&self) -> u32 {
        self.staging * if self.vector_a_warp { self.schedule.warps } else { 1 }
    }

    /// Superblocks of a vector.
    pub(super) fn superblocks(&self) -> u32 {
        self.groups.blocks
    }

    /// Scales of all vectors that are made.
    pub(super) fn made_scales(&self) -> u32 {
        match (self.makes, self.vector_a_warp) {
            (false, _) => 0,
            (true, false) => self.superblocks(),
            (true, true) => self.superblocks() * self.schedule.warps,
        }
    }

    /// Bytes of a warp's ring.
    pub(super) fn ring_bytes(&self) -> u32 {
        self.slots * self.slot_bytes()
    }
}

/// Checks that a finished kernel's shared arrays fit a block.
pub(super) fn fits<A>(kernel: &'static str, launchable: Launchable<A>) -> Result<Launchable<A>, CatalogueError> {
    let needed = launchable.kernel.shared_bytes();
    if needed > SHARED_LIMIT {
        return Err(CatalogueError::SharedMemory { kernel, needed, available: SHARED_LIMIT });
    }
    Ok(launchable)
}

/// The same with dynamic shared memory, of which a GPU has more.
pub(super) fn fits_with<A>(
    kernel: &'static str,
    launchable: Launchable<A>,
    dynamic: u32,
    target: Target,
) -> Result<Launchable<A>, CatalogueError> {
    let launchable = fits(kernel, launchable)?;
    let needed = launchable.kernel.shared_bytes() + u64::from(dynamic);
    let available = u64::from(target.max_shared_bytes());
    if dynamic > 0 && needed > available {
        return Err(CatalogueError::SharedMemory { kernel, needed, available });
    }
    Ok(Launchable { dynamic_shared: dynamic, ..launchable })
}
