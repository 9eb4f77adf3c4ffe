//! One forward in progress: what it works on, and what each worker does of it.

use super::{
    CpuModel,
    attention::KvCache,
    buffers::{Buffers, Stream},
    record::Record,
    team::Worker,
};
use crate::batch::{NanInRow, Row};
use ptxgen_dsl::reference::RopeTable;
use std::{
    ops::Range,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// What a forward works on.
pub(super) struct Batch<'b, 'g> {
    pub(super) model: &'b CpuModel<'g>,
    /// At most [`Buffers::tokens`]. A sequence's are in order, and what goes before them is in the cache.
    pub(super) rows: &'b [Row],
    /// Rows whose logits are wanted, now or by [`Buffers::logits`].
    pub(super) logit_rows: Range<usize>,
    pub(super) cache: &'b KvCache,
    /// For each sequence its pages of the cache, which are there.
    pub(super) tables: &'b [Vec<u32>],
    pub(super) rope: &'b RopeTable,
}

/// One forward in progress.
pub(super) struct Pass<'p, 'g, 't> {
    pub(super) batch: &'p Batch<'p, 'g>,
    pub(super) buffers: &'p Buffers,
    pub(super) failure: Failure,
    pub(super) record: Option<Record<'t>>,
}

/// The first row of a layer for which there was no choice of experts.
pub(super) struct Failure {
    /// `row << 32 | expert`, all ones while there is none.
    word: AtomicU64,
    /// All workers are in one layer.
    layer: AtomicUsize,
}

impl Default for Failure {
    fn default() -> Self {
        Self { word: AtomicU64::new(u64::MAX), layer: AtomicUsize::new(0) }
    }
}

impl Failure {
    pub(super) fn say(&self, NanInRow { layer, row, expert }: NanInRow) {
        self.layer.store(layer, Ordering::Relaxed);
        self.word.fetch_min((row as u64) << 32 | expert as u64, Ordering::Relaxed);
    }

    /// What was said before the workers met.
    pub(super) fn found(&self) -> Option<NanInRow> {
        let word = self.word.load(Ordering::Relaxed);
        let (row, expert) = ((word >> 32) as usize, word as u32 as usize);
        (word != u64::MAX).then(|| NanInRow { layer: self.layer.load(Ordering::Relaxed), row, expert })
    }
}

/// What a worker does of a batch.
pub(super) struct Share<'p, 'w> {
    pub(super) worker: &'p Worker<'w>,
    /// The stream that it works on: the batch's, or its own.
    pub(super) stream: &'p Stream,
    /// Tokens of the stream that are its to work on.
    pub(super) tokens: Range<usize>,
    /// Whether others work on the rest of the stream.
    pub(super) together: bool,
    /// Whether it has whole KV heads with their query heads.
    pub(super) by_head: bool,
    /// Whether it has whole experts.
    pub(super) by_expert: bool,
}

impl Share<'_, '_> {
    /// Whether what this worker makes of its tokens is what a trace gets.
    pub(super) fn keeps(&self) -> bool {
        self.together || self.worker.index == 0
    }
}
