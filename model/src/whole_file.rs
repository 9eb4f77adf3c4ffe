//! Files that appear whole or not at all.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tempfile::NamedTempFile;

/// The files in the making, by the names that they have until then.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file in the making. It is written beside its place, under a name that starts with `.ptxgen-`,
/// until [`finish`](Self::finish) moves it there; until then its place keeps what it had. If this is
/// dropped before, nothing is left behind.
#[derive(Debug)]
pub struct WholeFile {
    // Dropped in this order: gone first, forgotten then.
    temporary: NamedTempFile,
    _listed: Listed,
    place: PathBuf,
}

#[derive(Debug)]
struct Listed(PathBuf);

impl Drop for Listed {
    fn drop(&mut self) {
        unfinished().retain(|path| *path != self.0);
    }
}

impl WholeFile {
    /// Starts a file that is to be at `path`, in place of a file that is there.
    ///
    /// # Errors
    /// If the folder is not there or cannot be written, or what is at `path` is no regular file: a folder
    /// cannot be replaced, and a device should not be.
    pub fn create(path: &Path) -> io::Result<Self> {
        if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is something else than a regular file"));
        }
        // Behind a symbolic link it is the file that is replaced, not the link.
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let folder = place.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut list = unfinished();
        // Opened and written here: errors of `tempfile` would show a name that says nothing to those who read it.
        let new = |path: &Path| File::options().read(true).write(true).create_new(true).open(path);
        let temporary = tempfile::Builder::new().prefix(".ptxgen-").make_in(folder, new)?;
        list.push(temporary.path().to_owned());
        let listed = Listed(temporary.path().to_owned());
        Ok(Self { temporary, _listed: listed, place })
    }

    /// Moves the file to its place.
    ///
    /// # Errors
    /// If the system refuses; then its place keeps what it had.
    pub fn finish(self) -> io::Result<()> {
        self.temporary.persist(self.place).map_err(|e| e.error)?;
        Ok(())
    }

    /// The file, to be written in any order.
    pub fn file(&mut self) -> &mut File {
        self.temporary.as_file_mut()
    }
}

impl io::Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

/// Deletes every file in the making, then calls `end`; until that returns no other can be started. For a
/// process that a signal ends, where nothing is dropped.
pub fn abandon_unfinished_files(end: impl FnOnce()) {
    let mut list = unfinished();
    for path in list.drain(..) {
        // What is not there has been finished, and what cannot be deleted has no other remedy.
        let _ = fs::remove_file(path);
    }
    end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_is_there_when_it_is_finished_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("values");
        let mut file = WholeFile::create(&place).unwrap();
        file.write_all(b"new").unwrap();
        assert!(!place.exists());
        file.finish().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"new");

        let mut file = WholeFile::create(&place).unwrap();
        file.write_all(b"newer").unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"new");
        drop(file);
        assert_eq!(fs::read(&place).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
