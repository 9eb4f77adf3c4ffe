//! How a block of threads shares out a tile: rows of weights times vectors of activations.

use super::super::error::CatalogueError;
use super::super::limits::refuse_if;
use super::super::schedule::{How, Shape};
use super::super::stage::Resources;
use crate::device::FragmentFormat;
use crate::format::{Q8KPlanar, SUPERBLOCK};
use crate::precision::{Acc, Accumulation};

/// Vectors of a tile at most.
const TOKENS: u32 = 32;
/// Vectors of one product of matrices.
pub(super) const COLUMNS: u32 = 8;
/// Rows of one product of matrices, which are a warp's.
const ROWS: u32 = 16;
/// Bytes of a copy.
pub(super) const CHUNK: u32 = 16;
/// Bytes between two vectors' quants of a superblock in shared memory: one copy more than they have, so that those of
/// eight vectors lie in different banks.
pub(super) const QUANTS: u32 = SUPERBLOCK as u32 + CHUNK;
/// Bytes of a vector's sums of a superblock.
pub(super) const SUMS: u32 = SUPERBLOCK as u32 / 16 * 2;

/// Warps of a block that has few vectors.
const FEW_WARPS: u32 = 4;

/// Warps of a multiprocessor that registers are to suffice for.
const WARPS: u32 = 16;

/// Blocks of threads that are enough: about as many as a large GPU has multiprocessors.
const BLOCKS: u32 = 128;

/// Blocks of eight warps up to which teams, which read every vector more often, are quicker than blocks of fewer warps.
const TEAMS: u32 = BLOCKS / 2;

/// Vectors of a tile where there are about so many.
fn tile_tokens(most: u32) -> u32 {
    most.next_power_of_two().clamp(COLUMNS, TOKENS)
}

/// Shared memory that leaves room for a second block on a multiprocessor, in bytes.
const HALF: u32 = 113 << 10;

/// A matrix, or two of the same shape side by side, times tiles of vectors.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct TilePlan {
    pub shape: Shape,
    /// Vectors of a tile: 8, 16 or 32.
    pub tokens: u32,
    /// Matrices whose rows a tile has: 1, or 2.
    pub matrices: u32,
    /// Warps of a team, each with 16 rows.
    pub warps: u32,
    /// Teams of a block of threads: all have the tile's rows, each a run of their superblocks. One, or teams of one warp.
    pub teams: u32,
    /// Superblocks of a team under way or at work.
    pub stages: u32,
    /// Superblocks of a row, which follow each other in memory, that are asked for together: one or two.
    pub group: u32,
    pub block_bytes: u32,
    pub row_bytes: u32,
    /// Whether a row's blocks may begin between two multiples of 16 bytes.
    pub skewed: bool,
    /// Whether tiles have fewer vectors so often that it is worth a program for each size.
    pub counted: bool,
    /// Whether the kernel waits for those before it.
    pub pdl: bool,
}

impl TilePlan {
    /// The plan for a format, or for the larger of two, where a matrix has about so many vectors.
    pub(in super::super) fn new<F: FragmentFormat>(
        kernel: &'static str,
        shape: Shape,
        (matrices, tokens): (u32, u32),
        how: How,
    ) -> Result<TilePlan, CatalogueError> {
        let superblock = SUPERBLOCK as u32;
        refuse_if(shape.rows == 0 || shape.rows > 1 << 24, kernel, "rows", shape.rows, "1 to 16,777,216")?;
        refuse_if(
            shape.cols == 0 || !shape.cols.is_multiple_of(superblock) || shape.cols > 1 << 15,
            kernel,
            "cols",
            shape.cols,
            "a multiple of 256, from 256 to 32,768",
        )?;
        let row_bytes = shape.cols / superblock * F::block_bytes();
        let needed = (shape.rows * matrices).div_ceil(ROWS).next_power_of_two();
        let mut plan = TilePlan {
            shape,
            tokens: tile_tokens(tokens),
            matrices,
            warps: needed.clamp(1, 8),
            teams: 1,
            stages: 3,
            group: 1,
            block_bytes: F::block_bytes(),
            row_bytes,
            skewed: !F::block_bytes().is_multiple_of(CHUNK),
            counted: false,
            pdl: how.waits(),
        };
        // Two at a time are half as many waits, and are read from memory in longer runs.
        let pairs = TilePlan { stages: 4, group: 2, ..plan };
        let whole = plan.blocks() > 2 && plan.blocks().is_multiple_of(2);
        if whole && pairs.shared_bytes() <= HALF.min(how.target.max_shared_bytes()) {
            plan = pairs;
        }
        if plan.shared_bytes() > HALF {
            plan.stages = 2;
        }
        while plan.shared_bytes() > how.target.max_shared_bytes() && plan.warps > 1 {
            plan.warps /= 2;
        }
        Ok(plan)
    }

