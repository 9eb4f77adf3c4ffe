//! Guesses from a smaller model.

use super::{Grade, Guesser};
use crate::{
    engine::{Engine, EngineError, LogitRows},
    sample::{Sampler, Sampling},
    tokenizer::Vocabulary,
};
use std::ops::ControlFlow;

/// Tokens of a text that are taken at once.
const PIECE: usize = 128;

/// A draft model whose tokens are not those of the model that it is to guess for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OtherVocabulary {
    /// Their numbers differ.
    #[error("the draft model has {draft} tokens and the model {model}: a draft model needs the same vocabulary")]
    Sizes {
        /// Tokens of the draft model.
        draft: usize,
        /// Tokens of the model.
        model: usize,
    },
    /// One means something else.
    #[error(
        "token {token} means other text to the draft model than to the model: a draft model needs the same vocabulary"
    )]
    Token {
        /// The first such token.
        token: u32,
    },
}

/// Guesses that a text goes on as another model would write it, greedily.
pub struct Draft<'m> {
    session: Box<dyn Engine + 'm>,
    text: Vec<u32>,
    /// What the session has taken.
    taken: Vec<u32>,
    /// How many of these are the text's.
    agreed: usize,
    /// Whether its logits were no numbers: then it guesses no more.
    broken: bool,
}

impl std::fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draft").field("sequence", self.session.sequence()).finish_non_exhaustive()
    }
}

impl<'m> Draft<'m> {
    /// With an empty session of the other model, whose vocabulary has to be the model's: see
    /// [`check`](Self::check).
    pub fn new(session: Box<dyn Engine + 'm>) -> Self {
        Self { session, text: Vec::new(), taken: Vec::new(), agreed: 0, broken: false }
    }

    /// Whether two models have the same tokens.
    ///
    /// # Errors
    /// If they have not.
    pub fn check(draft: &Vocabulary, model: &Vocabulary) -> Result<(), OtherVocabulary> {
        if draft.len() != model.len() {
            return Err(OtherVocabulary::Sizes { draft: draft.len(), model: model.len() });
        }
        let all = 0..u32::try_from(model.len()).unwrap_or(u32::MAX);
        let same = |t: u32| draft.piece(t) == model.piece(t) && draft.is_control(t) == model.is_control(t);
        all.into_iter().find(|t| !same(*t)).map_or(Ok(()), |token| Err(OtherVocabulary::Token { token }))
    }

    fn written(&mut self, most: usize, guesses: &mut Vec<u32>) -> Result<(), EngineError> {
        let Some((&first, before)) = self.text.split_last() else { return Ok(()) };
        if before.len() >= self.session.capacity() {
            return Ok(());
        }
        let same = self.agreed.min(before.len());
        self.session.rewind(same);
        self.taken.truncate(same);
        for piece in before[same..].chunks(PIECE) {
            self.session.forward(piece, LogitRows::Last)?;
            self.taken.extend_from_slice(piece);
        }
        let mut next = first;
        let taken = &mut self.taken;
        let done = self.session.generate(first, most, &mut Sampler::new(Sampling::default()), &mut |token| {
            taken.push(std::mem::replace(&mut next, token));
            guesses.push(token);
            ControlFlow::Continue(())
        });
        self.agreed = self.taken.len().min(self.text.len());
        done
    }
}

impl Guesser for Draft<'_> {
    fn begin(&mut self, text: &[u32]) {
        self.text.clear();
        self.text.extend_from_slice(text);
        self.agreed = self.taken.iter().zip(text).take_while(|(a, b)| a == b).count();
    }

    fn take(&mut self, token: u32) {
        if self.agreed == self.text.len() && self.taken.get(self.agreed) == Some(&token) {
            self.agreed += 1;
        }
        self.text.push(token);
    }

    fn grade(&mut self) -> Option<Grade> {
        (!self.broken && self.text.len() <= self.session.capacity()).then_some(Grade::new(0))
    }

    fn guess(&mut self, most: usize, guesses: &mut Vec<u32>) -> Result<(), EngineError> {
        match self.written(most, guesses) {
            Err(EngineError::NotFinite(_) | EngineError::NanInRouter { .. } | EngineError::Memory { .. }) => {
                self.broken = true;
                Ok(())
            }
            done => done,
        }
    }
}
