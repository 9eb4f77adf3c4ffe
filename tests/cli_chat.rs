//! `ptxgen run --chat` with a person at the other end, and `ptxgen tokenize`.
#![cfg(unix)]

mod support;

use expect_test::expect;
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Output, Stdio},
};
use support::{code, command, fails, interruptible, ptxgen, synthetic, text, with_metadata, with_template};

const TEMPLATE: &str = "{% for m in messages %}{{ m.role[0] }}:{{ m.content }};{% endfor %}a:";

fn model(dir: &Path, context: &str) -> String {
    with_template(&synthetic(dir, "m.gguf", &["--context", context]), TEMPLATE)
}

fn spawn(mut command: std::process::Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A chat with this as its input.
#[track_caller]
fn chat(model: &str, more: &[&str], input: &[u8]) -> Output {
    let args = [&["run", model, "--chat", "-n", "3", "--device", "cpu"], more].concat();
    let mut child = spawn(command(&args));
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// What a chat says beside its answers, without the last line, and that all is well.
#[track_caller]
fn said(output: &Output) -> String {
    let said = text(&output.stderr);
    assert_eq!(code(output), Some(0), "{said}");
    said.trim_end().rsplit_once("> ").unwrap().0.to_owned() + "> "
}

/// What a plain prompt is answered.
fn plain(model: &str, prompt: &str) -> Vec<u8> {
    ptxgen(&["run", model, "--prompt", prompt, "-n", "3", "--device", "cpu"]).stdout
}

#[test]
fn invalid_input_is_left_out_and_the_chat_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    // With room for so many tokens that the long message is encoded whole.
    let model = model(dir.path(), "8192");
    let mut input = b"a\xffb\nhi\n".to_vec();
    input.extend(" ".repeat(100_001).bytes());
    input.push(b'\n');
    let output = chat(&model, &[], &input);
    let name = Path::new(&model).display();
    assert_eq!(
        said(&output),
        format!(
            "> note: line 1 is not UTF-8; it is skipped\n> > note: {name}: the text has a run of more than 100000 \
             white-space characters, which cannot be encoded: shorten it; the message is skipped\n> "
        )
    );
    assert_eq!(output.stdout, plain(&model, "u:hi;a:"));
}

#[test]
fn a_full_context_does_not_end_the_chat() {
    let dir = tempfile::tempdir().unwrap();
    let model = model(dir.path(), "64");
    let long = "x".repeat(70);
    // What alone is too long is left out; then the oldest messages go, until the newest fit.
    let output = chat(&model, &[], format!("{long}\n{}\n{}\nhi\n", "b".repeat(40), "c".repeat(40)).as_bytes());
    let said = said(&output);
    assert!(said.starts_with("> note: the message is left out: with it the conversation has 75 tokens, "), "{said}");
    assert!(said.contains("> > note: the context of 64 tokens is full: the oldest 2 messages are dropped\n"), "{said}");
    let fresh = chat(&model, &[], format!("{}\nhi\n", "c".repeat(40)).as_bytes());
    assert!(output.stdout.ends_with(&fresh.stdout), "what was left out changes nothing");
}

#[test]
fn messages_of_several_lines_and_of_the_system() {
    let dir = tempfile::tempdir().unwrap();
    let model = model(dir.path(), "4096");
    let quoted = chat(&model, &["--system", "- be brief"], b"\"\"\"\none\ntwo\n\"\"\"\n");
    assert_eq!(quoted.stdout, plain(&model, "s:- be brief;u:one\ntwo;a:"));
    let joined = chat(&model, &["--system", "- be brief"], b"one\\\ntwo\n");
    assert_eq!(joined.stdout, quoted.stdout);
}

#[test]
fn prompts_from_files_and_those_that_begin_with_a_dash() {
    let dir = tempfile::tempdir().unwrap();
    let model = model(dir.path(), "4096");
    let expected = plain(&model, "- list");
    assert!(!expected.is_empty());
    let file = dir.path().join("prompt.txt").to_str().unwrap().to_owned();
    fs::write(&file, "- list").unwrap();
    let args = ["run", &model, "-n", "3", "--device", "cpu", "--prompt-file"];
    assert_eq!(ptxgen(&[&args[..], &[&file]].concat()).stdout, expected);
    let mut child = spawn(command(&[&args[..], &["-"]].concat()));
    child.stdin.take().unwrap().write_all(b"- list").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, expected);
}

#[test]
fn an_interrupt_stops_the_answer_and_not_the_chat() {
    let dir = tempfile::tempdir().unwrap();
    let model = with_template(&synthetic(dir.path(), "m.gguf", &["--layers", "4"]), TEMPLATE);
    let args = ["run", &model, "--chat", "-n", "100000", "--device", "interp", "--temp", "1", "--ctx", "2000"];
    let mut child = spawn(interruptible(&args));
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"hi\n").unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    // The answer has begun.
    out.read_exact(&mut [0; 1]).unwrap();
    let interrupt = || {
        // SAFETY: takes no pointer; the child has not been waited for.
        assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGINT) }, 0);
    };
    interrupt();
    // It ends with a line; whatever text comes before. Another message is answered.
    let mut line = Vec::new();
    out.read_until(b'\n', &mut line).unwrap();
    input.write_all(b"again\n").unwrap();
    out.read_exact(&mut [0; 1]).unwrap();
    interrupt();
    drop(input);
    let mut rest = Vec::new();
    out.read_to_end(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains(" tokens/s, interp ("), "{}", text(&output.stderr));
}

