//! What workers keep of a batch for a tap.

use super::{CpuModel, team::Shared};
use crate::trace::Tap;
use std::{ops::Range, sync::Mutex};

/// A tap, and values that workers store for it that they would otherwise not write.
pub(super) struct Record<'t> {
    pub(super) tap: Mutex<&'t mut dyn Tap>,
    /// The last norm of the residual stream, [tokens, hidden].
    pub(super) normed: Box<Shared<f32>>,
    /// The router's logits, [tokens, experts].
    pub(super) logits: Box<Shared<f64>>,
    /// The experts' gate and up projections, for each token and rank.
    pub(super) gate: Box<Shared<f32>>,
    pub(super) up: Box<Shared<f32>>,
}

impl<'t> Record<'t> {
    pub(super) fn new(model: &CpuModel<'_>, tokens: usize, tap: &'t mut dyn Tap) -> Self {
        let c = &model.config;
        Self {
            tap: Mutex::new(tap),
            normed: Shared::new(0.0, tokens * c.hidden),
            logits: Shared::new(0.0, tokens * c.experts),
            gate: Shared::new(0.0, tokens * c.inner_vectors() * c.inner_width()),
            up: Shared::new(0.0, tokens * c.inner_vectors() * c.inner_width()),
        }
    }

    /// Stores the norm of token `t`.
    ///
    /// # Safety
    /// No other worker stores the same token's norm before the next barrier.
    pub(super) unsafe fn keep_norm(&self, t: usize, values: &[f32]) {
        // SAFETY: the caller guarantees it.
        unsafe { self.normed.write(t * values.len()..(t + 1) * values.len()) }.copy_from_slice(values);
    }

    /// Stores the router's logits of token `t`.
    ///
    /// # Safety
    /// As of [`keep_norm`](Self::keep_norm).
    pub(super) unsafe fn keep_logits(&self, t: usize, values: &[f64]) {
        // SAFETY: the caller guarantees it.
        unsafe { self.logits.write(t * values.len()..(t + 1) * values.len()) }.copy_from_slice(values);
    }

    /// Stores a part of the experts' gate and up projections.
    ///
    /// # Safety
    /// No other worker stores any of it before the next barrier.
    pub(super) unsafe fn keep_gate_and_up(&self, part: Range<usize>, gate: &[f32], up: &[f32]) {
        // SAFETY: the caller guarantees it.
        unsafe {
            self.gate.write(part.clone()).copy_from_slice(gate);
            self.up.write(part).copy_from_slice(up);
        }
    }
}
