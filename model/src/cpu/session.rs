//! A sequence on the CPU.

use super::{
    CpuModel,
    attention::{KvCache, LANES, PAGE},
    buffers::Buffers,
    forward::Batch,
};
use crate::{
    config::ModelConfig,
    engine::{Engine, EngineError, LogitRows, Sequence},
    kv::KvType,
    not_finite::check_logits,
    trace::Tap,
};
use ptxgen_dsl::{
    precision::Acc,
    reference::{Accumulator, RopeTable},
};
use std::ops::Range;

/// Tokens that go through the layers together at most.
const BATCH: usize = 32;

/// Rows of logits that are made at a time where they are handed over one by one.
const ROWS: usize = 8;

/// A sequence: its KV cache and the buffers of a forward.
pub struct CpuSession<'m, 'g> {
    model: &'m CpuModel<'g>,
    sequence: Sequence,
    /// Grows with the sequence, as `rope` does.
    cache: KvCache,
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
    /// Bytes of the KV cache and the table of rotations for `capacity` positions, at most `u64::MAX`.
    pub(super) fn bytes(config: &ModelConfig, kv: KvType, capacity: usize) -> u64 {
        let c = config;
        // Values of each head are padded.
        let head = c.head_dim + c.head_dim.next_multiple_of(LANES);
        let cached = c.blocks.checked_mul(c.kv_heads).and_then(|n| n.checked_mul(head)?.checked_mul(kv.bytes()));
        let rotation = c.head_dim.checked_mul(size_of::<f32>());
        let each = cached.zip(rotation).and_then(|(a, b)| a.checked_add(b));
        let all = each.and_then(|n| n.checked_mul(capacity.checked_next_multiple_of(LANES)?));
        all.map_or(u64::MAX, |n| n as u64)
    }

    pub(super) fn new(model: &'m CpuModel<'g>, capacity: usize) -> Self {
        let c = &model.config;
        Self {
            model,
            sequence: Sequence::new(c.vocab, capacity, model.policy),
            cache: KvCache::new(model.kv, c.blocks, c.kv_heads, c.head_dim, capacity),
            rope: RopeTable::new(c.head_dim, c.rope(), 0),
            buffers: Buffers::new(model, BATCH.min(capacity)),
            logits: Vec::new(),
        }
    }

    /// Checks the tokens, and makes room for them.
    fn prepare(&mut self, tokens: &[u32]) -> Result<(), EngineError> {
        self.sequence.check(tokens)?;
        let (c, positions) = (&self.model.config, self.sequence.position + tokens.len());
        if !self.cache.grow(positions) {
            let bytes = Self::bytes(c, self.model.kv, positions);
            return Err(EngineError::Memory { positions, bytes });
        }
        if self.rope.positions() < positions {
            // Twice as many as before, so that making them anew does not add up.
            let next = positions.max(2 * self.rope.positions()).next_multiple_of(PAGE).min(self.sequence.capacity);
            self.rope = RopeTable::new(c.head_dim, c.rope(), next);
        }
        Ok(())
    }

    /// The batch of `tokens`, `first` tokens behind the sequence, and what it is computed in.
    fn batch<'s>(
        &'s mut self,
        first: usize,
        tokens: &'s [u32],
        logit_rows: Range<usize>,
    ) -> (Batch<'s, 'g>, &'s mut Buffers, &'s mut Vec<f32>) {
        let position = self.sequence.position + first;
        let batch = Batch { model: self.model, tokens, position, logit_rows, cache: &self.cache, rope: &self.rope };
        (batch, &mut self.buffers, &mut self.logits)
    }

    /// Hands over the logits of tokens behind the sequence.
    fn rows<A: Accumulator>(&mut self, tokens: &[u32], each: &mut dyn FnMut(&[f32])) -> Result<(), EngineError> {
        let (vocab, size) = (self.vocab(), self.buffers.tokens());
        for (i, tokens) in tokens.chunks(size).enumerate() {
            let (batch, buffers, logits) = self.batch(i * size, tokens, 0..tokens.len());
            logits.clear();
            logits.resize(vocab * tokens.len().min(ROWS), 0.0);
            for start in (0..tokens.len()).step_by(ROWS) {
                let rows = start..tokens.len().min(start + ROWS);
                let logits = &mut logits[..rows.len() * vocab];
                if start == 0 {
                    buffers.forward::<A>(&batch, logits, None)?;
                } else {
                    buffers.logits::<A>(&batch, rows, logits);
                }
                for (row, t) in logits.chunks_exact(vocab).zip(start..) {
                    check_logits(row, vocab, batch.position + t)?;
                    each(row);
                }
            }
        }
        Ok(())
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
        let threads = self.model.threads();
        format!("cpu ({}, {threads} thread{})", self.model.simd(), if threads == 1 { "" } else { "s" })
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
        for tokens in tokens.chunks(self.buffers.tokens()) {
            let first = done;
            done += tokens.len();
            let (logit_rows, at) = match rows {
                LogitRows::All => (0..tokens.len(), first * vocab),
                LogitRows::Last if done == total => (tokens.len() - 1..tokens.len(), 0),
                LogitRows::Last => (0..0, 0),
            };
            let (batch, buffers, logits) = self.batch(first, tokens, logit_rows);
            let logits = &mut logits[at..][..batch.logit_rows.len() * vocab];
            let tap = tap.as_mut().map(|tap| &mut **tap as &mut dyn Tap);
            match batch.model.policy.acc {
                Acc::F32 => buffers.forward::<f32>(&batch, logits, tap)?,
                Acc::F64 => buffers.forward::<f64>(&batch, logits, tap)?,
            }
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
            Acc::F32 => self.rows::<f32>(tokens, each)?,
            Acc::F64 => self.rows::<f64>(tokens, each)?,
        }
        self.sequence.position += tokens.len();
        Ok(())
    }
}
