//! A sequence on the CPU.

use super::{
    CpuModel,
    attention::{KvCache, LANES},
    buffers::Buffers,
    pass::Batch,
};
use crate::{
    batch::{NanInRow, Row},
    config::ModelConfig,
    engine::{Engine, EngineError, LogitRows, Sequence},
    kv::{KvType, PAGE},
    origin::check_logits,
    trace::Tap,
};
use ptxgen_dsl::{
    precision::Acc,
    reference::{Accumulator, RopeTable},
};
use std::ops::Range;

/// Maximum number of tokens that go through the layers together.
pub(super) const BATCH: usize = 32;

/// The length of the rotation table is a multiple of this, or the capacity.
const ROTATIONS: usize = 256;

/// Rows of logits that are computed at a time if they are passed on one by one.
const ROWS: usize = 8;

/// A sequence: its KV cache and the buffers of a forward.
pub struct CpuSession<'m, 'g> {
    model: &'m CpuModel<'g>,
    sequence: Sequence,
    /// Grows with the sequence, like `rope`.
    cache: KvCache,
    /// Its pages, one after the other.
    table: [Vec<u32>; 1],
    rows: Vec<Row>,
    rope: RopeTable,
    buffers: Buffers,
    logits: Vec<f32>,
}

impl std::fmt::Debug for CpuSession<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CpuSession")
            .field("model", &self.model)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

impl<'m, 'g> CpuSession<'m, 'g> {
    /// Bytes of the KV cache and the rotation table for `capacity` positions, at most `u64::MAX`.
    pub(super) fn bytes(config: &ModelConfig, kv: KvType, capacity: usize) -> u64 {
        let c = config;
        // Values of each head are padded.
        let head = c.head_dim + c.head_dim.next_multiple_of(LANES);
        let cached = c.blocks.checked_mul(c.kv_heads).and_then(|n| n.checked_mul(head)?.checked_mul(kv.bytes()));
        let rotation = c.head_dim.checked_mul(size_of::<f32>());
        let each = cached.zip(rotation).and_then(|(a, b)| a.checked_add(b));
        let all = each.and_then(|n| n.checked_mul(capacity.checked_next_multiple_of(PAGE)?));
        all.map_or(u64::MAX, |n| n as u64)
    }

    pub(super) fn new(model: &'m CpuModel<'g>, capacity: usize) -> Self {
        let c = &model.config;
        Self {
            model,
            sequence: Sequence::new(c.vocab, capacity, model.policy),
            cache: KvCache::new(model.kv, c.blocks, c.kv_heads, c.head_dim),
            table: [Vec::new()],
            rows: Vec::new(),
            rope: RopeTable::new(c.head_dim, c.rope(), 0),
            buffers: Buffers::new(model, BATCH.min(capacity)),
            logits: Vec::new(),
        }
    }

    /// Checks the tokens, and allocates memory for them.
    fn prepare(&mut self, tokens: &[u32]) -> Result<(), EngineError> {
        self.sequence.check(tokens)?;
        let (c, positions) = (&self.model.config, self.sequence.position + tokens.len());
        let [table] = &mut self.table;
        table.extend(table.len() as u32..positions.div_ceil(PAGE) as u32);
        if !self.cache.make(table) {
            let bytes = Self::bytes(c, self.model.kv, positions);
            return Err(EngineError::Memory { positions, bytes });
        }
        grow_rope(&mut self.rope, c, positions, self.sequence.capacity);
        self.rows.clear();
        let row = |(&token, position)| Row { token, position, sequence: 0 };
        self.rows.extend(tokens.iter().zip(self.sequence.position..).map(row));
        Ok(())
    }

