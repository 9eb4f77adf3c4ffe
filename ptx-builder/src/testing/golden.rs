//! Golden files: texts in the repository that are compared with generated ones.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::{env, fs};

use similar::TextDiff;
use thiserror::Error;

/// Maximum number of lines of a difference that are shown.
const SHOWN: usize = 60;

/// Reasons why a text does not match its golden file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GoldenError {
    /// There is no such file.
    #[error("the golden file {} does not exist; BLESS=1 writes it", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file has a different text.
    #[error("the text is not the golden file's; if the change is meant, BLESS=1 writes it\n{diff}")]
    Differs {
        /// The file.
        path: PathBuf,
        /// The first lines of the difference.
        diff: String,
    },
    /// A file that no test uses.
    #[error("the golden file {} is nobody's; BLESS=1 removes it", .path.display())]
    Stale {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("cannot read or write the golden file {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Whether golden files should be written: the environment variable `BLESS` exists and is neither empty nor 0.
pub fn blessing() -> bool {
    env::var_os("BLESS").is_some_and(|v| !v.is_empty() && v != "0")
}

/// Compares a text with the file at `path`, under `root`. If `bless` is set, the text is written to the file instead,
/// completely or not at all. Line endings and empty lines at the end are ignored.
///
/// # Errors
/// If the file is missing or different, the error shows the difference and
/// names `path` without `root`, so that it is the same on every machine.
pub fn check_golden(root: &Path, path: &Path, text: &str, bless: bool) -> Result<(), GoldenError> {
    let io = |source| GoldenError::Io { path: path.to_owned(), source };
    let text = normal(text);
    let golden = match fs::read_to_string(root.join(path)) {
        Ok(golden) => Some(normal(&golden)),
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        Err(e) => return Err(io(e)),
    };
    match golden {
        Some(golden) if golden == text => Ok(()),
        _ if bless => replace(&root.join(path), &text).map_err(io),
        None => Err(GoldenError::Missing { path: path.to_owned() }),
        Some(golden) => {
            let diff = difference(path, &golden, &text);
            Err(GoldenError::Differs { path: path.to_owned(), diff })
        }
    }
}

/// As [`check_golden`], for a test: [`assert_golden!`](crate::assert_golden) passes the folder of the calling crate.
///
/// # Panics
/// With the error, if the text does not match the file and [`blessing`] is false.
#[track_caller]
pub fn assert_golden(root: &str, path: impl AsRef<Path>, text: &str) {
    if let Err(error) = check_golden(Path::new(root), path.as_ref(), text, blessing()) {
        let cause = std::error::Error::source(&error).map(|c| format!(": {c}")).unwrap_or_default();
        panic!("{error}{cause}");
    }
}

/// Compares a text with a golden file: `assert_golden!("tests/golden/saxpy.ptx", ptx(&saxpy()))`.
///
/// The path is relative to the folder of the crate's `Cargo.toml`. `BLESS=1 cargo test` writes the
/// file. Panics with the difference otherwise; see [`check_golden`](crate::testing::check_golden).
#[macro_export]
macro_rules! assert_golden {
    ($path:expr, $text:expr $(,)?) => {
        $crate::testing::assert_golden(env!("CARGO_MANIFEST_DIR"), $path, ::core::convert::AsRef::<str>::as_ref(&$text))
    };
}

/// A folder in which every file is golden: files that no test uses are found too.
#[derive(Debug)]
pub struct GoldenFolder {
    root: PathBuf,
    folder: PathBuf,
    bless: bool,
    names: BTreeSet<String>,
    wrong: Vec<GoldenError>,
}

/// All errors in a [`GoldenFolder`].
#[derive(Debug)]
pub struct GoldenErrors(Vec<GoldenError>);

impl std::error::Error for GoldenErrors {}

impl std::ops::Deref for GoldenErrors {
    type Target = [GoldenError];
    fn deref(&self) -> &[GoldenError] {
        &self.0
    }
}

impl fmt::Display for GoldenErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} golden files are wrong", self.0.len())?;
        self.0.iter().try_for_each(|e| {
            write!(f, "\n\n{e}")?;
            let reason = std::error::Error::source(e);
            reason.map_or(Ok(()), |reason| write!(f, ": {reason}"))
        })
    }
}

impl GoldenFolder {
    /// The folder `folder` under `root`, which messages do not show.
    pub fn new(root: impl Into<PathBuf>, folder: impl Into<PathBuf>, bless: bool) -> Self {
        let (root, folder) = (root.into(), folder.into());
        GoldenFolder { root, folder, bless, names: BTreeSet::new(), wrong: Vec::new() }
    }

