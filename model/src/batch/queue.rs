//! Continuous batching: requests wait, join when there is room, and leave when they end.

use super::{Answer, BatchError, BatchRoom, BatchSession, Part, SequenceId, Wants};
use crate::{
    engine::{EngineError, LogitRows},
    sample::Sampler,
};
use std::collections::VecDeque;

/// A text to be continued.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// Tokens to write at most.
    pub most: usize,
    /// How they are chosen. A sampler of its own for each request: then what it gets does not depend on the others.
    pub sampler: Sampler,
}

/// Why a continuation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A token came that ends texts; it is not part of the continuation.
    End,
    /// It has as many tokens as it was to have.
    Length,
    /// The positions of a sequence are full.
    Context,
    /// It was [stopped](Queue::stop).
    Stopped,
}

/// A request that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// Its number, in the order in which requests were made, from 0 on.
    pub index: usize,
    /// The tokens written.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub stop: Result<Stop, BatchError>,
}

/// What has been done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Steps.
    pub steps: u64,
    /// Tokens of prompts that were taken.
    pub read: u64,
    /// Tokens written.
    pub written: u64,
    /// Requests that have ended.
    pub ended: u64,
}

/// A request in the batch.
struct Running {
    index: usize,
    sequence: SequenceId,
    /// The prompt and what was written.
    tokens: Vec<u32>,
    prompt: usize,
    /// Of these, what the model has taken, or takes in this step.
    taken: usize,
    capacity: usize,
    most: usize,
    sampler: Sampler,
}

/// What a step has made of a sequence: its tokens up to here are taken, and the next one, if it was wanted.
type Next = (usize, Result<Option<u32>, BatchError>);

/// Requests on their way through a batch: the tokens of each are those that it would get alone.
///
/// Requests join in the order in which they were made. A step has the next token of each sequence, and as much of prompts
/// as the model takes together with these.
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

    /// Makes a request; its number.
    pub fn push(&mut self, request: Request) -> usize {
        let index = self.made;
        self.made += 1;
        self.waiting.push_back((index, request));
        index
    }

    /// What has been done so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Requests that are neither ended nor waiting.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Lets waiting requests join, and takes a step. Requests that end are handed over. Whether there is more to do.
    ///
    /// # Errors
    /// If the device failed. What is wrong with one request ends that one only, and is handed over.
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

    /// Ends everything: requests that are running are handed over with what they have.
    pub fn stop(&mut self, each: &mut dyn FnMut(Ended)) {
        self.waiting.clear();
        for running in std::mem::take(&mut self.running) {
            self.end(running, Ok(Stop::Stopped), each);
        }
    }

    /// Waiting requests join as far as there is room; none passes another.
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

    /// Which tokens of each sequence go into the step, and what is wanted of them.
    fn share_out(&self) -> Vec<Option<(std::ops::Range<usize>, Wants)>> {
        let decoding = self.running.iter().filter(|r| r.taken >= r.prompt).count();
        let at_once = self.batch.rows_at_once().max(1);
        // What fills the last pass up.
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

    /// What becomes of each sequence after a step, which had its tokens up to one, and gave the next.
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
