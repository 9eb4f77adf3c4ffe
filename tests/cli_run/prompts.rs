//! `ptxgen run --prompts`: many texts at once, each as it is alone.

use super::support::{code, fails, ptxgen, synthetic, text, with_template};
use expect_test::expect;
use serde_json::Value;
use std::{fs, path::Path};

/// Writes prompts, one a line.
fn file(dir: &Path, lines: &[&str]) -> String {
    let path = dir.join("prompts.txt");
    fs::write(&path, lines.iter().map(|l| format!("{l}\n")).collect::<String>()).unwrap();
    path.to_str().unwrap().into()
}

/// The objects of an output, in the order of the prompts.
fn objects(out: &[u8]) -> Vec<Value> {
    let mut all: Vec<Value> = text(out).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    all.sort_by_key(|o| o["index"].as_u64());
    assert!(all.iter().enumerate().all(|(i, o)| o["index"] == i), "{all:?}");
    all
}

const CPU: [&str; 4] = ["--device", "cpu", "--act", "q8k"];

#[test]
fn each_prompt_gets_the_text_that_it_gets_alone() {
    let dir = tempfile::tempdir().unwrap();
    let prompts = ["fn main() {", "struct Point", "use std::", "let mut x = ", "impl fmt::Display for "];
    let path = file(dir.path(), &prompts);
    for options in [&[][..], &["--temp", "0.8", "--top-k", "40", "--seed", "3"], &["--repeat-penalty", "1.3"]] {
        let options = [&["-n", "12"], options, &CPU].concat();
        let alone = prompts.map(|prompt| {
            let output = ptxgen(&[&["run", "--prompt", prompt], &options[..]].concat());
            assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
            text(&output.stdout).strip_suffix('\n').unwrap().to_owned()
        });
        for batch in ["1", "3", "16"] {
            let output = ptxgen(&[&["run", "--prompts", &path, "--batch", batch], &options[..]].concat());
            let said = text(&output.stderr);
            assert_eq!(code(&output), Some(0), "{said}");
            let all = objects(&output.stdout);
            assert_eq!(all.len(), prompts.len());
            for ((object, prompt), alone) in all.iter().zip(prompts).zip(&alone) {
                assert_eq!(object["prompt"], prompt);
                assert_eq!(object["text"], **alone, "{options:?}, {batch} at once");
                assert!(object["prompt_tokens"].as_u64() > Some(0));
                let (tokens, stop) = (object["tokens"].as_u64().unwrap(), object["stop"].as_str().unwrap());
                assert!((tokens == 12 && stop == "length") || stop == "end", "{object}");
            }
            let line = said.lines().last().unwrap();
            assert!(line.starts_with("5 prompts, 0 with an error; ") && line.contains(" tokens/s, cpu ("), "{line}");
        }
    }
}

#[test]
fn prompts_that_cannot_be_are_told_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), &["fn a()", "", "a b c d e f g h i j k l m n o p q r s t u v w x y z", "fn b()"]);
    let args = ["run", "--prompts", &path, "-n", "40", "--ctx", "20", "--device", "cpu"];
    let output = ptxgen(&args);
    let said = text(&output.stderr);
    assert_eq!(code(&output), Some(1), "{said}");
    let all = objects(&output.stdout);
    assert_eq!(all[1]["error"], "the prompt has 0 tokens; at least 1 are needed");
    let error = all[2]["error"].as_str().unwrap();
    assert!(error.starts_with("the prompt has ") && error.ends_with(" tokens, which do not fit --ctx 20"), "{error}");
    for i in [0, 3] {
        let (read, written) = (all[i]["prompt_tokens"].as_u64().unwrap(), all[i]["tokens"].as_u64().unwrap());
        assert_eq!((all[i]["stop"].as_str(), read + written), (Some("context"), 21), "{}", all[i]);
    }
    assert!(said.lines().last().unwrap().starts_with("4 prompts, 2 with an error; "), "{said}");

    // Nothing but faults: no model is needed.
    let output = ptxgen(&["run", "--prompts", &file(dir.path(), &["", ""]), "--device", "cpu"]);
    assert_eq!((code(&output), objects(&output.stdout).len()), (Some(1), 2));
}

#[test]
fn generated_kernels_write_the_same_and_messages_go_through_the_template() {
    let dir = tempfile::tempdir().unwrap();
    let model = synthetic(dir.path(), "m.gguf", &[]);
    let model = with_template(&model, "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}");
    let path = file(dir.path(), &["ab", "c", "defg"]);
    let options = ["--prompts", &path, "-n", "3", "--act", "q8k", "--chat", "--batch", "2"];
    let run = |device: &str| {
        let output = ptxgen(&[&["run", &model, "--device", device], &options[..]].concat());
        assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
        objects(&output.stdout)
    };
    let on_cpu = run("cpu");
    assert_eq!(run("interp"), on_cpu);
    // `<user>` stands before each.
    assert!(on_cpu.iter().zip([8, 7, 10]).all(|(o, n)| o["prompt_tokens"] == n), "{on_cpu:?}");
}

#[test]
fn wrong_use_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let empty = file(dir.path(), &[]);
    let output = ptxgen(&["run", "--prompts", &empty]);
    assert_eq!(code(&output), Some(2));
    let said = text(&output.stderr);
    assert!(said.ends_with("prompts.txt has no prompts: there is one in each line\n"), "{said}");
    for more in [&["--batch", "2"][..], &["--prompts", &empty, "--prompt", "x"], &["--prompts", &empty, "--batch", "0"]]
    {
        assert_eq!(code(&ptxgen(&[&["run"], more].concat())), Some(2), "{more:?}");
    }
    fails(
        &["run", "--prompts", "no/such/file"],
        1,
        expect![[r#"
            error: cannot read no/such/file
              caused by: No such file or directory (os error 2)
        "#]],
    );
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_what_is_being_written() {
    use std::{
        io::{BufRead, BufReader, Read},
        process::Stdio,
    };
    let dir = tempfile::tempdir().unwrap();
    // The first ends soon; the others would take minutes.
    let model = synthetic(dir.path(), "m.gguf", &["--layers", "4"]);
    let path = file(dir.path(), &[&"x".repeat(4000), "a", "b", "c"]);
    let mut command = super::support::interruptible(&[
        "run",
        &model,
        "--prompts",
        &path,
        "--batch",
        "3",
        "-n",
        "4000",
        "--device",
        "cpu",
    ]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut err) = (BufReader::new(child.stdout.take().unwrap()), child.stderr.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    let pid = libc::pid_t::try_from(child.id()).unwrap();
    // SAFETY: the child has not been waited for, so its number is its own.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
    let (mut rest, mut said) = (String::new(), String::new());
    out.read_to_string(&mut rest).unwrap();
    err.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    let lines: Vec<Value> =
        [first.as_str(), &rest].concat().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((lines[0]["index"].as_u64(), lines[0]["stop"].as_str()), (Some(0), Some("context")));
    assert!(lines.len() >= 3 && lines[1..].iter().all(|l| l["stop"] == "interrupted"), "{rest}");
    assert!(said.contains("note: interrupted: "), "{said}");
}
