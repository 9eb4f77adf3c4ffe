//! Several sequences on the CPU.

use super::{
    CpuModel,
    attention::KvCache,
    buffers::Buffers,
    pass::Batch,
    session::{self, BATCH, CpuSession, grow_rope},
};
use crate::{
    batch::{Backend, BadLogit, BatchRoom, PassError, PassResults, Row},
    engine::EngineError,
    kv::PAGE,
    not_finite::first,
};
use ptxgen_dsl::{
    precision::Acc,
    reference::{RopeTable, argmax},
};

/// The cache of a batch's sequences, and the buffers of a pass.
pub(super) struct CpuBatch<'m, 'g> {
    model: &'m CpuModel<'g>,
    room: BatchRoom,
    cache: KvCache,
    /// The pages of each place's sequence.
    tables: Vec<Vec<u32>>,
    rope: RopeTable,
    buffers: Buffers,
    logits: Vec<f32>,
}

impl<'m, 'g> CpuBatch<'m, 'g> {
    pub(super) fn new(model: &'m CpuModel<'g>, room: BatchRoom) -> Self {
        let c = &model.config;
        Self {
            model,
            room,
            cache: KvCache::new(model.kv, c.blocks, c.kv_heads, c.head_dim),
            tables: vec![Vec::new(); room.sequences],
            rope: RopeTable::new(c.head_dim, c.rope(), 0),
            buffers: Buffers::new(model, BATCH),
            logits: Vec::new(),
        }
    }

    /// Allocates the pages of these rows, and extends the rotation table.
    fn prepare(&mut self, rows: &[Row]) -> Result<(), EngineError> {
        let c = &self.model.config;
        for &Row { position, sequence, .. } in rows {
            let pages = &self.tables[sequence][..=position / PAGE];
            if !self.cache.make(pages) {
                let positions = position + 1;
                return Err(EngineError::Memory { positions, bytes: CpuSession::bytes(c, self.model.kv, positions) });
            }
            grow_rope(&mut self.rope, c, position + 1, self.room.positions);
        }
        Ok(())
    }
}

impl Backend for CpuBatch<'_, '_> {
    fn device(&self) -> String {
        session::device(self.model)
    }

    fn most(&self) -> usize {
        BATCH
    }

    fn seat(&mut self, place: usize, pages: &[u32]) -> Result<(), EngineError> {
        self.tables[place] = pages.to_vec();
        Ok(())
    }

    fn pass(&mut self, rows: &[Row], chosen: usize, logits: usize, results: &mut PassResults) -> Result<(), PassError> {
        self.prepare(rows)?;
        let vocab = self.model.config.vocab;
        self.logits.clear();
        self.logits.resize((chosen + logits) * vocab, 0.0);
        let (model, cache, tables, rope) = (self.model, &self.cache, &self.tables[..], &self.rope);
        let batch = Batch { model, rows, logit_rows: 0..chosen + logits, cache, tables, rope };
        let through = match model.policy.acc {
            Acc::F32 => self.buffers.forward::<f32>(&batch, &mut self.logits, None),
            Acc::F64 => self.buffers.forward::<f64>(&batch, &mut self.logits, None),
        };
        through.map_err(PassError::Nan)?;
        let (of_tokens, of_logits) = self.logits.split_at(chosen * vocab);
        results.tokens.clear();
        results.tokens.extend(of_tokens.chunks_exact(vocab).map(|row| match first(row) {
            None => Ok(argmax(row) as u32),
            Some(index) => Err(BadLogit { index, nan: row[index].is_nan() }),
        }));
        results.logits.clear();
        results.logits.extend_from_slice(of_logits);
        Ok(())
    }
}
