//! How much memory a model takes on the CPU: at most its file and its KV cache, and a fifth more.

#![cfg(target_os = "linux")]

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Positions of a run.
const TOKENS: usize = 512;
/// Layers of the bundled model, and bytes of KV cache that a token takes in each.
const TINY: (usize, usize) = (6, 2 * 2 * 64 * 4);
/// What the program takes apart from models, in KiB: its own pages and those of the C library, and
/// buffers for a batch. A release build takes 10 MB, one for tests 13.
const PROGRAM: usize = 16 << 10;

/// Runs `ptxgen logits` over a model and gives the most memory that it had resident, in KiB.
///
/// That counts the pages of the mapped file that were read. It is sampled, so a peak in the very
/// last moments would be missed; logits of the same length are made many times before.
fn resident(dir: &Path, model: &str) -> usize {
    let tokens: Vec<u8> = (0..TOKENS as i32).flat_map(|t| (t * 7 % 4096).to_le_bytes()).collect();
    std::fs::write(dir.join("tokens.i32"), tokens).unwrap();
    let args = ["logits", model, "--device", "cpu", "--act", "q8k", "--tokens", "tokens.i32", "--out", "logits.f32"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_ptxgen"))
        .args(args)
        .args(["--batch", "16"])
        .current_dir(dir)
        .stdout(Stdio::null())
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
    let logits = std::fs::metadata(dir.join("logits.f32")).unwrap().len();
    assert_eq!(logits, (TOKENS * 4096 * 4) as u64);
    most
}

/// The kernel's count of a process's largest resident memory in KiB; 0 when it has ended.
fn high_water(child: &Child) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

/// File and KV cache in KiB.
fn needed(file: &Path, (layers, per_token): (usize, usize)) -> usize {
    (std::fs::metadata(file).unwrap().len() as usize + layers * per_token * TOKENS) / 1024
}

#[test]
fn a_model_takes_its_file_and_cache_and_a_fifth_more() {
    let dir = tempfile::tempdir().unwrap();
    let synth = ["synth", "m.gguf", "--preset", "tiny", "--layers", "60"];
    let output = Command::new(env!("CARGO_BIN_EXE_ptxgen")).args(synth).current_dir(dir.path()).output().unwrap();
    assert!(output.status.success());
    let (most, needed) = (resident(dir.path(), "m.gguf"), needed(&dir.path().join("m.gguf"), (60, TINY.1)));
    // Nearly all of the file is read, so a measurement that missed the work would show.
    assert!(most > needed * 9 / 10 && most <= needed * 6 / 5, "{most} KiB resident, {needed} needed");
}

/// The bundled model is so small that the program itself is more than a fifth of it.
#[test]
fn the_bundled_model_takes_no_more_than_the_program_on_top() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("model/data/tiny-rust-moe-Q4_K_M.gguf");
    let dir = tempfile::tempdir().unwrap();
    let (most, needed) = (resident(dir.path(), file.to_str().unwrap()), needed(&file, TINY));
    assert!(most > needed * 9 / 10 && most <= needed + PROGRAM, "{most} KiB resident, {needed} needed");
}