#[test]
fn options_without_effect_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let model = model(dir.path(), "4096");
    let refused = |args: &[&str], message: &str| {
        let output = ptxgen(&[&["run", &*model, "--device", "cpu"], args].concat());
        assert_eq!(text(&output.stderr), format!("error: {message}\n"));
        assert_eq!(code(&output), Some(2), "{args:?}");
    };
    for option in ["--top-k", "--seed"] {
        refused(
            &["--prompt", "a", option, "1"],
            &format!("{option} has no effect at temperature 0, which is greedy: give --temp"),
        );
    }
    refused(
        &["--chat", "--no-thinking"],
        &format!("--no-thinking has no effect: the chat template of {model} does not mention enable_thinking"),
    );
    let tools = dir.path().join("tools.json").to_str().unwrap().to_owned();
    fs::write(&tools, "[]").unwrap();
    refused(
        &["--chat", "--tools", &tools],
        &format!("--tools has no effect: the chat template of {model} does not mention tools"),
    );
    let output = ptxgen(&["run", &model, "--prompt", "a", "--device", "interp", "--threads", "2"]);
    assert_eq!(text(&output.stderr), "error: --threads has no effect: it is for --device cpu\n");
    fails(
        &["run", &model, "--system", "x"],
        2,
        expect![[r#"
        error: the following required arguments were not provided:
          --chat

        Usage: ptxgen run --chat --system <TEXT> <MODEL>

        For more information, try '--help'.
    "#]],
    );
}

#[test]
fn tools_reach_the_template_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = synthetic(dir.path(), "m.gguf", &["--context", "4096"]);
    let model = with_template(&path, "{{ tools|tojson }}{% for m in messages %}{{ m.content }}{% endfor %}");
    let tools = dir.path().join("tools.json").to_str().unwrap().to_owned();
    fs::write(&tools, r#"[{"name":"z","a":1}]"#).unwrap();
    let output = chat(&model, &["--tools", &tools], b"hi\n");
    assert_eq!(output.stdout, plain(&model, r#"[{"name": "z", "a": 1}]hi"#));
}

#[test]
fn the_files_recommendations_are_taken_and_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = synthetic(dir.path(), "m.gguf", &["--context", "4096"]);
    let model = with_metadata(
        &path,
        &[
            ("general.sampling.temp", 0.5f32.into()),
            ("general.sampling.top_k", 20i32.into()),
            ("general.sampling.mirostat", 0i32.into()),
        ],
    );
    let run = |args: &[&str]| {
        let output = ptxgen(&[&["run", &*model, "--prompt", "ab", "-n", "8", "--device", "cpu"], args].concat());
        let said = text(&output.stderr);
        assert_eq!(code(&output), Some(0), "{said}");
        (output.stdout, said.rsplit_once('\n').unwrap().0.rsplit_once('\n').map_or(String::new(), |s| s.0.to_owned()))
    };
    let unknown = "note: these recommendations of the file are not supported: general.sampling.mirostat";
    let (out, said) = run(&[]);
    assert_eq!(said, format!("{unknown}\nnote: as the model's file recommends: temp 0.5, top-k 20"));
    assert_eq!(
        out,
        ptxgen(&["run", &path, "--prompt", "ab", "-n", "8", "--device", "cpu", "--temp", "0.5", "--top-k", "20"])
            .stdout
    );
    let (_, said) = run(&["--temp", "0.7", "--top-k", "5"]);
    assert_eq!(said, unknown);
    let (greedy, said) = run(&["--temp", "0"]);
    assert!(
        said.ends_with("note: greedy, although the model's file recommends --temp 0.5: the text may repeat itself"),
        "{said}"
    );
    assert_eq!(greedy, ptxgen(&["run", &path, "--prompt", "ab", "-n", "8", "--device", "cpu"]).stdout);
    // Penalties change what is chosen, on every device alike.
    let penalized = |device| {
        let args = ["--prompt", "ab", "-n", "12", "--presence-penalty", "50", "--device", device];
        ptxgen(&[&["run", &*path], &args[..]].concat()).stdout
    };
    assert_eq!(penalized("cpu"), penalized("interp"));
}

#[test]
fn texts_to_ids_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let model = model(dir.path(), "4096");
    let tokenize = |args: &[&str]| {
        let output = ptxgen(&[&["tokenize", &*model], args].concat());
        assert_eq!((code(&output), text(&output.stderr)), (Some(0), String::new()));
        text(&output.stdout)
    };
    let ids = tokenize(&["--prompt", "- a"]);
    assert_eq!(ids, "45 32 97\n");
    assert_eq!(tokenize(&["--ids", "45, 32 97"]), "- a\n");
    assert_eq!(tokenize(&["--chat", "--system", "s", "--prompt", "q"]), tokenize(&["--prompt", "s:s;u:q;a:"]));
    assert_eq!(tokenize(&["--prompt", "a\n", "--pieces"]), "     97 \"a\"\n     10 \"\\n\"\n");
    let file = dir.path().join("ids.i32").to_str().unwrap().to_owned();
    assert_eq!(tokenize(&["--prompt", "- a", "-o", &file]), "");
    assert_eq!(fs::read(&file).unwrap(), [45i32, 32, 97].map(i32::to_le_bytes).concat());
    assert_eq!(tokenize(&["--tokens", &file]), "- a\n");
    fails(
        &["tokenize", "--ids", "1 x"],
        2,
        expect![[r#"
        error: --ids: 'x' is not a token id
    "#]],
    );
}
