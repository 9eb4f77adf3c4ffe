//! `ptxgen bisect` as built. Mistakes are planted in the traced run with `PTXGEN_PLANT`, which only test
//! builds read.

mod support;

use expect_test::expect;
use std::{path::Path, process::Command};
use support::{code, command, fails, ptxgen, synthetic, text};

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_str().unwrap().to_owned()
}

/// A file of token ids.
fn ids(dir: &Path, tokens: &[i32]) -> String {
    let path = path(dir, "ids.i32");
    std::fs::write(&path, tokens.iter().flat_map(|t| t.to_le_bytes()).collect::<Vec<_>>()).unwrap();
    path
}

#[test]
fn the_same_policy_on_the_cpu_and_in_the_interpreter() {
    let dir = tempfile::tempdir().unwrap();
    let (model, ids) = (synthetic(dir.path(), "m.gguf", &[]), ids(dir.path(), &[1, 2, 3]));
    let sides = ["--left", "cpu:act=q8k,acc=f32", "--right", "interp:act=q8k,acc=f32"];
    let output = ptxgen(&[&["bisect", &model, "--tokens", &ids][..], &sides].concat());
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
    let out = text(&output.stdout);
    assert!(out.contains("verdict    no divergence: all ") && out.contains(" values have the same bits"), "{out}");
}

