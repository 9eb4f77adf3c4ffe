//! A folder that commands write into, and every command that writes a file.
#![allow(dead_code)] // each test file uses its part

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// A folder with an earlier file at every place that a command is going to write.
pub struct Folder(TempDir);

/// A command that writes `name`; `{}` in its arguments is the file's path.
pub struct Writing {
    pub name: &'static str,
    pub args: &'static [&'static str],
    /// Whether it writes while it works, and not all at once at its end.
    pub as_it_goes: bool,
}

/// The interpreter takes long enough for anything to happen meanwhile.
pub const WRITING: &[Writing] = &[
    Writing {
        name: "logits.f32",
        args: &["logits", "--device", "interp", "--tokens", TOKENS, "--out", "{}"],
        as_it_goes: true,
    },
    Writing {
        name: "trace.safetensors",
        args: &["trace", "--device", "interp", "--tokens", TOKENS, "-o", "{}"],
        as_it_goes: true,
    },
    Writing { name: "model.gguf", args: &["synth", "--layers", "200", "{}"], as_it_goes: true },
    Writing {
        name: "report.html",
        args: &["compare", "--left", "cpu", "--right", "interp", "--tokens", TOKENS, "--html", "{}"],
        as_it_goes: false,
    },
    Writing {
        name: "policies.json",
        args: &["bench", "policies", "--device", "interp", "--tokens", TOKENS, "--runs", "0", "--save", "{}"],
        as_it_goes: false,
    },
    Writing { name: "kernel.ptx", args: &["dump", "q4k-gemv", "-o", "{}"], as_it_goes: false },
];

/// 64 tokens of the bundled model.
pub const TOKENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/model/tests/data/tiny.tokens-64.i32");

/// What every place has before.
const EARLIER: &[u8] = b"an earlier file";

impl Folder {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        WRITING.iter().for_each(|w| fs::write(folder.path().join(w.name), EARLIER).unwrap());
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self, writing: &Writing) -> PathBuf {
        self.path().join(writing.name)
    }

    /// The arguments of a command that writes here.
    pub fn args(&self, writing: &Writing) -> Vec<String> {
        let file = self.file(writing);
        writing.args.iter().map(|arg| arg.replace("{}", file.to_str().unwrap())).collect()
    }

    /// Names and contents of all files.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        contents(self.path())
    }

    /// Fails unless everything is as in the beginning.
    #[track_caller]
    pub fn assert_untouched(&self, after: &str) {
        let files = self.files();
        let names: Vec<_> = files.keys().collect();
        assert_eq!(files.len(), WRITING.len(), "{after}: {names:?}");
        for (name, bytes) in &files {
            assert_eq!(bytes, EARLIER, "{after}: {name}");
        }
    }
}

/// Names and contents of the files in a folder.
pub fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
    };
    fs::read_dir(folder).unwrap().map(file).collect()
}
