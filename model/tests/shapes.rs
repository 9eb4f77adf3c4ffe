//! Other models than the bundled one against the float64 oracle: other head widths and counts,
//! every expert used, a query width that is not the hidden width, no output tensor, one KV head, odd
//! widths, plain types. The logits to 1e-6, and the same experts.
//! `data/shapes.py` makes the fixtures.

mod common;

use common::{bits, data, logits, relative_error};
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_model::{
    Engine, LogitRows, ModelConfig,
    cpu::{CpuModel, CpuOptions},
    gguf::{Gguf, TensorType},
    synth::{Mix, Preset, Synth, Vocabulary},
    trace::{Block, Slice},
};
use safetensors::SafeTensors;

/// `[layers, hidden, heads, kv heads, head width, experts, experts used, expert width]`
fn model(shape: [usize; 8], seed: u64, mix: Mix, tied: bool) -> Gguf {
    let [blocks, hidden, heads, kv_heads, head_dim, experts, experts_used, expert_ff] = shape;
    let preset = Preset::Tiny.config();
    let config = ModelConfig {
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
    let part = |part: &str| oracle.tensor(&format!("{name}.{part}")).unwrap();
    let (all, last, experts) = (part("logits"), part("last"), part("experts"));
    let n = all.shape()[0];
    let tokens: Vec<u32> = (0..n as u32).map(|i| i * 37 % 300).collect();

    let options = CpuOptions { policy: Policy::new(Act::F32, Acc::F64), ..CpuOptions::default() };
    let model = CpuModel::load(gguf, options).unwrap();
    let mut session = model.new_session(n).unwrap();
    let mut chosen = Vec::new();
    let mut trace = |block: Block<'_>| {
        if let Slice::U32(experts) = block.values {
            chosen.extend(experts.iter().map(|&e| e as u8));
        }
    };
    let first = n.min(24);
    let found = session.forward_traced(&tokens[..first], LogitRows::All, Some(&mut trace)).unwrap().to_vec();
    // The experts of the first tokens, layer after layer.
    let used = experts.shape()[2];
    let expected: Vec<u8> = experts.data().chunks_exact(n * used).flat_map(|l| &l[..first * used]).copied().collect();
    assert_eq!(chosen, expected, "{name}");
    let rest = &tokens[first..];
    let rest = if rest.is_empty() { Vec::new() } else { session.forward(rest, LogitRows::All).unwrap().to_vec() };
    let found = [found, rest].concat();

    let all = all.data().as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b)));
    let error = relative_error(found.iter().map(|&v| f64::from(v)), all);
    assert!(error <= 1e-6, "{name}: {error:e}");
    let last = last.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b));
    let error = relative_error(found[(n - 1) * 300..].iter().map(|&v| f64::from(v)), last);
    assert!(error <= 1e-6, "{name}, last: {error:e}");

    for policy in Policy::EXACT {
        let options = CpuOptions { policy, threads: Some(1), ..CpuOptions::default() };
        let one = logits(gguf, options, &tokens, n);
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

#[test]
fn one_kv_head_of_128_and_a_wider_query_over_two_chunks() {
    check("one-kv-head", &model([1, 512, 8, 1, 128, 60, 6, 256], 15, Mix::Q4KM, false));
}

#[test]
fn many_experts_of_q6_k() {
    check("many-experts", &model([1, 256, 16, 8, 32, 129, 17, 256], 16, Mix::One(TensorType::Q6_K), false));
}

#[test]
fn odd_widths_in_f32() {
    check("odd", &model([2, 33, 3, 3, 2, 5, 3, 7], 17, Mix::One(TensorType::F32), false));
}

#[test]
fn every_tensor_type() {
    let others = TensorType::ALL.into_iter().filter(|ty| {
        use TensorType::{BF16, F16, F32, Q4_K, Q6_K, Q8_0};
        !matches!(ty, F32 | F16 | BF16 | Q8_0 | Q4_K | Q6_K)
    });
    for (i, ty) in others.enumerate() {
        let name = format!("type-{}", ty.name().to_lowercase().replace('_', "-"));
        check(&name, &model([1, 256, 2, 1, 64, 4, 2, 256], 100 + i as u64, Mix::One(ty), false));
    }
}
