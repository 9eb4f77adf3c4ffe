//! Superblocks of a tile on their way to shared memory.

use ptxgen_builder::build::{AsyncBytes, Body, Global, Pred, ReadOnly, Shared, Val};

use super::Tile;
use super::plan::{CHUNK, QUANTS, SUMS, TilePlan};
use crate::format::SUPERBLOCK;

/// A matrix of a tile's rows.
#[derive(Clone, Copy)]
pub(in super::super) struct Rows {
    /// The tensor's first byte.
    pub base: ReadOnly<u8>,
    /// Bytes from there to the matrix.
    pub matrix: Val<u64>,
    /// Bytes of the whole tensor.
    pub tensor_bytes: u64,
}

/// What a thread copies of a tile's vectors.
pub(super) struct Vectors {
    /// Vectors in shared memory.
    present: u32,
    /// Those that the thread copies parts of.
    own: Vec<Global<u8>>,
}

impl Tile<'_> {
    /// Starts copying the first groups of superblocks of the team's rows, so many as are ahead of those at work. They belong to the
    /// next group of copies.
    #[track_caller]
    pub(super) fn begin(&self, k: &Body) {
        for group in 0..self.plan.ahead() {
            self.copy_rows(k, Val::from(group).copied(), Val::from(group).copied());
        }
    }

    /// Starts copying group `group` of superblocks of the team's rows and vectors to a place in the ring.
    #[track_caller]
    pub(super) fn copy(&self, k: &Body, vectors: &Vectors, group: Val<u32>, place: Val<u32>) {
        self.copy_rows(k, group, place);
        self.copy_vectors(k, vectors, group, place);
        k.copy_async_commit();
    }

    /// Where the thread's first copy of the team's first superblock of a matrix is, not yet rounded down to a multiple of 16.
    #[track_caller]
    pub(super) fn source(&self, rows: &Rows) -> Val<u64> {
        let plan = self.plan;
        let row = self.thread / plan.chunks();
        let of_row = self.first_row(row).mul_wide(plan.row_bytes) + rows.matrix;
        let of_block = self.in_row(Val::from(0u32).copied()).mul_wide(plan.block_bytes);
        rows.base.address() + of_row + of_block
    }

    #[track_caller]
    fn copy_rows(&self, k: &Body, group: Val<u32>, place: Val<u32>) {
        let (plan, of_group) = (self.plan, self.plan.group);
        for n in 0..of_group {
            let on = (group * of_group).mul_wide(plan.block_bytes) + u64::from(n * plan.block_bytes);
            for (i, (rows, &source)) in (0..).zip(self.rows.iter().zip(&self.sources)) {
                self.copy_matrix(k, i, rows, source + on, place * of_group + n);
            }
        }
    }

    /// Consecutive threads copy a row's block, and as many rows at once as the threads suffice for.
    #[track_caller]
    fn copy_matrix(&self, k: &Body, index: u32, rows: &Rows, source: Val<u64>, stage: Val<u32>) {
        let plan = self.plan;
        let (chunks, count, threads) = (plan.chunks(), plan.matrix_rows(), plan.team_threads());
        let at_once = (threads / chunks).min(count);
        let (row, chunk) = (self.thread / chunks, self.thread % chunks);
        let to = self.memory.weights.byte_at(stage * plan.stage_bytes() + row * plan.row_stride() + chunk * CHUNK);
        let all_at_once = threads == at_once * chunks;
        for first in (0..count).step_by(at_once as usize) {
            // Rows that a last tile lacks are its last one.
            let address = match first {
                0 => source,
                _ if plan.is_ragged() => {
                    let rows_on = self.first_row(row + first) - self.first_row(row);
                    source + rows_on.mul_wide(plan.row_bytes)
                }
                _ => source + u64::from(first) * u64::from(plan.row_bytes),
            };
            let start = if plan.skewed { address & !15u64 } else { address };
            let left = count - first;
            let here = (!all_at_once || left < at_once).then(|| row.lt(at_once.min(left)));
            let from = ReadOnly::<u8>::from_address(start + (chunk * CHUNK).to::<u64>());
            // The last row's last copy may reach beyond the tensor.
            let room = plan.skewed.then(|| {
                let end = rows.base.address() + rows.tensor_bytes;
                (end - from.address()).min(u64::from(CHUNK)).to::<u32>()
            });
            let to = to.plus_bytes((index * count + first) * plan.row_stride());
            k.copy_async_filled(to, from, AsyncBytes::B16, here, room);
        }
    }

    /// The same of the vectors alone.
    #[track_caller]
    pub(super) fn copy_vectors(&self, k: &Body, vectors: &Vectors, group: Val<u32>, place: Val<u32>) {
        let of_group = self.plan.group;
        for n in 0..of_group {
            self.copy_vectors_block(k, vectors, group * of_group + n, place * of_group + n);
        }
    }

    /// 16 threads copy a vector's part.
    #[track_caller]
    fn copy_vectors_block(&self, k: &Body, vectors: &Vectors, block: Val<u32>, stage: Val<u32>) {
        let (layout, tokens) = (self.plan.vector(), self.plan.tokens);
        let memory = &self.memory;
        let block = self.in_row(block);
        let (slot, part) = (self.thread >> 4, self.thread & 15);
        let (present, each) = (vectors.present, self.plan.team_threads() / 16);
        let quants = memory.quants.byte_at(stage * (tokens * QUANTS) + slot * QUANTS + part * CHUNK);
        let sums = memory.sums.byte_at(stage * (tokens * SUMS) + slot * SUMS + part * CHUNK);
        let scales = memory.scales.at(stage * tokens + slot);
        for (i, &vector) in (0u32..).zip(&vectors.own) {
            let first = i * each;
            let here = (present - first < each).then(|| slot.lt(present - first));
            let from = vector.byte_at(block * SUPERBLOCK as u32 + part * CHUNK);
            k.copy_async_filled(quants.plus_bytes(first * QUANTS), from, AsyncBytes::B16, here, None);
            let with = |parts: Pred| here.map_or(parts, |here| here & parts);
            let from = vector.byte_at(block * SUMS + part * CHUNK).plus_bytes(layout.sums() as i64);
            let some = with(part.lt(SUMS / CHUNK));
            k.copy_async_filled(sums.plus_bytes(first * SUMS), from, AsyncBytes::B16, Some(some), None);
            let from = vector.cast::<f32>().at(block).plus_bytes(layout.scales() as i64);
            let one = with(part.eq(SUMS / CHUNK));
            k.copy_async_filled(scales.plus(first), from, AsyncBytes::B4, Some(one), None);
        }
    }

    /// The vectors that this thread copies parts of, of `present` in shared memory, of which there are `count`: those missing are
    /// the last one. `vector` gives that of a place in the tile.
    #[track_caller]
    pub(super) fn vectors(
        &self,
        k: &Body,
        (count, present): (Val<u32>, u32),
        vector: impl Fn(&Body, Val<u32>) -> Global<u8>,
    ) -> Vectors {
        let each = self.plan.team_threads() / 16;
        let first = self.thread >> 4;
        let own = (0..present).step_by(each as usize).map(|i| vector(k, (first + i).min(count - 1))).collect();
        Vectors { present, own }
    }

    /// Row `row` of the tile's in its matrix, of missing ones the last.
    #[track_caller]
    fn first_row(&self, row: Val<u32>) -> Val<u32> {
        let row = self.first + row;
        if self.plan.is_ragged() { row.min(self.plan.shape.rows - 1) } else { row }
    }

    /// Bytes from the last 16-byte boundary to block `block` of row `row` of the tile's in a matrix.
    #[track_caller]
    pub(super) fn skew(&self, rows: &Rows, row: Val<u32>, block: Val<u32>) -> Val<u32> {
        let offset = self.first_row(row) * self.plan.row_bytes + self.in_row(block) * self.plan.block_bytes;
        // The tensor starts at a multiple of 16.
        (rows.matrix.to::<u32>() + offset) & 15
    }
}

