//! NaN in a model's weights: an error that says where, and a difference; never a text of exclamation marks.

mod support;

use expect_test::expect;
use std::{fs, path::Path};
use support::{code, damaged, fails, ptxgen, synthetic, text};

fn ids(dir: &Path) -> String {
    let path = dir.join("ids.i32").to_str().unwrap().to_owned();
    fs::write(&path, [1i32, 2, 3].map(i32::to_le_bytes).concat()).unwrap();
    path
}

const ALL: usize = usize::MAX;

/// The error of a command that ran a model, without what to do about it.
#[track_caller]
fn error(args: &[&str]) -> String {
    let output = ptxgen(args);
    assert_eq!(code(&output), Some(1), "{args:?}: {}", text(&output.stdout));
    let (printed, remedy) = (text(&output.stderr), "; the model's weights are damaged, or its activations overflow: ");
    let (what, rest) = printed.split_once(remedy).unwrap_or_else(|| panic!("{args:?}: {printed}"));
    assert_eq!(rest, "`ptxgen inspect --scan` looks for damage\n");
    what.strip_prefix("error: ").unwrap().to_owned()
}

#[test]
fn logits_that_are_nan_are_an_error_of_every_command_and_device() {
    let dir = tempfile::tempdir().unwrap();
    let model = damaged(&synthetic(dir.path(), "m.gguf", &[]), "output.weight", ALL);
    let (ids, out) = (ids(dir.path()), dir.path().join("out.f32").to_str().unwrap().to_owned());
    for device in ["cpu", "interp"] {
        let on = ["--device", device];
        let run = |args: &[&str]| error(&[args, &on].concat());
        assert_eq!(run(&["run", &model, "--prompt", "ab", "-n", "4"]), "stage logits: value 0 is NaN at position 0");
        assert_eq!(
            run(&["run", &model, "--prompt", "ab", "-n", "4", "--temp", "1"]),
            "stage logits: value 0 is NaN at position 0"
        );
        let first = "stage logits: value 0 is NaN at position 0";
        assert_eq!(run(&["logits", &model, "--tokens", &ids, "--out", &out]), first);
        assert_eq!(run(&["perplexity", &model, "--tokens", &ids]), first);
        assert!(!Path::new(&out).exists(), "nothing is written");
    }
}

#[test]
fn the_stage_that_has_it_first_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let whole = synthetic(dir.path(), "m.gguf", &["--layers", "2"]);
    let ids = ids(dir.path());
    for (tensor, expected) in [
        ("blk.1.attn_v.weight", "layer 1, stage v: value 0 is NaN at position 0"),
        ("blk.1.attn_output.weight", "layer 1, stage attn_out: value 0 is NaN at position 0"),
        ("blk.1.ffn_down_exps.weight", "layer 1, stage expert_out: value"),
        ("output_norm.weight", "stage final_norm: value 0 is NaN at position 0"),
    ] {
        let model = damaged(&whole, tensor, ALL);
        let said = error(&["perplexity", &model, "--tokens", &ids, "--device", "cpu"]);
        assert!(said.starts_with(expected), "{tensor}: {said}");
    }
}

#[test]
fn nan_on_both_sides_is_a_difference() {
    let dir = tempfile::tempdir().unwrap();
    let model = damaged(&synthetic(dir.path(), "m.gguf", &[]), "output.weight", ALL);
    let ids = ids(dir.path());
    let sides = ["--left", "cpu", "--right", "interp", "--tokens", &ids];
    let compared = ptxgen(&[&["compare", &model], &sides[..]].concat());
    let out = text(&compared.stdout);
    assert!(!out.contains("no divergence") && out.contains("900 pairs with NaN or infinity"), "{out}");
    let bisected = ptxgen(&[&["bisect", &model], &sides[..]].concat());
    assert_eq!(code(&bisected), Some(1));
    let verdict = "both runs hold NaN or infinity, first in stage logits: value 0 is NaN at position 0\n";
    assert!(text(&bisected.stdout).contains(verdict), "{}", text(&bisected.stdout));
}

#[test]
fn a_scan_names_damaged_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let whole = synthetic(dir.path(), "m.gguf", &[]);
    let scanned = |model: &str| {
        let output = ptxgen(&["inspect", "--scan", model]);
        let out = text(&output.stdout);
        (code(&output), out.split_once("\nDamage\n").unwrap().1.to_owned())
    };
    assert_eq!(scanned(&whole), (Some(0), "  none: every weight is a number\n".into()));
    let model = damaged(&whole, "blk.0.attn_q.weight", 1000);
    let (code, out) = scanned(&model);
    assert_eq!(code, Some(1));
    let expected =
        "  blk.0.attn_q.weight: 7 of 256 blocks hold NaN or infinity, first block 0 of row 0; fetch the file again\n";
    assert_eq!(out, expected);
    let json: serde_json::Value =
        serde_json::from_slice(&ptxgen(&["inspect", "--scan", "--json", &model]).stdout).unwrap();
    assert_eq!(json["damage"][0]["tensor"], "blk.0.attn_q.weight");
    fails(
        &["inspect", "--scan", "none.gguf"],
        1,
        expect![[r#"
        error: none.gguf: cannot open the file
          caused by: No such file or directory (os error 2)
    "#]],
    );
}
