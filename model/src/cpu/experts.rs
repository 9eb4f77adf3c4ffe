//! The mixture of experts: routing, and the experts' products grouped by expert, so that a batch
//! reads each expert's weights once.

use super::{
    forward::{Pass, Scratch},
    matrix::Lanes,
    product::{block_term, product},
    simd::{Isa, Kernel, TILE},
    team::{Shared, Worker},
    vector::{ExpertsSum, SwiGlu},
    weights::{Layer, Router},
};
use ptxgen_dsl::reference::{Accumulator, NanInRouter, Routed, TreeSum, route};
use std::marker::PhantomData;

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
                terms.push([block_term(w, x)]);
            }
            self.logits.push(terms.finish()[0]);
        }
        route(self.logits, self.used)
    }
}

/// The (token, rank) pairs of a batch by expert.
#[derive(Default)]
pub(super) struct Groups {
    /// Where each expert's pairs start, and the end.
    starts: Vec<u32>,
    /// `token * used + rank`, and the token.
    pairs: Vec<u32>,
    tokens: Vec<u32>,
}

impl Groups {
    /// Groups pairs by the expert chosen for them, each group in the order of the pairs.
    fn set(&mut self, chosen: &[u32], experts: usize, used: usize) {
        self.starts.clear();
        self.starts.resize(experts + 1, 0);
        chosen.iter().for_each(|&e| self.starts[e as usize + 1] += 1);
        for e in 0..experts {
            self.starts[e + 1] += self.starts[e];
        }
        self.pairs.clear();
        self.pairs.resize(chosen.len(), 0);
        for (pair, &e) in chosen.iter().enumerate() {
            self.pairs[self.starts[e as usize] as usize] = pair as u32;
            self.starts[e as usize] += 1;
        }
        // Every start has moved to the next one's place.
        self.starts.rotate_right(1);
        self.starts[0] = 0;
        self.tokens.clear();
        self.tokens.extend(self.pairs.iter().map(|p| p / used as u32));
    }

    /// Experts with work: their id, pairs and tokens.
    fn iter(&self) -> impl Iterator<Item = (usize, &[u32], &[u32])> {
        self.starts.windows(2).enumerate().filter(|(_, w)| w[0] < w[1]).map(|(e, w)| {
            let range = w[0] as usize..w[1] as usize;
            (e, &self.pairs[range.clone()], &self.tokens[range])
        })
    }
}

// Safety as in `forward`: parts of a buffer belong to one worker in each stage.
impl Pass<'_, '_, '_> {
    /// Gate and up projections and SwiGLU of this worker's rows of every chosen expert.
    pub(super) fn gate_and_up<A: Accumulator>(&self, worker: &Worker<'_>, layer: &Layer<'_>, scratch: &mut Scratch<A>) {
        let (b, model) = (self.buffers, self.batch.model);
        let (c, act) = (&model.config, model.policy.act);
        let pairs = self.batch.tokens.len() * c.experts_used;
        // SAFETY: the choice is only read in this stage.
        scratch.groups.set(unsafe { b.chosen.read(0..pairs) }, c.experts, c.experts_used);
        let (ff, mine) = (c.expert_ff, worker.share(c.expert_ff, TILE));
        for (e, pairs, tokens) in scratch.groups.iter() {
            for (w, out) in [(&layer.gate, &b.gate), (&layer.up, &b.up)] {
                let w = w.part(e * ff..(e + 1) * ff);
                // SAFETY: inputs are read in this stage; these rows of each pair are this worker's.
                unsafe {
                    product::<A>(model.simd, act, &w, mine.clone(), &b.input, tokens, |i, rows| {
                        let at = pairs[i] as usize * ff;
                        out.write(at + rows.start..at + rows.end)
                    });
                }
            }
            for &pair in pairs {
                let at = pair as usize * ff;
                let part = at + mine.start..at + mine.end;
                // SAFETY: as above.
                let (gate, up, out) =
                    unsafe { (b.gate.read(part.clone()), b.up.read(part.clone()), b.inner.write(part)) };
                model.simd.run(SwiGlu { gate, up, out, acc: PhantomData::<A> });
            }
        }
    }

    /// Makes the experts' inner vectors inputs.
    pub(super) fn prepare_inner(&self, worker: &Worker<'_>) {
        let (b, model) = (self.buffers, self.batch.model);
        let ff = model.config.expert_ff;
        for pair in worker.share(self.batch.tokens.len() * model.config.experts_used, 1) {
            // SAFETY: the inner vectors are read in this stage, the slot is this worker's.
            unsafe {
                let inner = b.inner.read(pair * ff..(pair + 1) * ff);
                b.inner_input.prepare(model.simd, pair, inner, model.weights.forms.down);
            }
        }
    }

    /// This worker's rows of the down projection of every chosen expert.
    pub(super) fn down<A: Accumulator>(&self, worker: &Worker<'_>, layer: &Layer<'_>, scratch: &Scratch<A>) {
        let (b, model) = (self.buffers, self.batch.model);
        let hidden = model.config.hidden;
        for (e, pairs, _) in scratch.groups.iter() {
            let w = layer.down.part(e * hidden..(e + 1) * hidden);
            // SAFETY: inputs are read in this stage; these rows of each pair are this worker's.
            unsafe {
                let (act, mine) = (model.policy.act, worker.share(hidden, TILE));
                product::<A>(model.simd, act, &w, mine, &b.inner_input, pairs, |i, rows| {
                    let at = pairs[i] as usize * hidden;
                    b.down.write(at + rows.start..at + rows.end)
                });
            }
        }
    }

    /// The experts' sum of a token.
    pub(super) fn sum_experts<A: Accumulator>(&self, t: usize, out: &Shared<f32>, scratch: &mut Scratch<A>) {
        let (b, model) = (self.buffers, self.batch.model);
        let (used, hidden) = (model.config.experts_used, model.config.hidden);
        // SAFETY: the experts' outputs are read in this stage, token t is this worker's.
        unsafe {
            let weights = b.weights.read(t * used..(t + 1) * used);
            let y = b.down.read(t * used * hidden..(t + 1) * used * hidden);
            let out = out.write(t * hidden..(t + 1) * hidden);
            model.simd.run(ExpertsSum { weights, y, out, sums: &mut scratch.terms });
        }
    }
}
