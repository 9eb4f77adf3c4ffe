//! What kernels read of rows of several sequences: each row of a pass has a position of its own, and its sequence's keys
//! and values lie in pages of the cache, which a table names.

use ptxgen_builder::build::{Body, ReadOnly, Val};

use crate::reference::CHUNK;

/// Words of a row: its position in its sequence, and the number of its sequence's table.
pub const ROW_WORDS: u32 = 2;

/// A row of a pass.
#[derive(Clone, Copy)]
pub(crate) struct PagedRow {
    /// Its position.
    pub position: Val<u32>,
    table: ReadOnly<u32>,
}

impl PagedRow {
    /// Row `index` of the pass's `rows`. Tables have `chunks` pages each.
    #[track_caller]
    pub fn new(k: &Body, rows: ReadOnly<u32>, (tables, chunks): (ReadOnly<u32>, u32), index: Val<u32>) -> PagedRow {
        let [position, sequence] = rows.at(index * ROW_WORDS).load_vec(k);
        PagedRow { position, table: tables.at(sequence * chunks) }
    }

    /// The first element of a chunk of a layer's keys or values, [pages, kv_heads, 64, head_dim].
    #[track_caller]
    pub fn chunk(&self, k: &Body, chunk: Val<u32>, kv_head: Val<u32>, (kv_heads, head_dim): (u32, u32)) -> Val<u32> {
        let page = self.table.at(chunk).load(k);
        (page * kv_heads + kv_head) * (CHUNK as u32 * head_dim)
    }
}

/// The position of a row.
#[track_caller]
pub(crate) fn position(k: &Body, rows: ReadOnly<u32>, index: Val<u32>) -> Val<u32> {
    rows.at(index * ROW_WORDS).load(k)
}
