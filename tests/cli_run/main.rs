//! `ptxgen run`, `logits` and `perplexity`: what they print and write, and how they fail.

mod prompts;
mod refused;
mod speculate;
#[path = "../support/mod.rs"]
mod support;

use expect_test::expect;
use std::{fs, path::PathBuf, process::Stdio};
use support::{code, command, fails, ptxgen, synthetic, text};

fn data(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("model/tests/data");
    folder.join(name).to_str().unwrap().into()
}

const EXACT: [&str; 6] = ["--device", "cpu", "--act", "f32", "--acc", "f64"];

/// The text that `run` writes; what it says of its speed is beside it.
#[track_caller]
fn runs(args: &[&str]) -> String {
    let output = ptxgen(&[&["run"], args].concat());
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    let line = said.lines().last().unwrap_or_default();
    assert!(line.contains(" tokens, ") && line.contains(" tokens/s, "), "{line}");
    text(&output.stdout).strip_suffix('\n').unwrap().into()
}

/// The logits of a token file, as bytes.
#[track_caller]
fn logits(tokens: &str, more: &[&str]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.f32");
    let output = ptxgen(&[&["logits", "--tokens", tokens, "--out", out.to_str().unwrap()], more].concat());
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
    assert_eq!((text(&output.stdout), text(&output.stderr)), (String::new(), String::new()));
    fs::read(out).unwrap()
}

/// A file of token ids.
fn tokens(ids: &[i32]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    fs::write(file.path(), bytes).unwrap();
    file
}

#[test]
fn greedy_texts_are_the_oracles() {
    let fixtures: serde_json::Value = serde_json::from_slice(&fs::read(data("tiny-greedy.f64.json")).unwrap()).unwrap();
    for fixture in fixtures.as_array().unwrap() {
        let (prompt, expected) = (fixture["prompt"].as_str().unwrap(), fixture["text"].as_str().unwrap());
        let n = fixture["greedy_ids"].as_array().unwrap().len().to_string();
        assert_eq!(runs(&[&["--prompt", prompt, "-n", &n], &EXACT[..]].concat()), expected);
    }
    // Without a prompt the bundled model is given the first of them.
    let first = fixtures[0]["text"].as_str().unwrap();
    assert!(first.starts_with(&runs(&[&["-n", "9"], &EXACT[..]].concat())));
}

#[test]
fn the_last_line_tells_device_and_policy() {
    let output = ptxgen(&["run", "-n", "2", "--device", "cpu", "--act", "q8k", "--threads", "1"]);
    let out = text(&output.stderr);
    let line = out.strip_suffix('\n').unwrap();
    assert!(line.starts_with("2 tokens, ") && line.contains(" tokens/s, cpu ("), "{line}");
    assert!(line.ends_with(", 1 thread), act=q8k,acc=f32"), "{line}");
}

#[test]
fn perplexities_are_the_oracles() {
    for (file, first, expected) in [("tiny.tokens-64.i32", "64", "4.2356"), ("tiny.tokens-4096.i32", "1024", "31.2844")]
    {
        let args = ["perplexity", "--tokens", &data(file), "--first", first];
        let output = ptxgen(&[&args, &EXACT[..]].concat());
        let out = text(&output.stdout);
        assert!(out.starts_with(&format!("perplexity {expected}\n{first} tokens, ")), "{out}{}", text(&output.stderr));
        // No terminal, so no progress bar.
        assert_eq!((code(&output), text(&output.stderr)), (Some(0), String::new()));
    }
}

#[test]
fn perplexity_of_a_text() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("text.rs");
    fs::write(&file, "fn main() {\n    println!(\"Hello\");\n}\n").unwrap();
    let output = ptxgen(&["perplexity", "--text", file.to_str().unwrap(), "--device", "cpu", "--first", "8"]);
    let out = text(&output.stdout);
    assert!(out.starts_with("perplexity ") && out.contains("\n8 tokens, "), "{out}{}", text(&output.stderr));
}

