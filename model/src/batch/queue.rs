//! Continuous batching: requests wait, join when there is room, and leave when they end.

use super::{Answer, BatchError, BatchRoom, BatchSession, Part, SequenceId, Wants};
use crate::{
    engine::{EngineError, LogitRows},
    sample::Sampler,
};
use std::collections::VecDeque;

/// A text to continue.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// Maximum number of tokens to generate.
    pub most: usize,
    /// How tokens are chosen. Each request has its own sampler, so that its result does not depend on the others.
    pub sampler: Sampler,
}

/// Why a continuation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A token that ends texts was generated; it is not part of the continuation.
    End,
    /// It has the maximum number of tokens.
    Length,
    /// The positions of a sequence are full.
    Context,
    /// It was [stopped](Queue::stop).
    Stopped,
}

/// A request that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// Its number, in the order of requests, from 0.
    pub index: usize,
    /// The generated tokens.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub stop: Result<Stop, BatchError>,
}

/// Statistics so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Steps.
    pub steps: u64,
    /// Processed tokens of prompts.
    pub read: u64,
    /// Generated tokens.
    pub written: u64,
    /// Requests that have ended.
    pub ended: u64,
}

/// A request in the batch.
struct Running {
    index: usize,
    sequence: SequenceId,
    /// The prompt and the generated tokens.
    tokens: Vec<u32>,
    prompt: usize,
    /// The number of these tokens that the model has processed, or processes in this step.
    taken: usize,
    capacity: usize,
    most: usize,
    sampler: Sampler,
}

/// A sequence's result of a step: the number of its processed tokens, and the next token, if requested.
type Next = (usize, Result<Option<u32>, BatchError>);

/// Requests that share a batch: each gets the same tokens as alone.
///
/// Requests join in order. A step has the next token of each sequence, and as many tokens of prompts as the model can
/// process together with these.
pub struct Queue<'b, 'm> {
    batch: &'b mut BatchSession<'m>,
    is_end: Box<dyn Fn(u32) -> bool + 'b>,
    waiting: VecDeque<(usize, Request)>,
    running: Vec<Running>,
    made: usize,
    totals: Totals,
}

impl std::fmt::Debug for Queue<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("waiting", &self.waiting.len())
            .field("running", &self.running.len())
            .field("totals", &self.totals)
            .finish_non_exhaustive()
    }
}

impl<'b, 'm> Queue<'b, 'm> {
    /// No requests yet. `is_end` says which tokens end a text.
    pub fn new(batch: &'b mut BatchSession<'m>, is_end: impl Fn(u32) -> bool + 'b) -> Self {
        let (waiting, running) = (VecDeque::new(), Vec::new());
        Self { batch, is_end: Box::new(is_end), waiting, running, made: 0, totals: Totals::default() }
    }

    /// Adds a request; returns its number.
    pub fn push(&mut self, request: Request) -> usize {
        let index = self.made;
        self.made += 1;
        self.waiting.push_back((index, request));
        index
    }

    /// Statistics so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The number of running requests.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Lets waiting requests join, and runs a step. Requests that end are passed to the callback. Returns whether there
    /// is more to do.
    ///
    /// # Errors
    /// If the device failed. An error of one request ends only that one, and is passed to the callback.
    pub fn step(&mut self, each: &mut dyn FnMut(Ended)) -> Result<bool, BatchError> {
        self.admit(each)?;
        if self.running.is_empty() {
            return Ok(!self.waiting.is_empty());
        }
        let wants = self.share_out();
        let parts = self.running.iter().zip(&wants).filter_map(|(r, want)| {
            let (tokens, wants) = want.as_ref()?;
            Some(Part { sequence: r.sequence, tokens: &r.tokens[tokens.clone()], wants: *wants })
        });
        let parts: Vec<Part<'_>> = parts.collect();
        let step = self.batch.step(&parts)?;
        self.totals.steps += 1;
        let mut part = 0..;
        let next = self.running.iter_mut().zip(wants).map(|(running, want)| {
            let (tokens, _) = want?;
            let answer = step.answer(part.next()?);
            let choose =
                |a: Answer<'_>| a.token.or_else(|| (!a.logits.is_empty()).then(|| running.sampler.next(a.logits)));
            Some((tokens.end, answer.map(choose)))
        });
        let next: Vec<_> = next.collect();
        self.settle(next, each);
        Ok(!self.running.is_empty() || !self.waiting.is_empty())
    }

