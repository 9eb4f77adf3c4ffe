//! The interface of a device that runs a model.

use crate::{not_finite::NotFinite, sample::Sampler, trace::Tap};
use ptxgen_dsl::{precision::Policy, reference::argmax};
use std::ops::ControlFlow;

/// The positions whose logits a forward returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogitRows {
    /// Those of the last token only.
    Last,
    /// One row for every token.
    All,
}

/// A forward that failed. The session is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// No tokens were given.
    #[error("a forward needs at least one token")]
    NoTokens,
    /// A token id is not in the vocabulary.
    #[error("token {token} at position {position} is outside the vocabulary of {vocab}")]
    Token {
        /// The id.
        token: u32,
        /// Its position in the sequence.
        position: usize,
        /// Size of the vocabulary.
        vocab: usize,
    },
    /// The session has no room for the tokens.
    #[error("{tokens} tokens after {position} do not fit the session's {capacity} positions: open it with more")]
    Full {
        /// Tokens given.
        tokens: usize,
        /// Positions already processed.
        position: usize,
        /// The capacity of the session.
        capacity: usize,
    },
    /// The cache has grown with the sequence until memory was exhausted.
    #[error("there is no memory for position {positions}: the KV cache takes {bytes} bytes by then; --ctx limits it")]
    Memory {
        /// Requested positions of the sequence.
        positions: usize,
        /// The size of their cache, at most `u64::MAX`.
        bytes: u64,
    },
    /// A router logit is NaN, so there is no choice of experts.
    #[error(
        "layer {layer}: the router logit of expert {expert} is NaN or infinite at position {position}; the model's weights or \
         activations overflow"
    )]
    NanInRouter {
        /// The layer.
        layer: usize,
        /// The first expert with a NaN.
        expert: usize,
        /// The first position with one.
        position: usize,
    },
    /// A value is NaN or infinite, so there is no next token. [`locate`](crate::locate) finds its origin.
    #[error(
        "{0}; the model's weights are damaged, or its activations overflow: `ptxgen inspect --scan` looks for damage"
    )]
    NotFinite(NotFinite),
    /// The device failed, or rejected the forward.
    #[error("{message}")]
    Device {
        /// The device.
        device: String,
        /// The error, with the device's name.
        message: String,
    },
}

/// Checks the tokens of a forward: at least one, all in the vocabulary, within the capacity.
pub(crate) fn check_tokens(tokens: &[u32], position: usize, capacity: usize, vocab: usize) -> Result<(), EngineError> {
    if tokens.is_empty() {
        return Err(EngineError::NoTokens);
    }
    if tokens.len() > capacity - position {
        return Err(EngineError::Full { tokens: tokens.len(), position, capacity });
    }
    match tokens.iter().position(|&t| t as usize >= vocab) {
        None => Ok(()),
        Some(i) => Err(EngineError::Token { token: tokens[i], position: position + i, vocab }),
    }
}

/// The common state of every engine's sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Size of the vocabulary.
    pub vocab: usize,
    /// Tokens processed so far.
    pub position: usize,
    /// The capacity in tokens.
    pub capacity: usize,
    /// The numeric policy.
    pub policy: Policy,
}

impl Sequence {
    /// An empty sequence.
    pub fn new(vocab: usize, capacity: usize, policy: Policy) -> Self {
        Self { vocab, position: 0, capacity, policy }
    }

    /// Checks the tokens of a forward: at least one, all in the vocabulary, within the capacity.
    ///
    /// # Errors
    /// If a check fails.
    pub fn check(&self, tokens: &[u32]) -> Result<(), EngineError> {
        check_tokens(tokens, self.position, self.capacity, self.vocab)
    }

    /// Forgets all tokens after the first `position`; no effect if it has not processed as many.
    pub fn rewind(&mut self, position: usize) {
        self.position = self.position.min(position);
    }
}

/// A sequence on a device: the KV cache, and the forward that extends it.
///
/// Under one policy every engine gives the same bits, however the tokens are split into calls.
pub trait Engine {
    /// The state of the sequence.
    fn sequence(&self) -> &Sequence;
    /// The device, in a few words for messages.
    fn device(&self) -> String;
    /// As [`forward`](Self::forward), with the same bits, and passes intermediate results to `tap` if there is one.
    /// With a tap, logits may contain NaN and infinity.
    ///
    /// # Errors
    /// See [`EngineError`].
    fn forward_traced(
        &mut self,
        tokens: &[u32],
        rows: LogitRows,
        tap: Option<&mut dyn Tap>,
    ) -> Result<&[f32], EngineError>;

