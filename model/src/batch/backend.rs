//! What a batch needs of a device.

use super::rows::{BadLogit, NanInRow, Row};
use crate::{device::StageTime, engine::EngineError, load_error::LoadError};

/// What a pass gives.
#[derive(Debug, Default)]
pub(crate) struct PassResults {
    /// For each row that a token is wanted of: the most likely, or the first logit that is none.
    pub(crate) tokens: Vec<Result<u32, BadLogit>>,
    /// Of the rows after these whose logits are wanted, [rows, vocabulary].
    pub(crate) logits: Vec<f32>,
}

/// A pass that was not done.
#[derive(Debug)]
pub(crate) enum PassError {
    /// A row has no choice of experts. What it and others wrote to the cache is as if the pass had not been.
    Nan(NanInRow),
    /// The device failed, or refused.
    Failed(EngineError),
}

impl From<EngineError> for PassError {
    fn from(e: EngineError) -> Self {
        PassError::Failed(e)
    }
}

/// A device with a model and a cache of pages, on which passes of rows of several sequences are run.
pub(crate) trait Backend {
    /// The device, in a few words for people.
    fn device(&self) -> String;
    /// Rows of a pass at most.
    fn most(&self) -> usize;
    /// From now on a place's sequence has these pages: its positions from `PAGE * i` on lie in page i of them.
    fn seat(&mut self, place: usize, pages: &[u32]) -> Result<(), EngineError>;
    /// Runs rows through the model: `chosen` of them of which a token is wanted, then `logits` of which the logits are,
    /// then the others. Rows of a sequence need not be in order, but all before the first of them are in the cache.
    fn pass(&mut self, rows: &[Row], chosen: usize, logits: usize, results: &mut PassResults) -> Result<(), PassError>;
    /// What the launches of a pass of these rows take; nothing where there are none.
    fn stage_times(&mut self, _rows: &[Row], _runs: usize) -> Result<Vec<StageTime>, LoadError> {
        Ok(Vec::new())
    }
}
