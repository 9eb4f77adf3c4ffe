//! The feed-forward: a mixture of experts with its router, and the products grouped by expert, so that a batch reads
//! each expert's weights once. A dense feed-forward is one expert for all tokens, without a weight.

use super::{
    buffers::{Scratch, Stream},
    groups::Groups,
    hooks,
    matrix::{Inputs, Lanes},
    pass::{Pass, Share},
    product::block_term,
    simd::{Isa, Kernel, TILE},
    team::Shared,
    vector::{ExpertsSum, SwiGlu},
    weights::{Layer, Router},
};
use ptxgen_dsl::reference::{Accumulator, NanInRouter, Routed, TreeSum, route};
use std::{marker::PhantomData, ops::Range};

/// The contract's "Router" for one token.
pub(super) struct Route<'a> {
    pub(super) router: &'a Router,
    pub(super) x: &'a [Lanes<f32>],
    pub(super) used: usize,
    /// Scratch.
    pub(super) logits: &'a mut Vec<f64>,
}

impl Kernel for Route<'_> {
    type Output = Result<Routed, NanInRouter>;
    #[inline(always)]
    fn run<I: Isa>(self) -> Self::Output {
        let mut terms = TreeSum::<f64, 1>::new();
        self.logits.clear();
        for row in self.router.weights.chunks_exact(self.router.blocks) {
            terms.clear();
            for (w, x) in row.iter().zip(self.x) {
                let mut wide = [[0.0; 16]; 16];
                for i in 0..16 {
                    wide[i] = I::widen(w[i]);
                }
                terms.push([block_term::<I, f64>(&wide, x)]);
            }
            self.logits.push(terms.finish()[0]);
        }
        route(self.logits, self.used)
    }
}

// Safety as in `forward`: parts of a buffer belong to one worker in each stage.
impl Pass<'_, '_, '_> {
    /// This worker's part of the chosen experts.
    pub(super) fn experts<A: Accumulator>(&self, share: &Share<'_, '_>, layer: &Layer<'_>, scratch: &mut Scratch<A>) {
        let (model, worker, chosen) = (self.batch.model, share.worker, &share.stream.chosen);
        let c = &model.config;
        let (experts, used) = (c.experts.max(1), c.inner_vectors());
        let pairs = self.batch.rows.len() * used;
        // The pairs to process, and this worker's part of each: whole experts, or rows of all.
        let (pairs, ff, hidden, prepared) = if share.by_expert {
            let pairs = worker.share(pairs, 1);
            (pairs.clone(), 0..c.inner_width(), 0..c.hidden, pairs)
        } else {
            (0..pairs, worker.share(c.inner_width(), TILE), worker.share(c.hidden, TILE), worker.share(pairs, 1))
        };
        // SAFETY: in this stage the choice is only read.
        scratch.groups.set(pairs.start, unsafe { chosen.read(pairs) }, experts, used);
        self.gate_and_up(&share.stream.input, layer, ff, scratch);
        worker.meet_if(!share.by_expert);
        self.prepare_inner(prepared);
        worker.meet_if(!share.by_expert);
        self.down::<A>(layer, &scratch.groups, hidden);
    }

    /// Gate and up projections and SwiGLU: rows `mine` of the experts that are grouped in `scratch`.
    fn gate_and_up<A: Accumulator>(
        &self,
        input: &Inputs,
        layer: &Layer<'_>,
        mine: Range<usize>,
        scratch: &mut Scratch<A>,
    ) {
        let (b, model) = (self.buffers, self.batch.model);
        let (ff, act) = (model.config.inner_width(), model.policy.act);
        let Scratch { groups, gate, up, .. } = scratch;
        for (e, pairs, tokens) in groups.iter() {
            for (w, out) in [(&layer.gate, &mut *gate), (&layer.up, &mut *up)] {
                let w = w.part(e * ff..(e + 1) * ff);
                out.resize(out.len().max(pairs.len() * mine.len()), 0.0);
                let out = Shared::from_mut(out);
                // SAFETY: in this stage inputs are only read; the scratch is private to this worker.
                unsafe {
                    hooks::multiply::<A>(model.simd, act, &w, mine.clone(), input, tokens, |i, rows| {
                        let at = i * mine.len();
                        out.write(at + rows.start - mine.start..at + rows.end - mine.start)
                    });
                }
            }
            for (i, &pair) in pairs.iter().enumerate() {
                let at = pair as usize * ff;
                let made = i * mine.len()..(i + 1) * mine.len();
                let (part, gate, up) = (at + mine.start..at + mine.end, &gate[made.clone()], &up[made]);
                // SAFETY: these rows of each pair belong to this worker.
                let out = unsafe { b.inner.write(part.clone()) };
                model.simd.run(SwiGlu { gate, up, out: &mut *out, acc: PhantomData::<A> });
                hooks::keep_inner(layer, out);
                if let Some(record) = &self.record {
                    // SAFETY: as above.
                    unsafe { record.keep_gate_and_up(part, gate, up) };
                }
            }
        }
    }

    /// Converts the experts' inner vectors of some pairs to inputs.
    fn prepare_inner(&self, pairs: Range<usize>) {
        let (b, model) = (self.buffers, self.batch.model);
        let ff = model.config.inner_width();
        for pair in pairs {
            // SAFETY: in this stage the inner vectors are only read, and the slot belongs to this worker.
            unsafe {
                let inner = b.inner.read(pair * ff..(pair + 1) * ff);
                b.inner_input.prepare(model.simd, pair, inner, model.weights.forms.down);
            }
        }
    }

    /// The down projection, rows `mine` of the experts of `groups`.
    fn down<A: Accumulator>(&self, layer: &Layer<'_>, groups: &Groups, mine: Range<usize>) {
        let (b, model) = (self.buffers, self.batch.model);
        let hidden = model.config.hidden;
        for (e, pairs, _) in groups.iter() {
            let w = layer.down.part(e * hidden..(e + 1) * hidden);
            // SAFETY: in this stage inputs are only read; these rows of each pair belong to this worker.
            unsafe {
                hooks::multiply::<A>(
                    model.simd,
                    model.policy.act,
                    &w,
                    mine.clone(),
                    &b.inner_input,
                    pairs,
                    |i, rows| {
                        let at = pairs[i] as usize * hidden;
                        b.down.write(at + rows.start..at + rows.end)
                    },
                );
            }
        }
    }

    /// The experts' sum of a token.
    pub(super) fn sum_experts<A: Accumulator>(&self, stream: &Stream, t: usize, scratch: &mut Scratch<A>) {
        let model = self.batch.model;
        let (used, hidden) = (model.config.experts_used, model.config.hidden);
        // SAFETY: in this stage the experts' outputs are only read; token t belongs to this worker.
        unsafe {
            let weights = stream.weights.read(t * used..(t + 1) * used);
            let y = self.buffers.down.read(t * used * hidden..(t + 1) * used * hidden);
            let out = stream.sum.write(t * hidden..(t + 1) * hidden);
            model.simd.run(ExpertsSum { weights, y, out, sums: &mut scratch.terms });
        }
    }
}
