//! Cost and accuracy of policies: forwards over one text, compared with each other.

use crate::{
    compare::{
        Place,
        sums::{Element, Sums},
    },
    engine::{Engine, EngineError, LogitRows},
    likelihood::negative_log_likelihood,
    trace::{Block, Slice, Stage},
};
use ptxgen_dsl::reference::argmax;
use serde::Serialize;

/// Tokens per call of the forward.
const BATCH: usize = 64;

/// A forward over a text: every position's logits and choices of experts.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Size of the vocabulary.
    vocab: usize,
    /// [positions, vocab].
    logits: Vec<f32>,
    /// By layer, position after position, the ids of the chosen experts in ascending order.
    experts: Vec<Vec<Vec<u32>>>,
}

impl Reading {
    /// Runs a text from the start of a session.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn new(engine: &mut dyn Engine, tokens: &[u32]) -> Result<Self, EngineError> {
        engine.rewind(0);
        let mut reading = Self { vocab: engine.vocab(), logits: Vec::new(), experts: Vec::new() };
        for batch in tokens.chunks(BATCH) {
            let mut experts = std::mem::take(&mut reading.experts);
            let mut tap = |block: Block<'_>| {
                let (Stage::RouterExperts, Some(layer), Slice::U32(ids)) = (block.stage, block.layer, block.values)
                else {
                    return;
                };
                experts.resize_with(experts.len().max(layer + 1), Vec::new);
                experts[layer].extend(ids.chunks_exact(ids.len() / block.tokens).map(sorted));
            };
            reading.logits.extend_from_slice(engine.forward_traced(batch, LogitRows::All, Some(&mut tap))?);
            reading.experts = experts;
        }
        Ok(reading)
    }

    /// exp of the mean negative log-likelihood of each token after the first.
    ///
    /// # Panics
    /// If `tokens` are fewer than 2, or not those of the reading.
    pub fn perplexity(&self, tokens: &[u32]) -> f64 {
        let rows = self.rows().zip(&tokens[1..]);
        let total: f64 = rows.map(|(row, &next)| negative_log_likelihood(row, next)).sum();
        (total / (tokens.len() - 1) as f64).exp()
    }

    fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.logits.chunks_exact(self.vocab)
    }

    /// The difference between this reading and another of the same text and model.
    pub fn against(&self, reference: &Self) -> Agreement {
        let (mut all, mut least_cosine) = (Sums::default(), 1.0f64);
        let (mut other_tokens, mut positions) = (0, 0);
        for (position, (row, expected)) in self.rows().zip(reference.rows()).enumerate() {
            let mut here = Sums::default();
            for (index, (&found, &expected)) in row.iter().zip(expected).enumerate() {
                let place = || Place { stage: Stage::Logits, layer: None, prompt: 0, position, index };
                for sums in [&mut all, &mut here] {
                    sums.add(Element::F32(expected), Element::F32(found), place);
                }
            }
            least_cosine = least_cosine.min(here.finish(Stage::Logits, None).cosine.unwrap_or(f64::NAN));
            other_tokens += usize::from(argmax(row) != argmax(expected));
            positions += 1;
        }
        let sets = || self.experts.iter().flatten().zip(reference.experts.iter().flatten());
        let other_expert_sets = sets().filter(|(a, b)| a != b).count();
        let all = all.finish(Stage::Logits, None);
        Agreement {
            positions,
            equal: all.differing == 0 && other_expert_sets == 0,
            cosine: all.cosine.unwrap_or(f64::NAN),
            least_cosine,
            relative: all.relative.unwrap_or(f64::NAN),
            other_tokens,
            expert_sets: sets().count(),
            other_expert_sets,
        }
    }
}

fn sorted(ids: &[u32]) -> Vec<u32> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids
}

/// The differences between two readings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// Positions compared.
    pub positions: usize,
    /// Whether all logits have the same bits and all experts are the same.
    pub equal: bool,
    /// Cosine of the angle between all logits of the two.
    pub cosine: f64,
    /// The smallest cosine of a position's logits.
    pub least_cosine: f64,
    /// Norm of the logits' difference over the reference's norm.
    pub relative: f64,
    /// Positions with a different most likely token.
    pub other_tokens: usize,
    /// Compared sets of experts: one per position and layer.
    pub expert_sets: usize,
    /// Sets that differ.
    pub other_expert_sets: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_counted() {
        let reading = |logits: &[f32], experts: [u32; 2]| Reading {
            vocab: 2,
            logits: logits.to_vec(),
            experts: vec![vec![vec![0, 1], sorted(&experts)]],
        };
        let reference = reading(&[3.0, 4.0, 1.0, 0.0], [5, 2]);
        let same = reference.against(&reference);
        assert!(same.equal && (same.cosine, same.relative) == (1.0, 0.0));
        assert_eq!((same.positions, same.expert_sets, same.other_expert_sets), (2, 2, 0));
        let other = reading(&[3.0, 4.0, 0.0, 1.0], [2, 7]).against(&reference);
        assert!(!other.equal);
        assert_eq!(other.least_cosine, 0.0);
        assert!((other.cosine - 25.0 / 26.0).abs() < 1e-15);
        assert!((other.relative - (2.0f64 / 26.0).sqrt()).abs() < 1e-15);
        assert_eq!((other.other_tokens, other.other_expert_sets), (1, 1));
        // The order of the chosen experts does not matter.
        assert!(reading(&[3.0, 4.0, 1.0, 0.0], [2, 5]).against(&reference).equal);
        let flat = reading(&[0.0; 4], [2, 5]);
        assert!((flat.perplexity(&[0, 1]) - 2.0).abs() < 1e-12);
    }
}
