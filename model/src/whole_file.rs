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
        // After a symbolic link it is the file that is replaced, not the link.
        let place = match fs::canonicalize(path) {
            Ok(place) => place,
            Err(_) if fs::symlink_metadata(path).is_ok_and(|there| there.is_symlink()) => {
                let what = "there is a symbolic link to a file that is not there";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            Err(_) => path.to_owned(),
        };
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
        keep_permissions(&self.place, self.temporary.as_file())?;
        self.temporary.persist(self.place).map_err(|e| e.error)?;
        Ok(())
    }

    /// The file, to be written in any order.
    pub fn file(&mut self) -> &mut File {
        self.temporary.as_file_mut()
    }
}

/// Gives a file the permissions of the one that it is to replace, and its owner where this process may.
fn keep_permissions(place: &Path, file: &File) -> io::Result<()> {
    let Ok(there) = fs::metadata(place) else { return Ok(()) };
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (there.uid(), there.gid()) {
            // That of whoever writes it, else.
            let _ = fchown(file, Some(there.uid()), Some(there.gid()));
        }
    }
    file.set_permissions(there.permissions())
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
    #[cfg(unix)]
    fn permissions_stay_and_a_link_to_nothing_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("values");
        fs::write(&place, "old").unwrap();
        for mode in [0o600, 0o640, 0o444] {
            fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
            let mut file = WholeFile::create(&place).unwrap();
            file.write_all(b"new").unwrap();
            file.finish().unwrap();
            assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, mode);
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("none"), &link).unwrap();
        let error = WholeFile::create(&link).unwrap_err();
        assert!(error.to_string().contains("a symbolic link to a file that is not there"), "{error}");
    }

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
