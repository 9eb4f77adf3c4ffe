//! Files of traces.

use super::{record, small};
use crate::common::{self, device::some_tokens};
use ptxgen_dsl::precision::Policy;
use ptxgen_model::{
    KvType,
    cpu::{CpuModel, CpuOptions},
    plain::PlainModel,
    trace::{Fault, Recorder, Selection, Stage, TraceFile, TraceMeta, TraceWriter},
};

#[test]
fn files_hold_what_was_traced() {
    let (gguf, tokens) = (small(), some_tokens(6, 300));
    let policy = Policy::EXACT[2];
    let cpu = CpuModel::load(&gguf, CpuOptions { policy, ..CpuOptions::default() }).unwrap();
    for positions in ["all", "last", "0,3,4"] {
        let selection = Selection { positions: positions.parse().unwrap(), ..Selection::default() };
        let (data, ..) = record(&mut cpu.new_session(6).unwrap(), &gguf, KvType::F32, &tokens, &selection);
        let plain = PlainModel::new(&gguf).unwrap();
        let selected = selection.of(plain.config(), 6).unwrap();
        let meta = TraceMeta {
            model: Some("a \"name\"".into()),
            model_sha256: Some(gguf.sha256()),
            policy: Some(policy),
            kv: Some(KvType::F32),
            device: Some("cpu".into()),
            version: Some("0".into()),
            tokens: Some(tokens.clone()),
            ..TraceMeta::default()
        };
        let write = || {
            let file = std::io::Cursor::new(Vec::new());
            let mut writer = TraceWriter::new(file, plain.config(), &selected, meta.clone(), 1 << 20).unwrap();
            let bytes = writer.bytes();
            let mut recorder = Recorder::new(&plain, KvType::F32, &tokens, &selected);
            recorder.advance(&mut cpu.new_session(6).unwrap(), 6, &mut writer).unwrap();
            let fault = Fault {
                stage: Stage::Q,
                layer: None,
                position: 1,
                index: 2,
                recorded: f64::NAN,
                expected: 0.1,
                differing: 3,
            };
            let written = writer.finish(recorder.derived(), vec![fault]).unwrap().into_inner();
            assert_eq!(written.len() as u64, bytes);
            written
        };
        let bytes = write();
        assert!(bytes == write(), "a trace's bytes depend on nothing but what was run");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.safetensors");
        std::fs::write(&path, &bytes).unwrap();
        let file = TraceFile::open(&path).unwrap();
        let read = file.data().unwrap();
        assert_eq!(read.positions, selected.positions);
        assert!(read.tensors == data.tensors, "{positions}");
        assert_eq!(read.meta.faults.len(), 1);
        assert!(read.meta.faults[0].recorded.is_nan() && read.meta.faults[0].expected == 0.1);
        assert_eq!(read.meta.derived, [Stage::AttnScores, Stage::AttnSoftmax, Stage::ExpertSilu]);
        assert_eq!(TraceMeta { derived: vec![], faults: vec![], ..read.meta }, meta);
        // The library that others read it with takes it too.
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(tensors.tensor("layers.01.attn_norm").unwrap().shape(), [selected.positions.len(), 256]);
    }
    let plain = PlainModel::new(&gguf).unwrap();
    let selected = Selection::default().of(plain.config(), 6).unwrap();
    let meta = TraceMeta { tokens: Some(tokens), ..TraceMeta::default() };
    let writer = TraceWriter::new(std::io::Cursor::new(Vec::new()), plain.config(), &selected, meta, 1000);
    let error = writer.err().unwrap().to_string();
    assert!(error.contains("more than the 1000 allowed: choose fewer stages"), "{error}");
}

#[test]
fn files_that_are_no_traces_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = TraceFile::open(&path).expect_err("it is refused").to_string();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
        error
    };
    let file = |header: &str, data: usize| {
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
    };
    assert!(refused(b"GGUF").contains("is no safetensors file"));
    assert!(refused(&[0xff; 64]).contains("is no safetensors file"));
    assert!(refused(&[]).contains("is no safetensors file"));
    let other = r#"{"x.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    assert!(refused(&file(other, 4)).contains("has no tensor with a stage's name"));
    let short = r#"{"logits":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    assert!(refused(&file(short, 4)).contains("is no safetensors file"));
    let uneven = r#"{"logits":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},
        "embedding":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]}}"#;
    assert!(refused(&file(uneven, 16)).contains("positions are expected first"));
    let scalar = r#"{"logits":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#;
    assert!(refused(&file(scalar, 4)).contains("positions are expected first"));
    let twice = r#"{"l1.q":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},
        "layers.1.q":{"dtype":"F32","shape":[1,1],"data_offsets":[4,8]}}"#;
    assert!(refused(&file(twice, 8)).contains("two tensors for layers.01.q"));
    let negative = r#"{"logits":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},
        "tokens":{"dtype":"I32","shape":[1],"data_offsets":[4,8]}}"#;
    let mut bytes = file(negative, 8);
    bytes.iter_mut().rev().take(4).for_each(|b| *b = 0xff);
    assert!(refused(&bytes).contains("tokens has -1"));
    let far = r#"{"logits":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},
        "positions":{"dtype":"U32","shape":[1],"data_offsets":[4,8]}}"#;
    let mut bytes = file(far, 8);
    bytes.iter_mut().rev().take(4).for_each(|b| *b = 0xff);
    assert!(refused(&bytes).contains("has position 4294967295; positions are below 16777216"));
    // A layer that no model has is no stage's: all layers up to the last are gone through.
    for layer in ["65536", "18446744073709551615", "18446744073709551616"] {
        let name = format!(r#"{{"layers.{layer}.q":{{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}}}"#);
        assert!(refused(&file(&name, 4)).contains("has no tensor with a stage's name"), "{layer}");
    }
    let ty = r#"{"logits":{"dtype":"I8","shape":[1,4],"data_offsets":[0,4]}}"#;
    std::fs::write(&path, file(ty, 4)).unwrap();
    let error = TraceFile::open(&path).unwrap().data().unwrap_err().to_string();
    assert!(error.contains("logits is I8; expected F32"), "{error}");
}

#[test]
fn the_oracles_file_is_understood() {
    let file = TraceFile::open(common::data("tiny-64.f64.safetensors")).unwrap();
    assert_eq!(file.positions().len(), 64);
    assert_eq!(file.meta().tokens.as_ref().unwrap()[..], common::tokens("tiny.tokens-64.i32"));
    assert_eq!(file.unknown(), [""; 0]);
    let last = file.at(&[63]).unwrap();
    assert_eq!(last.positions, [63]);
    assert_eq!(last.tensors.len(), 6 * 4 + 1);
    assert_eq!(last.get(Stage::RouterExperts, Some(5)).unwrap().shape, [1, 4]);
    assert_eq!(last.get(Stage::MoeFfnOut, Some(5)).unwrap().width(), 256);
    assert_eq!(last.get(Stage::Logits, None).unwrap().values.len(), 4096);
}
