//! Memory-mapped files.

use memmap2::Mmap;
use std::{fs::File, io, path::Path};

/// Reasons why a file cannot be mapped.
pub(crate) enum MapError {
    /// It is a folder, a device or a pipe.
    NotAFile,
    /// The system reported an error for this operation.
    Io(&'static str, io::Error),
}

/// Maps a file. Callers that pass its bytes on must document that it must not be changed in the meantime: changes are
/// visible through the map, and truncating the file kills the process.
pub(crate) fn map(path: &Path) -> Result<Mmap, MapError> {
    let io = |action| move |source| MapError::Io(action, source);
    // Checked before opening, because opening a pipe waits for the other end.
    if !path.metadata().map_err(io("open"))?.is_file() {
        return Err(MapError::NotAFile);
    }
    let file = File::open(path).map_err(io("open"))?;
    if !file.metadata().map_err(io("examine"))?.is_file() {
        return Err(MapError::NotAFile);
    }
    // SAFETY: the map is read-only, and the documentation above requires that the file is not changed in the meantime,
    // which no process can prevent.
    unsafe { Mmap::map(&file) }.map_err(io("map"))
}
