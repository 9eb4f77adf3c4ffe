//! A machine with another NVIDIA driver than it has: the stand-in of `fake_driver.rs`, or none.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// A driver that a process finds instead of the machine's.
pub struct Driver {
    folder: tempfile::TempDir,
}

/// The stand-in, built once a test binary.
fn library() -> &'static Path {
    static BUILT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("libcuda.so");
        let source = folder.path().join("fake_driver.rs");
        fs::write(&source, include_str!("fake_driver.rs")).expect("a file");
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(rustc)
            .args(["--edition", "2024", "--crate-type", "cdylib", "-C", "panic=abort", "-o"])
            .args([&path, &source])
            .output()
            .expect("rustc runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (folder, path)
    });
    path
}

impl Driver {
    /// The stand-in.
    pub fn fake() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::copy(library(), folder.path().join("libcuda.so")).expect("a copy");
        Self { folder }
    }

    /// None, or one that does not load, which is the same.
    pub fn none() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["libcuda.so", "libcuda.so.1"] {
            fs::write(folder.path().join(name), "no library").expect("a file");
        }
        Self { folder }
    }

    /// Lets a process have it. `settings` are the stand-in's, beside a log of its calls.
    pub fn give(&self, command: &mut Command, settings: &str) {
        command.env("LD_LIBRARY_PATH", self.folder.path());
        command.env("PTXGEN_FAKE_CUDA", format!("log={},{settings}", self.log().display()));
        command.env("PTXGEN_CACHE_DIR", self.folder.path().join("cache"));
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// How often the stand-in's function was called.
    pub fn calls(&self, name: &str) -> usize {
        fs::read_to_string(self.log()).unwrap_or_default().lines().filter(|call| *call == name).count()
    }
}
