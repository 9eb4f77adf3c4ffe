//! Other models than the bundled one against the float64 oracle: other head widths and counts,
//! every expert used, a query width that is not the hidden width, no output tensor, plain types.
//! `data/shapes.py` makes the fixtures.

mod common;

use common::{bits, data, logits, relative_error};
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_model::{
    Qwen3MoeConfig,
    cpu::CpuOptions,
    gguf::{Gguf, TensorType},
    synth::{Mix, Preset, Synth, Vocabulary},
};
use safetensors::SafeTensors;

/// `[layers, hidden, heads, kv heads, head width, experts, experts used, expert width]`
fn model(shape: [usize; 8], seed: u64, mix: Mix, tied: bool) -> Gguf {
    let [blocks, hidden, heads, kv_heads, head_dim, experts, experts_used, expert_ff] = shape;
    let preset = Preset::Tiny.config();
    let config = Qwen3MoeConfig {
        blocks,
        hidden,
        heads,
        kv_heads,
        head_dim,
        experts,
        experts_used,
        expert_ff,
        vocab: 300,
        tied,
        ..preset
    };
    let synth = Synth { config, mix, vocabulary: Vocabulary::None, seed };
    Gguf::from_bytes("synth.gguf", &synth.to_bytes().unwrap()).unwrap()
}

fn check(name: &str, gguf: &Gguf) {
    let bytes = std::fs::read(data("shapes.safetensors")).unwrap();
    let oracle = SafeTensors::deserialize(&bytes).unwrap();
    let tokens: Vec<u32> = (0..24).map(|i| i * 37 % 300).collect();
    let options = CpuOptions { policy: Policy::new(Act::F32, Acc::F64), ..CpuOptions::default() };
    let found = logits(gguf, options, &tokens, 24);

    let all = oracle.tensor(&format!("{name}.logits")).unwrap();
    let all = all.data().as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b)));
    let error = relative_error(found.iter().map(|&v| f64::from(v)), all);
    assert!(error <= 1e-6, "{name}: {error:e}");
    let last = oracle.tensor(&format!("{name}.last")).unwrap();
    let last = last.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b));
    let error = relative_error(found[23 * 300..].iter().map(|&v| f64::from(v)), last);
    assert!(error <= 1e-6, "{name}, last: {error:e}");

    for policy in Policy::EXACT {
        let options = CpuOptions { policy, threads: Some(1), ..CpuOptions::default() };
        let one = logits(gguf, options, &tokens, 24);
        let other = logits(gguf, CpuOptions { threads: Some(2), ..options }, &tokens, 5);
        assert!(bits(&one) == bits(&other), "{name}, {policy}");
    }
}

#[test]
fn q8_0_with_three_kv_heads() {
    check("q8-0", &model([2, 128, 6, 3, 32, 6, 3, 96], 11, Mix::Q4KM, false));
}

#[test]
fn tied_output_and_a_wider_query() {
    check("tied", &model([2, 256, 8, 2, 64, 5, 2, 512], 12, Mix::Q4KM, true));
}

#[test]
fn bf16_with_every_expert_and_heads_of_40() {
    check("bf16", &model([2, 96, 4, 4, 40, 9, 9, 64], 13, Mix::One(TensorType::BF16), false));
}

#[test]
fn f16_with_one_expert_and_heads_of_128() {
    check("f16", &model([1, 64, 2, 1, 128, 4, 1, 32], 14, Mix::One(TensorType::F16), false));
}
