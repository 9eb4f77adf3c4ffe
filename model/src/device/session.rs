//! A sequence on a device.

use super::{
    DeviceModel, LoadError,
    bind::{Buffers, Kernels},
    buffers::{begun, chosen_of_rows, clear_status, first_nan, name, of_host, put, read, status},
    few::FewPasses,
    passes::{Passes, Plans, RING},
    record::{Recorded, Tokens},
    slot::Slot,
};
use crate::{
    batch::{BadLogit, NanInRow},
    engine::{Engine, EngineError, LogitRows, Sequence, generate_on_host, most_likely_of},
    not_finite::NotFinite,
    origin::check_logits,
    sample::Sampler,
    trace::{Block, Slice, Stage, Tap},
};
use bytemuck::{bytes_of, cast_slice};
use ptxgen_dsl::device::pass;
use ptxgen_runtime::{Call, Device, DeviceError, Graph, Later};
use std::ops::ControlFlow;

/// A sequence: its KV cache, and the recorded passes that extend it.
pub struct DeviceSession<'m> {
    pub(super) model: &'m DeviceModel,
    sequence: Sequence,
    pub(super) plans: Plans<'m>,
    pub(super) buffers: Buffers,
    pub(super) one: One,
    pub(super) many: Vec<Many>,
    /// Passes of a few tokens, as far as they were needed.
    few: FewPasses,
    traced: Option<Traced>,
    logits: Vec<f32>,
}

/// The token that is chosen if all logits are NaN.
const NOTHING: u32 = 0;

/// Passes of one token.
pub(super) struct One {
    pub(super) body: Graph,
    head: Vec<Call>,
    /// A whole token, including the choice of the most likely next one.
    greedy: Graph,
    /// A whole token, including sampling the next one.
    drawn: Graph,
}

/// Passes of several tokens.
pub(super) struct Many {
    tokens: usize,
    pub(super) body: Graph,
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
            .field("model", &self.model)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

impl<'m> DeviceSession<'m> {
    pub(super) fn new(model: &'m DeviceModel, capacity: usize) -> Result<Self, LoadError> {
        let config = &model.plan.config;
        let plans = Plans::new(&model.plan, capacity, model.pass)?;
        let mut buffers = begun(model, plans.sizes(), capacity)?;

        let device = model.device();
        let kernels = Kernels::load(&model.devices, &plans.one.plan)?;
        let nowhere = (Slot::Stream, 0);
        let mut bind = |p: &Passes<'_>, kernels: &Kernels, range: std::ops::Range<usize>, moved| {
            kernels.bind(&p.plan, &p.plan.launches[range], &model.weights, &mut buffers, moved)
        };
        let p = &plans.one;
        let body = bind(p, &kernels, p.body.clone(), nowhere)?;
        let head = bind(p, &kernels, p.head.clone(), nowhere)?;
        let (choice, draw) =
            (bind(p, &kernels, p.choice.clone(), nowhere)?, bind(p, &kernels, p.draw.clone(), nowhere)?);
        let token = |end: &[Call]| device.graph(&[&body[..], &head, end].concat());
        let one = One { body: device.graph(&body)?, greedy: token(&choice)?, drawn: token(&draw)?, head };
        let row = config.hidden as u64 * 4;
        let mut many = Vec::new();
        let mut short = None;
        for passes in &plans.many {
            let tokens = passes.plan.tokens;
            let heads = (0..u64::from(tokens))
                .map(|i| bind(p, &kernels, p.head.clone(), (Slot::Stream, i * row)))
                .collect::<Result<_, _>>()?;
            let own = Kernels::load(&model.devices, &passes.plan)?;
            let body = bind(passes, &own, passes.body.clone(), nowhere)?;
            // The first has as many tokens as logits are computed at once.
            let (with_head, kernels) = short.get_or_insert((passes, own));
            let at_once = with_head.plan.tokens;
            let all = (0..tokens.div_ceil(at_once))
                .map(|i| {
                    let moved = (Slot::Stream, u64::from(i * at_once) * row);
                    bind(with_head, kernels, with_head.head.clone(), moved)
                })
                .collect::<Result<_, _>>()?;
            let body = device.graph(&body)?;
            many.push(Many { tokens: tokens as usize, body, all, at_once: at_once as usize, heads });
        }
        let sequence = Sequence::new(config.vocab, capacity, model.plan.policy);
        Ok(Self {
            model,
            sequence,
            plans,
            buffers,
            one,
            many,
            few: FewPasses::default(),
            traced: None,
            logits: Vec::new(),
        })
    }

