//! Bisection names what two runs differ in: choices, mistakes planted in the CPU's forward and in the kernels
//! of a device, and what other programs do.
#![cfg(debug_assertions)] // The hook for planted mistakes is in such builds only.

mod choices;
#[path = "../common/mod.rs"]
mod common;
mod dense;
mod device;
mod foreign;
mod planted;
mod refused;

use common::{
    device::{some_tokens, synth},
    model, tokens,
};
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_model::{
    Engine, KvType,
    bisect::{BisectError, Bisection, Cause, Factor, Run, Swapped, bisect},
    cpu::{Change, CpuModel, CpuOptions, Plant, with_plants},
    gguf::{Gguf, GgufWriter, TensorType},
    plain::{Choice, Inner, Lane, Mistake, PlainModel},
    synth::Mix,
    trace::{Collect, Recorder, Selection, Stage, Tensor, TraceData, TraceMeta, Values},
};

const F64: Policy = Policy::new(Act::F32, Acc::F64);

/// A traced run on the CPU.
fn run(gguf: &Gguf, policy: Policy, kv: KvType, tokens: &[u32], plants: &[Plant]) -> TraceData {
    let options = CpuOptions { policy, kv, ..CpuOptions::default() };
    let cpu = with_plants(plants, || CpuModel::load(gguf, options)).unwrap();
    recorded(&mut cpu.new_session(tokens.len()).unwrap(), gguf, kv, tokens)
}

/// All of a session's run.
fn recorded(session: &mut dyn Engine, gguf: &Gguf, kv: KvType, tokens: &[u32]) -> TraceData {
    let plain = PlainModel::new(gguf).unwrap();
    let selected = Selection::default().of(plain.config(), tokens.len()).unwrap();
    let mut collect = Collect::new(plain.config(), &selected, tokens.len());
    let mut recorder = Recorder::new(&plain, kv, tokens, &selected);
    recorder.advance(session, tokens.len(), &mut collect).unwrap();
    let mut data = collect.finish();
    data.meta = TraceMeta {
        policy: Some(session.policy()),
        kv: Some(kv),
        device: Some(session.device()),
        version: Some("test".into()),
        derived: recorder.derived(),
        faults: recorder.faults(),
        ..TraceMeta::default()
    };
    data
}

fn runs(gguf: &Gguf, tokens: &[u32], left: &TraceData, right: &TraceData) -> Bisection {
    swapped(gguf, tokens, left, right, Swapped::default())
}

/// The same with runs on exchanged devices.
fn swapped(gguf: &Gguf, tokens: &[u32], left: &TraceData, right: &TraceData, swapped: Swapped<'_>) -> Bisection {
    let (left, right) =
        (Run { name: "left.safetensors", trace: left }, Run { name: "right.safetensors", trace: right });
    let found = bisect(gguf, tokens, left, right, swapped, &mut |done, total| assert!(done <= total)).unwrap();
    println!("{}\n{}", found.verdict.sentence, found.verdict.advice);
    for a in &found.attributions {
        println!("{}: {:.4} ({:.4} first, {:.4} last), alone {:.2e}", a.factor, a.explains, a.first, a.last, a.alone);
    }
    found
}

/// A clean run under a policy against one with plants.
fn planted(gguf: &Gguf, policy: Policy, tokens: &[u32], plants: &[Plant]) -> Bisection {
    let left = run(gguf, policy, KvType::F32, tokens, &[]);
    let right = run(gguf, policy, KvType::F32, tokens, plants);
    let found = runs(gguf, tokens, &left, &right);
    // With the cause named, the plain forward gives the planted run's bits.
    assert!(found.left.reproduced && found.right.reproduced, "{:?}", found.right.findings);
    assert_eq!(found.unexplained, 0.0);
    assert!(found.left.findings.is_empty());
    found
}

/// The one mistake that was planted is named, with its place, and explains all.
#[track_caller]
fn names_mistake(found: &Bisection, expected: Mistake, expected_sites: &[&str]) {
    let Cause::Mistake { side, mistake, sites } = &found.verdict.cause else { panic!("{:?}", found.verdict) };
    assert_eq!((side.as_str(), mistake.as_str()), ("right", expected.to_string().as_str()));
    assert_eq!(sites, expected_sites);
    assert_eq!(found.attributions.len(), 1);
    assert_eq!(found.attributions[0].explains, 1.0);
    assert!(found.verdict.sentence.contains("this explains 100% of the divergence"), "{}", found.verdict.sentence);
}

/// A model of random weights, small enough for the interpreter.
fn small(layers: usize) -> Gguf {
    synth(Mix::Q4KM, 51, |c| {
        (c.blocks, c.vocab, c.experts, c.experts_used) = (layers, 300, 6, 3);
        (c.heads, c.kv_heads, c.head_dim) = (4, 2, 64);
    })
}

fn text() -> Vec<u32> {
    tokens("tiny.tokens-64.i32")[..10].to_vec()
}

/// A copy of a model with the bytes of some tensors edited.
fn edited(gguf: &Gguf, edit: impl Fn(&str, &mut [u8])) -> Gguf {
    let (mut w, mut data) = (GgufWriter::new(), Vec::new());
    for (key, value) in gguf.metadata().iter() {
        w.set(key, value.clone());
    }
    for t in gguf.tensors() {
        w.tensor(t.name, t.dims, t.ty);
        let start = data.len();
        data.extend_from_slice(t.data);
        edit(t.name, &mut data[start..]);
    }
    Gguf::from_bytes("edited.gguf", &w.to_bytes(&data).unwrap()).unwrap()
}
