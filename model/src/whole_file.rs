//! Files that are written completely or not at all.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tempfile::NamedTempFile;

/// Temporary files that are being written, by path.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that is being written. It is written next to its final path, under a name that starts with `.ptxgen-`, until
/// [`finish`](Self::finish) renames it; until then an old file stays. If this value is dropped before, the temporary
/// file is removed.
#[derive(Debug)]
pub struct WholeFile {
    // The drop order matters: the file is removed first, then its name is forgotten.
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
    /// Creates a file that will be at `path`, and replace an existing file.
    ///
    /// # Errors
    /// If the folder does not exist or cannot be written, or `path` exists and is not a regular file: a folder cannot
    /// be replaced, and a device should not be.
    pub fn create(path: &Path) -> io::Result<Self> {
        if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is something else than a regular file"));
        }
        // If the path is a symbolic link, its target is replaced, not the link.
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
        // Opened and written here, because errors of `tempfile` would show the temporary name, which means nothing to
        // users.
        let new = |path: &Path| File::options().read(true).write(true).create_new(true).open(path);
        let temporary = tempfile::Builder::new().prefix(".ptxgen-").make_in(folder, new)?;
        list.push(temporary.path().to_owned());
        let listed = Listed(temporary.path().to_owned());
        Ok(Self { temporary, _listed: listed, place })
    }

    /// Renames the file to its final path.
    ///
    /// # Errors
    /// If the system reports an error; then the old file stays.
    pub fn finish(self) -> io::Result<()> {
        keep_permissions(&self.place, self.temporary.as_file())?;
        self.temporary.persist(self.place).map_err(|e| e.error)?;
        Ok(())
    }

    /// The file, for writing in any order.
    pub fn file(&mut self) -> &mut File {
        self.temporary.as_file_mut()
    }
}

/// Gives a file the permissions of the one that it will replace, and its owner if this process may.
fn keep_permissions(place: &Path, file: &File) -> io::Result<()> {
    let Ok(there) = fs::metadata(place) else { return Ok(()) };
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (there.uid(), there.gid()) {
            // Otherwise the owner is the user of this process.
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

/// Deletes all temporary files, then calls `end`; no other can be created until that returns. For a process that a
/// signal ends, in which nothing is dropped.
pub fn abandon_unfinished_files(end: impl FnOnce()) {
    let mut list = unfinished();
    for path in list.drain(..) {
        // A missing file has been finished, and for a file that cannot be deleted there is no other remedy.
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
