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
    let gguf = Gguf::open(path).unwrap();
    let mut w = GgufWriter::new();
    for (key, value) in gguf.metadata().iter() {
        w.set(key, value.clone());
    }
    w.set("tokenizer.chat_template", template);
    let mut data = Vec::new();
    for t in gguf.tensors() {
        w.tensor(t.name, t.dims, t.ty);
        data.extend_from_slice(t.data);
    }
    let copy = format!("{path}.chat");
    fs::write(&copy, w.to_bytes(&data).unwrap()).unwrap();
    copy
}
