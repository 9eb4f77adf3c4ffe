//! Bounded reads of little-endian items.

use super::error::{GgufError, GgufErrorKind};
use std::sync::Arc;

/// Maximum size of metadata and the table of tensors: five times those of the largest vocabularies. A file may be
/// longer than any memory and occupy almost nothing on the disk.
const LONGEST: u64 = 64 << 20;

/// A position in a file's bytes. No read exceeds them.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    file: &'a Arc<str>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(file: &'a Arc<str>, bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, file }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn left(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    pub(super) fn error(&self, kind: GgufErrorKind) -> GgufError {
        GgufError::new(self.file, kind)
    }

    /// The next `len` bytes; `what` names them in the error if the file ends before.
    pub(super) fn take(&mut self, len: u64, what: impl Fn() -> String) -> Result<&'a [u8], GgufError> {
        if len > self.left() {
            return Err(self.error(GgufErrorKind::Truncated {
                what: what(),
                offset: self.at as u64,
                need: len,
                have: self.left(),
            }));
        }
        if len > LONGEST.saturating_sub(self.at as u64) {
            return Err(self.error(GgufErrorKind::Header { what: what(), most: LONGEST }));
        }
        let start = self.at;
        self.at += len as usize;
        Ok(&self.bytes[start..self.at])
    }

    fn array<const N: usize>(&mut self, what: impl Fn() -> String) -> Result<[u8; N], GgufError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N as u64, what)?);
        Ok(out)
    }

    pub(super) fn u8(&mut self, what: impl Fn() -> String) -> Result<u8, GgufError> {
        Ok(u8::from_le_bytes(self.array(what)?))
    }

    pub(super) fn u16(&mut self, what: impl Fn() -> String) -> Result<u16, GgufError> {
        Ok(u16::from_le_bytes(self.array(what)?))
    }

    pub(super) fn u32(&mut self, what: impl Fn() -> String) -> Result<u32, GgufError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(super) fn u64(&mut self, what: impl Fn() -> String) -> Result<u64, GgufError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// A count of items of at least `least` bytes each, checked against the remaining bytes.
    pub(super) fn count(&mut self, least: u64, what: impl Fn() -> String) -> Result<usize, GgufError> {
        let count = self.u64(|| format!("the number of {}", what()))?;
        self.check_count(count, least, what)?;
        Ok(count as usize)
    }

    /// Fails if `count` items of at least `least` bytes exceed the remaining bytes.
    pub(super) fn check_count(&self, count: u64, least: u64, what: impl Fn() -> String) -> Result<(), GgufError> {
        let most = self.left() / least;
        if count > most {
            return Err(self.error(GgufErrorKind::Count { what: what(), count, most, have: self.left() }));
        }
        Ok(())
    }

    /// Fails if `count` exceeds the maximum number of such items.
    pub(super) fn check_most(&self, count: u64, most: u64, what: impl Fn() -> String) -> Result<(), GgufError> {
        if count > most { Err(self.error(GgufErrorKind::TooMany { what: what(), count, most })) } else { Ok(()) }
    }

    /// A length, followed by that many bytes of UTF-8.
    pub(super) fn str(&mut self, most: u64, what: impl Fn() -> String) -> Result<&'a str, GgufError> {
        let len = self.u64(|| format!("the length of {}", what()))?;
        if len > most {
            return Err(self.error(GgufErrorKind::StringLength { what: what(), len, most }));
        }
        let bytes = self.take(len, &what)?;
        std::str::from_utf8(bytes)
            .map_err(|e| self.error(GgufErrorKind::Utf8 { what: what(), valid_up_to: e.valid_up_to() }))
    }
}
