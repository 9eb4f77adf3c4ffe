//! Several tokens a step, with the text of one token a step.
//!
//! A [`Guesser`] proposes what may come next. The model takes the next token together with the guesses in one pass, and
//! of the guesses those stay that are what the sampler chooses anyway. So the text is the one that
//! [`Engine::generate`] writes, token for token, whatever was guessed; only the time differs. The method is speculative
//! decoding (Leviathan, Kalman and Matias, 2023) with a check for equality in place of rejection sampling.
//!
//! [`Lookup`] guesses from the text itself, [`Draft`] with a smaller model.
//!
//! ```
//! use ptxgen_model::{
//!     LogitRows, Sampler, Sampling, bundled,
//!     cpu::{CpuModel, CpuOptions},
//!     speculate::{Lookup, Speculation},
//!     Engine,
//! };
//! use std::ops::ControlFlow;
//!
//! let gguf = bundled().ok_or("no bundled model")??;
//! let model = CpuModel::load(&gguf, CpuOptions::default())?;
//! let mut session = model.new_session(64)?;
//! let mut sampler = Sampler::new(Sampling::default());
//! let mut text = vec![1, 2, 3];
//! let logits = session.forward(&text, LogitRows::Last)?;
//! text.push(sampler.next(logits));
//! let mut speculation = Speculation::new(Lookup::new());
//! let mut written = Vec::new();
//! speculation.generate(&mut session, &text, 16, &mut sampler, &mut |token| {
//!     written.push(token);
//!     ControlFlow::Continue(())
//! })?;
//! assert_eq!(written.len(), 16);
//! println!("{} tokens in {} steps", speculation.counts().tokens, speculation.counts().steps);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod draft;
mod length;
mod lookup;

pub use draft::{Draft, OtherVocabulary};
pub use lookup::Lookup;

use crate::{
    engine::{Engine, EngineError},
    sample::Sampler,
};
use length::Length;
use std::{ops::ControlFlow, time::Instant};

/// Guesses of a step at most: with the token before them a pass of eight.
pub const MOST_GUESSES: usize = 7;

/// Steps without a check between two looks for a guess, at most. A device writes several tokens in a row faster than
/// one by one.
const BURST: usize = 16;

/// How sure a guesser is of its guesses, 0 to [`Grade::MOST`]. Guesses of one grade are accepted about equally often;
/// how often is learned while they are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grade(u8);

impl Grade {
    /// The surest.
    pub const MOST: u8 = 3;

    /// A grade; numbers above [`Grade::MOST`] are that.
    pub const fn new(grade: u8) -> Self {
        Self(if grade > Self::MOST { Self::MOST } else { grade })
    }
}

/// Proposes the next tokens of a text. What it proposes changes the time, never the text.
pub trait Guesser {
    /// From now on the text is this one.
    fn begin(&mut self, text: &[u32]);
    /// The text goes on with this token.
    fn take(&mut self, token: u32);
    /// How sure it would be of a guess now; none where it has no guess.
    fn grade(&mut self) -> Option<Grade>;
    /// Appends up to `most` tokens that may come next.
    ///
    /// # Errors
    /// If a device failed.
    fn guess(&mut self, most: usize, guesses: &mut Vec<u32>) -> Result<(), EngineError>;
}

/// What was done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tokens written.
    pub tokens: u64,
    /// Passes of the model.
    pub steps: u64,
    /// Tokens guessed.
    pub guessed: u64,
    /// Of these, tokens that were what the sampler chose.
    pub accepted: u64,
}

/// How many guesses a step has.
#[derive(Debug)]
enum Lengths {
    /// As many as the guesser gives, up to this many.
    Fixed(usize),
    /// As many as pay, by how many were accepted and what steps took.
    Learned(Box<Length>),
}

/// Writes text with guesses: see the [module](self).
pub struct Speculation<'g> {
    guesser: Box<dyn Guesser + 'g>,
    lengths: Lengths,
    counts: Counts,
    tokens: Vec<u32>,
}

impl std::fmt::Debug for Speculation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Speculation")
            .field("lengths", &self.lengths)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

/// How a check of guesses ended.
enum Checked {
    /// Tokens were written, this one last, and the text goes on.
    On(u32),
    /// The caller broke off.
    BrokenOff,
    /// The pass with guesses failed as one token alone may not: nothing was written.
    Failed,
}

impl<'g> Speculation<'g> {
    /// With as many guesses a step as pay: it learns how often guesses are accepted, and what steps take.
    pub fn new(guesser: impl Guesser + 'g) -> Self {
        Self::with(guesser, Lengths::Learned(Box::default()))
    }

    /// With up to `most` guesses in every step, at most [`MOST_GUESSES`], whether they pay or not.
    pub fn with_fixed_length(guesser: impl Guesser + 'g, most: usize) -> Self {
        Self::with(guesser, Lengths::Fixed(most.min(MOST_GUESSES)))
    }

