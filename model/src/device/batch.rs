//! Several sequences on a device: rows with a cache of pages.

use super::{
    DeviceModel, LoadError,
    buffers::name,
    measure::StageTime,
    passes::{Passes, sizes},
    plan::Paging,
    rows::Rows,
    slot::Slot,
};
use crate::{
    batch::{Backend, BatchRoom, BatchSession, PassError, PassResults, Row},
    engine::EngineError,
    kv::PAGE,
};
use bytemuck::cast_slice;

/// Maximum number of rows of a pass.
const MOST: usize = 128;

/// Rows of a batch's sequences.
pub(super) struct DeviceBatch<'m> {
    /// With passes of 1, 2, 4 and so on.
    rows: Rows<'m>,
    /// Maximum number of chunks of a sequence.
    chunks: usize,
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

    /// Bytes of a batch with this capacity, on each device.
    pub(super) fn bytes_needed(model: &'m DeviceModel, room: BatchRoom) -> Result<Vec<u64>, LoadError> {
        let sizes = sizes(Self::plans(model, room)?.iter());
        Ok(model.plan.placement.sums(sizes))
    }

    pub(super) fn new(model: &'m DeviceModel, room: BatchRoom) -> Result<Self, LoadError> {
        let passes = Self::plans(model, room)?;
        let mut rows = Rows::new(model, sizes(passes.iter()), room.positions)?;
        for passes in passes {
            rows.add(passes)?;
        }
        Ok(Self { rows, chunks: room.positions.div_ceil(PAGE) })
    }
}

impl Backend for DeviceBatch<'_> {
    fn device(&self) -> String {
        name(self.rows.buffers.model)
    }

    fn most(&self) -> usize {
        self.rows.most()
    }

    fn seat(&mut self, place: usize, pages: &[u32]) -> Result<(), EngineError> {
        let at = place * self.chunks * size_of::<u32>();
        let put = self.rows.buffers.put(Slot::Tables, at, cast_slice(pages));
        put.map_err(|e| self.rows.buffers.failed(&e))
    }

    fn pass(&mut self, rows: &[Row], chosen: usize, logits: usize, results: &mut PassResults) -> Result<(), PassError> {
        self.rows.pass(rows, (chosen, logits), results)
    }

    fn stage_times(&mut self, rows: &[Row], runs: usize) -> Result<Vec<StageTime>, LoadError> {
        self.rows.stage_times(rows, runs)
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
