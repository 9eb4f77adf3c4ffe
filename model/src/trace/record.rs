//! Recording a run.

use super::{Fault, Selected, Stage, Tap, TraceError, complete::Complete, complete::State};
use crate::{
    engine::{Engine, LogitRows},
    kv::KvType,
    plain::{Choice, PlainModel},
};

/// Maximum number of tokens of a batch.
const BATCH: usize = 64;

/// Records a run on given tokens, whole or piece by piece.
#[derive(Debug)]
pub struct Recorder<'a> {
    model: &'a PlainModel<'a>,
    kv: KvType,
    tokens: &'a [u32],
    selected: &'a Selected,
    state: State,
}

impl<'a> Recorder<'a> {
    /// Prepares to record the selection for `model` with a KV cache of type `kv`, which is the session's.
    pub fn new(model: &'a PlainModel<'a>, kv: KvType, tokens: &'a [u32], selected: &'a Selected) -> Self {
        Self { model, kv, tokens, selected, state: State::default() }
    }

    /// Runs the tokens up to `end` with a session that has processed those before. `sink` receives the selected stages,
    /// for consecutive selected positions at a time, every batch in the forward's order. Stages that the device did not
    /// write are derived from those that it wrote.
    ///
    /// # Errors
    /// If the forward fails.
    pub fn advance(&mut self, session: &mut dyn Engine, end: usize, sink: &mut dyn Tap) -> Result<(), TraceError> {
        let choice = Choice::of(session.policy(), self.kv);
        let ends = self.selected.has(Stage::FinalNorm, None) || self.selected.has(Stage::Logits, None);
        while session.position() < end {
            let first = session.position();
            let piece = &self.tokens[first..end.min(first + BATCH)];
            let kept = &self.selected.positions[self.selected.rows(first, piece.len())];
            let only_last = kept.iter().all(|&p| p + 1 == first + piece.len());
            let rows = if ends && !only_last { LogitRows::All } else { LogitRows::Last };
            let mut complete = Complete::new(self.model, choice, self.tokens, self.selected, sink, &mut self.state);
            session.forward_traced(piece, rows, Some(&mut complete))?;
            complete.finish()?;
        }
        Ok(())
    }

    /// Stages that were derived from what the device wrote, in the forward's order.
    pub fn derived(&self) -> Vec<Stage> {
        self.state.derived.iter().copied().collect()
    }

    /// Values that the device wrote and that do not follow from what it wrote before, in the forward's order.
    pub fn faults(&self) -> Vec<Fault> {
        self.state.faults.values().cloned().collect()
    }
}
