//! Wrong use, and files and outputs that cannot be read or written.

use super::{data, tokens};
use crate::support::{code, command, fails, ptxgen, synthetic, text};
use expect_test::expect;
use std::{fs, process::Stdio};

#[test]
fn wrong_use_is_2() {
    fails(
        &["run", "--prompt", "", "--device", "cpu"],
        2,
        expect![[r#"
            error: the prompt has 0 tokens; at least 1 are needed
        "#]],
    );
    let dir = tempfile::tempdir().unwrap();
    let model = synthetic(dir.path(), "m.gguf", &[]);
    fails(
        &["run", &model],
        2,
        expect![[r#"
            error: give a --prompt to continue, or --chat
        "#]],
    );
    fails(
        &["run", "--temp", "-1"],
        2,
        expect![[r#"
            error: invalid value '-1' for '--temp <T>': expected a number from 0 (greedy) to 100

            For more information, try '--help'.
        "#]],
    );
    fails(
        &["run", "--top-p", "nan"],
        2,
        expect![[r#"
            error: invalid value 'nan' for '--top-p <P>': expected a share above 0, at most 1

            For more information, try '--help'.
        "#]],
    );
    fails(
        &["run", "--act", "q4k"],
        2,
        expect![[r#"
            error: invalid value 'q4k' for '--act <ACT>': unknown act `q4k`: expected f32 or q8k

            For more information, try '--help'.
        "#]],
    );
    for (devices, wrong) in [
        ("gpu", "unknown device `gpu`: expected cpu, cuda, cuda:N or interp, or several but cpu: cuda:0,cuda:1"),
        (
            "cuda:one",
            "unknown device `cuda:one`: expected cpu, cuda, cuda:N or interp, or several but cpu: cuda:0,cuda:1",
        ),
        ("cuda,interp,cuda:0", "GPU 0 is named twice: name each GPU once"),
        ("interp,cpu", "the CPU does not share a model's layers with other devices: name cpu alone, or leave it out"),
    ] {
        let output = ptxgen(&["run", "--device", devices]);
        let expected = format!(
            "error: invalid value '{devices}' for '--device <DEVICE>': {wrong}\n\nFor more information, try '--help'.\n"
        );
        assert_eq!((text(&output.stderr), code(&output)), (expected, Some(2)));
    }
    fails(
        &["run", &model, "--device", "interp,interp", "--prompt", "a"],
        2,
        expect![[r#"
            error: 2 devices cannot divide the model's layers: it has 1, and every device needs at least one
        "#]],
    );
    fails(
        &["run", "--no-thinking"],
        2,
        expect![[r#"
            error: the following required arguments were not provided:
              --chat

            Usage: ptxgen run --chat --no-thinking [MODEL]

            For more information, try '--help'.
        "#]],
    );
    fails(
        &["logits", "--tokens", "x.i32", "--out", "y.f32", "--batch", "0"],
        2,
        expect![[r#"
            error: invalid value '0' for '--batch <B>': 0 is not in 1..=4294967295

            For more information, try '--help'.
        "#]],
    );
    fails(
        &["perplexity"],
        2,
        expect![[r#"
            error: the following required arguments were not provided:
              <--tokens <FILE.i32>|--text <FILE>>

            Usage: ptxgen perplexity <--tokens <FILE.i32>|--text <FILE>> [MODEL]

            For more information, try '--help'.
        "#]],
    );
    let none = tokens(&[]);
    let none = none.path().to_str().unwrap();
    let output = ptxgen(&["logits", "--tokens", none, "--out", "/nowhere/y.f32", "--device", "cpu"]);
    assert_eq!(text(&output.stderr), format!("error: {none} has 0 tokens; at least 1 are needed\n"));
    assert_eq!(code(&output), Some(2));
    fails(
        &["run", "--chat"],
        1,
        expect![[r#"
            error: tiny-rust-moe-Q4_K_M.gguf (bundled): has no chat template (tokenizer.chat_template): use a plain prompt
        "#]],
    );
}

#[test]
fn files_that_cannot_be_read() {
    fails(
        &["run", "none.gguf", "--prompt", "x"],
        1,
        expect![[r#"
            error: none.gguf: cannot open the file
              caused by: No such file or directory (os error 2)
        "#]],
    );
    fails(
        &["logits", "--tokens", "none.i32", "--out", "y.f32"],
        1,
        expect![[r#"
            error: cannot read none.i32
              caused by: No such file or directory (os error 2)
        "#]],
    );
    fails(
        &["perplexity", "--text", "none.txt"],
        1,
        expect![[r#"
            error: cannot read none.txt
              caused by: No such file or directory (os error 2)
        "#]],
    );
}

#[test]
fn broken_token_files_write_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("odd.i32"), [0; 7]).unwrap();
    fs::write(at("negative.i32"), [1i32.to_le_bytes(), (-1i32).to_le_bytes()].concat()).unwrap();
    fs::write(at("large.i32"), [4095i32.to_le_bytes(), 4096i32.to_le_bytes()].concat()).unwrap();
    fs::write(at("text.txt"), [0x61, 0xFF]).unwrap();
    let refused = |args: &[&str], message: expect_test::Expect| {
        let output = command(args).current_dir(dir.path()).output().unwrap();
        message.assert_eq(&text(&output.stderr));
        assert_eq!(code(&output), Some(1), "{args:?}");
    };
    fs::write(at("out.f32"), "kept").unwrap();
    refused(
        &["logits", "--tokens", "odd.i32", "--out", "out.f32", "--device", "cpu"],
        expect![[r#"
            error: odd.i32: 7 bytes are not a whole number of little-endian i32 token ids
        "#]],
    );
    refused(
        &["logits", "--tokens", "negative.i32", "--out", "out.f32", "--device", "cpu"],
        expect![[r#"
            error: negative.i32: token 1 is -1; ids start at 0
        "#]],
    );
    refused(
        &["logits", "--tokens", "large.i32", "--out", "out.f32", "--device", "cpu"],
        expect![[r#"
            error: large.i32: token 1 is 4096, outside the model's vocabulary of 4096
        "#]],
    );
    refused(
        &["perplexity", "--tokens", "large.i32", "--device", "cpu"],
        expect![[r#"
            error: large.i32: token 1 is 4096, outside the model's vocabulary of 4096
        "#]],
    );
    refused(
        &["perplexity", "--text", "text.txt", "--device", "cpu"],
        expect![[r#"
            error: cannot read text.txt
              caused by: stream did not contain valid UTF-8
        "#]],
    );
    assert_eq!(fs::read(at("out.f32")).unwrap(), b"kept");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 5, "nothing is left behind");
}

/// An output that cannot be written is an error with its name; a reader that has gone is not.
#[test]
#[cfg(target_os = "linux")]
fn outputs_that_cannot_be_written() {
    let file = data("tiny.tokens-64.i32");
    let nowhere = ptxgen(&["logits", "--tokens", &file, "--out", "/nowhere/y.f32", "--device", "cpu"]);
    let message = "error: cannot write /nowhere/y.f32\n  caused by: No such file or directory (os error 2)";
    assert!(text(&nowhere.stderr).starts_with(message), "{}", text(&nowhere.stderr));
    assert_eq!(code(&nowhere), Some(1));
    fails(
        &["logits", "--tokens", &file, "--out", "/dev/full", "--device", "cpu"],
        1,
        expect![[r#"
            error: cannot write /dev/full
              caused by: No space left on device (os error 28)
        "#]],
    );
    fails(
        &["logits", "--tokens", &file, "--out", "/", "--device", "cpu"],
        1,
        expect![[r#"
            error: cannot write /
              caused by: Is a directory (os error 21)
        "#]],
    );
    let dir = tempfile::tempdir().unwrap();
    let synth = dir.path().join("s.gguf");
    let synth = ["synth", synth.to_str().unwrap(), "--layers", "1", "--vocab", "8"];
    let perplexity = ["perplexity", "--tokens", &file, "--first", "2", "--device", "cpu"];
    for args in [
        &["run", "-n", "2", "--device", "cpu"][..],
        &["run", "-n", "0", "--device", "cpu"],
        &perplexity,
        &synth,
        &["inspect"],
        &["inspect", "--json"],
        &["doctor"],
        &["doctor", "--json"],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = command(args).stdout(full).output().unwrap();
        let message = "error: cannot write to standard output\n  caused by: No space left on device (os error 28)\n";
        assert_eq!(text(&output.stderr), message, "{args:?}");
        assert_eq!(code(&output), Some(1), "{args:?}");

        // A pipe that nothing reads.
        let mut child = command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((code(&output), text(&output.stderr)), (Some(0), String::new()), "{args:?}");
    }
    // Nor does a closed standard error keep a command from its work.
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command(&["run", "-n", "1"]).stderr(full).output().unwrap();
    assert_eq!(code(&output), Some(0));
}

/// The output of `logits` replaces the old file as a whole, also through a link.
#[test]
#[cfg(unix)]
fn a_link_to_the_output_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real.f32"), dir.path().join("link.f32"));
    fs::write(&real, "old").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let ids = tokens(&[1]);
    let args = ["logits", "--tokens", ids.path().to_str().unwrap(), "--out", link.to_str().unwrap(), "--device", "cpu"];
    assert_eq!(code(&ptxgen(&args)), Some(0));
    assert_eq!(fs::metadata(&real).unwrap().len(), 4096 * 4);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}
