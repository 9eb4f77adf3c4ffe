//! A schedule resolved for a matrix.

use super::error::CatalogueError;
use super::limits::{SHARED_LIMIT, refuse_if};
use super::schedule::{How, Schedule, Shape};
use crate::device::{CopyMode, DeviceActivation, DeviceFloat, DeviceFormat, LaneGroups, Points, StagedTile};
use crate::format::SUPERBLOCK;

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
    /// Such matrices (or pairs of them), one after the other: the experts of a token.
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
    /// The format's code book, which each block stages.
    pub grid: Option<Points>,
}

impl Plan {
    pub(super) fn new<F: DeviceFormat, X: DeviceActivation, A: DeviceFloat>(
        kernel: &'static str,
        shape: Shape,
        matrices: u32,
        how: How,
    ) -> Result<Plan, CatalogueError> {
        let How { schedule, target, .. } = how;
        refuse_if(shape.rows == 0 || shape.rows > 1 << 24, kernel, "rows", shape.rows, "1 to 16,777,216")?;
        refuse_if(
            shape.cols == 0 || !shape.cols.is_multiple_of(SUPERBLOCK as u32) || shape.cols > 1 << 15,
            kernel,
            "cols",
            shape.cols,
            "a multiple of 256, from 256 to 32,768",
        )?;
        refuse_if(!(1..=32).contains(&schedule.warps), kernel, "warps", schedule.warps, "1 to 32")?;
        refuse_if(!(1..=16).contains(&schedule.rows), kernel, "rows a lane group", schedule.rows, "1 to 16")?;
        refuse_if(!(1..=8).contains(&schedule.slots), kernel, "slots", schedule.slots, "1 to 8")?;
        refuse_if(!schedule.split.is_power_of_two(), kernel, "split", schedule.split, "a power of two")?;
        let blocks = shape.cols / SUPERBLOCK as u32;
        let per_row = schedule.split.min(32 / F::LANES).min(blocks.next_power_of_two());
        let groups = LaneGroups { per_block: F::LANES, per_row, blocks };
        let row_bytes = blocks * F::block_bytes();
        let tile = |rows: u32| {
            let (bytes, matrix) = (rows * row_bytes, u64::from(shape.rows) * u64::from(row_bytes));
            StagedTile { bytes, aligned: matrix.is_multiple_of(16) && bytes.is_multiple_of(16) }
        };
        let rows_per_tile = groups.rows() * schedule.rows;
        // Activations are staged if the smallest ring fits next to them.
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
            grid: F::grid(),
        };
        Ok(plan.of_sets(1))
    }

    /// The same for this many matrices of this shape.
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
