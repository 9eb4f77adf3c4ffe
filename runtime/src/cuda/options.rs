//! How a GPU is used.

use std::path::PathBuf;

/// How a GPU is used.
#[derive(Clone, Debug)]
pub struct CudaOptions {
    /// Where machine code is kept on disk.
    pub cache: CodeCache,
    /// Whether machine code carries the author's lines, for profilers and
    /// compute-sanitizer.
    pub lineinfo: bool,
    /// Whether every launch is waited for, so that a failure names its kernel.
    pub wait_each: bool,
}

/// Where machine code is kept on disk. A folder that cannot be used is no error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CodeCache {
    /// In `PTXGEN_CACHE_DIR`, or in `ptxgen` in the user's cache folder.
    User,
    /// In this folder.
    Folder(PathBuf),
    /// Nowhere.
    Off,
}

impl Default for CudaOptions {
    /// Code is kept for the user, without lines; nothing is waited for.
    fn default() -> Self {
        CudaOptions { cache: CodeCache::User, lineinfo: false, wait_each: false }
    }
}