    /// A batch of the prepared rows, and its buffers.
    fn batch<'s>(
        &'s mut self,
        rows: Range<usize>,
        logit_rows: Range<usize>,
    ) -> (Batch<'s, 'g>, &'s mut Buffers, &'s mut Vec<f32>) {
        let Self { model, cache, table, rope, .. } = self;
        let batch = Batch { model, rows: &self.rows[rows], logit_rows, cache, tables: table, rope };
        (batch, &mut self.buffers, &mut self.logits)
    }

    /// Passes on the logits of the prepared tokens.
    fn rows<A: Accumulator>(&mut self, each: &mut dyn FnMut(&[f32])) -> Result<(), EngineError> {
        let (vocab, size, all) = (self.vocab(), self.buffers.tokens(), self.rows.len());
        for first in (0..all).step_by(size) {
            let n = (all - first).min(size);
            let (batch, buffers, logits) = self.batch(first..first + n, 0..n);
            logits.clear();
            logits.resize(vocab * n.min(ROWS), 0.0);
            for start in (0..n).step_by(ROWS) {
                let rows = start..n.min(start + ROWS);
                let logits = &mut logits[..rows.len() * vocab];
                if start == 0 {
                    buffers.forward::<A>(&batch, logits, None).map_err(|nan| nan_at(nan, &batch))?;
                } else {
                    buffers.logits::<A>(&batch, rows, logits);
                }
                for (row, t) in logits.chunks_exact(vocab).zip(&batch.rows[start..]) {
                    check_logits(row, vocab, t.position)?;
                    each(row);
                }
            }
        }
        Ok(())
    }
}

/// The device, in a few words for messages.
pub(super) fn device(model: &CpuModel<'_>) -> String {
    let threads = model.threads();
    format!("cpu ({}, {threads} thread{})", model.simd(), if threads == 1 { "" } else { "s" })
}

/// Reports the position without a choice of experts.
fn nan_at(NanInRow { layer, row, expert }: NanInRow, batch: &Batch<'_, '_>) -> EngineError {
    EngineError::NanInRouter { layer, expert, position: batch.rows[row].position }
}

/// Extends the rotation table to this many positions; it doubles each time, so that the total cost stays linear.
pub(super) fn grow_rope(rope: &mut RopeTable, c: &ModelConfig, positions: usize, capacity: usize) {
    if rope.positions() < positions {
        let next = positions.max(2 * rope.positions()).next_multiple_of(ROTATIONS).min(capacity);
        *rope = RopeTable::new(c.head_dim, c.rope(), next);
    }
}

impl Engine for CpuSession<'_, '_> {
    fn sequence(&self) -> &Sequence {
        &self.sequence
    }

    fn rewind(&mut self, position: usize) {
        self.sequence.rewind(position);
    }

    fn device(&self) -> String {
        device(self.model)
    }

    fn forward_traced(
        &mut self,
        tokens: &[u32],
        rows: LogitRows,
        mut tap: Option<&mut dyn Tap>,
    ) -> Result<&[f32], EngineError> {
        self.prepare(tokens)?;
        let vocab = self.vocab();
        self.logits.clear();
        self.logits.resize(vocab * if rows == LogitRows::All { tokens.len() } else { 1 }, 0.0);
        let (mut done, total) = (0, tokens.len());
        while done < total {
            let first = done;
            let n = (total - first).min(self.buffers.tokens());
            done += n;
            let (logit_rows, at) = match rows {
                LogitRows::All => (0..n, first * vocab),
                LogitRows::Last if done == total => (n - 1..n, 0),
                LogitRows::Last => (0..0, 0),
            };
            let (batch, buffers, logits) = self.batch(first..done, logit_rows);
            let logits = &mut logits[at..][..batch.logit_rows.len() * vocab];
            let tap = tap.as_mut().map(|tap| &mut **tap as &mut dyn Tap);
            let through = match batch.model.policy.acc {
                Acc::F32 => buffers.forward::<f32>(&batch, logits, tap),
                Acc::F64 => buffers.forward::<f64>(&batch, logits, tap),
            };
            through.map_err(|nan| nan_at(nan, &batch))?;
        }
        if tap.is_none() {
            let rows = self.logits.len() / vocab.max(1);
            check_logits(&self.logits, vocab, self.sequence.position + done - rows)?;
        }
        self.sequence.position += done;
        Ok(&self.logits)
    }

    fn forward_rows(&mut self, tokens: &[u32], each: &mut dyn FnMut(&[f32])) -> Result<(), EngineError> {
        self.prepare(tokens)?;
        match self.model.policy.acc {
            Acc::F32 => self.rows::<f32>(each)?,
            Acc::F64 => self.rows::<f64>(each)?,
        }
        self.sequence.position += tokens.len();
        Ok(())
    }
}
