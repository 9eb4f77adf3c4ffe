//! `ptxgen synth` and `ptxgen inspect`: what they print, and their exit codes.

mod support;

use expect_test::{Expect, expect};
use std::path::Path;
use support::{code, command, text};

fn ptxgen(dir: &Path, args: &[&str]) -> std::process::Output {
    command(args).current_dir(dir).output().unwrap()
}

/// Runs a command that fails.
fn fails(dir: &Path, args: &[&str], expected: i32, message: Expect) {
    let output = ptxgen(dir, args);
    message.assert_eq(&text(&output.stderr));
    assert_eq!(code(&output), Some(expected), "{args:?}");
}

const SMALL: &[&str] = &["--layers", "1", "--vocab", "300", "--experts", "4", "--topk", "2"];

#[test]
fn synth_then_inspect() {
    let dir = tempfile::tempdir().unwrap();
    let synth = |name: &str, more: &[&str]| {
        let args = [&["synth", name], SMALL, more].concat();
        let output = ptxgen(dir.path(), &args);
        assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
        // No terminal, so no colours and no progress bar.
        assert_eq!(text(&output.stderr), "");
        assert!(!text(&output.stdout).contains('\u{1b}'));
        std::fs::read(dir.path().join(name)).unwrap()
    };
    let one = synth("one.gguf", &["--seed", "5"]);
    assert!(one == synth("again.gguf", &["--seed", "5"]));
    assert!(one != synth("other.gguf", &["--seed", "6"]));
    synth("bytes.gguf", &["--byte-vocabulary", "--tied", "--hidden", "512", "--types", "q8-0"]);

    let output = ptxgen(dir.path(), &["inspect", "bytes.gguf"]);
    assert_eq!(code(&output), Some(0));
    expect![[r#"
        bytes.gguf: GGUF version 3, 2.3 MB, 14 tensors, aligned to 32

        Metadata
          general.architecture = "qwen3moe"
          general.name = "synthetic-qwen3-moe"
          qwen3moe.context_length = 4096
          qwen3moe.embedding_length = 512
          qwen3moe.block_count = 1
          qwen3moe.feed_forward_length = 512
          qwen3moe.attention.head_count = 4
          qwen3moe.attention.head_count_kv = 2
          qwen3moe.attention.key_length = 64
          qwen3moe.attention.value_length = 64
          qwen3moe.expert_count = 4
          qwen3moe.expert_used_count = 2
          qwen3moe.expert_feed_forward_length = 256
          qwen3moe.vocab_size = 300
          qwen3moe.attention.layer_norm_rms_epsilon = 9.999999974752427e-7
          qwen3moe.rope.freq_base = 1000000.0
          general.quantization_version = 2
          general.file_type = 7
          tokenizer.ggml.model = "gpt2"
          tokenizer.ggml.pre = "qwen2"
          tokenizer.ggml.tokens = 300 strings: Ā, ā, Ă, ă, ..
          tokenizer.ggml.token_type = 300 i32
          tokenizer.ggml.merges = 0 strings: 
          tokenizer.ggml.eos_token_id = 256
          tokenizer.ggml.padding_token_id = 256
          tokenizer.ggml.add_bos_token = false

        Types
          whole model
            F32   output_norm
            Q8_0  token_embd
          layer 0
            F32   attn_k_norm attn_norm attn_q_norm ffn_gate_inp ffn_norm
            Q8_0  attn_k attn_output attn_q attn_v ffn_down_exps ffn_gate_exps ffn_up_exps

        Memory
          weights  2.3 MB (F32 14.8 kB, Q8_0 2.3 MB)
          KV cache 1.0 MB in f32, 512.0 kB in f16, for 1000 tokens
                   4.2 MB in f32, 2.1 MB in f16, for the whole context of 4096
          on a GPU, for 1000 tokens:
                   4.8 MB with act=f32,acc=f32
                   5.4 MB with act=f32,acc=f64
                   4.8 MB with act=q8k,acc=f32
                   5.4 MB with act=q8k,acc=f64

        Runs on
          cpu     everything
          cuda    everything, by generated kernels on an NVIDIA GPU
          interp  everything, by generated kernels in the interpreter
    "#]]
    .assert_eq(&text(&output.stdout));
}

#[test]
fn inspect_the_bundled_model_as_json() {
    let output = ptxgen(Path::new("."), &["inspect", "--json"]);
    assert_eq!(code(&output), Some(0));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["metadata"]["qwen3moe.block_count"], 6);
    assert_eq!(json["metadata"]["tokenizer.ggml.tokens"]["len"], 4096);
    assert_eq!(json["tensors"].as_array().unwrap().len(), 75);
    assert_eq!(json["tensors"][0]["name"], "output.weight");
    assert_eq!(json["tensors"][0]["dims"], serde_json::json!([256, 4096]));
    assert_eq!(json["types"]["Q6_K"], 860_160 + 2 * 26_880 + 2 * 860_160);
    assert_eq!(json["memory"]["kv_cache"]["f32_per_1000_tokens"], 6_144_000);
    assert_eq!(json["memory"]["kv_cache"]["f16_of_context"], 4096 * 3072);
    assert!(json["runs_on"]["cpu"].is_string());
    assert_eq!(json["fault"], serde_json::Value::Null);
}

#[test]
fn faults_are_1_and_wrong_use_is_2() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("text.gguf"), "not a model").unwrap();
    fails(
        dir,
        &["inspect", "none.gguf"],
        1,
        expect![[r#"
        error: none.gguf: cannot open the file
          caused by: No such file or directory (os error 2)
    "#]],
    );
    fails(
        dir,
        &["inspect", "text.gguf"],
        1,
        expect![[r#"
        error: text.gguf: is not a GGUF file: it starts with "not ", expected "GGUF"
    "#]],
    );
    fails(
        dir,
        &["inspekt"],
        2,
        expect![[r#"
            error: unrecognized subcommand 'inspekt'

              tip: some similar subcommands exist: 'bisect', 'inspect'

            Usage: ptxgen <COMMAND>

            For more information, try '--help'.
        "#]],
    );
    fails(
        dir,
        &["synth", "x.gguf", "--preset", "tyni"],
        2,
        expect![[r#"
            error: invalid value 'tyni' for '--preset <PRESET>'
              [possible values: tiny, qwen3-30b-a3b, tiny-dense, qwen3-8b]

              tip: a similar value exists: 'tiny-dense'

            For more information, try '--help'.
        "#]],
    );
    fails(
        dir,
        &["synth", "x.gguf", "--topk", "17"],
        2,
        expect![[r#"
        error: --topk 17: expected 1 to 16
    "#]],
    );
    let nowhere = ptxgen(dir, &["synth", "no/folder/x.gguf"]);
    let message = text(&nowhere.stderr);
    assert!(message.starts_with("error: no/folder/x.gguf: cannot write the file\n  caused by: "), "{message}");
    assert_eq!(code(&nowhere), Some(1));
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 1, "nothing is left behind");

    // Readable, but no Qwen3-MoE: it is shown, and the fault is named.
    let mut w = ptxgen::model::gguf::GgufWriter::new();
    w.set("general.architecture", "llama");
    std::fs::write(dir.join("llama.gguf"), w.to_bytes(&[]).unwrap()).unwrap();
    let output = ptxgen(dir, &["inspect", "llama.gguf"]);
    assert_eq!(code(&output), Some(1));
    expect![[r#"
        llama.gguf: GGUF version 3, 96 B, 0 tensors, aligned to 32

        Metadata
          general.architecture = "llama"

        Types

        Memory
          weights  0 B ()

        Runs on
          nothing here: llama.gguf: architecture "llama" is not supported; "qwen3moe" (Qwen3-MoE) and "qwen3" (Qwen3) are
    "#]]
    .assert_eq(&text(&output.stdout));
}
