//! The shape of a launch.

/// Blocks, threads and dynamic shared memory of a launch.
///
/// Converted from a number of blocks (`4`), blocks in x and y or x, y, z (`[4, 2]`, `[4, 2, 1]`), or blocks and threads
/// per block (`(4, 128)`). The block shape can be left out for kernels that require one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LaunchShape {
    /// Blocks in x, y, z.
    pub grid: [u32; 3],
    /// Threads per block in x, y, z; by default those that the kernel requires.
    pub block: Option<[u32; 3]>,
    /// Bytes of dynamic shared memory per block.
    pub dynamic_shared: u32,
}

impl LaunchShape {
    /// The same with this amount of dynamic shared memory.
    #[must_use]
    pub fn with_dynamic_shared(self, bytes: u32) -> LaunchShape {
        LaunchShape { dynamic_shared: bytes, ..self }
    }
}

impl From<u32> for LaunchShape {
    fn from(blocks: u32) -> Self {
        [blocks, 1, 1].into()
    }
}

impl From<[u32; 2]> for LaunchShape {
    fn from([x, y]: [u32; 2]) -> Self {
        [x, y, 1].into()
    }
}

impl From<[u32; 3]> for LaunchShape {
    fn from(grid: [u32; 3]) -> Self {
        LaunchShape { grid, block: None, dynamic_shared: 0 }
    }
}

impl From<(u32, u32)> for LaunchShape {
    fn from((blocks, threads): (u32, u32)) -> Self {
        ([blocks, 1, 1], [threads, 1, 1]).into()
    }
}

impl From<([u32; 3], [u32; 3])> for LaunchShape {
    fn from((grid, block): ([u32; 3], [u32; 3])) -> Self {
        LaunchShape { grid, block: Some(block), dynamic_shared: 0 }
    }
}
