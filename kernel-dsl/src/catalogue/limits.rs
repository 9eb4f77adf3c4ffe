//! Sizes that a kernel is made for.

use super::error::CatalogueError;

/// Static shared memory of a block (CUDA C++ programming guide, "Compute
/// capabilities").
pub(super) const SHARED_LIMIT: u64 = 48 * 1024;

/// Rejects a size of a kernel where it is not possible, with what is.
pub(super) fn refuse_if(
    impossible: bool,
    kernel: &'static str,
    dimension: &'static str,
    found: impl Into<u64>,
    expected: &'static str,
) -> Result<(), CatalogueError> {
    let found = found.into();
    if impossible { Err(CatalogueError::Shape { kernel, dimension, found, expected }) } else { Ok(()) }
}

/// The most tokens of a pass.
pub(super) fn check_tokens(kernel: &'static str, tokens: u32) -> Result<(), CatalogueError> {
    refuse_if(!(1..=1 << 16).contains(&tokens), kernel, "tokens", tokens, "1 to 65,536")
}
