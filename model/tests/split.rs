//! Models in several files.

use ptxgen_model::{
    Engine, LogitRows, bundled,
    cpu::{CpuModel, CpuOptions},
    gguf::{Gguf, GgufWriter, Value},
};
use std::path::{Path, PathBuf};

/// Writes the bundled model in this many parts; their paths.
fn split(dir: &Path, parts: usize) -> Vec<PathBuf> {
    let whole = bundled().unwrap().unwrap();
    let tensors: Vec<_> = whole.tensors().collect();
    let each = tensors.len().div_ceil(parts);
    let part = |(i, some): (usize, &[ptxgen_model::gguf::TensorView<'_>])| {
        let mut w = GgufWriter::new();
        if i == 0 {
            for (key, value) in whole.metadata().iter() {
                w.set(key, value.clone());
            }
        }
        w.set("split.no", i as u16).set("split.count", parts as u16).set("split.tensors.count", tensors.len() as i32);
        let mut data = Vec::new();
        for t in some {
            w.tensor(t.name, t.dims, t.ty);
            data.resize(data.len().next_multiple_of(32), 0);
            data.extend_from_slice(t.data);
        }
        let path = dir.join(format!("m-{:05}-of-{parts:05}.gguf", i + 1));
        std::fs::write(&path, w.to_bytes(&data).unwrap()).unwrap();
        path
    };
    tensors.chunks(each).enumerate().map(part).collect()
}

fn last_logits(gguf: &Gguf) -> Vec<f32> {
    let model = CpuModel::load(gguf, CpuOptions::default()).unwrap();
    model.new_session(4).unwrap().forward(&[1, 2, 3], LogitRows::Last).unwrap().to_vec()
}

#[test]
fn parts_are_read_as_one_model_whichever_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let parts = split(dir.path(), 3);
    let whole = bundled().unwrap().unwrap();
    let expected = last_logits(&whole);
    for part in &parts {
        let gguf = Gguf::open(part).unwrap();
        assert_eq!(gguf.file(), part.to_str().unwrap());
        assert_eq!(gguf.tensors().len(), whole.tensors().len());
        assert!(gguf.tensors().zip(whole.tensors()).all(|(a, b)| (a.name, a.data) == (b.name, b.data)));
        assert_eq!(gguf.metadata().str("general.architecture").unwrap(), "qwen3moe");
        assert_eq!(last_logits(&gguf), expected);
        let sizes: u64 = parts.iter().map(|p| std::fs::metadata(p).unwrap().len()).sum();
        assert_eq!(gguf.file_bytes() as u64, sizes);
    }
    assert_eq!(Gguf::open(&parts[0]).unwrap().sha256(), Gguf::open(&parts[2]).unwrap().sha256());
}

#[test]
fn parts_that_do_not_belong_together_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let parts = split(dir.path(), 3);
    let error = |path: &Path| Gguf::open(path).unwrap_err().to_string();
    let second = std::fs::read(&parts[1]).unwrap();
    std::fs::remove_file(&parts[1]).unwrap();
    assert!(error(&parts[0]).ends_with("m-00002-of-00003.gguf: cannot open the file"), "{}", error(&parts[0]));
    std::fs::copy(&parts[2], &parts[1]).unwrap();
    let said = error(&parts[0]);
    let expected =
        "m-00002-of-00003.gguf: claims to be part 3 of 3, expected part 2 of 3 by its name; fetch the parts again";
    assert!(said.ends_with(expected), "{said}");
    let other = dir.path().join("other.gguf");
    std::fs::write(&other, &second).unwrap();
    assert!(error(&other).contains("is one of 3 parts of a split model, which are found by their names"));
    let mut w = GgufWriter::new();
    w.set("split.no", 1u16).set("split.count", 3u16).set("unused", Value::Bool(true));
    std::fs::write(&parts[1], w.to_bytes(&[]).unwrap()).unwrap();
    assert!(
        error(&parts[0]).contains("tensors in its 3 parts, expected 75 (split.tensors.count)"),
        "{}",
        error(&parts[0])
    );
}
