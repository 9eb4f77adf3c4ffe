//! What the command says about wrong use and about files.

#[path = "../support/mod.rs"]
mod support;

use std::{fs, path::Path};
use support::{code, damaged, ptxgen, synthetic, text, with_metadata, with_template};

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
    let ids = path("ids.i32", &[0; 4]);
    let ptx = path("k.ptx", b".version 8.0\n.target sm_80\nad");
    let cpu = ["--device", "cpu"];
    let with_cpu = |args: &[&str]| error(&[args, &cpu].concat());
    let small = synthetic(folder.path(), "m.gguf", &["--context", "64"]);
    let wide = ["--context", "1073741824", "--layers", "8", "--hidden", "2", "--heads", "32", "--kv", "32"];
    let wide =
        synthetic(folder.path(), "wide.gguf", &[&wide[..], &["--hd", "128", "--ff", "2", "--types", "f16"]].concat());
    let lost = damaged(&small, "output.weight", usize::MAX);
    let chat = with_template(&small, "{{ ns.a.b.c }}");
    let part = with_metadata(&lost, &[("split.count", 3u16.into())]);
    vec![
        with_cpu(&["run", &small, "--prompt", "x", "--ctx", "65"]),
        with_cpu(&["run", &small, "--prompt", "xy", "--ctx", "1"]),
        with_cpu(&["run", &wide, "--prompt", "x", "-n", "4000000000"]),
        with_cpu(&["run", "--top-k", "3"]),
        with_cpu(&["run", &chat, "--chat", "--no-thinking"]),
        error(&["run", "--device", "interp", "--threads", "2"]),
        with_cpu(&["run", &lost, "--prompt", "x"]),
        with_cpu(&["run", &chat, "--chat", "--prompt", "x"]),
        error(&["logits", &small, "--tokens", &ids, "--out", &ids]),
        with_cpu(&["run", "--prompt-file", "/dev/zero"]),
        error(&["inspect", &part]),
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