    /// Ends everything: running requests are passed to the callback with their tokens so far.
    pub fn stop(&mut self, each: &mut dyn FnMut(Ended)) {
        self.waiting.clear();
        for running in std::mem::take(&mut self.running) {
            self.end(running, Ok(Stop::Stopped), each);
        }
    }

    /// Waiting requests join while there is room, strictly in order.
    fn admit(&mut self, each: &mut dyn FnMut(Ended)) -> Result<(), BatchError> {
        while let Some((index, request)) = self.waiting.front() {
            let (room, prompt) = (self.batch.room(), request.tokens.len());
            let capacity = prompt.saturating_add(request.most.saturating_sub(1)).min(room.positions.max(prompt));
            let joined = match () {
                () if prompt == 0 => Err(EngineError::NoTokens.into()),
                () if capacity.div_ceil(BatchRoom::PAGE) > room.pages => {
                    Err(BatchError::Pages { needed: capacity.div_ceil(BatchRoom::PAGE), free: room.pages })
                }
                () => self.batch.join(capacity),
            };
            let sequence = match joined {
                Ok(sequence) => sequence,
                Err(BatchError::Sequences { .. } | BatchError::Pages { .. }) if !self.running.is_empty() => break,
                Err(BatchError::Step(error @ EngineError::Device { .. })) => return Err(error.into()),
                Err(error) => {
                    each(Ended { index: *index, tokens: Vec::new(), stop: Err(error) });
                    self.totals.ended += 1;
                    self.waiting.pop_front();
                    continue;
                }
            };
            let Some((index, Request { tokens, most, mut sampler })) = self.waiting.pop_front() else { break };
            sampler.take(&tokens);
            let running = Running { index, sequence, tokens, prompt, taken: 0, capacity, most, sampler };
            if most == 0 { self.end(running, Ok(Stop::Length), each) } else { self.running.push(running) }
        }
        Ok(())
    }

    /// The tokens of each sequence in this step, and the requested results.
    fn share_out(&self) -> Vec<Option<(std::ops::Range<usize>, Wants)>> {
        let decoding = self.running.iter().filter(|r| r.taken >= r.prompt).count();
        let at_once = self.batch.rows_at_once().max(1);
        // Tokens of prompts that fill the last pass.
        let mut left = at_once - decoding % at_once;
        let of = |r: &Running| {
            let end = r.tokens.len();
            let n = if r.taken >= r.prompt { end - r.taken } else { (end - r.taken).min(left) };
            if r.taken < r.prompt {
                left -= n;
            }
            let wants = match () {
                () if r.taken + n < end => Wants::Nothing,
                () if r.sampler.is_greedy() => Wants::Token,
                () => Wants::Logits(LogitRows::Last),
            };
            (n > 0).then(|| (r.taken..r.taken + n, wants))
        };
        self.running.iter().map(of).collect()
    }

    /// Processes a sequence's result: the number of its processed tokens, and its next token.
    fn settle(&mut self, next: Vec<Option<Next>>, each: &mut dyn FnMut(Ended)) {
        let all = std::mem::take(&mut self.running);
        for (mut running, next) in all.into_iter().zip(next) {
            let Some((taken, next)) = next else {
                self.running.push(running);
                continue;
            };
            let token = match next {
                Ok(token) => token,
                Err(error) => {
                    self.end(running, Err(error), each);
                    continue;
                }
            };
            self.totals.read += taken.min(running.prompt).saturating_sub(running.taken) as u64;
            running.taken = taken;
            let Some(token) = token else {
                self.running.push(running);
                continue;
            };
            if (self.is_end)(token) {
                self.end(running, Ok(Stop::End), each);
                continue;
            }
            running.tokens.push(token);
            self.totals.written += 1;
            let written = running.tokens.len() - running.prompt;
            if written == running.most {
                self.end(running, Ok(Stop::Length), each);
            } else if running.taken == running.capacity {
                self.end(running, Ok(Stop::Context), each);
            } else {
                self.running.push(running);
            }
        }
    }

    fn end(&mut self, mut running: Running, stop: Result<Stop, BatchError>, each: &mut dyn FnMut(Ended)) {
        self.batch.leave(running.sequence);
        self.totals.ended += 1;
        let tokens = running.tokens.split_off(running.prompt);
        each(Ended { index: running.index, tokens, stop });
    }
}
