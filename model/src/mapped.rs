//! Files that are read through a map.

use memmap2::Mmap;
use std::{fs::File, io, path::Path};

/// Why a file cannot be mapped.
pub(crate) enum MapError {
    /// It is a folder, a device or a pipe.
    NotAFile,
    /// The system refused to do this to it.
    Io(&'static str, io::Error),
}

/// Maps a file. Those who hand its bytes on have to say that it must not be changed meanwhile: the
/// system shows changes through the map, and a file cut short under it ends the process.
pub(crate) fn map(path: &Path) -> Result<Mmap, MapError> {
    let io = |action| move |source| MapError::Io(action, source);
    // Before it is opened, which waits at a pipe for the other end.
    if !path.metadata().map_err(io("open"))?.is_file() {
        return Err(MapError::NotAFile);
    }
    let file = File::open(path).map_err(io("open"))?;
    if !file.metadata().map_err(io("examine"))?.is_file() {
        return Err(MapError::NotAFile);
    }
    // SAFETY: the map is read-only, and that the file is not changed meanwhile is asked for above, which
    // no process can prevent.
    unsafe { Mmap::map(&file) }.map_err(io("map"))
}
