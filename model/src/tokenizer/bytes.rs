//! GPT-2's spelling of bytes as characters.

/// The character that represents a byte in a byte-level vocabulary: printable characters represent themselves, the
/// others are U+0100 and following, in order (GPT-2 `bytes_to_unicode`).
pub fn byte_to_char(byte: u8) -> char {
    let plain = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    if plain(byte) {
        return byte.into();
    }
    let before = (0..byte).filter(|b| !plain(*b)).count() as u32;
    char::from_u32(0x100 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The inverse of [`byte_to_char`].
pub(super) struct CharToByte([u8; 256 + 68], [bool; 256 + 68]);

impl CharToByte {
    pub(super) fn new() -> Self {
        let mut out = Self([0; 324], [false; 324]);
        for byte in 0..=255 {
            let at = byte_to_char(byte) as usize;
            out.0[at] = byte;
            out.1[at] = true;
        }
        out
    }

    /// The bytes that a token represents, if each of its characters represents one.
    pub(super) fn bytes(&self, token: &str) -> Option<Box<[u8]>> {
        let byte = |c: char| {
            let at = c as usize;
            (*self.1.get(at)?).then(|| self.0[at])
        };
        token.chars().map(byte).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_is_gpt2s_and_invertible() {
        assert_eq!(byte_to_char(b' '), 'Ġ');
        assert_eq!(byte_to_char(b'\n'), 'Ċ');
        assert_eq!(byte_to_char(b'a'), 'a');
        assert_eq!(byte_to_char(0xAD), '\u{143}');
        let inverse = CharToByte::new();
        for byte in 0..=255 {
            let token = byte_to_char(byte).to_string();
            assert_eq!(inverse.bytes(&token).as_deref(), Some(&[byte][..]));
        }
        assert_eq!(inverse.bytes("a\u{144}"), None);
        assert_eq!(inverse.bytes("a b"), None);
    }
}
