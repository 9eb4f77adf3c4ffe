//! Traces: the untraced run's bits, and the same values from every device.

#[path = "../common/mod.rs"]
mod common;
mod files;

use common::{
    bits,
    device::{some_tokens, synth},
};
use ptxgen_dsl::precision::Policy;
use ptxgen_model::{
    Engine, EngineError, KvType, LogitRows, ModelConfig, Sequence,
    cpu::{CpuModel, CpuOptions},
    device::{DeviceModel, DeviceOptions},
    gguf::Gguf,
    plain::PlainModel,
    synth::{Mix, Preset},
    trace::{Block, Collect, Fault, Recorder, Selection, Slice, Stage, Tap, TraceData, Values},
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

/// The same without experts.
fn dense() -> Gguf {
    synth(Mix::Q4KM, 22, |c| {
        *c = Preset::TinyDense.config();
        (c.blocks, c.vocab) = (2, 300);
    })
}

#[test]
fn a_traced_run_has_the_untraced_runs_bits_and_one_trace_whatever_the_batch() {
    one_trace_whatever_the_batch(small());
    one_trace_whatever_the_batch(dense());
}

fn one_trace_whatever_the_batch(gguf: Gguf) {
    let tokens = some_tokens(9, 300);
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
        let graph = ModelConfig::from_gguf(&gguf).unwrap().graph();
        let expected: Vec<_> = graph.stages().filter(|(s, _)| !graph.is_aside(*s)).collect();
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

/// A whole trace of a session's run on `tokens`, of what is selected.
fn record(
    session: &mut dyn Engine,
    gguf: &Gguf,
    kv: KvType,
    tokens: &[u32],
    selection: &Selection,
) -> (TraceData, Vec<Stage>, Vec<Fault>) {
    let model = PlainModel::new(gguf).unwrap();
    let selected = selection.of(model.config(), tokens.len()).unwrap();
    let mut recorder = Recorder::new(&model, kv, tokens, &selected);
    let mut collect = Collect::new(model.config(), &selected, tokens.len());
    session.rewind(0);
    // Not at a batch's end.
    recorder.advance(session, tokens.len() / 2, &mut collect).unwrap();
    recorder.advance(session, tokens.len(), &mut collect).unwrap();
    (collect.finish(), recorder.derived(), recorder.faults())
}

fn tensor_bits(data: &TraceData, at: (Stage, Option<usize>)) -> Vec<u64> {
    match &data.tensors[&at].values {
        Values::F32(v) => as_bits(Slice::F32(v)),
        Values::F64(v) => as_bits(Slice::F64(v)),
        Values::U32(v) => as_bits(Slice::U32(v)),
    }
}

#[test]
fn a_whole_trace_is_the_same_from_the_cpu_and_the_interpreter() {
    whole_traces(small(), [Stage::ExpertSilu, Stage::ExpertGate, Stage::ExpertOut]);
    whole_traces(dense(), [Stage::FfnSilu, Stage::FfnOut, Stage::FfnOut]);
}

/// `aside` is what nothing reads, `kept` what a device keeps to itself, `given` any stage.
fn whole_traces(gguf: Gguf, [aside, kept, given]: [Stage; 3]) {
    let tokens = some_tokens(6, 300);
    let graph = ModelConfig::from_gguf(&gguf).unwrap().graph();
    for (i, policy) in Policy::EXACT.into_iter().enumerate() {
        let kv = [KvType::F16, KvType::F32][i % 2];
        let all = Selection::default();
        let cpu = CpuModel::load(&gguf, CpuOptions { policy, kv, ..CpuOptions::default() }).unwrap();
        let (on_cpu, derived, faults) = record(&mut cpu.new_session(6).unwrap(), &gguf, kv, &tokens, &all);
        assert_eq!(derived, [Stage::AttnScores, Stage::AttnSoftmax, aside]);
        assert_eq!(faults, []);
        assert!(on_cpu.tensors.keys().copied().eq(graph.stages()));

        let options = DeviceOptions { policy, kv, pass: [1, 3, 1, 3][i] };
        let model = DeviceModel::load(&Device::interp(), &gguf, options, 6, &mut |_| ()).unwrap();
        let (on_device, derived, faults) = record(&mut model.new_session(6).unwrap(), &gguf, kv, &tokens, &all);
        assert!(derived.contains(&kept) && derived.contains(&Stage::AttnOut));
        assert_eq!(faults, [], "{policy}");
        for at in on_cpu.tensors.keys() {
            assert!(tensor_bits(&on_cpu, *at) == tensor_bits(&on_device, *at), "{policy}: {at:?} differs");
        }
        // Weights of attention sum to one, and keys after the position have none.
        let softmax = &on_cpu.tensors[&(Stage::AttnSoftmax, Some(1))];
        assert_eq!(softmax.shape, [6, 4, 6]);
        let Values::F32(values) = &softmax.values else { panic!("{:?}", softmax.shape) };
        for (i, keys) in values.chunks_exact(6).enumerate() {
            assert!((keys.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            assert!(keys[i / 4 + 1..].iter().all(|&w| w == 0.0));
        }
        // Any part of it is the same values.
        let part = Selection {
            stages: format!("attn_softmax,{given},k_post_rope,logits").parse().unwrap(),
            layers: "1".parse().unwrap(),
            positions: "1,2,4".parse().unwrap(),
        };
        let (some, ..) = record(&mut model.new_session(6).unwrap(), &gguf, kv, &tokens, &part);
        assert_eq!(some.tensors.len(), 4);
        for (at, tensor) in &some.tensors {
            let (width, whole) = (tensor.width(), tensor_bits(&on_cpu, *at));
            let expected: Vec<u64> =
                [1, 2, 4].iter().flat_map(|&p| &whole[p * width..(p + 1) * width]).copied().collect();
            assert!(tensor_bits(&some, *at) == expected, "{policy}: {at:?} at some positions");
        }
    }
}

/// A device that hands over what `bend` makes of each block.
struct Bent<'s, F>(&'s mut dyn Engine, F);

impl<F: Fn(Block<'_>, &mut dyn Tap) + Send + Sync> Engine for Bent<'_, F> {
    fn sequence(&self) -> &Sequence {
        self.0.sequence()
    }
    fn rewind(&mut self, position: usize) {
        self.0.rewind(position);
    }
    fn device(&self) -> String {
        self.0.device()
    }
    fn forward_traced(
        &mut self,
        tokens: &[u32],
        rows: LogitRows,
        tap: Option<&mut dyn Tap>,
    ) -> Result<&[f32], EngineError> {
        let tap = tap.expect("this test traces");
        let mut bent = |block: Block<'_>| (self.1)(block, &mut *tap);
        self.0.forward_traced(tokens, rows, Some(&mut bent))
    }
}

/// One value of a stage of layer 1 is wrong.
fn wrong(stage: Stage) -> impl Fn(Block<'_>, &mut dyn Tap) + Send + Sync {
    move |block, tap| match block.values {
        Slice::F32(values) if (block.stage, block.layer) == (stage, Some(1)) => {
            let mut values = values.to_vec();
            let second = values.len() / block.tokens + 3;
            values[second] += 1.0;
            tap.take(Block { values: Slice::F32(&values), ..block });
        }
        _ => tap.take(block),
    }
}

/// The final norm is the device's own business.
fn without_the_final_norm(block: Block<'_>, tap: &mut dyn Tap) {
    if block.stage != Stage::FinalNorm {
        tap.take(block);
    }
}

#[test]
fn a_device_whose_fused_kernel_is_wrong_is_found_out() {
    let (gguf, tokens) = (small(), some_tokens(6, 300));
    let model = CpuModel::load(&gguf, CpuOptions::default()).unwrap();
    for (stage, position, index) in [(Stage::Attention, 1, 3), (Stage::ExpertSwiglu, 1, 3)] {
        let mut session = model.new_session(6).unwrap();
        let (_, _, faults) =
            record(&mut Bent(&mut session, wrong(stage)), &gguf, KvType::F32, &tokens, &Selection::default());
        assert_eq!(faults.len(), 1, "{faults:?}");
        let fault = &faults[0];
        assert_eq!((fault.stage, fault.layer, fault.position, fault.index), (stage, Some(1), position, index));
        // Once in each of the two batches.
        assert_eq!(fault.differing, 2);
        assert_ne!(fault.recorded, fault.expected);
        assert!(fault.to_string().starts_with(&format!("layer 1: {stage} at position 1, value 3, is ")));
    }
}

#[test]
fn a_final_norm_that_is_not_written_is_computed() {
    let (gguf, tokens) = (small(), some_tokens(6, 300));
    let model = CpuModel::load(&gguf, CpuOptions::default()).unwrap();
    for positions in ["all", "last", "0,4"] {
        let selection = Selection { positions: positions.parse().unwrap(), ..Selection::default() };
        let (whole, derived, _) = record(&mut model.new_session(6).unwrap(), &gguf, KvType::F32, &tokens, &selection);
        assert!(!derived.contains(&Stage::FinalNorm));
        let mut session = model.new_session(6).unwrap();
        let (found, derived, _) =
            record(&mut Bent(&mut session, without_the_final_norm), &gguf, KvType::F32, &tokens, &selection);
        assert!(derived.contains(&Stage::FinalNorm));
        assert!(found.tensors == whole.tensors, "{positions}");
    }
}
