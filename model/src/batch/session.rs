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
    /// The logits that were wanted, [1 or tokens, vocabulary].
    pub logits: &'s [f32],
}

/// What a step gave.
#[derive(Clone, Copy, Debug)]
pub struct Step<'s> {
    answers: &'s [Result<Given, BatchError>],
    logits: &'s [f32],
}

impl<'s> Step<'s> {
    /// What part `i` of the step got.
    ///
    /// # Errors
    /// [`BatchError::Sequence`] if the sequence's values are not numbers to go on with, or there is no memory for it; it
    /// is where it was before the step. The other sequences have gone on.
    ///
    /// # Panics
    /// If the step had no such part.
    pub fn answer(&self, i: usize) -> Result<Answer<'s>, BatchError> {
        self.answers[i].clone().map(|given| Answer { token: given.token, logits: &self.logits[given.logits] })
    }
}

/// Where a part's answer is.
#[derive(Clone, Debug, Default)]
struct Given {
    token: Option<u32>,
    logits: Range<usize>,
}

/// What all devices' batches have in common, and what a device does for it.
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
    /// An empty batch on a device that has been prepared for this room.
    pub(crate) fn new(setup: Setup<'m>, room: BatchRoom) -> Self {
        let Setup { backend, vocab, policy } = setup;
        let (answers, logits) = (Vec::new(), Vec::new());
        Self { backend, vocab, policy, places: Places::new(room), answers, logits, results: PassResults::default() }
    }

    /// Checks what a device is asked to prepare.
    pub(crate) fn check_room(room: BatchRoom, context: usize) -> Result<(), LoadError> {
        if room.positions > context {
            return Err(LoadError::Context { asked: room.positions, context });
        }
        if room.sequences == 0 || room.positions == 0 || room.pages == 0 {
            return Err(LoadError::EmptyBatch);
        }
        Ok(())
    }

    /// What the batch has room for.
    pub fn room(&self) -> BatchRoom {
        self.places.room()
    }

    /// Pages of the cache that no sequence has.
    pub fn free_pages(&self) -> usize {
        self.places.free_pages()
    }

    /// Sequences that are in it.
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

    /// The device, in a few words for people.
    pub fn device(&self) -> String {
        self.backend.device()
    }

    /// Tokens that go through the model together at most. A step may have more.
    pub fn rows_at_once(&self) -> usize {
        self.backend.most()
    }

    /// A new sequence with room for `positions` tokens, whose pages are its own until it leaves.
    ///
    /// # Errors
    /// If there is no place, or there are not so many pages; nothing has changed then.
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

    /// A sequence leaves, and others may have its place and pages; false if it is not there.
    pub fn leave(&mut self, sequence: SequenceId) -> bool {
        self.places.leave(sequence)
    }

    /// Tokens that a sequence has taken so far.
    ///
    /// # Errors
    /// If it is not there.
    pub fn position(&self, sequence: SequenceId) -> Result<usize, BatchError> {
        self.places.get(sequence).map(|m| m.position)
    }

    /// Makes a sequence forget all tokens but the first `position`; nothing if it has not taken as many.
    ///
    /// # Errors
    /// If it is not there.
    pub fn rewind(&mut self, sequence: SequenceId, position: usize) -> Result<(), BatchError> {
        self.places.get_mut(sequence).map(|m| m.position = m.position.min(position))
    }

    /// Takes the next tokens of some sequences, any number of each.
    ///
    /// # Errors
    /// If a part asks for what is not possible, or the device failed: every sequence is as it was before. What is wrong
    /// with the values of one is said by [`Step::answer`].
    pub fn step(&mut self, parts: &[Part<'_>]) -> Result<Step<'_>, BatchError> {
        let positions = self.check(parts)?;
        self.answers.clear();
        self.answers.resize_with(parts.len(), || Ok(Given::default()));
        // Who fails stands aside, and the others go again: what is in the cache after a sequence's position does not count.
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

    /// What the launches of a step take, in which each sequence takes one token at its position, as
    /// [`DeviceSession::stage_times`](crate::device::DeviceSession::stage_times) has them; nothing on the CPU. Where
    /// there are more sequences than go through the model together, it is of those that do. The sequences are empty afterwards.
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

    /// The positions at which the parts begin.
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

    /// Runs the parts that have not failed; or one that fails, and why.
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
                    let (part, position) = (pass.rows[nan.row].part, rows[nan.row].position);
                    let (layer, expert) = (nan.layer, nan.expert);
                    return Ok(Err((part, EngineError::NanInRouter { layer, expert, position })));
                }
                Err(PassError::Failed(error)) => return Err(error.into()),
            }
            if let Err(failed) = self.keep(pass) {
                return Ok(Err(failed));
            }
        }
        Ok(Ok(()))
    }

    /// Keeps what a pass gave; or the part whose logits are no numbers.
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
            // A part's rows come in order, one after the other.
            let start = if given.logits.is_empty() { self.logits.len() } else { given.logits.start };
            given.logits = start..end;
            self.logits.extend_from_slice(logits);
        }
        Ok(())
    }
}
