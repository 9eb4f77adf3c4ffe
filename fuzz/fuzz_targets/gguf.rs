//! Any bytes as a GGUF file: the reader refuses or gives tensors that are in bounds, and the model's
//! configuration is read without a panic. (Vocabularies have a target of their own: to build a
//! tokenizer takes a hundred times as long as all of this.)
#![no_main]

use libfuzzer_sys::fuzz_target;
use ptxgen_model::{ModelConfig, gguf::Gguf};

fuzz_target!(|bytes: &[u8]| {
    let Ok(gguf) = Gguf::from_bytes("fuzz.gguf", bytes) else {
        return;
    };
    for t in gguf.tensors() {
        assert_eq!(t.rows() * t.row_bytes(), t.data.len());
        assert_eq!(gguf.tensor(t.name).map(|t| t.data.len()).ok(), Some(t.data.len()));
        if t.dims.len() > 1 {
            let last = t.dims[t.dims.len() - 1] - 1;
            assert_eq!(t.outer(last).data.as_ptr_range().end, t.data.as_ptr_range().end);
        }
    }
    for (key, value) in gguf.metadata().iter() {
        assert_eq!(gguf.metadata().get(key).map(|v| v.ty()), Some(value.ty()));
    }
    match ModelConfig::from_gguf(&gguf) {
        Ok(config) => assert_eq!(config.tensors().count(), gguf.tensors().len()),
        Err(e) => assert!(e.to_string().contains("fuzz.gguf")),
    }
});
