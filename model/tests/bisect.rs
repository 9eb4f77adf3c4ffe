//! Bisection names what two runs differ in: choices, and mistakes planted in the CPU's forward.
#![cfg(debug_assertions)] // The hook for planted mistakes is in such builds only.

mod common;

use common::{device::synth, model, tokens};
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_model::{
    bisect::{BisectError, Bisection, Cause, Run, bisect},
    cpu::{Change, CpuModel, CpuOptions, KvType, Plant, with_plants},
    gguf::{Gguf, GgufWriter, TensorType},
    plain::{Choice, Lane, Mistake, PlainModel},
    synth::Mix,
    trace::{Collect, Recorder, Selection, Stage, Tensor, TraceData, TraceMeta, Values},
};

const F64: Policy = Policy::new(Act::F32, Acc::F64);

/// A traced run on the CPU.
fn run(gguf: &Gguf, policy: Policy, kv: KvType, tokens: &[u32], plants: &[Plant]) -> TraceData {
    let options = CpuOptions { policy, kv, ..CpuOptions::default() };
    let cpu = with_plants(plants, || CpuModel::load(gguf, options)).unwrap();
    let plain = PlainModel::new(gguf).unwrap();
    let selected = Selection::default().of(plain.config(), tokens.len()).unwrap();
    let mut collect = Collect::new(plain.config(), &selected, tokens.len());
    let mut recorder = Recorder::new(&plain, kv, tokens, &selected);
    let mut session = cpu.new_session(tokens.len()).unwrap();
    recorder.advance(&mut session, tokens.len(), &mut collect).unwrap();
    let (policy, kv, version) = (Some(policy), Some(kv), Some("test".into()));
    let mut data = collect.finish();
    data.meta = TraceMeta { policy, kv, version, derived: recorder.derived(), ..TraceMeta::default() };
    data
}

