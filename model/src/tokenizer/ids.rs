//! Token ids as bytes in files.

/// Bytes that are not token ids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenIdsError {
    /// The last id is incomplete.
    #[error("{bytes} bytes are not a whole number of little-endian i32 token ids")]
    Size {
        /// Number of bytes.
        bytes: usize,
    },
    /// An id is negative.
    #[error("token {index} is {id}; ids start at 0")]
    Negative {
        /// Its index, from 0.
        index: usize,
        /// Its value.
        id: i32,
    },
}

/// Token ids from little-endian i32. Does not check that a model has them.
///
/// # Errors
/// If the bytes are not a whole number of ids, or one is negative.
pub fn token_ids(bytes: &[u8]) -> Result<Vec<u32>, TokenIdsError> {
    let (words, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err(TokenIdsError::Size { bytes: bytes.len() });
    }
    let ids = words.iter().enumerate().map(|(index, word)| {
        let id = i32::from_le_bytes(*word);
        u32::try_from(id).map_err(|_| TokenIdsError::Negative { index, id })
    });
    ids.collect()
}
