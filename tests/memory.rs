//! How much memory a model takes on the CPU: at most its file and its KV cache, and a fifth more.

#![cfg(target_os = "linux")]

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Layers of the bundled model, and bytes of KV cache that a token takes in each.
const TINY: (usize, usize) = (6, 2 * 2 * 64 * 4);
/// What a build for tests takes apart from models, in KiB: its own pages and those of the C library, and
/// buffers for a batch. Its code is larger than a release build's, which takes 2.2 to 3.2 MB.
const PROGRAM: usize = 12 << 10;

/// Runs `ptxgen` on the CPU with two threads and gives the most memory that it had resident, in KiB.
///
/// That counts the pages of the mapped file that were read. It is sampled, so a peak in the very
/// last moments would be missed; the same work is done many times before.
fn resident(dir: &Path, args: &[&str]) -> usize {
    // One at a time: the threads of one run wait for each other without giving up their cores.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut child = Command::new(env!("CARGO_BIN_EXE_ptxgen"))
        .args(args)
        .args(["--device", "cpu", "--act", "q8k", "--threads", "2"])
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut most = 0;
    let status = loop {
        most = most.max(high_water(&child));
        match child.try_wait().unwrap() {
            None => std::thread::sleep(Duration::from_micros(300)),
            Some(status) => break status,
        }
    };
    assert!(status.success());
    most
}

/// [`resident`] for `ptxgen logits` over this many tokens.
fn logits(dir: &Path, model: &[&str], tokens: usize) -> usize {
    write_tokens(dir, tokens);
    let args = ["logits", "--tokens", "tokens.i32", "--out", "logits.f32"];
    let most = resident(dir, &[&args, model].concat());
    let made = std::fs::metadata(dir.join("logits.f32")).unwrap().len();
    assert_eq!(made, (tokens * 4096 * 4) as u64);
    most
}

fn write_tokens(dir: &Path, tokens: usize) {
    let tokens: Vec<u8> = (0..tokens as i32).flat_map(|t| (t * 7 % 4096).to_le_bytes()).collect();
    std::fs::write(dir.join("tokens.i32"), tokens).unwrap();
}

/// The kernel's count of a process's largest resident memory in KiB; 0 when it has ended.
fn high_water(child: &Child) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

/// File and KV cache in KiB.
fn needed(file: &Path, (layers, per_token): (usize, usize), tokens: usize) -> usize {
    (std::fs::metadata(file).unwrap().len() as usize + layers * per_token * tokens) / 1024
}

/// A fifth more than is needed; in a build for tests what the program takes.
fn allowed(needed: usize) -> usize {
    if cfg!(debug_assertions) { needed + PROGRAM } else { needed * 6 / 5 }
}

/// The bundled model's file, which is part of the program where no model is named.
fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("model/data/tiny-rust-moe-Q4_K_M.gguf")
}

#[test]
fn a_model_takes_its_file_and_cache_and_a_fifth_more() {
    let dir = tempfile::tempdir().unwrap();
    let synth = ["synth", "m.gguf", "--preset", "tiny", "--layers", "60"];
    let output = Command::new(env!("CARGO_BIN_EXE_ptxgen")).args(synth).current_dir(dir.path()).output().unwrap();
    assert!(output.status.success());
    let most = logits(dir.path(), &["m.gguf"], 512);
    let needed = needed(&dir.path().join("m.gguf"), (60, TINY.1), 512);
    // Nearly all of the file is read, so a measurement that missed the work would show.
    assert!(most > needed * 9 / 10 && most <= needed * 6 / 5, "{most} KiB resident, {needed} needed");
}

/// The program is most of a fifth of so small a model.
#[test]
fn the_bundled_model_takes_its_file_and_cache_and_a_fifth_more() {
    let dir = tempfile::tempdir().unwrap();
    let file = bundled();
    let needed = needed(&file, TINY, 512);
    for model in [&[][..], &[file.to_str().unwrap()]] {
        let most = logits(dir.path(), model, 512);
        assert!(most > needed * 9 / 10 && most <= allowed(needed), "{model:?}: {most} KiB, {needed} needed");
    }
    let perplexity = resident(dir.path(), &["perplexity", "--tokens", "tokens.i32"]);
    assert!(perplexity > needed * 9 / 10 && perplexity <= allowed(needed), "{perplexity} KiB, {needed} needed");
    // A text may end early, so all that is known is what it takes at most.
    let run = resident(dir.path(), &["run", "-n", "500"]);
    assert!(run > needed / 2 && run <= allowed(needed), "{run} KiB resident, {needed} needed");
}

#[test]
fn the_bundled_model_with_its_context_full() {
    let dir = tempfile::tempdir().unwrap();
    let needed = needed(&bundled(), TINY, 4096);
    let most = logits(dir.path(), &[], 4096);
    assert!(most > needed * 9 / 10 && most <= allowed(needed), "{most} KiB resident, {needed} needed");
}