    fn device(&self) -> &'m Device {
        self.model.device()
    }

    /// Writes the state of the next pass.
    pub(super) fn set_pass(&mut self, tokens: &[u32], position: usize) -> Result<(), DeviceError> {
        let mut state = [0u32; pass::STATE_WORDS as usize];
        state[pass::POSITION as usize] = position as u32;
        state[pass::TOKENS as usize] = tokens.len() as u32;
        put(&mut self.buffers, Slot::State, 0, bytes_of(&state))?;
        put(&mut self.buffers, Slot::Tokens, 0, cast_slice(tokens))
    }

    /// The routers' status words, after the submitted work; `None` for a model without routers.
    fn status(&self) -> Result<Option<Later<u64>>, DeviceError> {
        status(self.model, &self.buffers)
    }

    /// Checks that all routers of a pass that began at `position` made a choice.
    fn check(&mut self, status: Option<Later<u64>>, position: usize) -> Result<(), EngineError> {
        let Some(status) = status else { return Ok(()) };
        let words = status.wait().map_err(|e| self.failed(&e))?;
        let Some(NanInRow { layer, row, expert }) = first_nan(&words) else { return Ok(()) };
        self.forget().map_err(|e| self.failed(&e))?;
        Err(EngineError::NanInRouter { layer, expert, position: position + row })
    }

    /// Runs a pass of a few tokens, with logits and the most likely token after each; false, without having done so, where
    /// there are no passes for so many. The position does not move.
    fn pass_of_few(&mut self, tokens: &[u32]) -> Result<bool, EngineError> {
        self.sequence.check(tokens)?;
        let recorded = self.few.record(tokens.len(), self.model, self.plans.one.plan.positions, &mut self.buffers);
        if !recorded.map_err(|e| self.failed(&e))? {
            return Ok(false);
        }
        let position = self.sequence.position;
        self.set_pass(tokens, position).map_err(|e| self.failed(&e))?;
        let Some(graph) = self.few.graph(tokens.len()) else { return Ok(false) };
        let started = self.device().replay(graph).and_then(|()| self.status());
        self.check(started.map_err(|e| self.failed(&e))?, position)?;
        Ok(true)
    }

    /// Makes the buffers those of a session in which nothing has gone wrong.
    pub(super) fn forget(&mut self) -> Result<(), DeviceError> {
        clear_status(&mut self.buffers)
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> EngineError {
        EngineError::Device { device: self.device().name().to_owned(), message: error.to_string() }
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
    ) -> Result<(usize, Option<Later<u64>>), DeviceError> {
        let which = self.passes_for(tokens.len());
        let taken = which.map_or(1, |i| self.many[i].tokens.min(tokens.len()));
        self.set_pass(&tokens[..taken], position)?;
        let last = taken == tokens.len();
        let all = Tokens { position, count: taken };
        match which {
            Some(i) => self.body(&self.many[i].body, |t| t.many.get(i), all, tap)?,
            None => self.body(&self.one.body, |t| Some(&t.one), all, tap)?,
        }
        let status = self.status()?;
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
            self.device().run(call)?;
        }
        let start = self.logits.len();
        self.logits.resize(start + tokens.count * self.sequence.vocab, 0.0);
        read(of_host(self.model, &self.buffers, Slot::Logits), &mut self.logits[start..])?;
        if let Some(tap) = tap {
            self.give_head(start, tokens, &mut **tap)?;
        }
        Ok(())
    }

    /// The embedding and the layers of a pass: its graph, or launch by launch for a tap.
    fn body(
        &self,
        graph: &Graph,
        traced: impl FnOnce(&Traced) -> Option<&Recorded>,
        tokens: Tokens,
        tap: &mut Option<&mut dyn Tap>,
    ) -> Result<(), DeviceError> {
        match (tap, self.traced.as_ref().and_then(traced)) {
            (Some(tap), Some(traced)) => traced.run(self.device(), &self.model.plan, &self.buffers, tokens, &mut **tap),
            _ => self.device().replay(graph),
        }
    }

    /// Passes on the final norm, if it is written, and the logits, which begin at `start`.
    fn give_head(&self, start: usize, tokens: Tokens, tap: &mut dyn Tap) -> Result<(), DeviceError> {
        let Tokens { position, count } = tokens;
        let mut give = |stage, values: &[f32]| {
            tap.take(Block { stage, layer: None, position, tokens: count, values: Slice::F32(values) });
        };
        if self.traced.as_ref().is_some_and(|t| t.final_norm) {
            let mut norm = vec![0f32; count * self.model.plan.config.hidden];
            read(of_host(self.model, &self.buffers, Slot::Normed), &mut norm)?;
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
        let (devices, weights) = (&self.model.devices, &self.model.weights);
        let mut recorded = |p: &Passes<'_>| -> Result<Recorded, LoadError> {
            let (kernels, stages) = (Kernels::load(devices, &p.plan)?, &p.plan.launches[p.body.clone()]);
            let calls = kernels.bind(&p.plan, stages, weights, &mut self.buffers, (Slot::Stream, 0))?;
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
    fn start(&mut self, i: usize, word: Option<u64>) -> Result<(Later<u32>, Option<Later<u64>>), DeviceError> {
        let (device, at) = (self.device(), i % RING as usize);
        match word {
            None => device.replay(&self.one.greedy)?,
            Some(word) => {
                put(&mut self.buffers, Slot::Random, at * size_of::<u64>(), bytes_of(&word))?;
                device.replay(&self.one.drawn)?;
            }
        }
        let chosen = of_host(self.model, &self.buffers, Slot::Chosen).view().cast::<u32>()?.slice(at..=at)?;
        Ok((device.stream().read_later(chosen)?, self.status()?))
    }

    /// The logits of the last submitted pass.
    fn logits_later(&self) -> Result<Later<f32>, DeviceError> {
        let logits =
            of_host(self.model, &self.buffers, Slot::Logits).view().cast::<f32>()?.slice(..self.sequence.vocab)?;
        self.device().stream().read_later(logits)
    }

    /// Checks that the logits from which the token at `position` was chosen are finite.
    fn look(&self, logits: Later<f32>, position: usize) -> Result<(), EngineError> {
        let logits = logits.wait().map_err(|e| self.failed(&e))?;
        check_logits(&logits, self.sequence.vocab, position)
    }

    fn prepare(&mut self, first: u32, sampler: &Sampler) -> Result<(), DeviceError> {
        if let Some(distribution) = sampler.distribution() {
            put(&mut self.buffers, Slot::Distribution, 0, bytes_of(&distribution.words()))?;
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
        name(self.device())
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
        if !self.pass_of_few(tokens)? {
            return self.forward(tokens, LogitRows::All);
        }
        let (vocab, position) = (self.sequence.vocab, self.sequence.position);
        self.logits.resize(tokens.len() * vocab, 0.0);
        read(of_host(self.model, &self.buffers, Slot::Logits), &mut self.logits).map_err(|e| self.failed(&e))?;
        check_logits(&self.logits, vocab, position)?;
        self.sequence.position += tokens.len();
        Ok(&self.logits)
    }

    fn most_likely(&mut self, tokens: &[u32]) -> Result<Vec<u32>, EngineError> {
        if !self.pass_of_few(tokens)? {
            let vocab = self.sequence.vocab;
            return Ok(most_likely_of(self.forward(tokens, LogitRows::All)?, vocab));
        }
        let mut words = vec![[0u32; 2]; tokens.len()];
        let rows = read(of_host(self.model, &self.buffers, Slot::RowChosen), words.as_flattened_mut())
            .and_then(|()| chosen_of_rows(self.model, &self.buffers, &words));
        let token = |(row, token): (usize, Result<u32, BadLogit>)| {
            let (stage, position) = (Stage::Logits, self.sequence.position + row);
            token.map_err(|BadLogit { index, nan }| {
                EngineError::NotFinite(NotFinite { stage, layer: None, position, index, nan })
            })
        };
        let rows = rows.map_err(|e| self.failed(&e))?;
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
