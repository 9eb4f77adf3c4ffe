//! The texts: of each source that for one target whole, the others as differences from it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ptxgen_builder::parse::read;
use ptxgen_builder::verify::{Doubts, Validated, verify_each};

pub const TARGETS: [&str; 3] = ["sm_80", "sm_90", "sm_120"];

/// The target whose texts are whole.
const WHOLE: &str = "sm_90";

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cuda")
}

pub fn file(path: &str) -> String {
    std::fs::read_to_string(folder().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The names of the sources in a folder, without their ending.
pub fn sources(within: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder().join(within)).expect("the folder");
    let stem = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<String> = entries.filter_map(|e| stem(e.expect("a file").path())).collect();
    names.sort();
    names
}

/// What nvcc made of a source.
pub fn text(source: &str, target: &str) -> String {
    if target == WHOLE { file(&format!("ptx/{source}.ptx")) } else { variant(source, target) }
}

/// The text that a file of differences makes of the whole one.
pub fn variant(source: &str, name: &str) -> String {
    let path = format!("ptx/{source}.{name}.diff");
    patched(&file(&format!("ptx/{source}.ptx")), &file(&path)).unwrap_or_else(|| panic!("{path} does not fit"))
}

/// Applies differences as `diff --rcs` writes them: `dLINE COUNT` deletes, `aLINE COUNT` adds the lines that follow.
fn patched(old: &str, changes: &str) -> Option<String> {
    let mut rest = old.lines().zip(1..).peekable();
    let mut changes = changes.lines();
    let mut new: Vec<&str> = Vec::new();
    while let Some(change) = changes.next() {
        let (line, count) = change.get(1..)?.split_once(' ')?;
        let (line, count): (usize, usize) = (line.parse().ok()?, count.parse().ok()?);
        let is_delete = change.starts_with('d');
        while let Some((kept, _)) = rest.next_if(|(_, number)| number + usize::from(is_delete) <= line) {
            new.push(kept);
        }
        for _ in 0..count {
            if is_delete { rest.next().map(|_| ())? } else { new.push(changes.next()?) }
        }
    }
    new.extend(rest.map(|(line, _)| line));
    Some(new.join("\n") + "\n")
}

#[test]
fn differences_are_applied() {
    assert_eq!(patched("a\nb\nc\n", "d2 1\na2 2\nx\ny\na3 1\nz\n").as_deref(), Some("a\nx\ny\nc\nz\n"));
    assert_eq!(patched("a\nb\n", "a0 1\nx\nd1 2\n").as_deref(), Some("x\n"));
    assert_eq!(patched("a\n", "d1 2\n"), None);
}

/// The text's module with the entries that are sound, and the others with what is wrong with them.
pub fn module(name: &str, text: &str) -> (Validated, BTreeMap<String, String>) {
    let reading = read(name, text);
    let mut refused = BTreeMap::new();
    for error in &reading.errors {
        let within = error.within.as_deref().unwrap_or_else(|| panic!("{error}"));
        refused.insert(within.to_owned(), error.to_string());
    }
    // A function that cannot be read refuses those that call it, which are told of, too.
    refused.retain(|entry, _| reading.refused.iter().any(|(name, is_entry)| **name == **entry && *is_entry));
    let judged = verify_each(reading.module, Doubts::Warn);
    assert!(judged.module.is_empty(), "{name}: {:?}", judged.module);
    refused.extend(judged.refused.iter().map(|(entry, errors)| (entry.clone(), errors.to_string())));
    (judged.validated, refused)
}
