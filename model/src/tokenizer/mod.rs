//! Text to token ids and back, from a GGUF file's own vocabulary.

mod build;
mod bytes;
mod chat;
mod error;
mod stream;

pub use bytes::byte_to_char;
pub use chat::{ChatTemplate, Message};
pub use error::{TokenizerError, TokenizerErrorKind};
pub use stream::DecodeStream;

use crate::gguf::Gguf;
use error::Fail;

/// A byte-level BPE tokenizer with the `qwen2` pre-tokenizer.
///
/// Text is not normalized, as in llama.cpp: a GGUF file says nothing of normalization.
pub struct Tokenizer {
    fail: Fail,
    inner: tokenizers::Tokenizer,
    /// The bytes that each token stands for.
    pieces: Vec<Box<[u8]>>,
    /// Whether each token is a control token, such as `<|im_end|>`.
    control: Vec<bool>,
    special: Special,
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

    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether there are no tokens; never true of a tokenizer that was built.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
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
                return Err(self.fail.with(TokenizerErrorKind::WhiteSpace { most }));
            }
        }
        let encoding = self.inner.encode_fast(text, false).map_err(|e| {
            let reason = e.to_string();
            self.fail.with(TokenizerErrorKind::Encode { reason })
        })?;
        let mut ids: Vec<u32> = self.special.bos.into_iter().collect();
        ids.extend_from_slice(encoding.get_ids());
        Ok(ids)
    }

    /// The text of ids, control tokens included; what is not UTF-8 becomes U+FFFD.
    ///
    /// # Errors
    /// If an id is not in the vocabulary.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        let mut stream = self.decode_stream();
        let mut out = String::new();
        for id in ids {
            out.push_str(&stream.push(*id)?);
        }
        out.push_str(&stream.finish());
        Ok(out)
    }

    /// A decoder for ids that come one by one.
    pub fn decode_stream(&self) -> DecodeStream<'_> {
        DecodeStream::new(self)
    }

    /// The bytes that a token stands for; a token need not be whole characters.
    pub fn piece(&self, id: u32) -> Option<&[u8]> {
        self.pieces.get(id as usize).map(|p| &**p)
    }

    /// Whether a token is a control token, which is not part of what a model says.
    pub fn is_control(&self, id: u32) -> bool {
        self.control.get(id as usize).is_some_and(|c| *c)
    }

    /// Whether a token ends a generation: the file's end-of-sequence and end-of-turn tokens,
    /// and the control tokens `<|endoftext|>` and `<|im_end|>`.
    pub fn is_end(&self, id: u32) -> bool {
        self.special.end.contains(&id)
    }

    /// The end-of-sequence token.
    pub fn eos(&self) -> Option<u32> {
        self.special.eos
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("tokens", &self.pieces.len())
            .field("special", &self.special)
            .finish_non_exhaustive()
    }
}
