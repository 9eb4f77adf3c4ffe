//! Running the built command.
#![allow(dead_code)] // each test file uses its part

use expect_test::Expect;
use ptxgen::model::gguf::{Gguf, GgufWriter};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ptxgen"));
    command.args(args);
    command
}

/// As [`command`], where signals end it however the test was started: a shell has its background jobs
/// ignore SIGINT, `nohup` ignores SIGHUP, and what is ignored is inherited.
#[cfg(unix)]
pub fn interruptible(args: &[&str]) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = command(args);
    let defaults = || {
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
            // SAFETY: `signal` may be called between fork and exec, and the default action is no function.
            if unsafe { libc::signal(signal, libc::SIG_DFL) } == libc::SIG_ERR {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: the closure calls nothing but `signal`, and takes no memory unless that fails.
    unsafe { command.pre_exec(defaults) };
    command
}

pub fn ptxgen(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

pub fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs a command that fails with this code and message.
#[track_caller]
pub fn fails(args: &[&str], expected: i32, message: Expect) {
    let output = ptxgen(args);
    message.assert_eq(&text(&output.stderr));
    assert_eq!(code(&output), Some(expected), "{args:?}");
}

/// A small model of random weights that takes text; its path.
pub fn synthetic(dir: &Path, name: &str, more: &[&str]) -> String {
    let path = dir.join(name).to_str().unwrap().to_owned();
    let small = ["--vocab", "300", "--experts", "4", "--topk", "2", "--byte-vocabulary"];
    let layers: &[&str] = if more.contains(&"--layers") { &[] } else { &["--layers", "1"] };
    let output = ptxgen(&[&["synth", &path], &small[..], layers, more].concat());
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
    path
}

/// A copy of a model with a chat template; its path.
pub fn with_template(path: &str, template: &str) -> String {
    with_metadata(path, &[("tokenizer.chat_template", template.into())])
}

/// A copy of a model in which the first so many bytes of a tensor are 0xff, which is NaN in every type; its path.
pub fn damaged(path: &str, tensor: &str, bytes: usize) -> String {
    let gguf = Gguf::open(path).unwrap();
    let data = gguf.tensor(tensor).unwrap().data;
    let start = gguf.file_bytes() - gguf.tensor_bytes().len();
    let at = start + data.as_ptr().addr() - gguf.tensor_bytes().as_ptr().addr();
    let mut file = fs::read(path).unwrap();
    file[at..at + bytes.min(data.len())].fill(0xff);
    let copy = format!("{path}.damaged");
    fs::write(&copy, file).unwrap();
    copy
}

/// A copy of a model with more metadata; its path.
pub fn with_metadata(path: &str, more: &[(&str, ptxgen::model::gguf::Value)]) -> String {
    let gguf = Gguf::open(path).unwrap();
    let mut w = GgufWriter::new();
    for (key, value) in gguf.metadata().iter() {
        w.set(key, value.clone());
    }
    for (key, value) in more {
        w.set(key, value.clone());
    }
    let mut data = Vec::new();
    for t in gguf.tensors() {
        w.tensor(t.name, t.dims, t.ty);
        data.extend_from_slice(t.data);
    }
    let copy = format!("{path}.more");
    fs::write(&copy, w.to_bytes(&data).unwrap()).unwrap();
    copy
}