    /// The same for products that one launch has together in a pass of so many tokens, with blocks enough for a GPU, if there can be:
    /// with teams, or with fewer warps a block. A schedule may say how many are enough.
    ///
    /// The proof of sums in f64 wants what a product is added to asked for before anything is written, for which teams are not
    /// made.
    pub(super) fn spread<C: Accumulation, const N: usize>(
        mut plans: [TilePlan; N],
        tokens: u32,
        how: How,
    ) -> [TilePlan; N] {
        let tiles = plans[0].token_tiles(tokens);
        let blocks = |plans: &[TilePlan]| plans.iter().map(TilePlan::row_tiles).sum::<u32>().saturating_mul(tiles);
        if C::ACC == Acc::F32 && blocks(&plans) < how.schedule.blocks.unwrap_or(TEAMS) {
            let teams = plans.map(|plan| plan.with_teams(how));
            if teams.iter().all(Option::is_some) {
                return std::array::from_fn(|i| teams[i].unwrap_or(plans[i]));
            }
        }
        while plans[0].warps > 1 && blocks(&plans) < how.schedule.blocks.unwrap_or(BLOCKS) {
            plans.iter_mut().for_each(|plan| plan.warps /= 2);
        }
        plans
    }

    /// The same with teams of one warp that share out the superblocks of 16 rows, if those are so many runs of a power of two
    /// of them, for which a block of threads has the memory.
    fn with_teams(self, how: How) -> Option<TilePlan> {
        let plan = |run: u32| TilePlan { warps: 1, teams: self.blocks() / run, stages: run.min(3), group: 1, ..self };
        let fits = |p: &TilePlan| (2..=8).contains(&p.teams) && p.shared_bytes() <= how.target.max_shared_bytes();
        let runs = (0..).map(|log| 1 << log).take_while(|&run| run < self.blocks());
        runs.filter(|&run| self.matrices == 1 && self.blocks().is_multiple_of(run)).map(plan).find(fits)
    }

    /// The same for a few vectors of each of many matrices: blocks of few warps wait less for each other.
    pub(super) fn of_few(self, how: How) -> TilePlan {
        let most = if self.tokens < TOKENS && how.schedule.blocks.is_none() { FEW_WARPS } else { self.warps };
        TilePlan { warps: self.warps.min(most), counted: true, ..self }
    }

    /// Threads of a team.
    pub(super) fn team_threads(&self) -> u32 {
        self.warps * 32
    }

    pub(in super::super) fn threads(&self) -> u32 {
        self.teams * self.team_threads()
    }

    /// Rows of a tile, those of both matrices counted.
    pub(super) fn tile_rows(&self) -> u32 {
        self.warps * ROWS
    }

    /// Products of matrices of a warp's rows with eight vectors each.
    pub(super) fn products(&self) -> u32 {
        self.tokens / COLUMNS
    }

    /// Numbers of products of matrices for which a kernel has a program each, the largest last.
    pub(super) fn sizes(&self) -> Vec<u32> {
        if self.counted { (0..=self.products().ilog2()).map(|log| 1 << log).collect() } else { vec![self.products()] }
    }