#[test]
fn text_and_json_have_the_same_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let (model, ids) = (synthetic(dir.path(), "m.gguf", &["--layers", "2"]), ids(dir.path(), &[1, 2, 3, 4]));
    let sides = ["--left", "cpu:act=f32,acc=f64", "--right", "interp:act=q8k,acc=f32,kv=f16"];
    let args = [&["bisect", &model, "--tokens", &ids][..], &sides].concat();
    let (plain, json) = (ptxgen(&args), ptxgen(&[&args[..], &["--json"]].concat()));
    assert_eq!((code(&plain), code(&json)), (Some(0), Some(0)), "{}", text(&plain.stderr));
    let (out, json) = (text(&plain.stdout), text(&json.stdout));
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(found["verdict"]["cause"]["kind"], "choices");
    assert!(out.contains(found["verdict"]["sentence"].as_str().unwrap()), "{out}");
    assert_eq!((&found["left"]["reproduced"], &found["right"]["reproduced"]), (&true.into(), &true.into()));
    // Each side's choices were run on the other's device.
    let device = &found["device"];
    assert_eq!((&device["explains"], &device["first"], &device["last"]), (&0.0.into(), &0.0.into(), &0.0.into()));
    assert_eq!((&device["alone"], &device["differing"]), (&0.0.into(), &0.into()));
    let line = out.lines().find(|l| l.starts_with("device ")).unwrap();
    assert!(line.contains("0.0%") && line.ends_with("; the same bits on both"), "{line}");
    let rows = found["attributions"].as_array().unwrap();
    let kinds: Vec<_> = rows.iter().map(|a| a["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds[0], "activation_format");
    assert!(kinds.contains(&"accumulator") && kinds.contains(&"kv_cache"), "{kinds:?}");
    for row in rows {
        let (factor, alone) = (row["factor"].as_str().unwrap(), row["alone"].as_f64().unwrap());
        let line = out.lines().find(|l| l.starts_with(factor)).unwrap();
        assert!(line.contains(&format!("{alone:.2e}")), "{line}: {alone}");
        let share = format!("{:.1}%", 100.0 * row["explains"].as_f64().unwrap());
        assert!(line.contains(share.strip_prefix("-0.0").unwrap_or(&share)), "{line}: {share}");
        // Parts are listed where there are several.
        for part in row["stages"].as_array().unwrap().iter().chain(row["layers"].as_array().unwrap()) {
            let (name, alone) = (part["name"].as_str().unwrap(), part["alone"].as_f64().unwrap());
            let line = format!("  {name:<16} {alone:>8.2e}\n");
            assert!(out.contains(&line), "{line} is not in\n{out}");
        }
    }
    let divergence = &found["divergence"];
    let line = format!("divergence {:.2e} at logits, 4 tokens; ", divergence["relative"].as_f64().unwrap());
    assert!(out.contains(&line), "{line} is not in\n{out}");
    assert!(out.contains(&format!("{} of {} values differ", divergence["differing"], divergence["values"])), "{out}");
}

#[test]
fn approximate_math_is_told_from_the_device() {
    let dir = tempfile::tempdir().unwrap();
    let (model, ids) = (synthetic(dir.path(), "m.gguf", &[]), ids(dir.path(), &[1, 2, 3]));
    let sides = ["--left", "cpu:act=f32,acc=f32", "--right", "interp:act=f32,acc=f32,math=approx"];
    let output = ptxgen(&[&["bisect", &model, "--tokens", &ids, "--json"][..], &sides].concat());
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
    // The CPU has no such instructions.
    let note = "note: cpu:act=f32,acc=f32,math=approx,kv=f32 cannot be run, which would tell more: ";
    assert!(text(&output.stderr).starts_with(note), "{}", text(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["verdict"]["cause"]["factors"], serde_json::json!(["math"]));
    assert_eq!(
        (&found["attributions"][0]["kind"], &found["attributions"][0]["explains"]),
        (&"math".into(), &1.0.into())
    );
    let device = &found["device"];
    assert_eq!((&device["first"], &device["last"], &device["differing"]), (&0.0.into(), &().into(), &0.into()));
}

#[test]
#[cfg(debug_assertions)] // The hook for planted mistakes is in such builds only.
fn a_mistake_of_a_traced_run_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (model, ids) = (synthetic(dir.path(), "m.gguf", &["--layers", "2"]), ids(dir.path(), &[5, 6, 7, 8]));
    let trace = path(dir.path(), "right.safetensors");
    let how = ["--device", "cpu", "--acc", "f64", "--tokens", &ids, "-o", &trace];
    let traced = |plant: Option<&str>| {
        let mut command = command(&[&["trace", &model][..], &how].concat());
        plant.map(|plant| command.env("PTXGEN_PLANT", plant));
        let output = command.output().unwrap();
        assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
        // The trace knows its tokens.
        let output = ptxgen(&["bisect", &model, "--left", "cpu:acc=f64", "--right", &trace]);
        (code(&output), text(&output.stdout))
    };
    let (rc, out) = traced(None);
    assert!(rc == Some(0) && out.contains("no divergence"), "{out}");
    let (rc, out) = traced(Some("k_post_rope@1:rope-interleaved"));
    assert_eq!(rc, Some(1), "{out}");
    assert!(out.contains("layers.01.k_post_rope: RoPE pairs interleaved"), "{out}");
    let verdict =
        "makes a mistake in k_post_rope of layer 1: RoPE pairs interleaved (2i with 2i + 1); this explains 100%";
    assert!(out.contains(verdict), "{out}");
    let (rc, out) = traced(Some("attn_out@0:act=q8k"));
    assert_eq!(rc, Some(1), "{out}");
    let verdict = "computes attn_out (attn_output.weight, Q4_K) of layer 0 with a different activation format from what it says: \
                   q8k instead of f32; this explains 100%";
    assert!(out.contains(verdict), "{out}");
}

#[test]
fn what_cannot_be_bisected() {
    let dir = tempfile::tempdir().unwrap();
    let (model, ids) = (synthetic(dir.path(), "m.gguf", &[]), ids(dir.path(), &[1, 2, 3]));
    let other = synthetic(dir.path(), "other.gguf", &["--seed", "2"]);
    let last = path(dir.path(), "last.safetensors");
    let output = ptxgen(&["trace", &model, "--device", "cpu", "--tokens", &ids, "--positions", "last", "-o", &last]);
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
    let error = |args: &[&str]| {
        let output = ptxgen(&[&["bisect"], args].concat());
        assert_ne!(code(&output), Some(0));
        text(&output.stderr).replace(dir.path().to_str().unwrap(), "DIR")
    };
    let left = ["--left", "cpu"];
    let of_other = error(&[&[&other[..]], &left[..], &["--right", &last]].concat());
    assert!(of_other.contains("last.safetensors is a trace of another model: SHA-256 "), "{of_other}");
    expect![[r#"
        error: DIR/last.safetensors has 1 of 3 positions: attention needs all of them, so record with --positions all
    "#]]
    .assert_eq(&error(&[&[&model[..]], &left[..], &["--right", &last]].concat()));
    let untold = ["bisect", &model, "--left", "cpu", "--right", "cpu:act=q8k"];
    fails(
        &untold,
        2,
        expect![[r#"
        error: name a text with --tokens or --prompt
    "#]],
    );
}

/// No build that a user makes has the hook for planted mistakes: nothing but tests asks for its feature.
#[test]
fn release_builds_have_no_plants() {
    let features = |edges: &str| {
        let tree = ["tree", "--locked", "--offline", "--package", "ptxgen", "--format", "{p} {f}", "--edges", edges];
        let output = Command::new(env!("CARGO")).args(tree).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let out = text(&output.stdout);
        out.lines().find(|l| l.contains("ptxgen-model ")).expect("it is a dependency").to_owned()
    };
    assert!(!features("normal,build").contains("plants"), "{}", features("normal,build"));
    assert!(features("normal,build,dev").contains("plants"), "{}", features("normal,build,dev"));
}
