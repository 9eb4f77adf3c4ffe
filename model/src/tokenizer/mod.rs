//! Text to token ids and back, from a GGUF file's own vocabulary.

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
/// Text is not normalized, as in llama.cpp: a GGUF file says nothing of normalization.
pub struct Tokenizer {
    vocabulary: Vocabulary,
    inner: parts::Encoder,
}

/// The tokens with a meaning to a program.
#[derive(Debug, Clone, Default)]
struct Special {
    /// Put in front of every text.
    bos: Option<u32>,
    bos_text: String,
    eos: Option<u32>,
    eos_text: String,
    /// Tokens that end a generation.
    end: Vec<u32>,
}

/// The longest run of white space that can be encoded, in characters. The pre-tokenizer's regular
/// expression takes a step for each and has a limit of a million, beyond which it would split text
/// in another way.
const LONGEST_SPACE: usize = 100_000;

impl Tokenizer {
    /// Builds the tokenizer that the file's metadata describe (`tokenizer.ggml.*`).
    ///
    /// # Errors
    /// If the file has no vocabulary, one of another kind than byte-level BPE with the `qwen2`
    /// pre-tokenizer, or a broken one; names the key and the entry.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, TokenizerError> {
        build::build(gguf)
    }

    /// The ids of a text. Control tokens in the text, such as `<|im_start|>`, become their ids; a
    /// beginning-of-sequence token comes first if the file asks for one.
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

    /// What decoding needs, without what only encoding does, which takes most of the memory.
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