    /// Compares a text with the file `name`, as [`check_golden`] does.
    pub fn check(&mut self, name: &str, text: &str) {
        self.names.insert(name.to_owned());
        self.wrong.extend(check_golden(&self.root, &self.folder.join(name), text, self.bless).err());
    }

    /// Ends the comparison.
    ///
    /// # Errors
    /// All errors: files that differ or are missing, and files that no text was compared with, which blessing removes.
    pub fn finish(mut self) -> Result<(), GoldenErrors> {
        let stale = self.stale().unwrap_or_else(|source| {
            self.wrong.push(GoldenError::Io { path: self.folder.clone(), source });
            Vec::new()
        });
        for name in stale {
            let path = self.folder.join(name);
            if !self.bless {
                self.wrong.push(GoldenError::Stale { path });
            } else if let Err(source) = fs::remove_file(self.root.join(&path)) {
                self.wrong.push(GoldenError::Io { path, source });
            }
        }
        if self.wrong.is_empty() { Ok(()) } else { Err(GoldenErrors(self.wrong)) }
    }

    /// Files that no test uses, sorted by name.
    fn stale(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.root.join(&self.folder)) {
            Ok(entries) => entries,
            // Then every file was reported as missing.
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let mut stale = Vec::new();
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !self.names.contains(&name) {
                stale.push(name);
            }
        }
        stale.sort();
        Ok(stale)
    }
}

/// With `\n` as line endings, and one at the end.
fn normal(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    format!("{}\n", text.trim_end_matches('\n'))
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".golden-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As for any new file; the process's umask still applies.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

fn difference(path: &Path, golden: &str, found: &str) -> String {
    let diff = TextDiff::from_lines(golden, found);
    let text = diff.unified_diff().context_radius(3).header(&path.to_string_lossy(), "generated").to_string();
    let more = text.lines().count().saturating_sub(SHOWN);
    let mut shown: String = text.lines().take(SHOWN).map(|l| format!("{l}\n")).collect();
    if more > 0 {
        shown += &format!("... and {more} lines more\n");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_written_only_when_blessed() {
        let root = tempfile::tempdir().unwrap();
        let path = Path::new("golden/k.ptx");
        let error = check_golden(root.path(), path, "a\n", false).unwrap_err();
        assert_eq!(error.to_string(), "the golden file golden/k.ptx does not exist; BLESS=1 writes it");
        assert!(!root.path().join("golden").exists());
        check_golden(root.path(), path, "a\n", true).unwrap();
        assert_eq!(fs::read_to_string(root.path().join(path)).unwrap(), "a\n");
        check_golden(root.path(), path, "a", false).unwrap();
    }

    #[test]
    fn a_difference_is_shown_with_its_lines() {
        let root = tempfile::tempdir().unwrap();
        let path = Path::new("k.ptx");
        fs::write(root.path().join(path), "a\r\nb\r\nc\r\n").unwrap();
        check_golden(root.path(), path, "a\nb\nc\n", false).unwrap();
        let error = check_golden(root.path(), path, "a\nB\nc\n", false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the text is not the golden file's; if the change is meant, BLESS=1 writes it\n\
             --- k.ptx\n+++ generated\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"
        );
        assert_eq!(fs::read_to_string(root.path().join(path)).unwrap(), "a\r\nb\r\nc\r\n");
        let long = "x\n".repeat(200);
        let error = check_golden(root.path(), path, &long, false).unwrap_err().to_string();
        assert!(error.ends_with("lines more\n") && error.lines().count() < 70, "{error}");
    }

    #[test]
    fn a_folder_knows_its_files() {
        let root = tempfile::tempdir().unwrap();
        let folder = |bless| GoldenFolder::new(root.path(), "golden", bless);
        let checked = |bless, texts: &[(&str, &str)]| {
            let mut folder = folder(bless);
            texts.iter().for_each(|(name, text)| folder.check(name, text));
            folder.finish()
        };
        checked(true, &[("a", "1"), ("b", "2")]).unwrap();
        checked(false, &[("a", "1"), ("b", "2")]).unwrap();
        let errors = checked(false, &[("a", "3"), ("c", "4")]).unwrap_err().0;
        let kinds = matches!(
            errors.as_slice(),
            [GoldenError::Differs { .. }, GoldenError::Missing { .. }, GoldenError::Stale { .. }]
        );
        assert!(kinds, "{errors:?}");
        checked(true, &[("a", "3")]).unwrap();
        assert!(!root.path().join("golden/b").exists());
    }
}