    /// Vectors of a lane.
    pub(super) fn of_lane(&self) -> usize {
        2 * self.products() as usize
    }

    /// Elements between two lanes' sums in shared memory: one more than a lane has, so that lanes store to different banks.
    pub(super) fn summed(&self) -> u32 {
        self.products() * 4 + 1
    }

    /// Tiles of so many vectors.
    pub(super) fn token_tiles(&self, tokens: u32) -> u32 {
        tokens.div_ceil(self.tokens)
    }

    /// Rows of each matrix in a tile.
    pub(super) fn matrix_rows(&self) -> u32 {
        self.tile_rows() / self.matrices
    }

    /// Tiles of rows.
    pub(in super::super) fn row_tiles(&self) -> u32 {
        self.shape.rows.div_ceil(self.matrix_rows())
    }

    /// Superblocks of a row.
    fn blocks(&self) -> u32 {
        self.shape.cols / SUPERBLOCK as u32
    }

    /// Groups of superblocks that are on their way before the first is at work.
    pub(super) fn ahead(&self) -> u32 {
        let (groups, ring) = (self.run() / self.group, self.stages / self.group);
        // Where there is a place for each group, nothing waits for one to be free.
        if ring >= groups { groups } else { ring - 1 }
    }

    /// Superblocks of a row that a team has.
    pub(super) fn run(&self) -> u32 {
        self.blocks() / self.teams
    }

    /// Whether the last tile has fewer rows.
    pub(super) fn is_ragged(&self) -> bool {
        !self.shape.rows.is_multiple_of(self.matrix_rows())
    }

    pub(super) fn matrix_bytes(&self) -> u64 {
        u64::from(self.shape.rows) * u64::from(self.row_bytes)
    }

    /// Copies of a row's block.
    pub(super) fn chunks(&self) -> u32 {
        // Blocks have even sizes.
        (self.block_bytes + if self.skewed { CHUNK - 2 } else { 0 }).div_ceil(CHUNK)
    }

    /// Bytes between two rows in shared memory: an odd number of copies, so that eight rows lie in different banks.
    pub(super) fn row_stride(&self) -> u32 {
        (self.chunks() | 1) * CHUNK
    }

    /// Bytes of a superblock of all rows in shared memory.
    pub(super) fn stage_bytes(&self) -> u32 {
        self.tile_rows() * self.row_stride()
    }

    /// Bytes of all stages of a team's weights, and those that a format may read after them.
    pub(super) fn ring_bytes(&self) -> u32 {
        self.stages * self.stage_bytes() + CHUNK
    }

    /// Bytes of all stages of a team's weights and quants, which are dynamic shared memory.
    pub(super) fn copied_bytes(&self) -> u32 {
        self.ring_bytes() + self.stages * self.tokens * QUANTS
    }

    /// Bytes of shared memory: beside these, sums and scales of activations, and what teams have summed.
    fn shared_bytes(&self) -> u32 {
        let summed = if self.teams > 1 { 32 * self.summed() * 4 } else { 0 };
        self.teams * (self.copied_bytes() + self.stages * self.tokens * (SUMS + 4) + summed)
    }

    /// The layout of a vector.
    pub(super) fn vector(&self) -> Q8KPlanar {
        Q8KPlanar::new(self.shape.cols as usize)
    }

    /// What a stage that works on tiles of these plans takes of a launch.
    pub(in super::super) fn resources<C: Accumulation>(blocks: [u32; 3], plans: &[TilePlan], how: How) -> Resources {
        let bytes = plans.iter().map(TilePlan::shared_bytes).max().unwrap_or(1);
        let threads = plans[0].threads();
        let dynamic = plans.iter().map(|p| p.teams * p.copied_bytes()).max().unwrap_or(0);
        // Several blocks hide each other's waits; sums in f64 need all registers.
        let least = if C::ACC == Acc::F32 { (WARPS / (threads / 32)).min(2 * HALF / bytes).max(1) } else { 1 };
        Resources::new(blocks, threads).with_shared(dynamic, how.target).with_blocks(least)
    }
}
