//! The meaning of ids: everything that decoding needs.

use super::{Special, error::Fail};

/// The tokens of a model, without the data for encoding (see [`Tokenizer`](super::Tokenizer)).
pub struct Vocabulary {
    pub(super) fail: Fail,
    pub(super) pieces: Pieces,
    /// Whether each token is a control token, such as `<|im_end|>`.
    pub(super) control: Vec<bool>,
    pub(super) special: Special,
}

/// The bytes of each token, in one allocation.
#[derive(Default)]
pub(super) struct Pieces {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Pieces {
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        self.ends.push(self.bytes.len());
    }

    fn get(&self, id: usize) -> Option<&[u8]> {
        let end = *self.ends.get(id)?;
        let start = id.checked_sub(1).map_or(0, |i| self.ends[i]);
        Some(&self.bytes[start..end])
    }
}

impl Vocabulary {
    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.control.len()
    }

    /// Whether there are no tokens; never true of a tokenizer that was built.
    pub fn is_empty(&self) -> bool {
        self.control.is_empty()
    }

    /// The bytes that a token stands for; a token need not be whole characters.
    pub fn piece(&self, id: u32) -> Option<&[u8]> {
        self.pieces.get(id as usize)
    }

    /// Whether a token is a control token, which is not part of the model's text.
    pub fn is_control(&self, id: u32) -> bool {
        self.control.get(id as usize).is_some_and(|c| *c)
    }

    /// Whether a token ends a generation: the tokens that the file defines for this (end of sequence, turn and message,
    /// and the padding, repository and file tokens of code completion), and those that llama.cpp knows by name, such as
    /// `<|endoftext|>` and `<|im_end|>`, unless they are ordinary text.
    pub fn is_end(&self, id: u32) -> bool {
        self.special.end.contains(&id)
    }

    /// The end-of-sequence token.
    pub fn eos(&self) -> Option<u32> {
        self.special.eos
    }
}

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vocabulary")
            .field("tokens", &self.len())
            .field("special", &self.special)
            .finish_non_exhaustive()
    }
}
