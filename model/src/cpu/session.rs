//! A sequence on the CPU.

use super::{
    CpuModel,
    attention::KvCache,
    forward::{Batch, Buffers},
};
use crate::{
    engine::{Engine, EngineError, LogitRows, Sequence},
    trace::Tap,
};
use ptxgen_dsl::{precision::Acc, reference::RopeTable};

/// Tokens that go through the layers together at most.
const BATCH: usize = 64;

/// A sequence: its KV cache and the buffers of a forward.
pub struct CpuSession<'m, 'g> {
    model: &'m CpuModel<'g>,
    sequence: Sequence,
    cache: KvCache,
    rope: RopeTable,
    buffers: Buffers,
    logits: Vec<f32>,
}

impl<'m, 'g> CpuSession<'m, 'g> {
    pub(super) fn new(model: &'m CpuModel<'g>, capacity: usize) -> Self {
        let c = &model.config;
        Self {
            model,
            sequence: Sequence::new(c.vocab, capacity, model.policy),
            cache: KvCache::new(model.kv, c.blocks, c.kv_heads, c.head_dim, capacity),
            rope: RopeTable::new(c.head_dim, f64::from(c.rope_base), capacity),
            buffers: Buffers::new(model, BATCH.min(capacity)),
            logits: Vec::new(),
        }
    }
}

impl Engine for CpuSession<'_, '_> {
    fn sequence(&self) -> &Sequence {
        &self.sequence
    }

    fn sequence_mut(&mut self) -> &mut Sequence {
        &mut self.sequence
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
        self.sequence.check(tokens)?;
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
            let logits = &mut self.logits[at..][..logit_rows.len() * vocab];
            let position = self.sequence.position + first;
            let batch = Batch { model: self.model, tokens, position, logit_rows, cache: &self.cache, rope: &self.rope };
            let tap = tap.as_mut().map(|tap| &mut **tap as &mut dyn Tap);
            match self.model.policy.acc {
                Acc::F32 => self.buffers.forward::<f32>(&batch, logits, tap)?,
                Acc::F64 => self.buffers.forward::<f64>(&batch, logits, tap)?,
            }
        }
        self.sequence.position += done;
        Ok(&self.logits)
    }
}
