//! `ptxgen trace` and `compare`: what they write and print, and how they fail.

mod support;

use expect_test::expect;
use std::{fs, path::PathBuf};
use support::{code, fails, ptxgen, synthetic, text};

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

#[test]
fn wrong_use_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let tokens = tokens();
    let trace = |more: &[&str], status, message| {
        fails(&[&["trace", "--tokens", &tokens, "--device", "cpu", "--stats"], more].concat(), status, message);
    };
    trace(
        &["--layers", "4..9"],
        2,
        expect![[r#"
        error: layers 4..9 are asked for, but the model has 6, counted from 0
    "#]],
    );
    trace(
        &["--positions", "64"],
        2,
        expect![[r#"
        error: position 64 is asked for, but there are 64 tokens, counted from 0
    "#]],
    );
    let out = at("t.safetensors");
    let output = ptxgen(&["trace", "--tokens", &tokens, "--device", "cpu", "-o", &out, "--limit", "1000"]);
    assert_eq!(code(&output), Some(1));
    let error = text(&output.stderr);
    assert!(error.starts_with("error: the trace would take 14"), "{error}");
    assert!(error.contains(" bytes, more than the 1000 allowed: choose fewer stages, layers or positions"), "{error}");
    assert!(!fs::exists(&out).unwrap(), "nothing is left behind");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "no temporary file either");
    trace(
        &["-o", "/dev/null"],
        2,
        expect![[r#"
        error: /dev/null is no regular file, which is needed here: it is not written in order
    "#]],
    );

    let compare = |more: &[&str], status, message| fails(&[&["compare"], more].concat(), status, message);
    compare(
        &["--left", "cpu", "--right", "interp"],
        2,
        expect![[r#"
        error: name a text with --tokens, --prompt or --prompts: both sides are runs
    "#]],
    );
    compare(
        &["--left", "cpu", "--right", "cpu", "--tokens", &tokens, "--min-cos", "-2"],
        2,
        expect![[r#"
        error: the least cosine is -2: expected from -1 to 1
    "#]],
    );
    compare(
        &["--left", "cpu", "--right", "gpu:act=f32", "--tokens", &tokens],
        2,
        expect![[r#"
        error: invalid value 'gpu:act=f32' for '--right <RUN|TRACE>': unknown device `gpu`: expected cpu, cuda or interp, as in `cpu:act=q8k,acc=f32`, or a trace's file

        For more information, try '--help'.
    "#]],
    );
    let none = at("none.safetensors");
    let output = ptxgen(&["compare", "--left", "cpu", "--right", &none, "--tokens", &tokens]);
    assert_eq!(code(&output), Some(1));
    assert!(
        text(&output.stderr).starts_with(&format!("error: {none}: cannot open the file")),
        "{}",
        text(&output.stderr)
    );
}
