//! What the command says about wrong use and about files.

#[path = "../support/mod.rs"]
mod support;

use std::{fs, path::Path};
use support::{code, ptxgen, synthetic, text};

fn error(args: &[&str]) -> String {
    let output = ptxgen(args);
    assert_ne!(code(&output), Some(0), "{args:?} fails");
    text(&output.stderr)
}

/// Writes a file and gives its path.
fn file(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

pub fn messages() -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = |name, bytes: &[u8]| file(folder.path(), name, bytes);
    let (text_file, old) =
        (path("text.gguf", b"hello, this is text"), path("v1.gguf", b"GGUF\x01\0\0\0aaaaaaaaaaaaaaaa"));
    let short = path("short.gguf", b"GGUF\x03\0\0\0\x05");
    let odd = path("odd.i32", &[0; 7]);
    let ptx = path("k.ptx", b".version 8.0\n.target sm_80\nad");
    let cpu = ["--device", "cpu"];
    let with_cpu = |args: &[&str]| error(&[args, &cpu].concat());
    let small = synthetic(folder.path(), "m.gguf", &[]);
    vec![
        error(&["dump", "q4k-gem"]),
        error(&["dump", "swiglu", "--act", "q8k"]),
        error(&["dump", "q4k-gemv", "--cols", "100"]),
        error(&["inspect", "none.gguf"]),
        error(&["inspect", &text_file]),
        error(&["inspect", &old]),
        error(&["inspect", &short]),
        with_cpu(&["run", "--math", "approx"]),
        with_cpu(&["run", "--prompt", ""]),
        with_cpu(&["run", "--chat", "--prompt", "Hello"]),
        with_cpu(&["run", &small]),
        with_cpu(&["logits", "--tokens", &odd, "--out", "/dev/null"]),
        error(&["compare", "--left", "cpu:act=f32", "--right", "cpu:act=q8k"]),
        text(&ptxgen(&["check", &ptx]).stdout),
    ]
}
