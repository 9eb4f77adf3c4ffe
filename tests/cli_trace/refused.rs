//! Wrong use, and traces that cannot be compared.

use super::{tokens, traced};
use crate::support::{code, fails, ptxgen, synthetic, text};
use expect_test::{Expect, expect};
use ptxgen::model::gguf::Gguf;
use std::{fs, path::Path};

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
        error: /dev/null is not a regular file, which is needed here: it is not written in order
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
    // The same mistake ends with the same code in both commands.
    compare(
        &["--left", "cpu", "--right", "cpu", "--tokens", &tokens, "--layers", "9"],
        2,
        expect![[r#"
        error: layers 9..10 are asked for, but the model has 6, counted from 0
    "#]],
    );
    compare(
        &["--left", "cpu", "--right", "cpu:math=approx", "--tokens", &tokens],
        2,
        expect![[r#"
        error: math=approx is a GPU's instructions, for --device cuda or --device interp; the CPU computes with math=exact
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

/// Runs a command that fails with this message, in which the folder is DIR.
#[track_caller]
fn refused(dir: &Path, args: &[&str], status: i32, message: Expect) {
    let output = ptxgen(args);
    message.assert_eq(&text(&output.stderr).replace(dir.to_str().unwrap(), "DIR"));
    assert_eq!((code(&output), text(&output.stdout)), (Some(status), String::new()), "{args:?}");
}

#[test]
fn traces_that_do_not_belong_together_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let model = synthetic(dir, "m.gguf", &[]);
    let wide = synthetic(dir, "wide.gguf", &["--hidden", "512"]);
    let trace = traced(dir, "all.safetensors", &model, &[]);
    let of_wide = traced(dir, "wide.safetensors", &wide, &[]);
    let some = traced(dir, "some.safetensors", &model, &["--stages", "q,logits", "--positions", "last"]);
    let other = traced(dir, "other.safetensors", &model, &["--stages", "k", "--positions", "0,1"]);
    let compare = |args: &[&str], status, message| {
        refused(dir, &[&["compare"], args].concat(), status, message);
    };
    // Different models, by their hash; and by their shapes where one insists.
    let hash = |model: &str| Gguf::open(model).unwrap().sha256();
    let output = ptxgen(&["compare", "--left", &trace, "--right", &of_wide]);
    let message = text(&output.stderr).replace(&hash(&model), "M").replace(&hash(&wide), "WIDE");
    expect![[r#"
        error: the sides are of different models: DIR/all.safetensors is of m.gguf, DIR/wide.safetensors of wide.gguf (SHA-256 differs); compare runs of one model, or pass --any-model
    "#]].assert_eq(&message.replace(dir.to_str().unwrap(), "DIR"));
    assert_eq!(code(&output), Some(1));
    let output = ptxgen(&["compare", &wide, "--left", &trace, "--right", "cpu"]);
    assert!(text(&output.stderr).contains("the sides are of different models"), "{}", text(&output.stderr));
    compare(
        &["--left", &trace, "--right", &of_wide, "--any-model"],
        1,
        expect![[r#"
        error: embedding has [256] values a position in DIR/all.safetensors, [512] in DIR/wide.safetensors: they are of different models
    "#]],
    );
    // Stages that are requested, and none in common.
    compare(
        &["--left", &trace, "--right", &some, "--stages", "q,v"],
        2,
        expect![[r#"
        error: DIR/some.safetensors lacks layers.00.v, which is to be compared: it has q, logits
    "#]],
    );
    compare(
        &["--left", &other, "--right", &some, "--positions", "all"],
        1,
        expect![[r#"
        error: DIR/other.safetensors and DIR/some.safetensors have no stage in common: the one has k, the other q, logits
    "#]],
    );
    compare(
        &["--left", &trace, "--right", &some, "--positions", "0"],
        1,
        expect![[r#"
        error: DIR/all.safetensors has positions 0 to 2, DIR/some.safetensors has 2: they have none in common
    "#]],
    );
    compare(
        &["--left", &trace, "--right", &trace, "--positions", "3"],
        2,
        expect![[r#"
        error: position 3 is asked for, but there are 3 tokens, counted from 0
    "#]],
    );
    compare(
        &["--left", &trace, "--right", &trace, "--layers", "1..3"],
        2,
        expect![[r#"
        error: layers 1..3 are asked for, but the model has 1, counted from 0
    "#]],
    );
    // What two traces have no use for.
    for option in ["--first", "--threads"] {
        compare(
            &["--left", &trace, "--right", &trace, option, "1"],
            2,
            expect![[r#"
            error: two traces are compared as they are: leave out --first and --threads
        "#]],
        );
    }
    // Other tokens.
    let one = dir.join("one.i32");
    fs::write(&one, 7i32.to_le_bytes()).unwrap();
    compare(
        &[&model, "--left", &trace, "--right", "cpu", "--tokens", one.to_str().unwrap()],
        1,
        expect![[r#"
        error: the text given and DIR/all.safetensors are of different tokens: position 0 is token 7 and token 1; trace both on the same tokens
    "#]],
    );
}

#[test]
fn thresholds_and_selections_that_make_no_sense_are_wrong_use() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let trace = traced(dir, "all.safetensors", &synthetic(dir, "m.gguf", &[]), &[]);
    let compare = |more: &[&str], message| {
        refused(dir, &[&["compare", "--left", &trace, "--right", &trace], more].concat(), 2, message);
    };
    compare(
        &["--min-cos", "1.5"],
        expect![[r#"
        error: the least cosine is 1.5: expected from -1 to 1
    "#]],
    );
    compare(
        &["--min-cos", "nan"],
        expect![[r#"
        error: the least cosine is NaN: expected from -1 to 1
    "#]],
    );
    compare(
        &["--max-rel", "-0.1"],
        expect![[r#"
        error: the largest relative error is -0.1: expected 0 or more, and finite
    "#]],
    );
    compare(
        &["--max-rel", "NaN"],
        expect![[r#"
        error: the largest relative error is NaN: expected 0 or more, and finite
    "#]],
    );
    compare(
        &["--max-rel", "x"],
        expect![[r#"
        error: invalid value 'x' for '--max-rel <E>': invalid float literal

        For more information, try '--help'.
    "#]],
    );
    compare(
        &["--stages", ""],
        expect![[r#"
        error: invalid value '' for '--stages <all|LIST>': unknown stage ``; stages are embedding, attn_norm, q, k, v, q_post_rope, k_post_rope, attn_scores, attn_softmax, attention, attn_out, post_attn_residual, ffn_norm, router_logits, router_weights, router_experts, expert_gate, expert_up, expert_silu, expert_swiglu, expert_out, moe_ffn_out, ffn_gate, ffn_up, ffn_silu, ffn_swiglu, ffn_out, layer_out, final_norm, logits

        For more information, try '--help'.
    "#]],
    );
    compare(
        &["--stages", "q,atention"],
        expect![[r#"
        error: invalid value 'q,atention' for '--stages <all|LIST>': unknown stage `atention`: did you mean `attention`?

        For more information, try '--help'.
    "#]],
    );
    compare(
        &["--layers", "2..2"],
        expect![[r#"
        error: invalid value '2..2' for '--layers <A..B>': `2..2` is no range of layers: write 2..5 for layers 2, 3 and 4, or 2 for one layer

        For more information, try '--help'.
    "#]],
    );
    compare(
        &["--positions", ""],
        expect![[r#"
        error: invalid value '' for '--positions <last|all|LIST>': `` are no positions: write last, all, or a list like 0,5,10..20

        For more information, try '--help'.
    "#]],
    );
    compare(
        &["--positions", "5..2"],
        expect![[r#"
        error: invalid value '5..2' for '--positions <last|all|LIST>': `5..2` are no positions: write last, all, or a list like 0,5,10..20

        For more information, try '--help'.
    "#]],
    );
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let model = synthetic(dir, "m.gguf", &[]);
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    fs::create_dir(path("folder.safetensors")).unwrap();
    fs::write(path("empty.safetensors"), []).unwrap();
    fs::write(path("short.safetensors"), [9, 0, 0]).unwrap();
    fs::write(path("odd.i32"), [1, 2, 3, 4, 5]).unwrap();
    fs::write(path("empty.i32"), []).unwrap();
    fs::write(path("negative.i32"), (-4i32).to_le_bytes()).unwrap();
    fs::write(path("beyond.i32"), [5i32, 300].map(i32::to_le_bytes).concat()).unwrap();
    let is_none = |name: &str, why: &str| {
        format!("DIR/{name}: is no safetensors file ({why}); expected a trace, as `ptxgen trace` writes it\n")
    };
    for command in ["compare", "bisect"] {
        let fails = |args: &[&str], status, message: &str| {
            let output = ptxgen(&[&[command, &model, "--left", "cpu"], args].concat());
            let found = text(&output.stderr).replace(dir.to_str().unwrap(), "DIR");
            assert!(found.starts_with(&format!("error: {message}")), "{found}");
            assert_eq!((code(&output), text(&output.stdout)), (Some(status), String::new()), "{found}");
        };
        let traces = [
            ("none.safetensors", "DIR/none.safetensors: cannot open the file\n  caused by: No such file".to_owned()),
            (
                "folder.safetensors",
                "DIR/folder.safetensors: is not a regular file; expected a trace, as `ptxgen trace` writes it\n"
                    .to_owned(),
            ),
            ("empty.safetensors", is_none("empty.safetensors", "header too small")),
            ("short.safetensors", is_none("short.safetensors", "header too small")),
            ("m.gguf", is_none("m.gguf", "header too large")),
        ];
        for (name, message) in traces {
            fails(&["--right", &path(name)], 1, &message);
        }
        for (name, status, message) in [
            ("none.i32", 1, "cannot read DIR/none.i32\n  caused by: No such file"),
            ("odd.i32", 1, "DIR/odd.i32: 5 bytes are not a whole number of little-endian i32 token ids\n"),
            ("negative.i32", 1, "DIR/negative.i32: token 0 is -4; ids start at 0\n"),
            ("beyond.i32", 1, "DIR/beyond.i32: token 1 is 300, outside the model's vocabulary of 300\n"),
            ("empty.i32", 2, "DIR/empty.i32 has 0 tokens; at least 1 are needed\n"),
        ] {
            fails(&["--right", "cpu:act=q8k", "--tokens", &path(name)], status, message);
        }
    }
}
