//! A sequence on a device: rows of one sequence, with a cache of consecutive positions.

use super::{
    DeviceModel, LoadError,
    bind::{Kernels, Leg},
    buffers::{Status, name},
    passes::{Passes, Plans, RING},
    record::{Recorded, Tokens},
    recording::Recording,
    rows::Rows,
    slot::Slot,
};
use crate::{
    batch::{BadLogit, PassError, PassResults, Row},
    engine::{Engine, EngineError, LogitRows, Sequence, generate_on_host, most_likely_of},
    not_finite::NotFinite,
    origin::check_logits,
    sample::Sampler,
    trace::{Block, Slice, Stage, Tap},
};
use bytemuck::bytes_of;
use ptxgen_runtime::{Call, DeviceError, Later};
use std::ops::{ControlFlow, Range};

/// A sequence: its KV cache, and the recorded passes that extend it.
pub struct DeviceSession<'m> {
    sequence: Sequence,
    /// Its buffers, and passes of a few tokens, as far as they were needed: what guesses are checked with.
    pub(super) rows: Rows<'m>,
    pub(super) plans: Plans<'m>,
    pub(super) one: One,
    pub(super) many: Vec<Many>,
    traced: Option<Traced>,
    results: PassResults,
    logits: Vec<f32>,
}

/// Tokens of the passes of a few tokens.
const FEW: [usize; 3] = [2, 4, 8];

/// The token that is chosen if all logits are NaN.
const NOTHING: u32 = 0;

/// Passes of one token.
pub(super) struct One {
    pub(super) body: Recording,
    head: Vec<Call>,
    /// A whole token, including the choice of the most likely next one.
    greedy: Recording,
    /// A whole token, including sampling the next one.
    drawn: Recording,
}

/// Passes of several tokens.
pub(super) struct Many {
    tokens: usize,
    pub(super) body: Recording,
    /// Logits of all tokens, this many at once.
    all: Vec<Vec<Call>>,
    at_once: usize,
    /// For each token of the pass, the launches of its logits.
    heads: Vec<Vec<Call>>,
}

/// The same passes, launch by launch, for a tap.
struct Traced {
    one: Recorded,
    many: Vec<Recorded>,
    /// Whether the launches after the layers write the final norm to memory.
    final_norm: bool,
}

impl std::fmt::Debug for DeviceSession<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceSession")
            .field("model", self.model())
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

