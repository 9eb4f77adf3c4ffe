//! The interface between a batch and a device.

use super::rows::{BadLogit, NanInRow, Row};
use crate::{device::StageTime, engine::EngineError, load_error::LoadError};

/// What a pass gives.
#[derive(Debug, Default)]
pub(crate) struct PassResults {
    /// For each row of which a token is wanted: the most likely token, or the first logit that is NaN or infinite.
    pub(crate) tokens: Vec<Result<u32, BadLogit>>,
    /// The logits of the following rows, if wanted, [rows, vocabulary].
    pub(crate) logits: Vec<f32>,
}

/// A pass that failed.
#[derive(Debug)]
pub(crate) enum PassError {
    /// A row has no choice of experts. Everything that the pass wrote to the cache must be ignored.
    Nan(NanInRow),
    /// The device failed, or rejected the pass.
    Failed(EngineError),
}

impl From<EngineError> for PassError {
    fn from(e: EngineError) -> Self {
        PassError::Failed(e)
    }
}

/// A device with a model and a cache of pages, which runs passes of rows of several sequences.
pub(crate) trait Backend {
    /// The device, in a few words for messages.
    fn device(&self) -> String;
    /// Maximum number of rows of a pass.
    fn most(&self) -> usize;
    /// Sets the pages of a place's sequence: its positions from `PAGE * i` on are in page i of them.
    fn seat(&mut self, place: usize, pages: &[u32]) -> Result<(), EngineError>;
    /// Runs rows through the model. The first `chosen` rows are those of which a token is wanted, the next `logits`
    /// rows those of which logits are wanted; then come the others. Rows of a sequence need not be in order, but all
    /// earlier positions must be in the cache.
    fn pass(&mut self, rows: &[Row], chosen: usize, logits: usize, results: &mut PassResults) -> Result<(), PassError>;
    /// The times of the launches of a pass of these rows; empty if there are no launches.
    fn stage_times(&mut self, _rows: &[Row], _runs: usize) -> Result<Vec<StageTime>, LoadError> {
        Ok(Vec::new())
    }
}
