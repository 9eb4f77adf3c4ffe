//! The input files of a command: regular files of bounded size, which the command does not also write.

use super::Usage;
use anyhow::Context;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Maximum size of a text, a list of tokens or a kernel.
pub const MOST: u64 = 1 << 26;

/// Files that this command reads.
static READ: Mutex<Vec<(Identity, PathBuf)>> = Mutex::new(Vec::new());

/// Device and inode: equal for two names of the same file.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    let of = std::fs::metadata(path).ok()?;
    Some(Identity { device: of.dev(), inode: of.ino() })
}

#[cfg(not(unix))]
fn identity(_: &Path) -> Option<Identity> {
    None
}

/// Records an input file, so that it is not overwritten.
pub fn remember(path: &Path) {
    if let Some(identity) = identity(path) {
        READ.lock().unwrap_or_else(PoisonError::into_inner).push((identity, path.to_owned()));
    }
}

/// Checks that an output file is none of the input files, under any name.
///
/// # Errors
/// If it is one.
pub fn check_output(path: &Path) -> anyhow::Result<()> {
    let Some(own) = identity(path) else { return Ok(()) };
    if std::fs::metadata(path).is_ok_and(|of| !of.is_file()) {
        return Ok(());
    }
    let read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    match read.iter().find(|(other, _)| *other == own) {
        None => Ok(()),
        Some((_, other)) => {
            let (path, other) = (path.display(), other.display());
            Err(Usage(format!("{path} is an output and also an input (as {other}): name another file")).into())
        }
    }
}

/// The bytes of a file.
///
/// # Errors
/// If it cannot be read, is not a regular file, or has more than [`MOST`].
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = open(path).and_then(bounded);
    let bytes = bytes.with_context(|| format!("cannot read {}", path.display()))?;
    remember(path);
    Ok(bytes)
}

/// The bytes of a file. If it `is_only_read`, it is recorded as an input; otherwise the command may write it later.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(path: &Path, is_only_read: bool) -> anyhow::Result<Vec<u8>> {
    if is_only_read {
        return read(path);
    }
    let bytes = open(path).and_then(bounded);
    bytes.with_context(|| format!("cannot read {}", path.display()))
}

/// The text of a file, or of standard input if the name is `-`.
///
/// # Errors
/// As [`read`], or if it is not UTF-8.
pub fn read_text(path: &Path) -> anyhow::Result<String> {
    let bytes = match path.to_str() {
        Some("-") => bounded(io::stdin().lock()).context("cannot read standard input")?,
        _ => read(path)?,
    };
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "stream did not contain valid UTF-8");
    String::from_utf8(bytes).map_err(not_text).with_context(|| format!("cannot read {}", path.display()))
}

/// Opens without waiting for the other end of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let other = || io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
    if !path.metadata()?.is_file() {
        return Err(other());
    }
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(other());
    }
    Ok(file)
}

fn bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than 64 MiB"));
    }
    Ok(bytes)
}