impl<'m> DeviceSession<'m> {
    pub(super) fn new(model: &'m DeviceModel, capacity: usize) -> Result<Self, LoadError> {
        let config = &model.plan.config;
        let plans = Plans::new(&model.plan, capacity, model.pass)?;
        let mut rows = Rows::new(model, plans.sizes(), capacity)?;
        let buffers = &mut rows.buffers.all;
        let route = model.route();

        let kernels = Kernels::load(&model.devices, &plans.one.plan)?;
        let nowhere = (Slot::Stream, 0);
        let legs = |p: &Passes<'_>, kernels: &Kernels, range: Range<usize>, moved, buffers: &mut _| {
            kernels.legs(&p.plan, &p.plan.launches[range], &model.weights, buffers, moved)
        };
        // What follows the layers is on one device.
        let calls = |legs: Vec<Leg>| legs.into_iter().flat_map(|leg| leg.calls).collect::<Vec<_>>();
        let p = &plans.one;
        let body = legs(p, &kernels, p.body.clone(), nowhere, buffers)?;
        let head = legs(p, &kernels, p.head.clone(), nowhere, buffers)?;
        let choice = legs(p, &kernels, p.choice.clone(), nowhere, buffers)?;
        let draw = legs(p, &kernels, p.draw.clone(), nowhere, buffers)?;
        let one = One {
            body: route.record(&body, buffers, 1)?,
            greedy: route.record_token(body.iter().chain(&head).chain(&choice), buffers)?,
            drawn: route.record_token(body.iter().chain(&head).chain(&draw), buffers)?,
            head: calls(head),
        };
        let row = config.hidden as u64 * 4;
        let mut many = Vec::new();
        let mut short = None;
        for passes in &plans.many {
            let tokens = passes.plan.tokens;
            let heads = (0..u64::from(tokens))
                .map(|i| legs(p, &kernels, p.head.clone(), (Slot::Stream, i * row), buffers).map(calls))
                .collect::<Result<_, _>>()?;
            let own = Kernels::load(&model.devices, &passes.plan)?;
            let body = legs(passes, &own, passes.body.clone(), nowhere, buffers)?;
            // The first has as many tokens as logits are computed at once.
            let (with_head, kernels) = short.get_or_insert((passes, own));
            let at_once = with_head.plan.tokens;
            let all = (0..tokens.div_ceil(at_once))
                .map(|i| {
                    let moved = (Slot::Stream, u64::from(i * at_once) * row);
                    legs(with_head, kernels, with_head.head.clone(), moved, buffers).map(calls)
                })
                .collect::<Result<_, _>>()?;
            let body = route.record(&body, buffers, tokens)?;
            many.push(Many { tokens: tokens as usize, body, all, at_once: at_once as usize, heads });
        }
        let sequence = Sequence::new(config.vocab, capacity, model.plan.policy);
        let (traced, results, logits) = (None, PassResults::default(), Vec::new());
        Ok(Self { sequence, rows, plans, one, many, traced, results, logits })
    }

    pub(super) fn model(&self) -> &'m DeviceModel {
        self.rows.buffers.model
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> EngineError {
        self.rows.buffers.failed(error)
    }

    /// The rows of these tokens.
    fn rows_of(tokens: &[u32], position: usize) -> Vec<Row> {
        (position..).zip(tokens).map(|(position, &token)| Row { token, position, sequence: 0 }).collect()
    }

    /// Writes the state of the next pass.
    pub(super) fn set_pass(&mut self, tokens: &[u32], position: usize) -> Result<(), DeviceError> {
        self.rows.set(&Self::rows_of(tokens, position), tokens.len())
    }

    /// Checks that all routers of a pass that began at `position` made a choice.
    fn check(&mut self, status: Status, position: usize) -> Result<(), EngineError> {
        let nan = self.rows.buffers.nan(status).map_err(|e| self.failed(&e))?;
        nan.map_or(Ok(()), |nan| Err(nan.at(position + nan.row)))
    }

    /// Runs a pass of a few tokens, with the most likely token after the first `chosen` and the logits of the next `logits`;
    /// false, without having done so, if there are no passes for so many. The position does not move.
    fn pass_of_few(&mut self, tokens: &[u32], (chosen, logits): (usize, usize)) -> Result<bool, EngineError> {
        self.sequence.check(tokens)?;
        if !self.has_few(tokens.len()).map_err(|e| self.failed(&e))? {
            return Ok(false);
        }
        let rows = Self::rows_of(tokens, self.sequence.position);
        match self.rows.pass(&rows, (chosen, logits), &mut self.results) {
            Ok(()) => Ok(true),
            Err(PassError::Nan(nan)) => Err(nan.at(rows[nan.row].position)),
            Err(PassError::Failed(error)) => Err(error),
        }
    }

    /// Whether there are passes for a few tokens. They are planned when they are first needed; a session whose buffers are
    /// too small for them has none.
    fn has_few(&mut self, tokens: usize) -> Result<bool, LoadError> {
        let Some(size) = FEW.into_iter().find(|size| *size >= tokens) else { return Ok(false) };
        if self.rows.has(size) {
            return Ok(true);
        }
        if self.many.first().is_none_or(|many| many.tokens < size) {
            return Ok(false);
        }
        let (model, positions) = (self.model(), self.plans.one.plan.positions);
        self.rows.add(Passes::of_few(&model.plan, positions, size as u32)?)
    }

    /// The passes for `tokens` tokens: the shortest that takes all of them, or the longest.
    pub(super) fn passes_for(&self, tokens: usize) -> Option<usize> {
        let last = self.many.len().checked_sub(1).filter(|_| tokens > 1)?;
        Some(self.many.iter().position(|m| m.tokens >= tokens).unwrap_or(last))
    }

    /// Runs a pass with as many tokens as fit; returns their number, and appends their logits if wanted.
    fn pass(
        &mut self,
        tokens: &[u32],
        position: usize,
        rows: LogitRows,
        tap: &mut Option<&mut dyn Tap>,
    ) -> Result<(usize, Status), DeviceError> {
        let which = self.passes_for(tokens.len());
        let taken = which.map_or(1, |i| self.many[i].tokens.min(tokens.len()));
        self.set_pass(&tokens[..taken], position)?;
        let last = taken == tokens.len();
        let all = Tokens { position, count: taken };
        match which {
            Some(i) => self.body(&self.many[i].body, |t| t.many.get(i), all, tap)?,
            None => self.body(&self.one.body, |t| Some(&t.one), all, tap)?,
        }
        let status = self.rows.buffers.status()?;
        let of_last = Tokens { position: position + taken - 1, count: 1 };
        match (which, rows) {
            (Some(i), LogitRows::All) => {
                for piece in 0..taken.div_ceil(self.many[i].at_once) {
                    let at_once = self.many[i].at_once;
                    let count = at_once.min(taken - piece * at_once);
                    let tokens = Tokens { position: position + piece * at_once, count };
                    self.head(|s| s.many[i].all.get(piece), tokens, tap)?;
                }
            }
            (Some(i), LogitRows::Last) if last => self.head(|s| s.many[i].heads.get(taken - 1), of_last, tap)?,
            (None, rows) if last || rows == LogitRows::All => self.head(|s| Some(&s.one.head), of_last, tap)?,
            _ => {}
        }
        Ok((taken, status))
    }

    /// Appends the logits of some tokens of the pass, using these calls.
    fn head(
        &mut self,
        calls: impl Fn(&Self) -> Option<&Vec<Call>>,
        tokens: Tokens,
        tap: &mut Option<&mut dyn Tap>,
    ) -> Result<(), DeviceError> {
        for call in calls(self).into_iter().flatten() {
            self.model().device().run(call)?;
        }
        let start = self.logits.len();
        self.logits.resize(start + tokens.count * self.sequence.vocab, 0.0);
        self.rows.buffers.read(Slot::Logits, &mut self.logits[start..])?;
        if let Some(tap) = tap {
            self.give_head(start, tokens, &mut **tap)?;
        }
        Ok(())
    }

    /// The embedding and the layers of a pass: as recorded, or launch by launch for a tap.
    fn body(
        &self,
        recording: &Recording,
        traced: impl FnOnce(&Traced) -> Option<&Recorded>,
        tokens: Tokens,
        tap: &mut Option<&mut dyn Tap>,
    ) -> Result<(), DeviceError> {
        match (tap, self.traced.as_ref().and_then(traced)) {
            (Some(tap), Some(traced)) => traced.run(&self.model().plan, &self.rows.buffers.all, tokens, &mut **tap),
            _ => recording.replay(tokens.count),
        }
    }

    /// Passes on the final norm, if it is written, and the logits, which begin at `start`.
    fn give_head(&self, start: usize, tokens: Tokens, tap: &mut dyn Tap) -> Result<(), DeviceError> {
        let Tokens { position, count } = tokens;
        let mut give = |stage, values: &[f32]| {
            tap.take(Block { stage, layer: None, position, tokens: count, values: Slice::F32(values) });
        };
        if self.traced.as_ref().is_some_and(|t| t.final_norm) {
            let mut norm = vec![0f32; count * self.model().config().hidden];
            self.rows.buffers.read(Slot::Normed, &mut norm)?;
            give(Stage::FinalNorm, &norm);
        }
        give(Stage::Logits, &self.logits[start..]);
        Ok(())
    }

    fn take(&mut self, tokens: &[u32], rows: LogitRows, mut tap: Option<&mut dyn Tap>) -> Result<(), EngineError> {
        if tap.is_some() && self.traced.is_none() {
            self.traced = Some(self.bind_traced().map_err(|e| self.failed(&e))?);
        }
        let start = self.sequence.position;
        let (mut done, mut before) = (0, None);
        while done < tokens.len() {
            let position = start + done;
            let (taken, status) = self.pass(&tokens[done..], position, rows, &mut tap).map_err(|e| self.failed(&e))?;
            done += taken;
            // The previous pass is checked while this one runs.
            if let Some((status, position)) = before.replace((status, position)) {
                self.check(status, position)?;
            }
        }
        if let Some((status, position)) = before {
            self.check(status, position)?;
        }
        Ok(())
    }

    fn bind_traced(&mut self) -> Result<Traced, LoadError> {
        let (model, buffers) = (self.model(), &mut self.rows.buffers.all);
        let mut recorded = |p: &Passes<'_>| -> Result<Recorded, LoadError> {
            let (kernels, stages) = (Kernels::load(&model.devices, &p.plan)?, &p.plan.launches[p.body.clone()]);
            let legs = kernels.legs(&p.plan, stages, &model.weights, buffers, (Slot::Stream, 0))?;
            let calls = model.route().singly(&legs, buffers, p.plan.tokens)?;
            Ok(Recorded::new(&p.plan, p.body.clone(), calls))
        };
        let one = recorded(&self.plans.one)?;
        let many = self.plans.many.iter().map(recorded).collect::<Result<_, _>>()?;
        let norms = |p: &Passes<'_>| {
            p.plan.launches[p.head.clone()].iter().any(|launch| launch.makes.contains(&Stage::FinalNorm))
        };
        let final_norm = norms(&self.plans.one) && self.plans.many.first().is_none_or(norms);
        Ok(Traced { one, many, final_norm })
    }

    /// Starts the next token, number `i`, sampled with a random word or the most likely one; returns it and the
    /// routers' status words.
    fn start(&mut self, i: usize, word: Option<u64>) -> Result<(Later<u32>, Status), DeviceError> {
        let at = i % RING as usize;
        match word {
            None => self.one.greedy.replay(1)?,
            Some(word) => {
                self.rows.buffers.put(Slot::Random, at * size_of::<u64>(), bytes_of(&word))?;
                self.one.drawn.replay(1)?;
            }
        }
        let chosen = self.rows.buffers.of_host::<u32>(Slot::Chosen)?.slice(at..=at)?;
        Ok((self.model().device().stream().read_later(chosen)?, self.rows.buffers.status()?))
    }

    /// The logits of the last submitted pass.
    fn logits_later(&self) -> Result<Later<f32>, DeviceError> {
        let logits = self.rows.buffers.of_host::<f32>(Slot::Logits)?.slice(..self.sequence.vocab)?;
        self.model().device().stream().read_later(logits)
    }

    /// Checks that the logits from which the token at `position` was chosen are finite.
    fn look(&self, logits: Later<f32>, position: usize) -> Result<(), EngineError> {
        let logits = logits.wait().map_err(|e| self.failed(&e))?;
        check_logits(&logits, self.sequence.vocab, position)
    }

    fn prepare(&mut self, first: u32, sampler: &Sampler) -> Result<(), DeviceError> {
        if let Some(distribution) = sampler.distribution() {
            self.rows.buffers.put(Slot::Distribution, 0, bytes_of(&distribution.words()))?;
        }
        self.set_pass(&[first], self.sequence.position)
    }
}

