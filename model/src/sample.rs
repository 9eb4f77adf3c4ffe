//! Choosing the next token.

use ptxgen_dsl::reference::{Distribution, argmax, sample};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use std::collections::VecDeque;

/// Sampling options.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 chooses the most likely token and ignores the rest.
    pub temperature: f64,
    /// Keeps this many of the most likely tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps the fewest most likely tokens whose probability together reaches this share.
    pub top_p: f64,
    /// Keeps the tokens whose probability is at least this share of the largest, at the temperature; 0 keeps all.
    pub min_p: f64,
    /// Subtracted from the logit of every token among the last ones.
    pub presence_penalty: f64,
    /// Divides the logit of every token among the last ones, or multiplies it if it is negative; 1 changes nothing.
    pub repeat_penalty: f64,
    /// The number of last tokens, including those of the prompt.
    pub penalty_last: usize,
    /// Seed of the random numbers.
    pub seed: u64,
}

impl Default for Sampling {
    /// Greedy.
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            presence_penalty: 0.0,
            repeat_penalty: 1.0,
            penalty_last: 64,
            seed: 0,
        }
    }
}

impl Sampling {
    /// The distribution to sample from; `None` if the most likely token is chosen.
    fn distribution(&self) -> Option<Distribution> {
        let &Self { temperature, top_p, .. } = self;
        let top_k = u32::try_from(self.top_k).unwrap_or(u32::MAX);
        (temperature > 0.0).then_some(Distribution { temperature, top_k, top_p })
    }
}

/// Samples tokens. The same logits, options and seed give the same tokens on every machine and device: random numbers
/// are ChaCha8 seeded with `seed_from_u64`, one 64-bit word per token, and the rest is the contract's "Sampling", after
/// the penalties and then `min_p`.
#[derive(Clone, Debug)]
pub struct Sampler {
    distribution: Option<Distribution>,
    random: ChaCha8Rng,
    adjust: Option<Adjust>,
}

/// Changes of logits before a token is chosen.
#[derive(Clone, Debug)]
struct Adjust {
    options: Sampling,
    /// The last tokens.
    last: VecDeque<u32>,
    row: Vec<f32>,
}

impl Adjust {
    fn new(options: Sampling) -> Option<Self> {
        let drawn = options.temperature > 0.0 && options.min_p > 0.0;
        let penalties = options.penalty_last > 0 && (options.presence_penalty != 0.0 || options.repeat_penalty != 1.0);
        (drawn || penalties).then(|| Self { options, last: VecDeque::new(), row: Vec::new() })
    }

    fn take(&mut self, tokens: &[u32]) {
        let most = self.options.penalty_last;
        self.last.extend(&tokens[tokens.len().saturating_sub(most)..]);
        self.last.drain(..self.last.len().saturating_sub(most));
    }

    /// The logits from which the next token is chosen.
    fn logits(&mut self, logits: &[f32]) -> &[f32] {
        let Sampling { temperature, min_p, presence_penalty, repeat_penalty, .. } = self.options;
        self.row.clear();
        self.row.extend_from_slice(logits);
        let mut last: Vec<u32> = self.last.iter().copied().collect();
        last.sort_unstable();
        last.dedup();
        for logit in last.into_iter().filter_map(|t| Some(t as usize).filter(|t| *t < logits.len())) {
            let logit = &mut self.row[logit];
            let scaled = f64::from(*logit) * if *logit > 0.0 { 1.0 / repeat_penalty } else { repeat_penalty };
            *logit = (scaled - presence_penalty) as f32;
        }
        if temperature > 0.0 && min_p > 0.0 {
            let most = self.row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let least = f64::from(most) + temperature * libm::log(min_p.min(1.0));
            self.row.iter_mut().filter(|l| f64::from(**l) < least).for_each(|l| *l = f32::NEG_INFINITY);
        }
        &self.row
    }
}

impl Sampler {
    /// A sampler at the start of its random numbers.
    pub fn new(options: Sampling) -> Self {
        let random = ChaCha8Rng::seed_from_u64(options.seed);
        Self { distribution: options.distribution(), random, adjust: Adjust::new(options) }
    }

    /// Records tokens before the next one that it has not chosen itself: a prompt's.
    pub fn take(&mut self, tokens: &[u32]) {
        if let Some(adjust) = &mut self.adjust {
            adjust.take(tokens);
        }
    }

    /// Whether it changes logits, which devices cannot do.
    pub(crate) fn adjusts(&self) -> bool {
        self.adjust.is_some()
    }

    /// Whether it chooses the most likely token of unchanged logits, which a device can do.
    pub(crate) fn is_greedy(&self) -> bool {
        self.distribution.is_none() && self.adjust.is_none()
    }

    /// The random word of the next token.
    pub(crate) fn word(&mut self) -> u64 {
        self.random.next_u64()
    }

    /// The distribution that it samples from; `None` if it chooses the most likely token.
    pub(crate) fn distribution(&self) -> Option<&Distribution> {
        self.distribution.as_ref()
    }

    /// The next token after a row of logits. Ties are ordered by id; a NaN is chosen only if there is nothing else.
    pub fn next(&mut self, logits: &[f32]) -> u32 {
        let word = self.distribution.is_some().then(|| self.word());
        let logits = self.adjust.as_mut().map_or(logits, |adjust| adjust.logits(logits));
        let chosen = match self.distribution.zip(word) {
            None => argmax(logits) as u32,
            Some((from, word)) => sample(logits, &from, word),
        };
        self.take(&[chosen]);
        chosen
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
    fn penalties_are_llama_cpps() {
        let logits = [2.0, -1.0, 1.9, 0.5];
        let options = Sampling { repeat_penalty: 2.0, presence_penalty: 0.25, penalty_last: 2, ..Sampling::default() };
        let mut adjust = Adjust::new(options).unwrap();
        adjust.take(&[3, 0, 1, 1]);
        // Once per token, however often it occurred; tokens 3 and 0 are too long ago.
        assert_eq!(adjust.logits(&logits), [2.0, -2.25, 1.9, 0.5]);
        adjust.take(&[0]);
        assert_eq!(adjust.logits(&logits), [0.75, -2.25, 1.9, 0.5]);
        // A chosen token counts among the last ones for the next.
        let mut sampler = Sampler::new(options);
        sampler.take(&[0]);
        assert_eq!([(); 3].map(|()| sampler.next(&logits)), [2, 0, 0]);
        assert!(!Sampler::new(Sampling { penalty_last: 0, ..options }).adjusts());
    }

    #[test]
    fn min_p_keeps_what_is_likely_enough() {
        let logits = [3.0, 2.0, 1.0, 0.0];
        let draw = |options: Sampling| {
            let mut sampler = Sampler::new(options);
            let mut seen: Vec<u32> = (0..500).map(|_| sampler.next(&logits)).collect();
            seen.sort_unstable();
            seen.dedup();
            seen
        };
        let hot = Sampling { temperature: 2.0, ..Sampling::default() };
        // The second is e^(-1/2) = 0.61 times as likely as the first, the third 0.37 times.
        assert_eq!(draw(Sampling { min_p: 0.5, ..hot }), [0, 1]);
        assert_eq!(draw(Sampling { min_p: 0.35, ..hot }), [0, 1, 2]);
        assert_eq!(draw(Sampling { min_p: 1.0, ..hot }), [0]);
        assert!(!Sampler::new(Sampling { min_p: 0.5, ..Sampling::default() }).adjusts(), "greedy");
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