/// The library's tests hold the values against the oracle; here they are the same bytes.
#[test]
fn logits_are_the_same_bytes_for_every_batch_and_thread_count() {
    let file = data("tiny.tokens-64.i32");
    let all = logits(&file, &["--device", "cpu", "--act", "q8k"]);
    assert_eq!(all.len(), 64 * 4096 * 4);
    for more in [["--batch", "1"], ["--batch", "7"], ["--threads", "1"], ["--threads", "2"], ["--batch", "1000"]] {
        assert!(logits(&file, &[&["--device", "cpu", "--act", "q8k"], &more[..]].concat()) == all, "{more:?}");
    }
    // Little-endian, in the tokens' order: row 20 is that of `llama.cpp` but for rounding.
    let float = |bytes: &[u8], i: usize| f32::from_le_bytes(bytes[i * 4..][..4].try_into().unwrap());
    let theirs = fs::read(data("tiny-64.llama-cpp-cpu.logits.f32")).unwrap();
    for i in 20 * 4096..21 * 4096 {
        assert!((float(&all, i) - float(&theirs, i)).abs() < 0.5, "{i}");
    }
    assert!(logits(&file, &["--device", "cpu", "--act", "q8k", "--kv", "f16"]) != all);
}

#[test]
fn the_interpreter_gives_the_cpus_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let model = synthetic(dir.path(), "m.gguf", &[]);
    let ids = tokens(&[1, 299, 7]);
    let file = ids.path().to_str().unwrap();
    for act in ["f32", "q8k"] {
        for acc in ["f32", "f64"] {
            let policy = [&model, "--act", act, "--acc", acc, "--device"];
            let cpu = logits(file, &[&policy, &["cpu"][..]].concat());
            assert_eq!(cpu.len(), 3 * 300 * 4);
            assert!(logits(file, &[&policy, &["interp"][..]].concat()) == cpu, "{act} {acc}");
        }
    }
    let model = synthetic(dir.path(), "two.gguf", &["--layers", "2"]);
    let prompt = [&*model, "--prompt", "ab", "-n", "4", "--device"];
    let expected = runs(&[&prompt, &["cpu"][..]].concat());
    for devices in ["interp", "interp,interp"] {
        assert_eq!(runs(&[&prompt, &[devices][..]].concat()), expected, "{devices}");
    }
}