impl Engine for DeviceSession<'_> {
    fn sequence(&self) -> &Sequence {
        &self.sequence
    }

    fn rewind(&mut self, position: usize) {
        self.sequence.rewind(position);
    }

    fn device(&self) -> String {
        name(self.model())
    }

    fn forward_traced(
        &mut self,
        tokens: &[u32],
        rows: LogitRows,
        tap: Option<&mut dyn Tap>,
    ) -> Result<&[f32], EngineError> {
        self.sequence.check(tokens)?;
        self.logits.clear();
        let looked_at = tap.is_none();
        self.take(tokens, rows, tap)?;
        if looked_at {
            let (vocab, end) = (self.sequence.vocab, self.sequence.position + tokens.len());
            check_logits(&self.logits, vocab, end - self.logits.len() / vocab.max(1))?;
        }
        self.sequence.position += tokens.len();
        Ok(&self.logits)
    }

    fn forward_few(&mut self, tokens: &[u32]) -> Result<&[f32], EngineError> {
        if !self.pass_of_few(tokens, (0, tokens.len()))? {
            return self.forward(tokens, LogitRows::All);
        }
        let (vocab, position) = (self.sequence.vocab, self.sequence.position);
        std::mem::swap(&mut self.logits, &mut self.results.logits);
        check_logits(&self.logits, vocab, position)?;
        self.sequence.position += tokens.len();
        Ok(&self.logits)
    }

    fn most_likely(&mut self, tokens: &[u32]) -> Result<Vec<u32>, EngineError> {
        if !self.pass_of_few(tokens, (tokens.len(), 0))? {
            let vocab = self.sequence.vocab;
            return Ok(most_likely_of(self.forward(tokens, LogitRows::All)?, vocab));
        }
        let token = |(row, token): (usize, Result<u32, BadLogit>)| {
            let (stage, position) = (Stage::Logits, self.sequence.position + row);
            token.map_err(|BadLogit { index, nan }| {
                EngineError::NotFinite(NotFinite { stage, layer: None, position, index, nan })
            })
        };
        let rows = std::mem::take(&mut self.results.tokens);
        let chosen = rows.into_iter().enumerate().map(token).collect::<Result<_, _>>()?;
        self.sequence.position += tokens.len();
        Ok(chosen)
    }

    fn generate(
        &mut self,
        first: u32,
        n: usize,
        sampler: &mut Sampler,
        each: &mut dyn FnMut(u32) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        if sampler.adjusts() {
            return generate_on_host(self, first, n, sampler, each);
        }
        let Sequence { position: start, capacity, .. } = self.sequence;
        let n = n.min(capacity - start);
        if n == 0 {
            return Ok(());
        }
        self.sequence.check(&[first])?;
        self.prepare(first, sampler).map_err(|e| self.failed(&e))?;
        // Random words for tokens that are not needed in the end are not taken from the sampler.
        let (draws, mut ahead) = (sampler.distribution().is_some(), sampler.clone());
        let mut word = || draws.then(|| ahead.word());
        let mut under_way = Some(self.start(0, word()).map_err(|e| self.failed(&e))?);
        for i in 0..n {
            let Some((chosen, status)) = under_way.take() else { break };
            // At intervals, and at the end, the logits of the choice are read before the next pass overwrites them.
            let look = (i + 1 == n || (i + 1) % RING as usize == 0)
                .then(|| self.logits_later())
                .transpose()
                .map_err(|e| self.failed(&e))?;
            // The next token is started before this one is checked.
            if i + 1 < n {
                under_way = Some(self.start(i + 1, word()).map_err(|e| self.failed(&e))?);
            }
            self.check(status, start + i)?;
            let chosen = chosen.wait().map_err(|e| self.failed(&e))?;
            if let Some(look) = look {
                self.look(look, start + i)?;
            }
            if under_way.is_some() && chosen.contains(&NOTHING) {
                // These are the logits of the token in flight: if this token's logits were all NaN, those that follow
                // from it are NaN too.
                let later = self.logits_later().map_err(|e| self.failed(&e))?;
                self.look(later, start + i)?;
            }
            self.sequence.position = start + i + 1;
            if draws {
                sampler.word();
            }
            if chosen.into_iter().any(|token| each(token).is_break()) {
                break;
            }
        }
        Ok(())
    }
}
