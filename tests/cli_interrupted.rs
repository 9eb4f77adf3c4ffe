//! Commands that a signal ends: the files they were to write are as they were, and nothing is beside
//! them. The process ends by the signal itself, which a shell shows as 128 and the signal's number.
#![cfg(unix)]

#[path = "support/outputs.rs"]
mod outputs;
mod support;

use outputs::{Folder, TOKENS, WRITING, Writing, contents};
use std::{
    fs,
    io::Read,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use support::{code, interruptible, text};

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

fn start(args: &[impl AsRef<str>]) -> Child {
    let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
    interruptible(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn send(child: &Child, signal: i32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status().unwrap();
    assert!(sent.success());
}

/// Waits until the command has got so far.
fn wait_until(child: &mut Child, mut far: impl FnMut() -> bool) {
    let start = Instant::now();
    while !far() {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before it was interrupted");
        assert!(start.elapsed() < Duration::from_secs(120), "it does not get so far");
        sleep(Duration::from_millis(1));
    }
}

fn in_the_making(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().any(|e| e.unwrap().file_name().to_str().unwrap().starts_with(".ptxgen-"))
}

/// Starts a command, interrupts it while it works, and gives how it ended.
fn interrupted(folder: &Folder, writing: &Writing, signal: i32) -> ExitStatus {
    let mut child = start(&folder.args(writing));
    if writing.as_it_goes {
        wait_until(&mut child, || in_the_making(folder.path()));
    } else {
        // A kernel is printed in less time than this; what takes longer is in the middle of its work.
        sleep(Duration::from_millis(200));
    }
    // It may have ended, and is not forgotten until it is waited for.
    send(&child, signal);
    child.wait().unwrap()
}

#[test]
fn files_are_whole_or_as_before() {
    for writing in WRITING {
        let folder = Folder::new();
        let status = interrupted(&folder, writing, SIGINT);
        if status.success() && writing.args[0] == "dump" {
            assert!(fs::read_to_string(folder.file(writing)).unwrap().ends_with("}\n"));
            assert_eq!(folder.files().len(), WRITING.len());
            continue;
        }
        assert_eq!(status.signal(), Some(SIGINT), "{}: {status}", writing.name);
        folder.assert_untouched(writing.name);
    }
}

#[test]
fn a_closed_terminal_and_a_shutdown_are_no_different() {
    let synth = WRITING.iter().find(|w| w.args[0] == "synth").unwrap();
    for signal in [SIGHUP, SIGTERM] {
        let folder = Folder::new();
        let status = interrupted(&folder, synth, signal);
        assert_eq!(status.signal(), Some(signal), "{status}");
        folder.assert_untouched(synth.name);
    }
}

#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.gguf");
    // As nohup does it.
    let mut child = Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_ptxgen"), "synth", "--layers", "20"])
        .arg(&model)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until(&mut child, || in_the_making(folder.path()));
    send(&child, SIGHUP);
    assert!(child.wait().unwrap().success());
    let output = support::ptxgen(&["inspect", model.to_str().unwrap()]);
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
}

#[test]
fn of_many_files_each_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let [all, some] = ["all", "some"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    let dump = |to: &str| start(&["dump", "--all", "-o", to]);
    assert!(dump(&all).wait_with_output().unwrap().status.success());
    let whole = contents(Path::new(&all));
    for wanted in [1, 20, 60] {
        let _ = fs::remove_dir_all(&some);
        let mut child = dump(&some);
        wait_until(&mut child, || fs::read_dir(&some).is_ok_and(|files| files.count() >= wanted));
        send(&child, SIGINT);
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(SIGINT), "{status}");
        let found = contents(Path::new(&some));
        assert!(found.len() < whole.len() && !found.contains_key("index.json"));
        for (name, bytes) in &found {
            assert_eq!(Some(bytes), whole.get(name), "{name}");
        }
    }
}

#[test]
fn commands_that_only_print_end_too() {
    let model = tempfile::tempdir().unwrap();
    let model = support::synthetic(model.path(), "model.gguf", &["--layers", "8"]);
    let commands: [&[&str]; 4] = [
        &["run", &model, "--device", "interp", "--prompt", "a", "-n", "500"],
        &["perplexity", "--device", "interp", "--tokens", TOKENS],
        &["bisect", "--left", "cpu", "--right", "interp:act=q8k", "--tokens", TOKENS],
        &["compare", "--left", "cpu", "--right", "interp:act=q8k", "--tokens", TOKENS],
    ];
    for args in commands {
        let mut child = start(args);
        sleep(Duration::from_millis(300));
        assert_eq!(child.try_wait().unwrap(), None, "{args:?} ended before it was interrupted");
        send(&child, SIGINT);
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(SIGINT), "{args:?}: {status}");
        let mut printed = String::new();
        child.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
        assert_eq!(printed, "", "{args:?}");
    }
}

#[test]
fn a_shell_sees_the_signal() {
    let folder = Folder::new();
    let logits = &WRITING[0];
    let script = r#""$@" & pid=$!
        while ! ls "$DIR"/.ptxgen-* >/dev/null 2>&1; do sleep 0.01; done
        kill -TERM $pid; wait $pid; echo $?"#;
    // A shell's background commands ignore SIGINT, so it is SIGTERM: 128 + 15.
    let output = Command::new("sh")
        .args(["-c", script, "sh", env!("CARGO_BIN_EXE_ptxgen")])
        .args(folder.args(logits))
        .env("DIR", folder.path())
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout), "143\n", "{}", text(&output.stderr));
    folder.assert_untouched(logits.name);
}
