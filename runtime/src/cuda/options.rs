//! Options of a GPU.

use std::path::PathBuf;

/// Options of a GPU.
#[derive(Clone, Debug)]
pub struct CudaOptions {
    /// Where to cache machine code on disk.
    pub cache: CodeCache,
    /// Whether machine code contains the lines of the source, for profilers and compute-sanitizer.
    pub lineinfo: bool,
    /// Whether to wait after every launch, so that a failure names its kernel.
    pub wait_each: bool,
}

/// Where to cache machine code on disk. A folder that cannot be used is not an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CodeCache {
    /// In `PTXGEN_CACHE_DIR`, or in `ptxgen` in the user's cache folder.
    User,
    /// In this folder.
    Folder(PathBuf),
    /// No cache.
    Off,
}

impl Default for CudaOptions {
    /// Code is cached for the user, without lines; launches are not waited for.
    fn default() -> Self {
        CudaOptions { cache: CodeCache::User, lineinfo: false, wait_each: false }
    }
}
