//! A context of 66,000 tokens against the float64 oracle, at some of its positions. `data/long.py` makes the fixture.

mod common;

use common::{data, relative_error};
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_model::{
    Engine, LogitRows, ModelConfig,
    cpu::{CpuModel, CpuOptions},
    gguf::{Gguf, TensorType},
    synth::{Mix, Preset, Synth, Vocabulary},
};
use safetensors::SafeTensors;

const TOKENS: u64 = 66_000;
const VOCAB: usize = 64;

/// Attention to 66,000 tokens has 2.2 * 10^9 pairs: one head of 8 is what a test has time for.
fn model() -> Gguf {
    let config = ModelConfig {
        blocks: 1,
        context: 70_000,
        hidden: 32,
        heads: 1,
        kv_heads: 1,
        head_dim: 8,
        experts: 2,
        experts_used: 1,
        expert_ff: 32,
        vocab: VOCAB,
        ..Preset::Tiny.config()
    };
    let synth = Synth { config, mix: Mix::One(TensorType::F32), vocabulary: Vocabulary::None, seed: 21 };
    Gguf::from_bytes("long.gguf", &synth.to_bytes().unwrap()).unwrap()
}

#[test]
fn sixty_six_thousand_tokens() {
    let bytes = std::fs::read(data("long.safetensors")).unwrap();
    let oracle = SafeTensors::deserialize(&bytes).unwrap();
    let positions = oracle.tensor("positions").unwrap();
    let positions: Vec<usize> =
        positions.data().as_chunks().0.iter().map(|b| u32::from_le_bytes(*b) as usize).collect();
    let expected = oracle.tensor("logits").unwrap();
    let expected: Vec<f64> = expected.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
    assert!(positions.len() > 30 && *positions.last().unwrap() == TOKENS as usize - 1);

    let tokens: Vec<u32> = (0..TOKENS).map(|i| ((i * 37 + i * i / 7) % VOCAB as u64) as u32).collect();
    let options = CpuOptions { policy: Policy::new(Act::F32, Acc::F64), ..CpuOptions::default() };
    let gguf = model();
    let model = CpuModel::load(&gguf, options).unwrap();
    let mut session = model.new_session(TOKENS as usize).unwrap();
    let mut found = Vec::new();
    for (i, piece) in tokens.chunks(500).enumerate() {
        let logits = session.forward(piece, LogitRows::All).unwrap();
        let here = positions.iter().filter_map(|p| p.checked_sub(i * 500).filter(|row| *row < piece.len()));
        found.extend(here.flat_map(|row| &logits[row * VOCAB..][..VOCAB]).map(|v| f64::from(*v)));
    }
    assert_eq!(found.len(), expected.len());
    for (p, (found, expected)) in positions.iter().zip(found.chunks(VOCAB).zip(expected.chunks(VOCAB))) {
        let error = relative_error(found.iter().copied(), expected.iter().copied());
        assert!(error <= 1e-6, "position {p}: {error:e}");
    }
}
