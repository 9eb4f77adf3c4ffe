//! A kernel with its launch, and whether a block has the shared memory that it needs.

use ptxgen_builder::build::{AnyKernel, Args, Kernel};

use super::error::CatalogueError;

/// A kernel with the launch it was made for.
#[derive(Clone, Debug)]
pub struct Launchable<A> {
    /// The kernel.
    pub kernel: Kernel<A>,
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: u32,
    /// Bytes of dynamic shared memory.
    pub dynamic_shared: u32,
}

/// The same with its parameter types forgotten.
#[derive(Clone, Debug)]
pub struct AnyLaunchable {
    /// The kernel.
    pub kernel: AnyKernel,
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: u32,
    /// Bytes of dynamic shared memory.
    pub dynamic_shared: u32,
}

impl<A> Launchable<A> {
    /// `kernel` in blocks of `block` threads, promised in its text, without
    /// dynamic shared memory.
    pub fn new(kernel: Kernel<A>, grid: [u32; 3], block: u32) -> Self {
        Launchable { kernel: kernel.with_block(block), grid, block, dynamic_shared: 0 }
    }
}

impl<A: Args> Launchable<A> {
    /// Forgets the parameter types.
    pub fn erase(self) -> AnyLaunchable {
        let Launchable { kernel, grid, block, dynamic_shared } = self;
        AnyLaunchable { kernel: kernel.erase(), grid, block, dynamic_shared }
    }
}

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
