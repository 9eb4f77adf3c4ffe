//! What the matrix kernels have in common: tiles of rows, streamed and summed.

use ptxgen_builder::build::{Body, ReadOnly, Val};

use super::schedule::{Plan, Shape};
use crate::device::{StagedTile, Threads, TileSource};

/// A thread's place in a block.
#[derive(Clone, Copy)]
pub(super) struct Here {
    pub lane: Val<u32>,
    pub warp: Val<u32>,
    pub threads: Threads,
}

impl Here {
    #[track_caller]
    pub(super) fn new(k: &mut Body, plan: &Plan) -> Here {
        let this = k.thread_x().named("thread");
        Here {
            lane: (this & 31).named("lane"),
            warp: (this >> 5).named("warp"),
            threads: Threads { this, count: plan.threads() },
        }
    }
}

/// The rows of a matrix (or of one expert's matrix) as tiles.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    pub staged: StagedTile,
    base: ReadOnly<u8>,
    /// Bytes from the tensor's start to the matrix.
    matrix: Val<u64>,
    /// Bytes of the whole tensor.
    tensor_bytes: u64,
    tile_bytes: u32,
    /// Whether a tile may reach beyond the tensor.
    ragged: bool,
}

impl Tiles {
    /// The tiles of matrix `index` of the `matrices` in a tensor.
    #[track_caller]
    pub(super) fn new(
        plan: &Plan,
        shape: Shape,
        base: ReadOnly<u8>,
        (index, matrices): (Option<Val<u32>>, u32),
    ) -> Tiles {
        let bytes = u64::from(shape.rows) * u64::from(plan.row_bytes);
        let aligned = bytes.is_multiple_of(16) && plan.tile_bytes.is_multiple_of(16);
        let matrix = match index {
            None => Val::from(0u64),
            Some(i) => i.to::<u64>() * bytes,
        };
        Tiles {
            staged: StagedTile { bytes: plan.tile_bytes, aligned },
            base,
            matrix,
            tensor_bytes: bytes * u64::from(matrices),
            tile_bytes: plan.tile_bytes,
            ragged: !aligned || !shape.rows.is_multiple_of(plan.rows_per_tile),
        }
    }

    /// Where tile `tile` lies.
    #[track_caller]
    pub(super) fn source(&self, tile: Val<u32>) -> TileSource {
        let offset = self.matrix + tile.mul_wide(self.tile_bytes);
        let available = self.ragged.then(|| {
            let left = Val::from(self.tensor_bytes).copied() - offset;
            left.min(u64::from(self.tile_bytes)).to::<u32>()
        });
        TileSource { base: self.base, offset, available }
    }
}
