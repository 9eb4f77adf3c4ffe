//! Conversion of text to token ids and back, with a GGUF file's own vocabulary.

mod build;
mod bytes;
mod chat;
mod error;
mod ids;
mod jinja;
mod parts;
mod stream;
mod vocabulary;

pub use bytes::byte_to_char;
pub use chat::{ChatTemplate, Conversation, Message, TemplateSource};
use error::Kind;
pub use error::TokenizerError;
pub use ids::{TokenIdsError, token_ids};
pub use stream::DecodeStream;
pub use vocabulary::Vocabulary;

use crate::gguf::Gguf;
use std::ops::Deref;

/// A byte-level BPE tokenizer with the `qwen2` pre-tokenizer.
///
/// Text is not normalized, as in llama.cpp: a GGUF file contains no information about normalization.
pub struct Tokenizer {
    vocabulary: Vocabulary,
    inner: parts::Encoder,
}

/// The tokens with a meaning for programs.
#[derive(Debug, Clone, Default)]
struct Special {
    /// Added before every text.
    bos: Option<u32>,
    bos_text: String,
    eos: Option<u32>,
    eos_text: String,
    /// Tokens that end a generation.
    end: Vec<u32>,
}

/// The longest run of white space that can be encoded, in characters. The pre-tokenizer's regular expression takes a
/// step for each character and has a limit of a million, beyond which it would split text differently.
const LONGEST_SPACE: usize = 100_000;

impl Tokenizer {
    /// Builds the tokenizer from the file's metadata (`tokenizer.ggml.*`).
    ///
    /// # Errors
    /// If the file has no vocabulary, one that is not byte-level BPE with the `qwen2` pre-tokenizer, or an invalid one;
    /// names the key and the entry.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, TokenizerError> {
        build::build(gguf)
    }

    /// The ids of a text. Control tokens in the text, such as `<|im_start|>`, become their ids. The ids start with a
    /// beginning-of-sequence token if the file requires one.
    ///
    /// # Errors
    /// If the text has a run of more than 100,000 white-space characters.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let mut run = 0;
        for c in text.chars() {
            run = if c.is_whitespace() { run + 1 } else { 0 };
            if run > LONGEST_SPACE {
                let most = LONGEST_SPACE;
                return Err(self.fail.with(Kind::WhiteSpace { most }));
            }
        }
        let encoding = self.inner.encode_fast(text, false).map_err(|e| {
            let reason = e.to_string();
            self.fail.with(Kind::Encode { reason })
        })?;
        let mut ids: Vec<u32> = self.special.bos.into_iter().collect();
        ids.extend_from_slice(encoding.get_ids());
        Ok(ids)
    }

    /// The data for decoding, without those for encoding, which need most of the memory.
    pub fn into_vocabulary(self) -> Vocabulary {
        self.vocabulary
    }
}

impl Deref for Tokenizer {
    type Target = Vocabulary;

    fn deref(&self) -> &Vocabulary {
        &self.vocabulary
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("vocabulary", &self.vocabulary).finish_non_exhaustive()
    }
}
