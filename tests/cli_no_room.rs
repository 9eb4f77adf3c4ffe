//! Commands whose output has no room or no permission: the error names the file, and what was there
//! before is there still.
#![cfg(target_os = "linux")]

#[path = "support/outputs.rs"]
mod outputs;
mod support;

use outputs::{Folder, WRITING, Writing};
use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    process::{Command, Output},
};
use support::{code, ptxgen, text};

/// Runs a command with `before` in front of it.
fn run(before: &[&str], args: &[String]) -> Output {
    Command::new(before[0]).args(&before[1..]).arg(env!("CARGO_BIN_EXE_ptxgen")).args(args).output().unwrap()
}

/// Arguments that take less time than [`WRITING`]'s, which are to be interrupted.
fn quick(folder: &Folder, writing: &Writing) -> Vec<String> {
    let of_tokens = writing.args.contains(&"--tokens");
    let mut args = folder.args(writing);
    args.iter_mut().for_each(|arg| *arg = arg.replace("interp", "cpu"));
    args.iter_mut().filter(|arg| *arg == "200").for_each(|layers| *layers = "1".into());
    if of_tokens && !["logits"].contains(&writing.args[0]) {
        args.extend(["--first", "4"].map(String::from));
    }
    args
}

/// Checks that a command said that it cannot write its file, and why.
#[track_caller]
fn refused(folder: &Folder, writing: &Writing, output: &Output, why: &str) {
    let (printed, name) = (text(&output.stderr), writing.name);
    assert_eq!(code(output), Some(1), "{name}: {printed}");
    let file = folder.file(writing).display().to_string();
    let first = printed.lines().next().unwrap_or_default();
    assert!(first.starts_with("error: ") && first.contains(&file), "{name}: {printed}");
    assert!(printed.contains(why), "{name}: {printed}");
    folder.assert_untouched(name);
}

#[test]
fn a_file_past_the_limit_of_its_size_is_not_written() {
    for writing in WRITING {
        let folder = Folder::new();
        let limited = ["sh", "-c", "ulimit -f 1; exec \"$@\"", "sh"];
        refused(&folder, writing, &run(&limited, &quick(&folder, writing)), "File too large (os error 27)");
    }
}

#[test]
fn a_folder_that_may_not_be_written_is_not_written() {
    for writing in WRITING {
        let folder = Folder::new();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
        // Permissions do not hold root back, but a process of root's that has given up that right.
        let root = File::create(folder.path().join("probe")).is_ok();
        if root {
            fs::remove_file(folder.path().join("probe")).unwrap();
        }
        let before: &[&str] = if root { &["setpriv", "--bounding-set=-dac_override"] } else { &["env"] };
        let output = run(before, &quick(&folder, writing));
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        refused(&folder, writing, &output, "Permission denied (os error 13)");
    }
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    for writing in WRITING {
        let folder = Folder::new();
        let args: Vec<String> = quick(&folder, writing)
            .iter()
            .map(|arg| arg.replace(writing.name, &format!("no/{}", writing.name)))
            .collect();
        let output = run(&["env"], &args);
        let printed = text(&output.stderr);
        assert_eq!(code(&output), Some(1), "{printed}");
        let file = folder.path().join("no").join(writing.name);
        assert!(printed.lines().next().unwrap().contains(file.to_str().unwrap()), "{printed}");
        assert!(printed.contains("No such file or directory (os error 2)"), "{printed}");
        folder.assert_untouched(writing.name);
    }
}

#[test]
fn a_full_device_says_so() {
    for writing in WRITING {
        let folder = Folder::new();
        let place = folder.file(writing).to_str().unwrap().to_owned();
        let args: Vec<String> = quick(&folder, writing).iter().map(|arg| arg.replace(&place, "/dev/full")).collect();
        let output = ptxgen(&args.iter().map(String::as_str).collect::<Vec<_>>());
        let printed = text(&output.stderr);
        let first = printed.lines().next().unwrap_or_default();
        // What is not written from its start to its end needs a file.
        let in_order = !["synth", "trace"].contains(&writing.args[0]);
        if in_order {
            assert_eq!(first, "error: cannot write /dev/full");
            assert!(printed.contains("No space left on device (os error 28)"), "{printed}");
        } else {
            assert!(first.contains("/dev/full") && printed.contains("regular file"), "{printed}");
        }
        assert_ne!(code(&output), Some(0));
        folder.assert_untouched(writing.name);
    }
}

#[test]
fn a_full_disk_under_the_standard_output_says_so() {
    let trace = tempfile::tempdir().unwrap();
    let model = support::synthetic(trace.path(), "model.gguf", &[]);
    let commands: [&[&str]; 10] = [
        &["list"],
        &["dump", "q4k-gemv"],
        &["check", "q4k-gemv"],
        &["stats", "q4k-gemv"],
        &["diff", "q4k-gemv", "--left", "acc=f32", "--right", "acc=f64"],
        &["inspect", &model],
        &["run", &model, "--device", "cpu", "--prompt", "a", "-n", "2"],
        &["perplexity", "--device", "cpu", "--tokens", outputs::TOKENS, "--first", "4"],
        &["compare", "--left", "cpu", "--right", "cpu:act=q8k", "--tokens", outputs::TOKENS, "--first", "4"],
        &["completions", "bash"],
    ];
    for args in commands {
        let output = support::command(args).stdout(File::options().write(true).open("/dev/full").unwrap()).output();
        let output = output.unwrap();
        let printed = text(&output.stderr);
        assert_eq!(code(&output), Some(1), "{args:?}: {printed}");
        assert!(printed.contains("cannot write to standard output"), "{args:?}: {printed}");
        assert!(printed.contains("No space left on device"), "{args:?}: {printed}");
    }
}
