//! Kernels with the launch that they were made for.

use super::args::Args;
use super::kernel::{AnyKernel, Kernel};
use crate::target::Target;

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

/// The same with its parameter types forgotten, written for a GPU: all that a device needs to run it.
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
    /// The GPU that it was written for.
    pub target: Target,
    /// Bytes that the buffer of each parameter needs at least; those beyond the list need none.
    pub bytes: Vec<u64>,
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
    pub fn erase(self, target: Target) -> AnyLaunchable {
        let Launchable { kernel, grid, block, dynamic_shared } = self;
        AnyLaunchable { kernel: kernel.erase(), grid, block, dynamic_shared, target, bytes: Vec::new() }
    }
}
