//! Traces: the untraced run's bits, and the same values from every device.

mod common;

use common::{
    bits,
    device::{some_tokens, synth},
};
use ptxgen_dsl::precision::Policy;
use ptxgen_model::{
    Engine, LogitRows,
    cpu::{CpuModel, CpuOptions, KvType},
    device::{DeviceModel, DeviceOptions},
    gguf::Gguf,
    synth::Mix,
    trace::{Block, Slice, Stage},
};
use ptxgen_runtime::Device;
use std::collections::BTreeMap;

/// Values as bits, by stage, layer and position.
type Blocks = BTreeMap<(Stage, Option<usize>, usize), Vec<u64>>;

fn as_bits(values: Slice<'_>) -> Vec<u64> {
    match values {
        Slice::F32(v) => v.iter().map(|v| u64::from(v.to_bits())).collect(),
        Slice::F64(v) => v.iter().map(|v| v.to_bits()).collect(),
        Slice::U32(v) => v.iter().map(|&v| u64::from(v)).collect(),
        Slice::F16(v) => v.iter().map(|v| u64::from(v.to_bits())).collect(),
    }
}

/// Feeds tokens in pieces of `batch`, and gives the logits' bits and what the tap got.
fn traced(session: &mut dyn Engine, tokens: &[u32], batch: usize) -> (Vec<u32>, Blocks) {
    let (mut blocks, mut logits) = (Blocks::new(), Vec::new());
    for piece in tokens.chunks(batch) {
        let start = session.position();
        let mut seen = start;
        let mut tap = |block: Block<'_>| {
            assert_eq!(block.values.len() % block.tokens, 0);
            if block.stage == Stage::Embedding {
                assert_eq!(block.position, seen, "batches in order");
                seen += block.tokens;
            }
            let values = as_bits(block.values);
            for (t, values) in values.chunks_exact(values.len() / block.tokens).enumerate() {
                let there = blocks.insert((block.stage, block.layer, block.position + t), values.to_vec());
                assert!(there.is_none(), "{} twice", block.stage);
            }
        };
        logits.extend(bits(session.forward_traced(piece, LogitRows::All, Some(&mut tap)).unwrap()));
        assert_eq!(seen, start + piece.len());
    }
    (logits, blocks)
}

/// Grouped queries, Q6_K values and down projections, heads that two workers can share.
fn small() -> Gguf {
    synth(Mix::Q4KM, 21, |c| {
        (c.blocks, c.vocab, c.experts, c.experts_used) = (2, 300, 6, 2);
        (c.heads, c.kv_heads, c.head_dim) = (4, 2, 64);
    })
}

#[test]
fn a_traced_run_has_the_untraced_runs_bits_and_one_trace_whatever_the_batch() {
    let (gguf, tokens) = (small(), some_tokens(9, 300));
    for (i, policy) in Policy::EXACT.into_iter().enumerate() {
        let kv = [KvType::F32, KvType::F16][i % 2];
        let mut all: Option<Blocks> = None;
        for (threads, batch) in [(1, 9), (2, 4), (2, 1), (3, 1), (3, 5), (1, 1)] {
            let options = CpuOptions { policy, kv, threads: Some(threads), ..CpuOptions::default() };
            let model = CpuModel::load(&gguf, options).unwrap();
            let plain: Vec<u32> = {
                let mut session = model.new_session(9).unwrap();
                tokens.chunks(batch).flat_map(|t| bits(session.forward(t, LogitRows::All).unwrap())).collect()
            };
            let (logits, blocks) = traced(&mut model.new_session(9).unwrap(), &tokens, batch);
            assert!(logits == plain, "{policy}, {threads} threads, {batch} at a time: tracing changed the logits");
            let recorded: Vec<u32> =
                (0..9).flat_map(|i| &blocks[&(Stage::Logits, None, i)]).map(|&b| b as u32).collect();
            assert!(recorded == logits);
            match &all {
                None => all = Some(blocks),
                Some(all) => assert!(*all == blocks, "{policy}, {threads} threads, {batch} at a time: other values"),
            }
        }
        // All but what attention and SwiGLU keep to themselves.
        let all = all.unwrap();
        let lacking = [Stage::AttnScores, Stage::AttnSoftmax, Stage::ExpertSilu];
        let expected: Vec<_> = Stage::all_of(2).filter(|(s, _)| !lacking.contains(s)).collect();
        assert_eq!(all.len(), expected.len() * tokens.len());
        assert!(expected.iter().all(|&(stage, layer)| all.contains_key(&(stage, layer, 8))));
    }
}

