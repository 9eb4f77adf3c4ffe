//! Steps of a batch.

use super::{
    Backend, BatchError, BatchRoom, PassError, PassResults, SequenceId,
    part::Part,
    places::Places,
    rows::{Pass, Passes, Row},
};
use crate::{
    device::StageTime,
    engine::{EngineError, check_tokens},
    load_error::LoadError,
    not_finite::{NotFinite, first},
    trace::Stage,
};
use ptxgen_dsl::precision::Policy;
use std::ops::Range;

/// What a sequence got of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer<'s> {
    /// The most likely next token, where it was [wanted](super::Wants::Token).
    pub token: Option<u32>,
    /// The requested logits, [1 or tokens, vocabulary].
    pub logits: &'s [f32],
}

/// The results of a step.
#[derive(Clone, Copy, Debug)]
pub struct Step<'s> {
    answers: &'s [Result<Given, BatchError>],
    logits: &'s [f32],
}

impl<'s> Step<'s> {
    /// The result of part `i` of the step.
    ///
    /// # Errors
    /// [`BatchError::Sequence`] if the sequence's values contain NaN or infinity, or there is no memory for it; then it
    /// has its position before the step. The other sequences are not affected.
    ///
    /// # Panics
    /// If the step had no such part.
    pub fn answer(&self, i: usize) -> Result<Answer<'s>, BatchError> {
        self.answers[i].clone().map(|given| Answer { token: given.token, logits: &self.logits[given.logits] })
    }
}

/// The place of a part's result.
#[derive(Clone, Debug, Default)]
struct Given {
    token: Option<u32>,
    logits: Range<usize>,
}

/// The logic that is common to all devices, and the device.
pub(crate) struct Setup<'m> {
    pub(crate) backend: Box<dyn Backend + 'm>,
    pub(crate) vocab: usize,
    pub(crate) policy: Policy,
}

/// Sequences of one model on a device: see the [module](super).
pub struct BatchSession<'m> {
    backend: Box<dyn Backend + 'm>,
    vocab: usize,
    policy: Policy,
    places: Places,
    answers: Vec<Result<Given, BatchError>>,
    logits: Vec<f32>,
    results: PassResults,
}

impl std::fmt::Debug for BatchSession<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchSession")
            .field("device", &self.backend.device())
            .field("policy", &self.policy)
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}

impl<'m> BatchSession<'m> {
    /// An empty batch on a device that was prepared for this capacity.
    pub(crate) fn new(setup: Setup<'m>, room: BatchRoom) -> Self {
        let Setup { backend, vocab, policy } = setup;
        let (answers, logits) = (Vec::new(), Vec::new());
        Self { backend, vocab, policy, places: Places::new(room), answers, logits, results: PassResults::default() }
    }

    /// Checks the requested capacity.
    pub(crate) fn check_room(room: BatchRoom, context: usize) -> Result<(), LoadError> {
        if room.positions > context {
            return Err(LoadError::Context { asked: room.positions, context });
        }
        if room.sequences == 0 || room.positions == 0 || room.pages == 0 {
            return Err(LoadError::EmptyBatch);
        }
        Ok(())
    }

    /// The capacity of the batch.
    pub fn room(&self) -> BatchRoom {
        self.places.room()
    }

    /// Number of free pages of the cache.
    pub fn free_pages(&self) -> usize {
        self.places.free_pages()
    }

    /// Number of sequences in the batch.
    pub fn sequences(&self) -> usize {
        self.places.members()
    }

    /// Size of the vocabulary: the length of a row of logits.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// The numeric policy.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The device, in a few words for messages.
    pub fn device(&self) -> String {
        self.backend.device()
    }

    /// Maximum number of tokens in one pass. A step may have more.
    pub fn rows_at_once(&self) -> usize {
        self.backend.most()
    }

    /// Adds a sequence for `positions` tokens, which keeps its pages until it leaves.
    ///
    /// # Errors
    /// If there is no free place, or there are not enough free pages; then nothing has changed.
    pub fn join(&mut self, positions: usize) -> Result<SequenceId, BatchError> {
        let (id, pages) = self.places.join(positions)?;
        match self.backend.seat(id.place, pages) {
            Ok(()) => Ok(id),
            Err(error) => {
                self.places.leave(id);
                Err(error.into())
            }
        }
    }

    /// Removes a sequence and frees its place and pages; false if it is not in the batch.
    pub fn leave(&mut self, sequence: SequenceId) -> bool {
        self.places.leave(sequence)
    }

    /// Tokens that a sequence has processed so far.
    ///
    /// # Errors
    /// If it is not in the batch.
    pub fn position(&self, sequence: SequenceId) -> Result<usize, BatchError> {
        self.places.get(sequence).map(|m| m.position)
    }

    /// Makes a sequence forget all tokens after the first `position`; no effect if it has not processed as many.
    ///
    /// # Errors
    /// If it is not in the batch.
    pub fn rewind(&mut self, sequence: SequenceId, position: usize) -> Result<(), BatchError> {
        self.places.get_mut(sequence).map(|m| m.position = m.position.min(position))
    }

