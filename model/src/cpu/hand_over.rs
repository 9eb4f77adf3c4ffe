//! Handing a batch's values to a tap while the workers run it.

use super::{
    buffers::Stream,
    pass::Pass,
    team::{Shared, Worker},
};
use crate::trace::{Block, Slice, Stage};
use std::{ops::Range, sync::PoisonError};

/// Values that a tap takes.
#[derive(Clone, Copy)]
pub(super) enum Kept<'a> {
    /// Of every token, so many each.
    F32(&'a Shared<f32>, usize),
    /// Ids likewise.
    U32(&'a Shared<u32>, usize),
    /// The same, of the tokens asked for only.
    Rows(&'a Shared<f32>, usize),
    /// The last norm.
    Norm,
    /// The router's logits.
    RouterLogits,
    /// The experts' gate projections.
    Gate,
    /// The experts' up projections.
    Up,
}

// Safety as in `forward`: no worker writes between the two meetings.
impl Pass<'_, '_, '_> {
    /// Hands values that all workers have made to the tap, if there is one: those of tokens `of`,
    /// from the stream that this worker works on.
    pub(super) fn record(
        &self,
        worker: &Worker<'_>,
        layer: Option<usize>,
        of: Range<usize>,
        values: &[(Stage, Kept<'_>)],
    ) {
        let Some(record) = &self.record else { return };
        worker.meet();
        if worker.index == 0 {
            let c = &self.batch.model.config;
            let position = self.batch.rows[of.start].position;
            let mut tap = record.tap.lock().unwrap_or_else(PoisonError::into_inner);
            for &(stage, kept) in values {
                let part = |width: usize| of.start * width..of.end * width;
                let inner = c.inner_vectors() * c.inner_width();
                // SAFETY: nobody writes before this worker has met the others again.
                let values = unsafe {
                    match kept {
                        Kept::F32(values, width) => Slice::F32(values.read(part(width))),
                        Kept::Rows(values, width) => Slice::F32(values.read(0..of.len() * width)),
                        Kept::U32(values, width) => Slice::U32(values.read(part(width))),
                        Kept::Norm => Slice::F32(record.normed.read(part(c.hidden))),
                        Kept::Gate => Slice::F32(record.gate.read(part(inner))),
                        Kept::Up => Slice::F32(record.up.read(part(inner))),
                        Kept::RouterLogits => Slice::F64(record.logits.read(part(c.experts))),
                    }
                };
                tap.take(Block { stage, layer, position, tokens: of.len(), values });
            }
        }
        worker.meet();
    }

    /// Hands over what a layer leaves behind, and the norm of it: the next layer's, or the last.
    pub(super) fn record_end(&self, worker: &Worker<'_>, stream: &Stream, layer: usize) {
        let (c, tokens) = (&self.batch.model.config, self.batch.rows.len());
        if c.experts > 0 {
            self.record(worker, Some(layer), 0..tokens, &[(Stage::MoeFfnOut, Kept::F32(&stream.sum, c.hidden))]);
        }
        self.record(worker, Some(layer), 0..tokens, &[(Stage::LayerOut, Kept::F32(&stream.x, c.hidden))]);
        if layer + 1 < c.blocks {
            self.record(worker, Some(layer + 1), 0..tokens, &[(Stage::AttnNorm, Kept::Norm)]);
        } else if !self.batch.logit_rows.is_empty() {
            self.record(worker, None, self.batch.logit_rows.clone(), &[(Stage::FinalNorm, Kept::Norm)]);
        }
    }

    /// Hands over the logits, [rows, vocab].
    pub(super) fn record_logits(&self, worker: &Worker<'_>, logits: &Shared<f32>) {
        let rows = &self.batch.logit_rows;
        let kept = Kept::Rows(logits, self.batch.model.config.vocab);
        self.record(worker, None, rows.clone(), &[(Stage::Logits, kept)]);
    }
}
