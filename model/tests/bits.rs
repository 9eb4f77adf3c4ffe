//! One policy, one answer: the logits' bits do not depend on threads, instruction set or batch.

mod common;

use common::{bits, logits, model, model_with_nan, tokens};
use ptxgen_dsl::precision::Policy;
use ptxgen_model::{
    Engine, EngineError, KvType, LoadError, LogitRows, ModelConfig,
    cpu::{CpuModel, CpuOptions, SimdLevel},
    gguf::{Gguf, TensorType},
    synth::{Mix, Preset, Synth, Vocabulary},
};

#[test]
fn threads_levels_and_batches_give_the_same_bits() {
    let (gguf, tokens) = (model(), tokens("tiny.tokens-64.i32"));
    for policy in Policy::EXACT {
        for kv in [KvType::F32, KvType::F16] {
            let base = CpuOptions { policy, threads: Some(1), simd: Some(SimdLevel::best()), kv };
            let expected = bits(&logits(&gguf, base, &tokens, 64));
            for threads in [1, 2, 3] {
                for batch in [1, 7, 64] {
                    let found = logits(&gguf, CpuOptions { threads: Some(threads), ..base }, &tokens, batch);
                    assert!(bits(&found) == expected, "{policy}, KV {kv}, {threads} threads, batch {batch}");
                }
            }
            // Without fused multiply-add in hardware the scalar level takes its time.
            let few = &tokens[..6];
            for level in SimdLevel::ALL.into_iter().filter(|l| l.is_available()) {
                let found = logits(&gguf, CpuOptions { simd: Some(level), ..base }, few, 4);
                assert!(bits(&found)[..] == expected[..found.len()], "{policy}, KV {kv}, {level}");
            }
        }
    }
}

#[test]
fn rows_handed_over_one_by_one_are_those_of_a_forward() {
    let (gguf, tokens) = (model(), tokens("tiny.tokens-64.i32"));
    for (policy, threads) in Policy::EXACT.into_iter().zip([1, 2, 2, 3]) {
        let options = CpuOptions { policy, threads: Some(threads), ..CpuOptions::default() };
        // More than one batch, and the last one odd.
        let expected = bits(&logits(&gguf, options, &tokens[..46], 46));
        let model = CpuModel::load(&gguf, options).unwrap();
        let mut session = model.new_session(46).unwrap();
        let mut found = Vec::new();
        for tokens in [&tokens[..1], &tokens[1..46]] {
            session.forward_rows(tokens, &mut |row| found.extend(bits(row))).unwrap();
        }
        assert_eq!(session.position(), 46);
        assert!(found == expected, "{policy}, {threads} threads");
        assert!(matches!(session.forward_rows(&[1], &mut |_| panic!()), Err(EngineError::Full { .. })));
    }
}

#[test]
fn the_caches_type_is_another_function() {
    let (gguf, tokens) = (model(), tokens("tiny.tokens-64.i32"));
    let run = |kv| logits(&gguf, CpuOptions { kv, ..CpuOptions::default() }, &tokens, 64);
    let (wide, narrow) = (run(KvType::F32), run(KvType::F16));
    assert!(bits(&wide) != bits(&narrow));
    assert!(common::cosine(&wide, &narrow) > 0.9999);
}

#[test]
fn a_session_rewinds_and_refuses_what_it_cannot_do() {
    let (gguf, tokens) = (model(), tokens("tiny.tokens-64.i32"));
    let model = CpuModel::load(&gguf, CpuOptions::default()).unwrap();
    let mut session = model.new_session(10).unwrap();
    let first = session.forward(&tokens[..10], LogitRows::Last).unwrap().to_vec();
    let full = session.forward(&tokens[..1], LogitRows::Last).unwrap_err();
    assert_eq!(full, EngineError::Full { tokens: 1, position: 10, capacity: 10 });
    session.rewind(4);
    assert_eq!(session.position(), 4);
    assert_eq!(session.forward(&[], LogitRows::Last).unwrap_err(), EngineError::NoTokens);
    let unknown = session.forward(&[1, 4096], LogitRows::Last).unwrap_err();
    assert_eq!(unknown.to_string(), "token 4096 at position 5 is outside the vocabulary of 4096");
    let again = session.forward(&tokens[4..10], LogitRows::Last).unwrap();
    assert_eq!(bits(again), bits(&first));
    assert!(matches!(model.new_session(5000), Err(LoadError::Context { asked: 5000, context: 4096 })));
}

/// A file may claim a context that no machine has memory for.
#[test]
fn a_session_without_memory_is_refused() {
    let tiny = Preset::Tiny.config();
    let wide = ModelConfig { context: 1 << 30, blocks: 8, heads: 32, kv_heads: 32, head_dim: 128, ..tiny };
    let config = ModelConfig { hidden: 2, expert_ff: 2, vocab: 4, ..wide };
    let synth = Synth { config, mix: Mix::One(TensorType::F16), vocabulary: Vocabulary::None, seed: 0 };
    let gguf = Gguf::from_bytes("wide.gguf", &synth.to_bytes().unwrap()).unwrap();
    let model = CpuModel::load(&gguf, CpuOptions::default()).unwrap();
    let Err(error) = model.new_session(1 << 30) else { panic!("memory for 281 TB") };
    let bytes = (8 * 32 * 256 * 4 + 512) << 30;
    assert!(matches!(error, LoadError::Memory { asked: 0x4000_0000, bytes: b, .. } if b == bytes), "{error}");
    model.new_session(8).unwrap().forward(&[1, 2], LogitRows::Last).unwrap();
}

#[test]
fn nan_in_a_router_names_the_layer() {
    let gguf = model_with_nan();
    let model = CpuModel::load(&gguf, CpuOptions::default()).unwrap();
    let mut session = model.new_session(8).unwrap();
    let error = session.forward(&[1, 5, 2], LogitRows::Last).unwrap_err();
    assert_eq!(error, EngineError::NanInRouter { layer: 0, expert: 0, position: 1 });
    assert!(error.to_string().starts_with("layer 0: the router logit of expert 0 is NaN or infinite at position 1"));
    assert_eq!(session.position(), 0);
}
