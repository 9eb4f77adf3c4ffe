//! Several sequences on a device.

use super::{
    DeviceModel, LoadError,
    bind::{Buffers, Kernels},
    buffers::{begun, chosen_of_rows, clear_status, first_nan, name, of_host, put, read, status},
    measure::{StageTime, times_of},
    passes::{Passes, sizes},
    plan::Paging,
    slot::Slot,
};
use crate::{
    batch::{Backend, BatchRoom, BatchSession, NanInRow, PassError, PassResults, Row},
    engine::EngineError,
    kv::PAGE,
};
use bytemuck::cast_slice;
use ptxgen_dsl::device::{pass, rows::ROW_WORDS};
use ptxgen_runtime::{DeviceError, Graph};

/// Maximum number of rows of a pass.
const MOST: usize = 128;

/// Bytes of the state of a pass. The state of the rows whose logits are wanted follows that of the layers.
const STATE: u64 = pass::STATE_WORDS as u64 * 4;

/// The caches of a batch's sequences, and the recorded passes that extend them.
pub(super) struct DeviceBatch<'m> {
    model: &'m DeviceModel,
    /// Passes of 1, 2, 4 and so on rows.
    passes: Vec<RowPasses<'m>>,
    buffers: Buffers,
    /// Maximum number of chunks of a sequence.
    chunks: usize,
}

/// Passes of up to this many rows.
struct RowPasses<'m> {
    passes: Passes<'m>,
    /// Recorded on first use.
    graphs: Option<Graphs>,
}

/// The parts of a pass that a device runs.
struct Graphs {
    /// The layers only.
    body: Graph,
    /// The layers, logits and the most likely tokens.
    all: Graph,
}

/// The numbers of rows for which there are passes, if the maximum is `most`.
fn row_counts(most: usize) -> Vec<u32> {
    let mut counts: Vec<u32> = (0..).map(|i| 1 << i).take_while(|n| (*n as usize) < most).collect();
    counts.push(most as u32);
    counts
}