#[test]
fn approximate_math_is_for_devices_with_generated_kernels() {
    let dir = tempfile::tempdir().unwrap();
    let model = synthetic(dir.path(), "m.gguf", &[]);
    let ids = tokens(&[1, 299, 7]);
    let approx = |device| [&model, "--math", "approx", "--device", device];
    let exact = logits(ids.path().to_str().unwrap(), &[&model, "--device", "interp"]);
    let found = logits(ids.path().to_str().unwrap(), &approx("interp"));
    let values = |bytes: &[u8]| -> Vec<f32> { bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect() };
    let (exact, found) = (values(&exact), values(&found));
    assert_ne!(found, exact);
    assert!(found.iter().zip(&exact).all(|(f, e)| (f - e).abs() <= 1e-5 * e.abs().max(1e-2)));

    let out = runs(&[&[&*model, "--prompt", "ab", "-n", "1"], &approx("interp")[1..]].concat());
    assert_eq!(out, runs(&[&*model, "--prompt", "ab", "-n", "1", "--device", "interp"]));
    fails(
        &[&["perplexity", "--tokens", ids.path().to_str().unwrap()], &approx("cpu")[..]].concat(),
        2,
        expect![[r#"
            error: math=approx is a GPU's instructions, for --device cuda or --device interp; the CPU computes with math=exact
        "#]],
    );
}

/// A text that is given, every policy; nothing of it depends on the machine but the speed.
#[test]
fn every_policy_is_measured_against_the_exact_forward() {
    let args = ["bench", "policies", "--tokens", &data("tiny.tokens-64.i32"), "--device", "cpu", "-n", "8"];
    let output = ptxgen(&[&args[..], &["--runs", "1", "--json"]].concat());
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let policies = report["policies"].as_array().unwrap();
    let names: Vec<_> = policies.iter().map(|p| p["policy"].as_str().unwrap()).collect();
    assert_eq!(names, ["act=f32,acc=f32", "act=f32,acc=f64", "act=q8k,acc=f32", "act=q8k,acc=f64"]);
    for p in policies {
        let exact = p["policy"] == "act=f32,acc=f64";
        assert_eq!(p["against_exact"]["equal"], exact, "{p}");
        assert!(p["decode_tokens_per_s"].as_f64().unwrap() > 0.0 && p["prefill_tokens_per_s"].as_f64().unwrap() > 0.0);
    }
    assert!((policies[1]["perplexity"].as_f64().unwrap() - 4.2356).abs() < 1e-4);
    // What the seeds of this project disagreed in: the activations' format explains it, the accumulator does not.
    let differing = |parts: &[&str]| {
        let pairs = report["pairs"].as_array().unwrap().iter();
        let pairs = pairs.filter(|p| p["parts"] == serde_json::json!(parts));
        pairs.map(|p| p["difference"]["relative"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    let (activations, accumulator) = (differing(&["act"]), differing(&["acc"]));
    assert!(activations.len() == 2 && activations.iter().all(|r| (0.02..0.1).contains(r)), "{activations:?}");
    assert!(accumulator.len() == 2 && accumulator[0] < 1e-5, "{accumulator:?}");

    let output = ptxgen(&[&args[..], &["--runs", "0"]].concat());
    let out = text(&output.stdout);
    assert!(out.contains("| act=f32,acc=f64 | 4.2356 | same bits | | | 0 | 0 | - | - |"), "{out}");
    fails(
        &[&args[..], &["--act", "q8k"]].concat(),
        2,
        expect![[r#"
            error: bench policies measures every policy: leave out --act, --acc and --math
        "#]],
    );
}

#[test]
fn sampling_follows_its_seed() {
    let draw = |seed| runs(&["--device", "cpu", "-n", "12", "--temp", "1.5", "--top-k", "40", "--seed", seed]);
    assert_eq!(draw("1"), draw("1"));
    assert_ne!(draw("1"), draw("2"));
    let greedy = runs(&["--device", "cpu", "-n", "12"]);
    assert_eq!(runs(&["--device", "cpu", "-n", "12", "--temp", "1", "--top-k", "1"]), greedy);
    assert_eq!(runs(&["--device", "cpu", "-n", "0"]), "");
}

#[test]
fn devices_that_are_not_there() {
    // These tests also run where there is a GPU.
    if ptxgen_runtime::Device::cuda(0).is_ok() {
        assert_eq!(runs(&["--device", "cuda", "-n", "12"]), runs(&["--device", "cpu", "-n", "12"]));
        return;
    }
    let output = ptxgen(&["run", "--device", "cuda"]);
    assert_eq!(code(&output), Some(1));
    assert!(text(&output.stderr).starts_with("error: no NVIDIA driver: libcuda.so.1 cannot be loaded;"));
    let output = ptxgen(&["run", "-n", "1"]);
    assert_eq!(code(&output), Some(0));
    assert!(text(&output.stderr).starts_with("note: no NVIDIA driver; running on the CPU\n1 tokens, "));
}

#[test]
fn the_context_is_a_limit_that_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let model = synthetic(dir.path(), "m.gguf", &["--context", "8"]);
    let output = ptxgen(&["run", &model, "--prompt", "abc", "-n", "100", "--device", "cpu"]);
    assert_eq!(code(&output), Some(0));
    // Three of the prompt, five written, and one that is not taken any more.
    let said = text(&output.stderr);
    assert!(said.starts_with("note: the context of 8 tokens is full\n6 tokens, "), "{said}");
    let shorter = ptxgen(&["run", &model, "--prompt", "abc", "-n", "100", "--ctx", "5", "--device", "cpu"]);
    let said = text(&shorter.stderr);
    assert!(said.starts_with("note: the context of 5 tokens is full\n3 tokens, "), "{said}");
    fails(
        &["run", &model, "--prompt", "abc", "--ctx", "9", "--device", "cpu"],
        2,
        expect![[r#"
            error: --ctx 9 is more than the model's context of 8 tokens
        "#]],
    );
    fails(
        &["run", &model, "--prompt", "abc", "--ctx", "2", "--device", "cpu"],
        2,
        expect![[r#"
            error: the prompt has 3 tokens, which do not fit --ctx 2
        "#]],
    );
    fails(
        &["run", &model, "--prompt", "123456789", "--device", "cpu"],
        2,
        expect![[r#"
            error: the prompt has 9 tokens, which do not fit the model's context of 8
        "#]],
    );
    let ids = tokens(&[1; 9]);
    let ids = ids.path().to_str().unwrap();
    let output = ptxgen(&["perplexity", &model, "--tokens", ids, "--device", "cpu"]);
    let message = format!("error: {ids} has 9 tokens, which do not fit the model's context of 8\n");
    assert_eq!((code(&output), text(&output.stderr)), (Some(2), message));
}

/// A file may claim any context; the required memory is checked before it is allocated.
#[test]
fn a_context_beyond_all_memory() {
    let dir = tempfile::tempdir().unwrap();
    let wide =
        ["--context", "1073741824", "--layers", "8", "--hidden", "2", "--heads", "32", "--kv", "32", "--hd", "128"];
    let model = synthetic(dir.path(), "m.gguf", &[&wide[..], &["--ff", "2", "--types", "f16"]].concat());
    let chat = support::with_template(&model, "x");
    for args in [
        &["run", &model, "--prompt", "x", "-n", "4000000000", "--device", "cpu"][..],
        &["run", &chat, "--chat", "--ctx", "1073741824", "--device", "cpu"],
    ] {
        let output = ptxgen(args);
        let said = text(&output.stderr);
        let before = "error: there is no memory for a context of 1073741824 tokens: its KV cache takes 282024732524544 \
                      bytes and ";
        let rest = said.strip_prefix(before).unwrap_or_else(|| panic!("{said}"));
        let (free, rest) = rest.split_once(' ').unwrap();
        assert!(free.parse::<u64>().unwrap() > 0, "{said}");
        assert_eq!(rest, "are free; choose a shorter one with --ctx, or --kv f16\n");
        assert_eq!((code(&output), text(&output.stdout)), (Some(2), String::new()));
    }
    // Without an option a chat takes what is free, and says so.
    let output = ptxgen(&["run", &chat, "--chat", "--device", "cpu"]);
    let said = text(&output.stderr);
    assert_eq!(code(&output), Some(0), "{said}");
    let rest = said.strip_prefix("note: the free memory has room for ").unwrap_or_else(|| panic!("{said}"));
    let (room, rest) = rest.split_once(' ').unwrap();
    assert!((16..1 << 30).contains(&room.parse::<usize>().unwrap()), "{said}");
    assert!(
        rest.starts_with("of the model's 1073741824 tokens of context; --ctx sets it, and --kv f16 makes"),
        "{said}"
    );
}

#[test]
fn a_chat() {
    let dir = tempfile::tempdir().unwrap();
    let path = synthetic(dir.path(), "m.gguf", &["--context", "256"]);
    let model = support::with_template(
        &path,
        "{% for m in messages %}{{ m.role[0] }}:{{ m.content }};{% endfor %}a:{% if enable_thinking is false %}!{% endif %}",
    );
    let talk = |more: &[&str], input: &str| {
        use std::io::Write;
        let args = [&["run", &*model, "--chat", "-n", "3", "--device", "cpu"], more].concat();
        let mut child =
            command(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let output = talk(&[], "hi\nand\n");
    let said = text(&output.stderr);
    assert_eq!(code(&output), Some(0), "{said}");
    assert!(said.starts_with("> > > 6 tokens, "), "{said}");
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // The same as the rendered conversation as a plain prompt.
    let one = lossy(&talk(&["--prompt", "hi"], "").stdout);
    let plain = lossy(&ptxgen(&["run", &model, "--prompt", "u:hi;a:", "-n", "3", "--device", "cpu"]).stdout);
    assert_eq!(one, plain);
    let brief = lossy(&talk(&["--prompt", "hi", "--no-thinking"], "").stdout);
    let plain = lossy(&ptxgen(&["run", &model, "--prompt", "u:hi;a:!", "-n", "3", "--device", "cpu"]).stdout);
    assert_eq!(brief, plain);
}
