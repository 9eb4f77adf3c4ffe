//! The times of a sequence's passes.

use super::{
    DeviceSession, LoadError,
    measure::{StageTime, times_of},
};
use crate::engine::Engine;

impl DeviceSession<'_> {
    /// Measures every stage of a token at the session's position, over `runs` runs: the launches of a stage in all
    /// layers one after the other, each with its own weights, recorded as one graph. Afterwards the session is empty.
    ///
    /// # Errors
    /// If the device failed.
    pub fn stage_times(&mut self, runs: usize) -> Result<Vec<StageTime>, LoadError> {
        let position = self.position().min(self.capacity().saturating_sub(1));
        self.rewind(0);
        self.set_pass(&[0], position)?;
        // Every buffer holds something sensible then.
        self.one.body.replay(1)?;
        let (model, buffers) = (self.model(), &mut self.rows.buffers);
        let times = times_of(model, &mut buffers.all, (&self.plans.one, position + 1), runs)?;
        buffers.clear_status()?;
        Ok(times)
    }

    /// The same for a prompt of these tokens, as many as fit into one pass.
    ///
    /// # Errors
    /// If the device failed.
    pub fn prompt_stage_times(&mut self, tokens: &[u32], runs: usize) -> Result<Vec<StageTime>, LoadError> {
        self.rewind(0);
        let Some(which) = self.passes_for(tokens.len()) else { return self.stage_times(runs) };
        let tokens = &tokens[..tokens.len().min(self.plans.many[which].plan.tokens as usize)];
        self.set_pass(tokens, 0)?;
        self.many[which].body.replay(tokens.len())?;
        let (model, buffers) = (self.model(), &mut self.rows.buffers);
        let times = times_of(model, &mut buffers.all, (&self.plans.many[which], tokens.len()), runs)?;
        buffers.clear_status()?;
        Ok(times)
    }
}