/// What a device writes is what the CPU computes, and tracing changes nothing.
fn as_on_the_cpu(gguf: &Gguf, policy: Policy, kv: KvType, tokens: &[u32], pass: usize) -> Blocks {
    let n = tokens.len();
    let cpu = CpuModel::load(gguf, CpuOptions { policy, kv, ..CpuOptions::default() }).unwrap();
    let (expected, on_cpu) = traced(&mut cpu.new_session(n).unwrap(), tokens, n);
    let options = DeviceOptions { policy, kv, pass };
    let model = DeviceModel::load(&Device::interp(), gguf, options, n, &mut |_| ()).unwrap();
    let mut session = model.new_session(n).unwrap();
    let plain = bits(session.forward(tokens, LogitRows::All).unwrap());
    session.rewind(0);
    let (logits, blocks) = traced(&mut session, tokens, n);
    assert!(plain == expected && logits == expected, "{policy}, {pass} at a time: logits differ");
    for (at, values) in &blocks {
        // Keys come as a cache of f16 has them.
        if at.0 == Stage::KPostRope && kv == KvType::F16 {
            let wide = on_cpu[at].iter().map(|&b| f32::from_bits(b as u32));
            let rounded: Vec<u64> = wide.map(|v| u64::from(half::f16::from_f32(v).to_bits())).collect();
            assert!(*values == rounded, "{policy}, {pass} at a time: {at:?}");
            continue;
        }
        assert!(*values == on_cpu[at], "{policy}, {pass} at a time: {at:?} differs");
    }
    session.rewind(n - 1);
    let last = bits(session.forward_traced(&tokens[n - 1..], LogitRows::Last, None).unwrap());
    assert!(last[..] == expected[expected.len() - last.len()..]);
    blocks
}

#[test]
fn the_interpreters_buffers_hold_the_cpus_values() {
    let (gguf, tokens) = (small(), some_tokens(5, 300));
    for (i, policy) in Policy::EXACT.into_iter().enumerate() {
        let blocks = as_on_the_cpu(&gguf, policy, [KvType::F16, KvType::F32][i % 2], &tokens, [4, 1, 5, 2][i]);
        for stage in
            [Stage::Embedding, Stage::Q, Stage::Attention, Stage::RouterExperts, Stage::LayerOut, Stage::Logits]
        {
            assert!(blocks.keys().any(|at| at.0 == stage), "{policy}: {stage} was not read");
        }
    }
}

#[test]
fn products_of_their_own_and_plain_types_are_read_too() {
    let gguf = synth(Mix::One(ptxgen_model::gguf::TensorType::F16), 26, |c| {
        (c.blocks, c.vocab, c.experts, c.experts_used) = (1, 100, 4, 2);
        (c.hidden, c.heads, c.kv_heads, c.head_dim, c.expert_ff) = (96, 4, 2, 24, 64);
    });
    let blocks = as_on_the_cpu(&gguf, Policy::default(), KvType::F32, &some_tokens(3, 100), 4);
    for stage in [Stage::Q, Stage::K, Stage::V, Stage::ExpertGate, Stage::ExpertUp, Stage::ExpertOut] {
        assert!(blocks.contains_key(&(stage, Some(0), 2)), "{stage} was not read");
    }
}
