//! Whether a block has the shared memory that a kernel needs.

use ptxgen_builder::build::Launchable;

use super::error::CatalogueError;

/// Static shared memory of a block (CUDA C++ programming guide, "Compute
/// capabilities").
pub(super) const SHARED_LIMIT: u64 = 48 * 1024;

/// Checks that a finished kernel's shared arrays fit a block.
pub(super) fn fits<A>(kernel: &'static str, launchable: Launchable<A>) -> Result<Launchable<A>, CatalogueError> {
    let needed = launchable.kernel.shared_bytes();
    if needed > SHARED_LIMIT {
        return Err(CatalogueError::SharedMemory { kernel, needed, available: SHARED_LIMIT });
    }
    Ok(launchable)
}
