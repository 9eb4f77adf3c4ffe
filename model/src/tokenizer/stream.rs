//! Incremental decoding.

use super::{Kind, TokenizerError, Vocabulary};

/// Converts ids to text one by one, and holds back the bytes of an incomplete character.
///
/// The concatenated pieces equal [`Vocabulary::decode`] of all ids, however they were split.
#[derive(Debug)]
pub struct DecodeStream<'a> {
    vocabulary: &'a Vocabulary,
    /// The beginning of a UTF-8 character, at most three bytes.
    held: Vec<u8>,
}

impl Vocabulary {
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
        DecodeStream { vocabulary: self, held: Vec::new() }
    }
}

impl DecodeStream<'_> {
    /// The text that `id` completes, often empty in the middle of a character.
    ///
    /// # Errors
    /// If the id is not in the vocabulary.
    pub fn push(&mut self, id: u32) -> Result<String, TokenizerError> {
        let Some(piece) = self.vocabulary.piece(id) else {
            let tokens = self.vocabulary.len();
            let kind = Kind::Id { id, tokens };
            return Err(self.vocabulary.fail.with(kind));
        };
        self.held.extend_from_slice(piece);
        let whole = self.held.len() - unfinished(&self.held);
        let out = String::from_utf8_lossy(&self.held[..whole]).into_owned();
        self.held.drain(..whole);
        Ok(out)
    }

    /// The bytes that were held back, as U+FFFD; call it after the last id.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.held).into_owned()
    }
}

/// The length of the incomplete character at the end of `bytes`.
fn unfinished(bytes: &[u8]) -> usize {
    match bytes.utf8_chunks().last() {
        // An invalid sequence at the end is incomplete if more bytes could make it valid. This is so if the decoder's
        // only error is the end of input.
        Some(chunk) => match std::str::from_utf8(chunk.invalid()) {
            Err(e) if e.error_len().is_none() => chunk.invalid().len(),
            _ => 0,
        },
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::unfinished;

    #[test]
    fn only_an_unfinished_character_is_held_back() {
        let euro = "€".as_bytes();
        assert_eq!(unfinished(b""), 0);
        assert_eq!(unfinished(b"a"), 0);
        assert_eq!(unfinished(euro), 0);
        assert_eq!(unfinished(&euro[..2]), 2);
        assert_eq!(unfinished(&euro[..1]), 1);
        // A byte that cannot begin a character, and one that cannot follow.
        assert_eq!(unfinished(b"\xFF"), 0);
        assert_eq!(unfinished(b"\xE2a"), 0);
        assert_eq!(unfinished(b"\x80"), 0);
        assert_eq!(unfinished("a😀".as_bytes().split_last().unwrap().1), 3);
    }
}
