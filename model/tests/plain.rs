//! The plain forward is a third witness: under one policy it gives the fast CPU's bits.

mod common;

use common::{device::synth, model, tokens};
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_model::{
    Engine, KvType, LogitRows, ModelConfig,
    cpu::{CpuModel, CpuOptions},
    gguf::{Gguf, TensorType},
    plain::{Choice, Choices, Forward, PlainError, PlainModel},
    synth::{Mix, Preset},
    trace::{Block, Slice, Stage, TraceData, Values},
};
use std::collections::BTreeSet;

fn bits_of(values: &Values) -> Vec<u64> {
    match values {
        Values::F32(v) => v.iter().map(|v| u64::from(v.to_bits())).collect(),
        Values::F64(v) => v.iter().map(|v| v.to_bits()).collect(),
        Values::U32(v) => v.iter().map(|&v| u64::from(v)).collect(),
    }
}

fn plain(gguf: &Gguf, policy: Policy, kv: KvType, tokens: &[u32]) -> TraceData {
    let choices = Choices::all(Choice::of(policy, kv));
    PlainModel::new(gguf).unwrap().forward(&choices, Forward::new(tokens)).unwrap()
}

/// Every value that the CPU hands over is the plain forward's.
#[track_caller]
fn same_as_the_cpu(gguf: &Gguf, policy: Policy, kv: KvType, tokens: &[u32]) {
    let expected = plain(gguf, policy, kv, tokens);
    let cpu = CpuModel::load(gguf, CpuOptions { policy, kv, ..CpuOptions::default() }).unwrap();
    let mut session = cpu.new_session(tokens.len()).unwrap();
    let mut seen = BTreeSet::new();
    let mut tap = |b: Block<'_>| {
        let found = match b.values {
            Slice::F32(v) => bits_of(&Values::F32(v.to_vec())),
            Slice::F64(v) => bits_of(&Values::F64(v.to_vec())),
            Slice::U32(v) => bits_of(&Values::U32(v.to_vec())),
            Slice::F16(_) => panic!("the CPU has its keys before the cache rounds them"),
        };
        let tensor = expected.get(b.stage, b.layer).unwrap();
        let rows = b.position * tensor.width()..(b.position + b.tokens) * tensor.width();
        let same = found == bits_of(&tensor.values)[rows];
        assert!(same, "{policy}, KV {kv}: {} from position {}", b.stage.tensor_name(b.layer), b.position);
        seen.insert(b.stage);
    };
    session.forward_traced(tokens, LogitRows::All, Some(&mut tap)).unwrap();
    // What the CPU keeps in registers. That it computes the graph's other stages holds it to the graph.
    let graph = cpu.config().graph();
    let kept: Vec<_> = graph.nodes().map(|n| n.stage).filter(|s| graph.is_aside(*s)).collect();
    assert_eq!(graph.nodes().map(|n| n.stage).filter(|s| !seen.contains(s)).collect::<Vec<_>>(), kept);
}

fn on_every_policy(gguf: &Gguf, tokens: &[u32]) {
    for (policy, kv) in Policy::EXACT.into_iter().zip([KvType::F32, KvType::F16, KvType::F16, KvType::F32]) {
        same_as_the_cpu(gguf, policy, kv, tokens);
    }
}

#[test]
fn the_bundled_model_on_every_policy() {
    on_every_policy(&model(), &tokens("tiny.tokens-64.i32")[..40]);
}

#[test]
fn two_chunks_of_positions_and_a_tied_output() {
    let gguf = synth(Mix::Q4KM, 31, |c| {
        (c.blocks, c.vocab, c.hidden, c.tied) = (1, 301, 512, true);
        (c.heads, c.kv_heads, c.head_dim) = (6, 1, 128);
        (c.experts, c.experts_used, c.expert_ff) = (7, 3, 256);
    });
    on_every_policy(&gguf, &common::device::some_tokens(60, 301).repeat(2)[..70]);
}

#[test]
fn odd_widths_in_plain_types() {
    for (i, ty) in [TensorType::F16, TensorType::BF16, TensorType::Q8_0, TensorType::F32].into_iter().enumerate() {
        let gguf = synth(Mix::One(ty), 32, |c| {
            (c.blocks, c.vocab, c.experts, c.experts_used) = (2, 100, 5, 2);
            (c.hidden, c.heads, c.kv_heads, c.head_dim, c.expert_ff) = (96, 6, 3, 24, 64);
        });
        same_as_the_cpu(&gguf, Policy::EXACT[i], KvType::F32, &common::device::some_tokens(9, 100));
    }
}

#[test]
fn dense_feed_forwards() {
    let dense = |mix, seed, change: fn(&mut ModelConfig)| {
        synth(mix, seed, |c| {
            *c = Preset::TinyDense.config();
            (c.blocks, c.vocab) = (2, 100);
            change(c);
        })
    };
    on_every_policy(&dense(Mix::Q4KM, 33, |_| ()), &common::device::some_tokens(40, 100));
    for (i, ty) in [TensorType::F16, TensorType::Q5_K, TensorType::Q8_0, TensorType::F32].into_iter().enumerate() {
        let odd = |c: &mut ModelConfig| (c.heads, c.kv_heads, c.head_dim, c.tied) = (6, 3, 24, true);
        same_as_the_cpu(&dense(Mix::One(ty), 34, odd), Policy::EXACT[i], KvType::F32, &[1, 2, 3, 4, 5]);
    }
}

#[test]
fn a_forward_goes_on_from_a_layer_of_another() {
    let (gguf, tokens) = (model(), &tokens("tiny.tokens-64.i32")[..5]);
    let plain = PlainModel::new(&gguf).unwrap();
    let base = Choice::of(Policy::new(Act::F32, Acc::F64), KvType::F32);
    let whole = plain.forward(&Choices::all(base), Forward::new(tokens)).unwrap();
    let mut choices = Choices::all(base);
    choices.set(Stage::ExpertOut, Some(4), Choice { act: Act::Q8K, ..base });
    let of = Forward { layer: 4, start: Some(&whole), keep: &|s| s == Stage::Logits, ..Forward::new(tokens) };
    let (direct, resumed) =
        (plain.forward(&choices, Forward::new(tokens)).unwrap(), plain.forward(&choices, of).unwrap());
    let logits = |t: &TraceData| bits_of(&t.get(Stage::Logits, None).unwrap().values);
    assert_eq!(logits(&resumed), logits(&direct));
    assert_ne!(logits(&resumed), logits(&whole));
    assert_eq!(resumed.tensors.len(), 1);
}

#[test]
fn a_stage_says_what_it_lacks() {
    let (gguf, tokens) = (model(), [1, 2, 3]);
    let plain = PlainModel::new(&gguf).unwrap();
    let choice = Choice::of(Policy::default(), KvType::F32);
    let error = |stage, tokens: &[u32], before: &TraceData| {
        plain.stage(&choice, (stage, Some(1)), tokens, before).unwrap_err().to_string()
    };
    let nothing = TraceData::default();
    assert_eq!(
        error(Stage::AttnNorm, &tokens, &nothing),
        "layers.01.attn_norm is computed from layers.00.layer_out, which the trace does not have: record all stages"
    );
    let whole = plain.forward(&Choices::all(choice), Forward::new(&tokens)).unwrap();
    assert_eq!(
        error(Stage::Q, &tokens[..2], &whole),
        "layers.01.attn_norm is [3, 256], but [2] and [256] after it is needed"
    );
    let outside = plain.forward(&Choices::all(choice), Forward::new(&[1, 4096])).unwrap_err();
    assert!(matches!(outside, PlainError::Engine(_)), "{outside}");
}