    fn with(guesser: impl Guesser + 'g, lengths: Lengths) -> Self {
        Self { guesser: Box::new(guesser), lengths, counts: Counts::default(), tokens: Vec::new() }
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// As [`Engine::generate`] from the last token of `text`: the same tokens, the same state of `engine` and `sampler`
    /// afterwards. `text` is all that came before: what `engine` has taken, and one token that it has not.
    ///
    /// # Errors
    /// See [`EngineError`]; the tokens before it have been taken. If `text` is empty, or its length is not one more than
    /// the engine's position: [`EngineError::NoTokens`].
    pub fn generate(
        &mut self,
        engine: &mut dyn Engine,
        text: &[u32],
        n: usize,
        sampler: &mut Sampler,
        each: &mut dyn FnMut(u32) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let Some(mut next) = text.last().copied().filter(|_| text.len() == engine.position() + 1) else {
            return Err(EngineError::NoTokens);
        };
        self.guesser.begin(text);
        let end = engine.position() + n.min(engine.capacity() - engine.position());
        // Tokens to be written without a look for a guess.
        let mut burst = 1;
        while engine.position() < end {
            let left = end - engine.position();
            match self.check(engine, next, left, sampler, each)? {
                Some(Checked::On(last)) => {
                    (next, burst) = (last, 1);
                    continue;
                }
                Some(Checked::BrokenOff) => return Ok(()),
                Some(Checked::Failed) => burst = 1,
                None => {}
            }
            let Some(last) = self.plain(engine, next, burst.min(left), sampler, each)? else { return Ok(()) };
            next = last;
            burst = (2 * burst).min(BURST);
        }
        Ok(())
    }

    /// Writes up to `n` tokens without guesses. The last one; none where the caller broke off.
    fn plain(
        &mut self,
        engine: &mut dyn Engine,
        first: u32,
        n: usize,
        sampler: &mut Sampler,
        each: &mut dyn FnMut(u32) -> ControlFlow<()>,
    ) -> Result<Option<u32>, EngineError> {
        let Self { guesser, lengths, counts, .. } = self;
        let (start, mut last, mut broken_off, mut written) = (Instant::now(), None, false, 0);
        let done = engine.generate(first, n, sampler, &mut |token| {
            guesser.take(token);
            (last, written) = (Some(token), written + 1);
            let flow = each(token);
            broken_off = flow.is_break();
            flow
        });
        counts.tokens += written;
        counts.steps += written;
        if let Lengths::Learned(length) = lengths {
            length.took_plain(written as usize, start.elapsed());
        }
        done.map(|()| last.filter(|_| !broken_off))
    }

    /// Takes `next` with guesses after it, where there are any, and writes the tokens that the sampler chooses as long as
    /// the guesses are these, and one more; they are the last of `self.tokens`.
    fn check(
        &mut self,
        engine: &mut dyn Engine,
        next: u32,
        left: usize,
        sampler: &mut Sampler,
        each: &mut dyn FnMut(u32) -> ControlFlow<()>,
    ) -> Result<Option<Checked>, EngineError> {
        let Some(grade) = self.guesser.grade() else { return Ok(None) };
        let most = MOST_GUESSES.min(left - 1);
        let most = match &self.lengths {
            Lengths::Fixed(fixed) => most.min(*fixed),
            Lengths::Learned(length) => length.best(most, grade),
        };
        if most == 0 {
            return Ok(None);
        }
        let start = Instant::now();
        let mut tokens = vec![next];
        self.guesser.guess(most, &mut tokens)?;
        tokens.truncate(most + 1);
        let guesses = tokens.len() - 1;
        if guesses == 0 {
            return Ok(None);
        }
        self.tokens.clear();
        let checked = self.checked(engine, &tokens, sampler, each);
        let written = self.tokens.len();
        let accepted = self.tokens.iter().zip(&tokens[1..]).take_while(|(a, b)| a == b).count();
        if matches!(checked, Ok(Checked::On(_) | Checked::BrokenOff)) {
            let Counts { tokens, steps, guessed, accepted: all } = &mut self.counts;
            *tokens += written as u64;
            *steps += 1;
            *guessed += guesses as u64;
            *all += accepted as u64;
        }
        if let (Lengths::Learned(length), Ok(Checked::On(_) | Checked::Failed)) = (&mut self.lengths, &checked) {
            length.took_step(guesses, accepted, grade, start.elapsed());
        }
        checked.map(Some)
    }

    /// Takes tokens, and writes what the sampler chooses after each as long as it is the next of them.
    fn checked(
        &mut self,
        engine: &mut dyn Engine,
        tokens: &[u32],
        sampler: &mut Sampler,
        each: &mut dyn FnMut(u32) -> ControlFlow<()>,
    ) -> Result<Checked, EngineError> {
        let (start, vocab) = (engine.position(), engine.vocab());
        let Self { guesser, tokens: written, .. } = self;
        let mut broken_off = false;
        // Whether the next row counts, too.
        let mut write = |token: u32| {
            guesser.take(token);
            written.push(token);
            broken_off = each(token).is_break();
            !broken_off && tokens.get(written.len()) == Some(&token)
        };
        let passed = if sampler.is_greedy() {
            engine.most_likely(tokens).map(|chosen| {
                let _ = chosen.into_iter().all(&mut write);
            })
        } else {
            engine.forward_few(tokens).map(|logits| {
                let _ = logits.chunks_exact(vocab).map(|row| sampler.next(row)).all(&mut write);
            })
        };
        match passed {
            Ok(()) => {}
            // It may be a guess that overflows, or that there is no memory for.
            Err(EngineError::NotFinite(_) | EngineError::NanInRouter { .. } | EngineError::Memory { .. }) => {
                return Ok(Checked::Failed);
            }
            Err(error) => return Err(error),
        }
        engine.rewind(start + self.tokens.len());
        Ok(match self.tokens.last() {
            Some(&last) if !broken_off => Checked::On(last),
            _ => Checked::BrokenOff,
        })
    }
}
