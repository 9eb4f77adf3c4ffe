//! Finds the optional CUDA tools.
//!
//! They are not needed to generate, check or interpret PTX. Tests and benchmarks compare with NVIDIA's own tools, which
//! `.ci/install-tools` unpacks from PyPI wheels into `.tools/`.

use std::env;
use std::path::{Path, PathBuf};

/// The toolkit folders (each with `bin/`, `lib/` and so on) that `.ci/install-tools` has made.
///
/// Looks for `.tools/cuda/nvidia/*` in the current folder, in `CARGO_MANIFEST_DIR`, and upwards
/// from both; nearest first, newest toolkit first. Empty when nothing is installed.
pub fn wheel_toolkits() -> Vec<PathBuf> {
    let starts = [env::current_dir().ok(), env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from)];
    let mut found: Vec<PathBuf> = Vec::new();
    for start in starts.into_iter().flatten() {
        for folder in start.ancestors() {
            let mut toolkits = folders_in(&folder.join(".tools/cuda/nvidia"));
            toolkits.retain(|toolkit| !found.contains(toolkit));
            toolkits.sort();
            found.extend(toolkits.into_iter().rev());
        }
    }
    found
}

fn folders_in(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = parent.read_dir() else { return Vec::new() };
    entries.flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect()
}