/// The shared memory of tiles.
#[derive(Clone, Copy)]
pub(super) struct TileMemory {
    pub weights: Shared<u8>,
    pub quants: Shared<u8>,
    pub sums: Shared<u8>,
    pub scales: Shared<f32>,
    /// What all teams have summed, in f32, where there are several.
    pub summed: Option<Shared<f32>>,
}

impl TileMemory {
    /// Of all teams of a plan, and of any with as many teams, stages and vectors. Scales and sums have arrays of their own, so that
    /// the proof of a kernel's precision does not take quants for them.
    #[track_caller]
    pub(super) fn new(k: &Body, plan: &TilePlan) -> TileMemory {
        let vectors = plan.teams * plan.stages * plan.tokens;
        let weights = k.dynamic_shared();
        let summed = (plan.teams > 1).then(|| k.shared(plan.teams * 32 * plan.summed()));
        TileMemory { weights, quants: weights, sums: k.shared(vectors * SUMS), scales: k.shared(vectors), summed }
    }

    /// That of a team.
    #[track_caller]
    pub(super) fn of_team(self, plan: &TilePlan, team: Val<u32>) -> TileMemory {
        let TileMemory { weights, sums, scales, summed, .. } = self;
        let vectors = plan.stages * plan.tokens;
        let (weights, sums, scales) = match plan.teams {
            1 => (weights, sums, scales),
            _ => (
                weights.byte_at(team * plan.copied_bytes()),
                sums.byte_at(team * (vectors * SUMS)),
                scales.at(team * vectors),
            ),
        };
        TileMemory { weights, quants: weights.plus_bytes(plan.ring_bytes()), sums, scales, summed }
    }
}