    /// Processes the next tokens of some sequences, any number for each.
    ///
    /// # Errors
    /// If a part's request is impossible, or the device failed: then every sequence is unchanged. [`Step::answer`]
    /// reports errors in the values of one sequence.
    pub fn step(&mut self, parts: &[Part<'_>]) -> Result<Step<'_>, BatchError> {
        let positions = self.check(parts)?;
        self.answers.clear();
        self.answers.resize_with(parts.len(), || Ok(Given::default()));
        // Failed sequences are left out and the others run again; cache contents after a sequence's position are
        // ignored.
        while let Err((part, error)) = self.attempt(parts, &positions)? {
            self.answers[part] = Err(BatchError::Sequence { sequence: parts[part].sequence, error });
        }
        for (part, answer) in parts.iter().zip(&self.answers) {
            if answer.is_ok() {
                self.places.get_mut(part.sequence)?.position += part.tokens.len();
            }
        }
        Ok(Step { answers: &self.answers, logits: &self.logits })
    }

    /// The times of the launches of a step in which each sequence processes one token at its position, as in
    /// [`DeviceSession::stage_times`](crate::device::DeviceSession::stage_times); empty on the CPU. If there are more
    /// sequences than fit into one pass, only those of one pass are measured. Afterwards the sequences are empty.
    ///
    /// # Errors
    /// If the device failed.
    pub fn stage_times(&mut self, runs: usize) -> Result<Vec<StageTime>, LoadError> {
        let most = self.backend.most();
        let rows: Vec<Row> = self
            .places
            .iter_mut()
            .map(|(place, member)| {
                let position = std::mem::take(&mut member.position).min(member.capacity.saturating_sub(1));
                Row { token: 0, position, sequence: place }
            })
            .take(most)
            .collect();
        if rows.is_empty() { Ok(Vec::new()) } else { self.backend.stage_times(&rows, runs) }
    }

    /// The start positions of the parts.
    fn check(&self, parts: &[Part<'_>]) -> Result<Vec<usize>, BatchError> {
        if parts.is_empty() {
            return Err(EngineError::NoTokens.into());
        }
        let mut seen = vec![false; self.places.room().sequences];
        let mut positions = Vec::with_capacity(parts.len());
        for &Part { sequence, tokens, .. } in parts {
            let member = self.places.get(sequence)?;
            if std::mem::replace(&mut seen[sequence.place], true) {
                return Err(BatchError::Twice(sequence));
            }
            check_tokens(tokens, member.position, member.capacity, self.vocab)
                .map_err(|error| BatchError::Sequence { sequence, error })?;
            positions.push(member.position);
        }
        Ok(positions)
    }

    /// Runs the parts that have not failed; or returns one that fails, with its error.
    fn attempt(
        &mut self,
        parts: &[Part<'_>],
        positions: &[usize],
    ) -> Result<Result<(), (usize, EngineError)>, BatchError> {
        self.logits.clear();
        self.answers.iter_mut().flatten().for_each(|given| *given = Given::default());
        let alive = (0..parts.len()).filter(|&i| self.answers[i].is_ok());
        let passes = Passes::new(parts, positions, alive, self.backend.most());
        for pass in passes.iter() {
            let rows: Vec<Row> = pass.rows.iter().map(|r| r.row).collect();
            match self.backend.pass(&rows, pass.chosen, pass.logits, &mut self.results) {
                Ok(()) => {}
                Err(PassError::Nan(nan)) => {
                    return Ok(Err((pass.rows[nan.row].part, nan.at(rows[nan.row].position))));
                }
                Err(PassError::Failed(error)) => return Err(error.into()),
            }
            if let Err(failed) = self.keep(pass) {
                return Ok(Err(failed));
            }
        }
        Ok(Ok(()))
    }

    /// Stores the results of a pass; or returns the part whose logits contain NaN or infinity.
    fn keep(&mut self, pass: Pass<'_>) -> Result<(), (usize, EngineError)> {
        let vocab = self.vocab;
        let (chosen, rest) = pass.rows.split_at(pass.chosen);
        let bad = |part, position, index, nan| {
            let found = NotFinite { stage: Stage::Logits, layer: None, position, index, nan };
            (part, EngineError::NotFinite(found))
        };
        for (row, token) in chosen.iter().zip(&self.results.tokens) {
            match *token {
                Ok(token) => self.answers[row.part] = Ok(Given { token: Some(token), logits: 0..0 }),
                Err(at) => return Err(bad(row.part, row.row.position, at.index, at.nan)),
            }
        }
        for (row, logits) in rest[..pass.logits].iter().zip(self.results.logits.chunks_exact(vocab)) {
            if let Some(index) = first(logits) {
                return Err(bad(row.part, row.row.position, index, logits[index].is_nan()));
            }
            let end = self.logits.len() + vocab;
            let Ok(given) = &mut self.answers[row.part] else { continue };
            // The rows of a part are in order, one after the other.
            let start = if given.logits.is_empty() { self.logits.len() } else { given.logits.start };
            given.logits = start..end;
            self.logits.extend_from_slice(logits);
        }
        Ok(())
    }
}