fn runs(gguf: &Gguf, tokens: &[u32], left: &TraceData, right: &TraceData) -> Bisection {
    let (left, right) =
        (Run { name: "left.safetensors", trace: left }, Run { name: "right.safetensors", trace: right });
    let found = bisect(gguf, tokens, left, right, &mut |done, total| assert!(done <= total)).unwrap();
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

fn text() -> Vec<u32> {
    tokens("tiny.tokens-64.i32")[..10].to_vec()
}

#[test]
fn a_clean_pair_has_no_divergence() {
    let gguf = model();
    let (left, right) = (run(&gguf, F64, KvType::F32, &text(), &[]), run(&gguf, F64, KvType::F32, &text(), &[]));
    let found = runs(&gguf, &text(), &left, &right);
    assert_eq!(found.verdict.cause, Cause::NoDivergence);
    assert!(found.verdict.sentence.starts_with("no divergence: all "), "{}", found.verdict.sentence);
    assert!(found.divergence.is_none() && found.attributions.is_empty());
}

#[test]
fn the_activation_format_is_told_from_the_accumulator() {
    let gguf = model();
    let of = |act, acc| run(&gguf, Policy::new(act, acc), KvType::F32, &text(), &[]);
    let exact = of(Act::F32, Acc::F64);
    let factors = |right: &TraceData| {
        let found = runs(&gguf, &text(), &exact, right);
        assert!(found.left.reproduced && found.right.reproduced && found.unexplained == 0.0);
        assert!(found.left.findings.is_empty() && found.right.findings.is_empty());
        let kinds: Vec<_> = found.attributions.iter().map(|a| a.kind).collect();
        let Cause::Choices { factors } = &found.verdict.cause else { panic!("{:?}", found.verdict) };
        (kinds, factors.clone(), found)
    };

    let (kinds, named, _) = factors(&of(Act::F32, Acc::F32));
    assert_eq!((kinds, named), (vec!["accumulator"], vec!["accumulator".to_owned()]));

    let (kinds, named, found) = factors(&of(Act::Q8K, Acc::F64));
    assert_eq!((kinds, named), (vec!["activation_format"], vec!["activation format".to_owned()]));
    // Each class of matrices, and each layer, has its part.
    let act = &found.attributions[0];
    assert_eq!(act.layers.len(), 6);
    assert_eq!(act.stages.len(), 8);
    assert!(act.stages.iter().chain(&act.layers).all(|p| p.alone > 0.0 && p.alone < 1.0));
}

#[test]
fn a_format_and_an_accumulator_are_ranked() {
    let (gguf, text) = (model(), tokens("tiny.tokens-64.i32"));
    let left = run(&gguf, F64, KvType::F32, &text, &[]);
    let right = run(&gguf, Policy::new(Act::Q8K, Acc::F32), KvType::F32, &text, &[]);
    let found = runs(&gguf, &text, &left, &right);
    // The format first; the accumulator behind it, since under q8k it moves roundings to 8 bits.
    assert_eq!(found.verdict.cause, Cause::Choices { factors: vec!["activation format".into(), "accumulator".into()] });
    let [act, acc] = &found.attributions[..] else { panic!("two factors") };
    assert!(act.alone > 1000.0 * acc.alone, "{} {}", act.alone, acc.alone);
    assert!(acc.last > 0.01 && acc.first < 0.01, "{acc:?}");
    assert!((act.explains + acc.explains - 1.0).abs() < 1e-9);
    assert!(found.left.reproduced && found.right.reproduced && found.unexplained == 0.0);
}

#[test]
fn the_caches_type_is_named() {
    let gguf = model();
    let left = run(&gguf, F64, KvType::F32, &text(), &[]);
    let right = run(&gguf, F64, KvType::F16, &text(), &[]);
    let found = runs(&gguf, &text(), &left, &right);
    assert_eq!(found.verdict.cause, Cause::Choices { factors: vec!["KV cache".into()] });
    assert_eq!(found.attributions[0].explains, 1.0);
}

#[test]
fn the_activation_format_at_one_class_of_tensors() {
    let plant = Plant { stage: Stage::ExpertOut, layer: None, change: Change::Act(Act::Q8K) };
    let found = planted(&model(), F64, &text(), &[plant]);
    let Cause::Undeclared { side, factor, sites } = &found.verdict.cause else { panic!("{:?}", found.verdict) };
    assert_eq!((side.as_str(), factor.as_str()), ("right", "activation format"));
    assert_eq!(*sites, [0, 1, 2, 3, 4, 5].map(|l| format!("layers.{l:02}.expert_out")));
    assert_eq!(found.attributions[0].explains, 1.0);
    let expected = "the right run (right.safetensors) computes expert_out (ffn_down_exps.weight, Q4_K and Q6_K) of all \
                    layers with another activation format than it says, q8k in place of f32; this explains 100% of \
                    the divergence";
    assert_eq!(found.verdict.sentence, expected);
}

#[test]
fn an_accumulator_of_f32_in_one_layer() {
    let plant = Plant { stage: Stage::ExpertGate, layer: Some(4), change: Change::Acc(Acc::F32) };
    let found = planted(&model(), Policy::new(Act::Q8K, Acc::F64), &text(), &[plant]);
    let Cause::Undeclared { factor, sites, .. } = &found.verdict.cause else { panic!("{:?}", found.verdict) };
    assert_eq!((factor.as_str(), &sites[..]), ("accumulator", &["layers.04.expert_gate".to_owned()][..]));
}

#[test]
fn a_format_and_an_accumulator_planted_in_different_places() {
    let format = Plant { stage: Stage::V, layer: None, change: Change::Act(Act::Q8K) };
    let sum = Plant { stage: Stage::AttnOut, layer: Some(2), change: Change::Acc(Acc::F32) };
    let found = planted(&model(), F64, &text(), &[format, sum]);
    let kinds: Vec<_> = found.attributions.iter().map(|a| a.kind).collect();
    assert_eq!(kinds, ["activation_format", "accumulator"]);
    assert_eq!(found.attributions[1].sites, ["layers.02.attn_out"]);
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

#[test]
fn q6_k_decoded_as_q4_k_in_one_layer() {
    // What Q4_K takes for its scales must be small numbers, or the run ends in NaN at the next router.
    let gguf = edited(&model(), |name, data| {
        if name == "blk.2.attn_v.weight" {
            data.chunks_exact_mut(210).for_each(|block| block[..4].copy_from_slice(&[0, 4, 0, 4]));
        }
    });
    assert_eq!(gguf.tensor("blk.2.attn_v.weight").unwrap().ty, TensorType::Q6_K);
    let plant = |stage, layer| Plant { stage, layer: Some(layer), change: Change::Mistake(Mistake::Q6kAsQ4k) };
    for policy in [F64, Policy::new(Act::Q8K, Acc::F32)] {
        let found = planted(&gguf, policy, &text(), &[plant(Stage::V, 2)]);
        names_mistake(&found, Mistake::Q6kAsQ4k, &["layers.02.v"]);
        let sentence = "the right run (right.safetensors) makes a mistake in v (attn_v.weight, Q6_K) of layer 2: Q6_K \
                        bytes decoded as Q4_K; this explains 100% of the divergence";
        assert_eq!(found.verdict.sentence, sentence);
    }
    // Behind the last router there may be NaN.
    let found = planted(&model(), F64, &text(), &[plant(Stage::ExpertOut, 5)]);
    names_mistake(&found, Mistake::Q6kAsQ4k, &["layers.05.expert_out"]);
}

#[test]
fn a_lane_left_out_of_a_reduction() {
    let mistake = Mistake::LeftOut(Lane::Group(5));
    for (policy, stage) in [(F64, Stage::ExpertUp), (Policy::new(Act::Q8K, Acc::F32), Stage::AttnOut)] {
        let plant = Plant { stage, layer: Some(3), change: Change::Mistake(mistake) };
        let found = planted(&model(), policy, &text(), &[plant]);
        names_mistake(&found, mistake, &[&format!("layers.03.{stage}")]);
    }
}

#[test]
fn rope_pairs_interleaved() {
    let plants = [Stage::QPostRope, Stage::KPostRope].map(|stage| Plant {
        stage,
        layer: None,
        change: Change::Mistake(Mistake::RopeInterleaved),
    });
    let found = planted(&model(), F64, &text(), &plants);
    let Cause::Mistake { mistake, sites, .. } = &found.verdict.cause else { panic!("{:?}", found.verdict) };
    assert_eq!((mistake.as_str(), sites.len()), ("RoPE pairs interleaved (2i with 2i + 1)", 12));
}

#[test]
fn ties_broken_to_the_higher_id() {
    let plain = synth(Mix::Q4KM, 41, |c| (c.blocks, c.vocab, c.experts, c.experts_used) = (3, 300, 6, 3));
    // Experts 0 and 3 of each layer get the same router weights, so that they tie at every token.
    let gguf = edited(&plain, |name, data| {
        if name.ends_with("ffn_gate_inp.weight") {
            let row = data.len() / 6;
            data.copy_within(..row, 3 * row);
        }
    });
    let text = common::device::some_tokens(16, 300);
    let plant = |layer| Plant { stage: Stage::RouterExperts, layer, change: Change::Mistake(Mistake::TiesToHigher) };
    // Two equal experts at the edge of the choice: one of them goes in.
    let found = planted(&gguf, F64, &text, &[plant(Some(1))]);
    names_mistake(&found, Mistake::TiesToHigher, &["layers.01.router_experts"]);
    assert!(found.divergence.unwrap().flips > 0);
    // Without ties the mistake changes nothing.
    let (left, right) =
        (run(&plain, F64, KvType::F32, &text, &[]), run(&plain, F64, KvType::F32, &text, &[plant(None)]));
    assert_eq!(runs(&plain, &text, &left, &right).verdict.cause, Cause::NoDivergence);
}

#[test]
fn what_is_not_known_is_placed() {
    let gguf = model();
    let left = run(&gguf, F64, KvType::F32, &text(), &[]);
    let mut right = left.clone();
    // A kernel that writes one value wrongly, and everything behind it computed from that.
    let Some(Tensor { values: Values::F32(values), shape }) = right.tensors.get_mut(&(Stage::Attention, Some(5)))
    else {
        panic!("it is recorded")
    };
    let width: usize = shape[1..].iter().product();
    values[7 * width + 9] *= 1.5;
    let model = PlainModel::new(&gguf).unwrap();
    let choice = Choice::of(F64, KvType::F32);
    for (stage, layer) in Stage::all_of(6) {
        let behind = layer == Some(5) && stage > Stage::Attention || layer.is_none() && stage > Stage::LayerOut;
        if behind && right.tensors.contains_key(&(stage, layer)) {
            let tensor = model.stage(&choice, (stage, layer), &text(), &right).unwrap();
            right.tensors.insert((stage, layer), tensor);
        }
    }
    let found = runs(&gguf, &text(), &left, &right);
    let expected = Cause::Unknown { side: "right".into(), stage: Stage::Attention, layer: Some(5) };
    assert_eq!(found.verdict.cause, expected);
    assert!(found.verdict.sentence.contains("first at position 7, value 9"), "{}", found.verdict.sentence);
    assert!(!found.right.reproduced && found.unexplained > 0.9);
}

#[test]
fn runs_that_cannot_be_bisected() {
    let gguf = model();
    let whole = run(&gguf, F64, KvType::F32, &text(), &[]);
    let error = |right: &TraceData, text: &[u32]| {
        let (left, right) = (Run { name: "a", trace: &whole }, Run { name: "b", trace: right });
        bisect(&gguf, text, left, right, &mut |_, _| ()).unwrap_err().to_string()
    };
    let mut other = whole.clone();
    other.positions = vec![9];
    assert_eq!(
        error(&other, &text()),
        "b has 1 of 10 positions: attention needs all of them, so record with --positions all"
    );
    let mut other = whole.clone();
    other.meta.tokens = Some(vec![1, 2]);
    assert_eq!(error(&other, &text()), "b is a run on other tokens than was asked for: bisect runs on the same tokens");
    let mut other = whole.clone();
    other.tensors.clear();
    assert_eq!(
        error(&other, &text()),
        "a and b have no stage in common that can be measured: record all stages of both"
    );
    let mut known = whole.clone();
    known.meta.model_sha256 = Some("11".into());
    let mut other = whole.clone();
    other.meta.model_sha256 = Some("22".into());
    let (left, right) = (Run { name: "a", trace: &known }, Run { name: "b", trace: &other });
    let error = bisect(&gguf, &text(), left, right, &mut |_, _| ()).unwrap_err();
    assert!(matches!(error, BisectError::Models { .. }), "{error}");
}
