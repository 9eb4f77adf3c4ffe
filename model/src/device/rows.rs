//! Passes of rows: tokens with their positions, of one sequence or of several. Any of them may have logits or a choice of
//! the next token. Every session on a device has rows; how their keys and values are stored is a matter of the plans.

use super::{
    DeviceModel, LoadError,
    bind::Kernels,
    buffers::SessionBuffers,
    measure::{StageTime, times_of},
    passes::{Passes, sizes},
    place::Home,
    recording::Recording,
    slot::Slot,
};
use crate::batch::{NanInRow, PassError, PassResults, Row};
use bytemuck::cast_slice;
use indexmap::IndexMap;
use ptxgen_dsl::device::{pass, rows::ROW_WORDS};
use ptxgen_runtime::DeviceError;
use std::ops::Range;

/// Bytes of the state of a pass. The state of the rows whose logits are wanted follows that of the layers.
const STATE: u64 = pass::STATE_WORDS as u64 * 4;

/// What the sequences of a session keep on the devices, and the recorded passes that extend them.
pub(super) struct Rows<'m> {
    pub(super) buffers: SessionBuffers<'m>,
    /// Passes that were asked for, with fewer rows first.
    passes: Vec<RowPasses<'m>>,
}

/// Passes of up to a number of rows.
struct RowPasses<'m> {
    passes: Passes<'m>,
    /// Recorded on first use.
    recorded: Option<Recorded>,
}

/// The parts of a pass that devices run.
struct Recorded {
    /// The layers only.
    body: Recording,
    /// The layers, logits and the most likely tokens.
    all: Recording,
}

impl<'m> Rows<'m> {
    /// Buffers of at least these sizes, for sequences of this many positions.
    pub(super) fn new(
        model: &'m DeviceModel,
        mut sizes: IndexMap<Home, u64>,
        positions: usize,
    ) -> Result<Self, LoadError> {
        let states = sizes.iter_mut().filter(|(home, _)| home.slot == Slot::State);
        states.for_each(|(_, bytes)| *bytes = (*bytes).max(2 * STATE));
        Ok(Self { buffers: SessionBuffers::new(model, sizes, positions)?, passes: Vec::new() })
    }

