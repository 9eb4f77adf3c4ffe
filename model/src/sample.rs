//! Choosing the next token.

use ptxgen_dsl::reference::{argmax, exp::exp_f64};
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

/// Draws tokens. The same logits, options and seed give the same tokens on every machine: random
/// numbers are ChaCha8 seeded with `seed_from_u64`, one 64-bit word for each token (its upper 53
/// bits as a fraction), and exponentials are the contract's.
#[derive(Clone, Debug)]
pub struct Sampler {
    options: Sampling,
    random: ChaCha8Rng,
    candidates: Vec<(u32, f64)>,
}

impl Sampler {
    /// A sampler at the beginning of its random numbers.
    pub fn new(options: Sampling) -> Self {
        Self { options, random: ChaCha8Rng::seed_from_u64(options.seed), candidates: Vec::new() }
    }

    /// The next token after a row of logits. Ties are ordered by id; a NaN is never chosen unless
    /// nothing else is there.
    pub fn next(&mut self, logits: &[f32]) -> u32 {
        let Sampling { temperature, top_k, top_p, .. } = self.options;
        if temperature <= 0.0 {
            return argmax(logits) as u32;
        }
        let all = &mut self.candidates;
        all.clear();
        all.extend(logits.iter().enumerate().filter(|(_, l)| !l.is_nan()).map(|(i, &l)| (i as u32, f64::from(l))));
        all.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        if top_k > 0 {
            all.truncate(top_k);
        }
        let Some(&(_, most)) = all.first() else { return 0 };
        let mut total = 0.0;
        for (_, p) in all.iter_mut() {
            *p = exp_f64((*p - most) / temperature);
            total += *p;
        }
        let mut kept = 0.0;
        let mut count = 0;
        for (_, p) in all.iter() {
            kept += p;
            count += 1;
            if kept >= top_p * total {
                break;
            }
        }
        let fraction = (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let mut left = fraction * kept;
        for &(id, p) in &all[..count] {
            left -= p;
            if left < 0.0 {
                return id;
            }
        }
        all[count - 1].0
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
