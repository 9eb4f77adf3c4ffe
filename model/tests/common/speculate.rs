//! Text with guesses held against the same text without.

use super::{batch::below, bits};
use ptxgen_model::{
    Engine, EngineError, LogitRows, Sampler, Sampling,
    speculate::{Counts, Draft, Grade, Guesser, Lookup, Speculation},
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use std::ops::ControlFlow;

/// Guesses what is known to come, and now and then something else, in any number.
pub struct Noisy {
    pub known: Vec<u32>,
    pub written: usize,
    /// One guess of so many is another token.
    pub wrong: usize,
    pub vocab: usize,
    pub rng: ChaCha8Rng,
}

impl Guesser for Noisy {
    fn begin(&mut self, _: &[u32]) {
        self.written = 0;
    }

    fn take(&mut self, _: u32) {
        self.written += 1;
    }

    fn grade(&mut self) -> Option<Grade> {
        (below(&mut self.rng, 5) > 0).then_some(Grade::new(below(&mut self.rng, 6) as u8))
    }

    fn guess(&mut self, most: usize, guesses: &mut Vec<u32>) -> Result<(), EngineError> {
        for i in 0..below(&mut self.rng, most + 2) {
            let is_wrong = below(&mut self.rng, self.wrong) == 0;
            let known = self.known.get(self.written + i).copied().filter(|_| !is_wrong);
            guesses.push(known.unwrap_or_else(|| below(&mut self.rng, self.vocab) as u32));
        }
        Ok(())
    }
}

fn sampling(rng: &mut ChaCha8Rng) -> Sampling {
    let seed = rng.next_u64();
    let mut drawn = Sampling { seed, ..Sampling::default() };
    if below(rng, 2) > 0 {
        drawn.temperature = [0.4, 0.8, 1.5][below(rng, 3)];
        drawn.top_k = [0, 3, 20][below(rng, 3)];
        drawn.top_p = [1.0, 0.9][below(rng, 2)];
        drawn.min_p = [0.0, 0.0, 0.05][below(rng, 3)];
    }
    if below(rng, 4) == 0 {
        (drawn.repeat_penalty, drawn.presence_penalty, drawn.penalty_last) = (1.3, 0.5, 1 + below(rng, 8));
    }
    drawn
}

/// What a text leaves: its tokens, the sampler, the position, and the logits after one token more.
type Left = (Vec<u32>, Sampler, usize, Option<Vec<u32>>);

/// Writes up to `n` tokens after a prompt, and one token less than `stop`, where that is fewer.
fn write(
    engine: &mut dyn Engine,
    prompt: &[u32],
    options: Sampling,
    (n, stop): (usize, usize),
    speculation: Option<&mut Speculation<'_>>,
) -> Left {
    engine.rewind(0);
    let mut sampler = Sampler::new(options);
    sampler.take(prompt);
    let first = sampler.next(engine.forward(prompt, LogitRows::Last).unwrap());
    let mut written = Vec::new();
    let mut each = |token| {
        written.push(token);
        if written.len() == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    match speculation {
        None => engine.generate(first, n, &mut sampler, &mut each).unwrap(),
        Some(speculation) => {
            let text = [prompt, &[first]].concat();
            speculation.generate(engine, &text, n, &mut sampler, &mut each).unwrap();
        }
    }
    let position = engine.position();
    let after = (position < engine.capacity())
        .then(|| bits(engine.forward(&[*written.last().unwrap_or(&first)], LogitRows::Last).unwrap()));
    (written, sampler, position, after)
}

/// Random prompts, samplers, lengths and guesses, on any sessions of one model; `draft` is one of the same vocabulary.
/// Texts, positions, caches and samplers are the same with guesses as without. What was counted.
pub fn guesses_change_nothing<'m>(
    plain: &mut dyn Engine,
    guessing: &mut dyn Engine,
    draft: &dyn Fn() -> Box<dyn Engine + 'm>,
    runs: usize,
    seed: u64,
) -> Counts {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let (vocab, capacity) = (plain.vocab(), plain.capacity());
    let mut total = Counts::default();
    for run in 0..runs {
        let kinds = 1 + below(rng, vocab);
        let prompt: Vec<u32> = (0..1 + below(rng, capacity / 2)).map(|_| below(rng, kinds) as u32).collect();
        let options = sampling(rng);
        let most = (1 + below(rng, capacity), if below(rng, 3) == 0 { 1 + below(rng, 8) } else { usize::MAX });
        let (expected, mut sampler, position, after) = write(plain, &prompt, options, most, None);
        let mut with = match below(rng, 4) {
            0 => Speculation::with_fixed_length(Lookup::new(), below(rng, 9)),
            1 => Speculation::new(Lookup::new()),
            2 => Speculation::with_fixed_length(Draft::new(draft()), 1 + below(rng, 7)),
            _ => {
                let (known, wrong) = (expected.clone(), 1 + below(rng, 12));
                let rng = ChaCha8Rng::seed_from_u64(rng.next_u64());
                Speculation::with_fixed_length(Noisy { known, written: 0, wrong, vocab, rng }, 7)
            }
        };
        let (text, mut left, at, logits) = write(guessing, &prompt, options, most, Some(&mut with));
        assert_eq!(text, expected, "run {run}: {options:?}, {with:?}");
        assert_eq!(at, position, "run {run}: the position");
        assert!(logits == after, "run {run}: the cache");
        let row: Vec<f32> = (0..vocab).map(|i| (i % 7) as f32).collect();
        assert_eq!([(); 3].map(|()| left.next(&row)), [(); 3].map(|()| sampler.next(&row)), "run {run}: the sampler");
        let Counts { tokens, steps, guessed, accepted } = with.counts();
        assert_eq!(tokens, expected.len() as u64, "run {run}");
        assert!(accepted <= guessed && steps <= tokens && tokens <= steps + accepted + 1, "run {run}: {with:?}");
        total.tokens += tokens;
        total.steps += steps;
        total.guessed += guessed;
        total.accepted += accepted;
    }
    total
}
