//! `ptxgen trace` and `compare`: what they write and print, and how they fail.

mod refused;
#[path = "../support/mod.rs"]
mod support;

use std::{
    fs,
    path::{Path, PathBuf},
};
use support::{code, ptxgen, synthetic, text};

fn tokens() -> String {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("model/tests/data/tiny.tokens-64.i32");
    file.to_str().unwrap().into()
}

#[test]
fn a_trace_is_compared_with_its_run_and_with_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (trace, tokens) = (path("trace.safetensors"), tokens());
    let common = ["--device", "cpu", "--act", "q8k", "--tokens", &tokens, "--first", "9"];
    let output = ptxgen(&[&["trace", "-o", &trace, "--stats"], &common[..]].concat());
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
    let size = fs::metadata(&trace).unwrap().len();
    assert_eq!(text(&output.stderr), format!("note: {:.1} MB written to {trace}\n", size as f64 / 1e6));
    let stats = text(&output.stdout);
    let lines: Vec<&str> = stats.lines().collect();
    // A heading, every stage of numbers, and what was computed.
    assert_eq!(lines.len(), 1 + 24 + 1, "{stats}");
    assert!(lines[1].starts_with("embedding                   2304"), "{stats}");
    assert_eq!(lines[25], "computed from what the device wrote: attn_scores, attn_softmax, expert_silu");

    let output = ptxgen(&["compare", "--left", &trace, "--right", "cpu:act=q8k"]);
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    assert!(printed.contains("1 prompt of 9 positions\n\nno divergence: all "), "{printed}");

    // Past a threshold it is a fault, in text and in JSON.
    let past = ["compare", "--left", "cpu:act=f32", "--right", &trace, "--max-rel", "0.01", "--json"];
    let output = ptxgen(&past);
    assert_eq!(code(&output), Some(1), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["verdict"]["kind"], "past");
    assert_eq!(json["first"]["stage"], "q");
    let output = ptxgen(&past[..7]);
    assert_eq!(code(&output), Some(1));
    let printed = text(&output.stdout);
    for line in ["embedding to layers.00.attn_norm: the same bits", "first stage past relative error 0.01: layers.0"] {
        assert!(printed.contains(line), "{printed}");
    }
    // Within the threshold it is not.
    let output = ptxgen(&["compare", "--left", "cpu:act=f32", "--right", &trace, "--max-rel", "10"]);
    assert_eq!(code(&output), Some(0), "{}", text(&output.stdout));
    // Two traces need no model; the same file twice is equal.
    let output = ptxgen(&["compare", "/nonexistent.gguf", "--left", &trace, "--right", &trace]);
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
}

#[test]
fn lines_of_a_file_are_prompts() {
    let dir = tempfile::tempdir().unwrap();
    let model = synthetic(dir.path(), "model.gguf", &[]);
    let prompts = dir.path().join("prompts.txt");
    fs::write(&prompts, "one\n\ntwo two\n").unwrap();
    let prompts = prompts.to_str().unwrap();
    let output = ptxgen(&["compare", &model, "--left", "cpu", "--right", "interp", "--prompts", prompts, "--json"]);
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["prompts"], &json["positions"]), (&2.into(), &10.into()));
    assert_eq!((&json["verdict"]["kind"], &json["differing"]), (&"equal".into(), &0.into()));
    assert_eq!(json["top"]["prompts"], 2);
}

/// A trace of a model's run on three tokens.
fn traced(dir: &Path, name: &str, model: &str, more: &[&str]) -> String {
    let path = dir.join(name).to_str().unwrap().to_owned();
    let ids = dir.join("ids.i32");
    fs::write(&ids, [1i32, 2, 3].map(i32::to_le_bytes).concat()).unwrap();
    let ids = ids.to_str().unwrap();
    let output = ptxgen(&[&["trace", model, "--device", "cpu", "--tokens", ids, "-o", &path], more].concat());
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
    path
}

/// A copy of a trace in which a value of a tensor is another one.
fn with_value(trace: &str, tensor: &str, index: usize, value: f32) -> String {
    let mut bytes = fs::read(trace).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let json: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let start = 8 + header + json[tensor]["data_offsets"][0].as_u64().unwrap() as usize + 4 * index;
    bytes[start..start + 4].copy_from_slice(&value.to_le_bytes());
    let path = format!("{trace}.changed");
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn nan_in_a_trace_is_counted_and_past_every_threshold() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let model = synthetic(dir, "m.gguf", &[]);
    let trace = traced(dir, "all.safetensors", &model, &[]);
    for (value, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "infinity")] {
        let changed = with_value(&trace, "layers.00.attn_out", 300, value);
        let sides = ["compare", "--left", &trace, "--right", &changed];
        let output = ptxgen(&[&sides[..], &["--json"]].concat());
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((code(&output), &found["differing"]), (Some(0), &1.into()), "{name}");
        let stage = found["stages"].as_array().unwrap().iter().find(|s| s["stage"] == "attn_out").unwrap();
        assert_eq!(stage["not_finite"], 1, "{name}: {stage}");
        let output = ptxgen(&[&sides[..], &["--max-rel", "1e30"]].concat());
        let printed = text(&output.stdout);
        assert_eq!(code(&output), Some(1), "{name}: {printed}");
        assert!(printed.contains("1 pair with NaN or infinity"), "{printed}");
        assert!(
            printed.contains("past relative error 1000000000000000000000000000000: layers.00.attn_out"),
            "{printed}"
        );
        // Bisection finds where it comes from.
        let output = ptxgen(&["bisect", &model, "--left", "cpu", "--right", &changed]);
        let printed = text(&output.stdout);
        assert_eq!(code(&output), Some(1), "{name}: {printed}{}", text(&output.stderr));
        assert!(
            printed.contains("computes attn_out (attn_output.weight, Q4_K) of layer 0 wrongly: 1 of 768"),
            "{printed}"
        );
    }
    // A router's logits, of which nothing can be chosen.
    let changed = with_value(&trace, "layers.00.ffn_norm", 0, f32::NAN);
    let output = ptxgen(&["bisect", &model, "--left", "cpu", "--right", &changed]);
    let printed = text(&output.stdout);
    assert!(printed.contains("computes ffn_norm of layer 0 wrongly"), "{printed}{}", text(&output.stderr));
    // Two files with it in the same place are equal.
    let output = ptxgen(&["compare", "--left", &changed, "--right", &changed]);
    assert_eq!(code(&output), Some(0), "{}", text(&output.stdout));
}