impl<'m> DeviceBatch<'m> {
    /// The passes of a batch with this capacity.
    fn plans(model: &'m DeviceModel, room: BatchRoom) -> Result<Vec<Passes<'m>>, LoadError> {
        BatchSession::check_room(room, model.config().context)?;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let paging = Paging { sequences: number(room.sequences), pages: number(room.pages) };
        let counts = row_counts(model.pass.clamp(1, MOST));
        counts.into_iter().map(|n| Passes::of_rows(&model.plan, number(room.positions), (n, paging))).collect()
    }

    /// Bytes of a batch with this capacity.
    pub(super) fn bytes_needed(model: &'m DeviceModel, room: BatchRoom) -> Result<u64, LoadError> {
        Ok(sizes(Self::plans(model, room)?.iter()).values().sum())
    }

    pub(super) fn new(model: &'m DeviceModel, room: BatchRoom) -> Result<Self, LoadError> {
        let passes = Self::plans(model, room)?;
        let mut sizes = sizes(passes.iter());
        sizes.insert(model.plan.placement.of_host(Slot::State), 2 * STATE);
        let buffers = begun(model, sizes, room.positions)?;
        let passes = passes.into_iter().map(|passes| RowPasses { passes, graphs: None }).collect();
        Ok(Self { model, passes, buffers, chunks: room.positions.div_ceil(PAGE) })
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> EngineError {
        EngineError::Device { device: self.model.device().name().to_owned(), message: error.to_string() }
    }

    /// The recorded passes for this many rows: the smallest that fits.
    fn prepared(&mut self, rows: usize) -> Result<usize, LoadError> {
        let which = self.passes.iter().position(|s| s.passes.plan.tokens as usize >= rows);
        let which = which.unwrap_or(self.passes.len() - 1);
        let (device, weights) = (self.model.device(), &self.model.weights);
        let RowPasses { passes, graphs } = &mut self.passes[which];
        if graphs.is_none() {
            let plan = &passes.plan;
            let kernels = Kernels::load(&self.model.devices, plan)?;
            let mut bind = |range: std::ops::Range<usize>, moved| {
                kernels.bind(plan, &plan.launches[range], weights, &mut self.buffers, moved)
            };
            let body = bind(passes.body.clone(), (Slot::State, 0))?;
            let rest = bind(passes.body.end..passes.choice.end, (Slot::State, STATE))?;
            let all = device.graph(&[&body[..], &rest].concat())?;
            *graphs = Some(Graphs { body: device.graph(&body)?, all });
        }
        Ok(which)
    }

    /// Writes the state of the next pass: these rows, with logits for the first `wanted`.
    fn set(&mut self, rows: &[Row], wanted: usize) -> Result<(), DeviceError> {
        let mut state = [0u32; 2 * pass::STATE_WORDS as usize];
        state[pass::TOKENS as usize] = rows.len() as u32;
        state[(pass::STATE_WORDS + pass::TOKENS) as usize] = wanted as u32;
        put(&mut self.buffers, Slot::State, 0, cast_slice(&state))?;
        let tokens: Vec<u32> = rows.iter().map(|r| r.token).collect();
        put(&mut self.buffers, Slot::Tokens, 0, cast_slice(&tokens))?;
        let at: Vec<[u32; ROW_WORDS as usize]> = rows.iter().map(|r| [r.position as u32, r.sequence as u32]).collect();
        put(&mut self.buffers, Slot::Rows, 0, cast_slice(&at))
    }

    /// Runs a pass; returns the rows' results.
    fn run(
        &mut self,
        which: usize,
        (chosen, logits): (usize, usize),
        results: &mut PassResults,
    ) -> Result<Option<NanInRow>, DeviceError> {
        let (device, vocab) = (self.model.device(), self.model.config().vocab);
        let Some(graphs) = &self.passes[which].graphs else { return Ok(None) };
        device.replay(if chosen + logits > 0 { &graphs.all } else { &graphs.body })?;
        let status = status(self.model, &self.buffers)?;
        results.logits.clear();
        results.logits.resize(logits * vocab, 0.0);
        let rows = |slot: Slot| of_host(self.model, &self.buffers, slot).view().cast::<f32>();
        if logits > 0 {
            rows(Slot::Logits)?.slice(chosen * vocab..(chosen + logits) * vocab)?.read_to(&mut results.logits)?;
        }
        let mut words = vec![[0u32; 2]; chosen];
        if chosen > 0 {
            read(of_host(self.model, &self.buffers, Slot::RowChosen), words.as_flattened_mut())?;
        }
        if let Some(status) = status
            && let Some(nan) = first_nan(&status.wait()?)
        {
            clear_status(&mut self.buffers)?;
            return Ok(Some(nan));
        }
        results.tokens = chosen_of_rows(self.model, &self.buffers, &words)?;
        Ok(None)
    }
}

impl Backend for DeviceBatch<'_> {
    fn device(&self) -> String {
        name(self.model.device())
    }

    fn most(&self) -> usize {
        self.passes.last().map_or(1, |s| s.passes.plan.tokens as usize)
    }

    fn seat(&mut self, place: usize, pages: &[u32]) -> Result<(), EngineError> {
        let at = place * self.chunks * size_of::<u32>();
        put(&mut self.buffers, Slot::Tables, at, cast_slice(pages)).map_err(|e| self.failed(&e))
    }

    fn pass(&mut self, rows: &[Row], chosen: usize, logits: usize, results: &mut PassResults) -> Result<(), PassError> {
        let which = self.prepared(rows.len()).map_err(|e| self.failed(&e))?;
        self.set(rows, chosen + logits).map_err(|e| self.failed(&e))?;
        match self.run(which, (chosen, logits), results).map_err(|e| self.failed(&e))? {
            None => Ok(()),
            Some(nan) => Err(PassError::Nan(nan)),
        }
    }

    fn stage_times(&mut self, rows: &[Row], runs: usize) -> Result<Vec<StageTime>, LoadError> {
        let which = self.prepared(rows.len())?;
        self.set(rows, rows.len())?;
        let Self { model, buffers, .. } = self;
        let RowPasses { passes, graphs } = &self.passes[which];
        if let Some(graphs) = graphs {
            model.device().replay(&graphs.all)?;
        }
        let positions = rows.iter().map(|r| r.position + 1).sum();
        let times = times_of(model, buffers, (passes, positions), runs)?;
        clear_status(buffers)?;
        Ok(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_of_powers_of_two_and_of_the_most() {
        assert_eq!(row_counts(1), [1]);
        assert_eq!(row_counts(7), [1, 2, 4, 7]);
        assert_eq!(row_counts(128), [1, 2, 4, 8, 16, 32, 64, 128]);
    }
}
