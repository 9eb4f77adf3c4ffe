//! Products of quantized matrices and tiles of Q8_K vectors on tensor cores (sm_80), with the bits of
//! [`gemv`](super::gemv()): inside a superblock the contract's sums are exact integers, which have no order; each
//! superblock's term and the tree over a row's are computed as there.
//!
//! A block of threads has a tile of rows and up to 32 vectors. Superblocks of both go to shared memory some stages
//! ahead. Where such tiles would be too few for a GPU, teams of one warp have 16 rows each and share out their superblocks. A warp has 16 rows: [`FragmentFormat`](crate::device::FragmentFormat) gives them as bytes with integer
//! scales, a product of matrices sums 32 columns (or 16), and each such sum is multiplied by its scale and added.

mod copy;
mod entries;
mod plan;
mod product;

use ptxgen_builder::build::{Body, Shared, Val, at_caller};

pub(super) use copy::Rows;
use copy::TileMemory;
pub(super) use entries::{dense, experts_down_tiles, experts_gate_up_tiles, projections};
use plan::QUANTS;
pub(super) use plan::TilePlan;

use super::schedule::How;
use crate::format::TensorType;
use crate::precision::{Act, Policy};

/// The fewest tokens of a pass whose products are worth tiles: with one matrix, of which each tile then has all of these.
pub(super) const OF_A_MATRIX: u32 = 8;

/// The same with the experts' matrices, of which each has a few of them.
pub(super) const OF_EXPERTS: u32 = 16;

/// Whether there are products by tiles of matrices of this type, under act = q8k.
pub fn has_tiles(ty: TensorType) -> bool {
    matches!(ty, TensorType::Q4_K | TensorType::Q6_K)
}

/// Whether the products of a pass are computed by tiles, where at least `fewest` tokens are worth it.
pub(super) fn pays(policy: Policy, (tokens, fewest): (u32, u32), how: How) -> bool {
    policy.act == Act::Q8K && tokens >= fewest && how.target.sm() >= 80
}

/// A thread's part of a tile.
#[derive(Clone)]
struct Tile<'p> {
    plan: &'p TilePlan,
    /// The thread in its team, and the team.
    thread: Val<u32>,
    team: Val<u32>,
    /// The lane's place in products of matrices: its rows and vectors, and its words of these.
    g: Val<u32>,
    t: Val<u32>,
    memory: TileMemory,
    /// The address that the lane gives for eight vectors' quants.
    quant_rows: Shared<u16>,
    /// The matrices, and where in each the thread's first copy of the team's first superblock comes from.
    rows: Vec<Rows>,
    sources: Vec<Val<u64>>,
    /// The tile's first row in each matrix.
    first: Val<u32>,
    /// The lane's two rows in the tile's part of their matrix, and in shared memory.
    own_rows: [Val<u32>; 2],
    row_places: [Val<u32>; 2],
}

impl<'p> Tile<'p> {
    /// Tile `tile` of the rows.
    #[track_caller]
    fn new(plan: &'p TilePlan, thread: Val<u32>, memory: TileMemory, rows: Vec<Rows>, tile: Val<u32>) -> Tile<'p> {
        let (thread, team) = match plan.teams {
            1 => (thread, Val::from(0u32).copied()),
            _ => (thread & (plan.team_threads() - 1), thread / plan.team_threads()),
        };
        let memory = memory.of_team(plan, team);
        let (lane, warp) = (thread & 31, thread >> 5);
        let (g, t) = (lane >> 2, lane & 3);
        let own = match plan.matrices {
            1 => warp * 16 + g,
            _ => warp * 8 + g,
        };
        let (own_rows, row_places) = match plan.matrices {
            1 => ([own, own + 8], [own, own + 8]),
            _ => ([own, own], [own, own + plan.matrix_rows()]),
        };
        let quant_rows = memory.quants.byte_at((lane & 7) * QUANTS + (lane >> 3) * 64).cast();
        let first = tile * plan.matrix_rows();
        let sources = Vec::new();
        let tile = Tile { plan, thread, team, g, t, memory, quant_rows, rows, sources, first, own_rows, row_places };
        let sources = at_caller(|| tile.rows.iter().map(|rows| tile.source(rows)).collect());
        Tile { sources, ..tile }
    }

    /// Waits for the team, and for what its threads wrote to shared memory.
    #[track_caller]
    fn sync(&self, k: &Body) {
        if self.plan.teams > 1 { k.sync_warp(0xffff_ffff) } else { k.barrier() }
    }

    /// The number in the row of the team's superblock `block`.
    #[track_caller]
    fn in_row(&self, block: Val<u32>) -> Val<u32> {
        if self.plan.teams > 1 { self.team * self.plan.run() + block } else { block }
    }
}
