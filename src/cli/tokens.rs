//! Texts as tokens.

use super::{Usage, inputs};
use ptxgen_model::{
    ModelConfig,
    gguf::Gguf,
    tokenizer::{Tokenizer, token_ids},
};
use std::{fmt::Display, path::Path};

/// A text's tokens, and its name in messages.
pub struct Text {
    name: String,
    ids: Vec<u32>,
}

impl Text {
    /// Reads little-endian i32 token ids.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = inputs::read(path)?;
        let ids = token_ids(&bytes).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
        Ok(Self::new(path.display(), ids))
    }

    /// The given ids.
    pub fn into_ids(self) -> Vec<u32> {
        self.ids
    }

    /// A prompt as text.
    pub fn prompt(gguf: &Gguf, words: &str) -> anyhow::Result<Self> {
        Ok(Self::new("the prompt", Tokenizer::from_gguf(gguf)?.encode(words)?))
    }

    /// Token ids.
    pub fn new(name: impl Display, ids: Vec<u32>) -> Self {
        Self { name: name.to_string(), ids }
    }

    /// The first tokens, after checking that the model accepts them: at least `least`, all in its vocabulary, and at
    /// most one window.
    pub fn checked(mut self, first: Option<usize>, least: usize, config: &ModelConfig) -> anyhow::Result<Vec<u32>> {
        self.ids.truncate(first.unwrap_or(usize::MAX));
        let (name, tokens, context, vocab) = (&self.name, self.ids.len(), config.context, config.vocab);
        let has = format!("{name} has {tokens} {}", if tokens == 1 { "token" } else { "tokens" });
        if tokens < least {
            return Err(Usage(format!("{has}; at least {least} are needed")).into());
        }
        if tokens > context {
            return Err(Usage(format!("{has}, which do not fit the model's context of {context}")).into());
        }
        match self.ids.iter().enumerate().find(|(_, id)| **id as usize >= vocab) {
            None => Ok(self.ids),
            Some((i, id)) => anyhow::bail!("{name}: token {i} is {id}, outside the model's vocabulary of {vocab}"),
        }
    }
}
