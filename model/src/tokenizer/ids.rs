//! Token ids as bytes, as files hold them.

/// Bytes that are no token ids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenIdsError {
    /// The last id is cut off.
    #[error("{bytes} bytes are no whole number of little-endian i32 token ids")]
    Size {
        /// How many there are.
        bytes: usize,
    },
    /// An id is negative.
    #[error("token {index} is {id}; ids start at 0")]
    Negative {
        /// Which, from 0 on.
        index: usize,
        /// What is there.
        id: i32,
    },
}

/// Token ids from little-endian i32. Whether a model has them is not known here.
///
/// # Errors
/// If the bytes are no whole number of ids, or one is negative.
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
