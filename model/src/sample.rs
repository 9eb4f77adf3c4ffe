//! Choosing the next token.

use ptxgen_dsl::reference::{Distribution, argmax, sample};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// How tokens are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the most likely token and ignores the rest.
    pub temperature: f64,
    /// Keeps the most likely tokens up to this many; 0 keeps all.
    pub top_k: usize,
    /// Keeps the fewest most likely tokens whose probability together reaches this share.
    pub top_p: f64,
    /// Seed of the random numbers.
    pub seed: u64,
}

impl Default for Sampling {
    /// Greedy.
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, seed: 0 }
    }
}

impl Sampling {
    /// What is drawn from; `None` where the most likely token is taken.
    fn distribution(&self) -> Option<Distribution> {
        let &Self { temperature, top_p, .. } = self;
        let top_k = u32::try_from(self.top_k).unwrap_or(u32::MAX);
        (temperature > 0.0).then_some(Distribution { temperature, top_k, top_p })
    }
}

/// Draws tokens. The same logits, options and seed give the same tokens on every machine and
/// device: random numbers are ChaCha8 seeded with `seed_from_u64`, one 64-bit word for each token,
/// and the rest is the contract's "Sampling".
#[derive(Clone, Debug)]
pub struct Sampler {
    distribution: Option<Distribution>,
    random: ChaCha8Rng,
}

impl Sampler {
    /// A sampler at the beginning of its random numbers.
    pub fn new(options: Sampling) -> Self {
        Self { distribution: options.distribution(), random: ChaCha8Rng::seed_from_u64(options.seed) }
    }

    /// The random word of the next token.
    pub(crate) fn word(&mut self) -> u64 {
        self.random.next_u64()
    }

    /// What it draws from; `None` where it takes the most likely token.
    pub(crate) fn distribution(&self) -> Option<&Distribution> {
        self.distribution.as_ref()
    }

    /// The next token after a row of logits. Ties are ordered by id; a NaN is never chosen unless
    /// nothing else is there.
    pub fn next(&mut self, logits: &[f32]) -> u32 {
        match self.distribution {
            None => argmax(logits) as u32,
            Some(from) => sample(logits, &from, self.word()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_temperature_is_greedy() {
        assert_eq!(Sampler::new(Sampling::default()).next(&[0.0, 2.0, 2.0, f32::NAN]), 1);
    }

    #[test]
    fn frequencies_follow_the_softmax() {
        let logits = [0.0, 1.0, f32::NAN, -1.0];
        let options = Sampling { temperature: 0.5, ..Sampling::default() };
        let mut sampler = Sampler::new(options);
        let mut counts = [0u32; 4];
        for _ in 0..20_000 {
            counts[sampler.next(&logits) as usize] += 1;
        }
        let weights = [0f64, 2.0, f64::NEG_INFINITY, -2.0].map(f64::exp);
        let total: f64 = weights.iter().sum();
        for (count, w) in counts.iter().zip(weights) {
            assert!((f64::from(*count) / 20_000.0 - w / total).abs() < 0.01, "{counts:?}");
        }
        assert_eq!(counts[2], 0);
    }

    #[test]
    fn top_k_and_top_p_keep_the_most_likely() {
        let logits = [1.0, 1.0, 3.0, 0.0];
        let draw = |options: Sampling| {
            let mut sampler = Sampler::new(Sampling { temperature: 10.0, ..options });
            let mut seen: Vec<u32> = (0..500).map(|_| sampler.next(&logits)).collect();
            seen.sort_unstable();
            seen.dedup();
            seen
        };
        assert_eq!(draw(Sampling { top_k: 2, ..Sampling::default() }), [0, 2]);
        assert_eq!(draw(Sampling { top_p: 0.5, ..Sampling::default() }), [0, 2]);
        assert_eq!(draw(Sampling { top_p: 0.2, ..Sampling::default() }), [2]);
        assert_eq!(draw(Sampling::default()), [0, 1, 2, 3]);
    }

    #[test]
    fn a_seed_fixes_the_tokens() {
        let logits: Vec<f32> = (0..1000).map(|i| (i % 37) as f32 * 0.1).collect();
        let draw = |seed| {
            let mut sampler = Sampler::new(Sampling { temperature: 1.0, seed, ..Sampling::default() });
            [(); 6].map(|()| sampler.next(&logits))
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
