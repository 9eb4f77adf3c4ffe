//! Kernels with their launch.

use std::fmt;

use super::args::Args;
use super::kernel::{AnyKernel, Kernel};
use crate::target::Target;

/// A kernel with its launch.
pub struct Launchable<A> {
    /// The kernel.
    pub kernel: Kernel<A>,
    /// Number of blocks.
    pub grid: [u32; 3],
    /// Threads per block.
    pub block: u32,
    /// Bytes of dynamic shared memory.
    pub dynamic_shared: u32,
}

/// The same without static parameter types, generated for a GPU: everything that a device needs to run it.
#[derive(Clone, Debug)]
pub struct AnyLaunchable {
    /// The kernel.
    pub kernel: AnyKernel,
    /// Number of blocks.
    pub grid: [u32; 3],
    /// Threads per block.
    pub block: u32,
    /// Bytes of dynamic shared memory.
    pub dynamic_shared: u32,
    /// The target for which it was generated.
    pub target: Target,
    /// Minimum bytes of each parameter's buffer; parameters after the end of the list have no minimum.
    pub bytes: Vec<u64>,
}

impl<A> Clone for Launchable<A> {
    fn clone(&self) -> Self {
        Launchable { kernel: self.kernel.clone(), ..*self }
    }
}

impl<A> fmt::Debug for Launchable<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Launchable { kernel, grid, block, dynamic_shared } = self;
        let mut all = f.debug_struct("Launchable");
        all.field("kernel", kernel).field("grid", grid).field("block", block).field("dynamic_shared", dynamic_shared);
        all.finish()
    }
}

impl<A> Launchable<A> {
    /// `kernel` with blocks of `block` threads, which its text requires, without dynamic shared memory.
    pub fn new(kernel: Kernel<A>, grid: [u32; 3], block: u32) -> Self {
        Launchable { kernel: kernel.with_block(block), grid, block, dynamic_shared: 0 }
    }
}

impl<A: Args> Launchable<A> {
    /// Drops the static parameter types.
    pub fn erase(self, target: Target) -> AnyLaunchable {
        let Launchable { kernel, grid, block, dynamic_shared } = self;
        AnyLaunchable { kernel: kernel.erase(), grid, block, dynamic_shared, target, bytes: Vec::new() }
    }
}
