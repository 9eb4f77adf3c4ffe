//! A disk cache of machine code, keyed by content.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use sha2::{Digest, Sha256};

/// A SHA-256.
pub(super) type Key = [u8; 32];

/// The key of machine code: everything from which it is compiled.
pub(super) fn key(parts: &[&str]) -> Key {
    let mut hash = Sha256::new();
    for part in parts {
        // Lengths separate the parts.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The first bytes of a file; a new layout gets a new number.
const MAGIC: &[u8; 16] = b"ptxgen cubin  1\n";

/// Maximum size of a file; the largest kernels take some hundred thousand bytes.
const LONGEST: u64 = 1 << 28;

/// A folder of machine code. Errors in it are ignored: code is then compiled, as without a cache.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// In `PTXGEN_CACHE_DIR`; or in `ptxgen` in `XDG_CACHE_HOME`, or in `.cache` in the home folder (XDG Base Directory
    /// Specification). `None` if none of these is set, or the first is set and empty.
    pub(super) fn find() -> Option<Cache> {
        Self::find_with(|name| env::var_os(name).map(PathBuf::from))
    }

    fn find_with(var: impl Fn(&str) -> Option<PathBuf>) -> Option<Cache> {
        if let Some(folder) = var("PTXGEN_CACHE_DIR") {
            return (!folder.as_os_str().is_empty()).then_some(Cache { folder });
        }
        let base = var("XDG_CACHE_HOME").filter(|p| p.is_absolute());
        let base = base.or_else(|| var("HOME").filter(|p| p.is_absolute()).map(|home| home.join(".cache")))?;
        Some(Cache { folder: base.join("ptxgen") })
    }

    /// In this folder.
    pub(super) fn at(folder: &Path) -> Cache {
        Cache { folder: folder.to_owned() }
    }

    fn path(&self, key: &Key) -> PathBuf {
        let name: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(name + ".cubin")
    }

    /// The code of a key. `None` if the file does not exist, is incomplete, or could have been written by other users:
    /// the code runs on the GPU with access to this process's data there.
    pub(super) fn get(&self, key: &Key) -> Option<Vec<u8>> {
        let path = self.path(key);
        // Checked before opening, because opening a pipe blocks, and again afterwards, in case the file was replaced in
        // between.
        if !is_own(&fs::symlink_metadata(&path).ok()?) {
            return None;
        }
        let mut opened = fs::File::open(path).ok()?;
        let about = opened.metadata().ok().filter(|about| is_own(about) && about.len() <= LONGEST)?;
        let mut file = Vec::with_capacity(about.len() as usize);
        Read::by_ref(&mut opened).take(LONGEST).read_to_end(&mut file).ok()?;
        let (head, code) = file.split_at_checked(MAGIC.len() + 32)?;
        let whole = head.starts_with(MAGIC) && head[MAGIC.len()..] == Sha256::digest(code)[..];
        whole.then(|| code.to_vec())
    }

    /// Stores code. A reader sees the complete file or none.
    pub(super) fn put(&self, key: &Key, code: &[u8]) {
        // A folder that cannot be written costs only time.
        let _ = self.try_put(key, code);
    }

    fn try_put(&self, key: &Key, code: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(MAGIC)?;
        file.write_all(&Sha256::digest(code))?;
        file.write_all(code)?;
        file.persist(self.path(key))?;
        Ok(())
    }
}

/// Whether a file is a regular one that belongs to this user and that only this user may write.
fn is_own(file: &fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        // SAFETY: takes nothing and always succeeds.
        let user = unsafe { libc::geteuid() };
        file.is_file() && file.uid() == user && file.mode() & 0o022 == 0
    }
    #[cfg(not(unix))]
    file.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_comes_back_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::at(&folder.path().join("new"));
        let k = key(&["ptx", "sm_90"]);
        assert_ne!(k, key(&["pt", "xsm_90"]));
        assert_eq!(cache.get(&k), None);
        cache.put(&k, b"code");
        assert_eq!(cache.get(&k).as_deref(), Some(&b"code"[..]));
        let path = cache.path(&k);
        let whole = fs::read(&path).expect("a file");
        for broken in
            [&whole[..whole.len() - 1], &whole[..20], b"", b"something else that is long enough to have a head"]
        {
            fs::write(&path, broken).expect("written");
            assert_eq!(cache.get(&k), None);
        }
        let mut flipped = whole.clone();
        *flipped.last_mut().expect("bytes") ^= 1;
        fs::write(&path, flipped).expect("written");
        assert_eq!(cache.get(&k), None);
        cache.put(&k, b"code");
        assert_eq!(fs::read(&path).expect("a file"), whole, "a broken file is replaced");
    }

    #[test]
    #[cfg(unix)]
    fn what_others_could_have_written_is_not_taken() {
        use std::os::unix::fs::{PermissionsExt, chown, symlink};
        let folder = tempfile::tempdir().expect("a folder");
        let (cache, k) = (Cache::at(folder.path()), key(&["ptx"]));
        let path = cache.path(&k);
        for (mode, taken) in [(0o600, true), (0o644, true), (0o664, false), (0o602, false), (0o666, false)] {
            cache.put(&k, b"code");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
            assert_eq!(cache.get(&k).is_some(), taken, "{mode:o}");
        }
        cache.put(&k, b"code");
        // Only root may change a file's owner.
        if chown(&path, Some(12345), None).is_ok() {
            assert_eq!(cache.get(&k), None);
        }
        fs::remove_file(&path).expect("removed");
        cache.put(&k, b"code");
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(&path, &elsewhere).expect("moved");
        symlink(&elsewhere, &path).expect("linked");
        assert_eq!(cache.get(&k), None, "a link may lead anywhere");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("written");
        let cache = Cache::at(&file);
        cache.put(&key(&[]), b"code");
        assert_eq!(cache.get(&key(&[])), None);
    }

    #[test]
    fn where_it_is() {
        let find = |vars: &[(&str, &str)]| {
            let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| PathBuf::from(v));
            Cache::find_with(var).map(|c| c.folder.display().to_string())
        };
        assert_eq!(find(&[("HOME", "/home/a")]).as_deref(), Some("/home/a/.cache/ptxgen"));
        assert_eq!(find(&[("HOME", "/home/a"), ("XDG_CACHE_HOME", "/c")]).as_deref(), Some("/c/ptxgen"));
        assert_eq!(
            find(&[("HOME", "/home/a"), ("XDG_CACHE_HOME", "relative")]).as_deref(),
            Some("/home/a/.cache/ptxgen")
        );
        assert_eq!(find(&[("HOME", "/home/a"), ("PTXGEN_CACHE_DIR", "/d")]).as_deref(), Some("/d"));
        assert_eq!(find(&[("HOME", "/home/a"), ("PTXGEN_CACHE_DIR", "")]), None);
        assert_eq!(find(&[]), None);
    }
}