    fn model(&self) -> &'m DeviceModel {
        self.buffers.model
    }

    /// Adds passes; false if the buffers are too small for them.
    pub(super) fn add(&mut self, passes: Passes<'m>) -> Result<bool, LoadError> {
        let sizes = sizes(std::iter::once(&passes));
        if !self.buffers.hold(&sizes) {
            return Ok(false);
        }
        self.buffers.add(sizes)?;
        let at = self.passes.partition_point(|p| p.passes.plan.tokens < passes.plan.tokens);
        self.passes.insert(at, RowPasses { passes, recorded: None });
        Ok(true)
    }

    /// Whether there are passes of exactly this many rows.
    pub(super) fn has(&self, rows: usize) -> bool {
        self.passes.iter().any(|p| p.passes.plan.tokens as usize == rows)
    }

    /// Maximum number of rows of a pass.
    pub(super) fn most(&self) -> usize {
        self.passes.last().map_or(0, |p| p.passes.plan.tokens as usize)
    }

    /// Records the passes for this many rows, if that has not been done: the smallest that have so many. Returns their
    /// index.
    fn prepare(&mut self, rows: usize) -> Result<usize, LoadError> {
        let which = self.passes.partition_point(|p| (p.passes.plan.tokens as usize) < rows);
        let which = which.min(self.passes.len() - 1);
        let model = self.model();
        let RowPasses { passes, recorded } = &mut self.passes[which];
        if recorded.is_none() {
            let (plan, buffers) = (&passes.plan, &mut self.buffers.all);
            let kernels = Kernels::load(&model.devices, plan)?;
            let mut legs =
                |range: Range<usize>, moved| kernels.legs(plan, &plan.launches[range], &model.weights, buffers, moved);
            let body = legs(passes.body.clone(), (Slot::State, 0))?;
            let rest = legs(passes.body.end..passes.choice.end, (Slot::State, STATE))?;
            let all = model.route().record(body.iter().chain(&rest), buffers, plan.tokens)?;
            *recorded = Some(Recorded { body: model.route().record(&body, buffers, plan.tokens)?, all });
        }
        Ok(which)
    }

    /// Writes the state of the next pass: these rows, with logits for the first `wanted`.
    pub(super) fn set(&mut self, rows: &[Row], wanted: usize) -> Result<(), DeviceError> {
        let mut state = [0u32; 2 * pass::STATE_WORDS as usize];
        // Kernels of one sequence use the first position, and those of several use the rows.
        state[pass::POSITION as usize] = rows.first().map_or(0, |r| r.position as u32);
        state[pass::TOKENS as usize] = rows.len() as u32;
        state[(pass::STATE_WORDS + pass::TOKENS) as usize] = wanted as u32;
        self.buffers.put(Slot::State, 0, cast_slice(&state))?;
        let tokens: Vec<u32> = rows.iter().map(|r| r.token).collect();
        self.buffers.put_tokens(&tokens)?;
        let at: Vec<[u32; ROW_WORDS as usize]> = rows.iter().map(|r| [r.position as u32, r.sequence as u32]).collect();
        self.buffers.put(Slot::Rows, 0, cast_slice(&at))
    }

    /// Runs rows through the model, at most as many as there are passes for: the first `chosen` get a token, the next
    /// `logits` their logits.
    pub(super) fn pass(
        &mut self,
        rows: &[Row],
        (chosen, logits): (usize, usize),
        results: &mut PassResults,
    ) -> Result<(), PassError> {
        let which = self.prepare(rows.len()).map_err(|e| self.buffers.failed(&e))?;
        let passed = self.run(which, rows, (chosen, logits), results);
        match passed.map_err(|e| self.buffers.failed(&e))? {
            None => Ok(()),
            Some(nan) => Err(PassError::Nan(nan)),
        }
    }

    fn run(
        &mut self,
        which: usize,
        rows: &[Row],
        (chosen, logits): (usize, usize),
        results: &mut PassResults,
    ) -> Result<Option<NanInRow>, DeviceError> {
        self.set(rows, chosen + logits)?;
        let Some(recorded) = &self.passes[which].recorded else { return Ok(None) };
        let recording = if chosen + logits > 0 { &recorded.all } else { &recorded.body };
        recording.replay(rows.len())?;
        let (status, vocab) = (self.buffers.status()?, self.model().config().vocab);
        results.logits.clear();
        results.logits.resize(logits * vocab, 0.0);
        if logits > 0 {
            let wanted = chosen * vocab..(chosen + logits) * vocab;
            self.buffers.of_host::<f32>(Slot::Logits)?.slice(wanted)?.read_to(&mut results.logits)?;
        }
        let words = self.buffers.choices(chosen)?;
        let nan = self.buffers.nan(status)?;
        if nan.is_none() {
            results.tokens = self.buffers.chosen(&words)?;
        }
        Ok(nan)
    }

    /// The times of the launches of a pass of these rows, each with logits and a choice.
    pub(super) fn stage_times(&mut self, rows: &[Row], runs: usize) -> Result<Vec<StageTime>, LoadError> {
        let which = self.prepare(rows.len())?;
        self.set(rows, rows.len())?;
        let RowPasses { passes, recorded } = &self.passes[which];
        if let Some(recorded) = recorded {
            // Every buffer holds something sensible then.
            recorded.all.replay(rows.len())?;
        }
        let positions = rows.iter().map(|r| r.position + 1).sum();
        let times = times_of(self.buffers.model, &mut self.buffers.all, (passes, positions), runs)?;
        self.buffers.clear_status()?;
        Ok(times)
    }
}