    /// Size of the vocabulary: the length of a row of logits.
    fn vocab(&self) -> usize {
        self.sequence().vocab
    }
    /// Tokens processed so far.
    fn position(&self) -> usize {
        self.sequence().position
    }
    /// The capacity of the session in tokens.
    fn capacity(&self) -> usize {
        self.sequence().capacity
    }
    /// The numeric policy.
    fn policy(&self) -> Policy {
        self.sequence().policy
    }
    /// Forgets all tokens after the first `position`; no effect if it has not processed as many.
    fn rewind(&mut self, position: usize);
    /// Processes the next tokens and returns logits, [1 or tokens.len(), vocab].
    ///
    /// # Errors
    /// See [`EngineError`]; then the position has not moved.
    fn forward(&mut self, tokens: &[u32], rows: LogitRows) -> Result<&[f32], EngineError> {
        self.forward_traced(tokens, rows, None)
    }
    /// Processes the next tokens and passes the logits of each to `each`, one row of `vocab` at a time, in order. Needs
    /// less memory than all rows at once, which [`forward`](Self::forward) returns.
    ///
    /// # Errors
    /// See [`EngineError`]; then the position has not moved, but rows may have been passed on.
    fn forward_rows(&mut self, tokens: &[u32], each: &mut dyn FnMut(&[f32])) -> Result<(), EngineError> {
        let vocab = self.vocab();
        self.forward(tokens, LogitRows::All)?.chunks_exact(vocab).for_each(each);
        Ok(())
    }
    /// As [`forward`](Self::forward) with [`LogitRows::All`], for a few tokens: those that guesses are checked with.
    ///
    /// # Errors
    /// See [`EngineError`]; the position has not moved then.
    fn forward_few(&mut self, tokens: &[u32]) -> Result<&[f32], EngineError> {
        self.forward(tokens, LogitRows::All)
    }
    /// Takes a few tokens, and gives the most likely token after each; of equal logits that of the lower id.
    ///
    /// # Errors
    /// See [`EngineError`]; the position has not moved then.
    fn most_likely(&mut self, tokens: &[u32]) -> Result<Vec<u32>, EngineError> {
        let vocab = self.vocab();
        Ok(most_likely_of(self.forward_few(tokens)?, vocab))
    }
    /// Takes `first`, chooses the token after it, gives that to `each`, takes it, and so on: up
    /// to `n` tokens, as many as there is room for, or until `each` breaks off. The last token
    /// that `each` got has not been taken. The tokens are those of [`forward`](Self::forward) and
    /// the sampler, in whatever way a device does it.
    ///
    /// A device that chooses tokens without the host checks its logits every 64 tokens, at the last of `n`, and where
    /// the token may be one that nothing chose: [`EngineError::NotFinite`] may come after meaningless tokens.
    ///
    /// # Errors
    /// See [`EngineError`]; the tokens before it have been processed.
    fn generate(
        &mut self,
        first: u32,
        n: usize,
        sampler: &mut Sampler,
        each: &mut dyn FnMut(u32) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        generate_on_host(self, first, n, sampler, each)
    }
}

/// The most likely token of each row of logits.
pub(crate) fn most_likely_of(logits: &[f32], vocab: usize) -> Vec<u32> {
    logits.chunks_exact(vocab).map(|row| argmax(row) as u32).collect()
}

/// [`Engine::generate`] by forwards of one token, each chosen by the host.
pub(crate) fn generate_on_host<E: Engine + ?Sized>(
    engine: &mut E,
    first: u32,
    n: usize,
    sampler: &mut Sampler,
    each: &mut dyn FnMut(u32) -> ControlFlow<()>,
) -> Result<(), EngineError> {
    let mut next = first;
    for _ in 0..n.min(engine.capacity() - engine.position()) {
        next = sampler.next(engine.forward(&[next], LogitRows::Last)?);
        if each(next).is_break() {
            break;
        }
    }
    Ok(())
}
