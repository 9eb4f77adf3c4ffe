//! Rules left out, one after the other: the bits stay.

use super::{RULES, rules};
use crate::{
    Engine, KvType, LogitRows, ModelConfig,
    device::{DeviceModel, DeviceOptions},
    gguf::Gguf,
    synth::{Mix, Preset, Synth, Vocabulary},
};
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_runtime::Device;

fn model(preset: Preset) -> Gguf {
    let mut config = ModelConfig { blocks: 1, vocab: 64, heads: 2, kv_heads: 1, ..preset.config() };
    if config.experts > 0 {
        (config.experts, config.experts_used) = (4, 2);
    }
    let synth = Synth { config, mix: Mix::Q4KM, vocabulary: Vocabulary::None, seed: 61 };
    Gguf::from_bytes("rules.gguf", &synth.to_bytes().unwrap()).unwrap()
}

/// The logits of some tokens, in one pass and one by one, and the kernels that were launched.
fn run(gguf: &Gguf, options: DeviceOptions, without: &[&'static str]) -> (Vec<u32>, Vec<&'static str>) {
    let model = DeviceModel::load_without(&[Device::interp()], gguf, options, 8, without, &mut |_| ()).unwrap();
    let mut session = model.new_session(8).unwrap();
    let mut bits = Vec::new();
    for tokens in [&[1, 2, 3][..], &[4], &[5]] {
        bits.extend(session.forward(tokens, LogitRows::All).unwrap().iter().map(|v| v.to_bits()));
    }
    let plans = std::iter::once(&session.plans.one).chain(&session.plans.many);
    let kernels = plans.flat_map(|p| p.plan.launches.iter().map(|l| p.plan.kernels[l.kernel].entry.name)).collect();
    (bits, kernels)
}

#[test]
fn a_rule_left_out_changes_launches_and_no_bit() {
    for preset in [Preset::Tiny, Preset::TinyDense] {
        let gguf = model(preset);
        for policy in [Policy::new(Act::Q8K, Acc::F32), Policy::new(Act::F32, Acc::F64)] {
            let options = DeviceOptions { policy, kv: KvType::F32, pass: 4 };
            let (expected, kernels) = run(&gguf, options, &[]);
            let mut mattered = 0;
            for rule in super::optional() {
                let (found, others) = run(&gguf, options, &[rule]);
                assert!(found == expected, "{preset:?}, {policy}: without \"{rule}\" the bits differ");
                mattered += usize::from(kernels != others);
            }
            assert!(mattered >= 3, "{preset:?}, {policy}: {mattered} rules make a difference");
        }
    }
}

/// The same of a pass of more than 64 tokens.
#[test]
fn attention_of_many_tokens_is_attention_by_chunks() {
    let gguf = model(Preset::TinyDense);
    let options = DeviceOptions { policy: Policy::new(Act::Q8K, Acc::F32), kv: KvType::F16, pass: 96 };
    let tokens: Vec<u32> = (0..70).map(|i| i * 5 % 64).collect();
    let run = |without: &[&'static str]| {
        let model = DeviceModel::load_without(&[Device::interp()], &gguf, options, 96, without, &mut |_| ()).unwrap();
        let mut session = model.new_session(96).unwrap();
        session.forward(&tokens, LogitRows::Last).unwrap().iter().map(|v| v.to_bits()).collect::<Vec<_>>()
    };
    assert!(run(&[]) == run(&["attention of many"]));
}

#[test]
fn rules_have_names_of_their_own_and_a_last_one_for_every_stage() {
    let mut names: Vec<_> = rules().map(|r| r.name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    // A rule that needs nothing is the last for its stages.
    for rule in rules().filter(|r| r.needs.is_empty()) {
        for stages in rule.stages {
            let after = RULES.iter().copied().flatten().skip_while(|r| r.name != rule.name).skip(1);
            let hidden: Vec<_> = after.filter(|r| r.stages.contains(stages)).map(|r| r.name).collect();
            assert!(hidden.is_empty(), "{hidden:?} can never be taken: \"{}\" is before them", rule.name);
        }
    }
}
