//! Runs in the interpreter: another device than the CPU, and kernels that are wrong.

use super::*;
use ptxgen_dsl::{catalogue::find, precision::Math};
use ptxgen_model::{
    TensorRole,
    device::{DeviceModel, DeviceOptions, DevicePlant, with_device_plants},
};
use ptxgen_runtime::Device;
use std::collections::HashSet;

/// A traced run in the interpreter, in passes of this many tokens.
fn on_device(gguf: &Gguf, policy: Policy, pass: usize, tokens: &[u32], plants: &[DevicePlant]) -> TraceData {
    let options = DeviceOptions { policy, kv: KvType::F32, pass };
    with_device_plants(plants, || {
        let model = DeviceModel::load(&Device::interp(), gguf, options, tokens.len(), &mut |_| ()).unwrap();
        let mut session = model.new_session(tokens.len()).unwrap();
        recorded(&mut session, gguf, KvType::F32, tokens)
    })
}

/// The CPU's run against one in the interpreter with plants.
fn planted_on_device(gguf: &Gguf, policy: Policy, pass: usize, tokens: &[u32], plants: &[DevicePlant]) -> Bisection {
    let left = run(gguf, policy, KvType::F32, tokens, &[]);
    let right = on_device(gguf, policy, pass, tokens, plants);
    // With one policy each is the other on its device.
    let found =
        swapped(gguf, tokens, &left, &right, Swapped { left: Some(&right), right: Some(&left), ..Swapped::default() });
    assert!(found.left.reproduced && found.right.reproduced, "{:?}", found.right.findings);
    assert_eq!(found.unexplained, 0.0);
    let device = found.device.as_ref().expect("there are two");
    assert!(device.explains == 1.0 && !device.same_bits(), "{device:?}");
    found
}

#[test]
fn a_tensor_that_is_taken_for_another_type() {
    // Any two of these bytes are a small number in binary16.
    let gguf = edited(&model(), |name, data| {
        if name == "blk.2.attn_v.weight" {
            data.iter_mut().for_each(|byte| *byte &= 0x33);
        }
    });
    let plant = DevicePlant::Type { role: TensorRole::AttnV, layer: 2, ty: TensorType::Q4_K };
    assert_eq!(gguf.tensor("blk.2.attn_v.weight").unwrap().ty, TensorType::Q6_K);
    for (policy, pass) in [(Policy::new(Act::F32, Acc::F32), 1), (Policy::new(Act::Q8K, Acc::F32), 4)] {
        let found = planted_on_device(&gguf, policy, pass, &text()[..4], &[plant]);
        names_mistake(&found, Mistake::Q6kAsPackedQ4k, &["layers.02.v"]);
    }
}

/// Before a row's first exchange between lanes, what every fourth lane has of it is lost.
fn without_a_lane(text: &str) -> String {
    let mut changed = String::new();
    // Registers with something of other lanes.
    let mut exchanged = HashSet::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split([' ', ',', ';']).filter(|word| !word.is_empty()).collect();
        match words[..] {
            ["shfl.sync.bfly.b32", to, from, ..] if from.starts_with("%f") => {
                if !exchanged.contains(from) {
                    changed.push_str("    mov.u32 %lane, %laneid;\n    and.b32 %lane, %lane, 3;\n");
                    changed.push_str("    setp.eq.u32 %lost, %lane, 2;\n");
                    changed.push_str(&format!("    @%lost mov.f32 {from}, 0f00000000;\n"));
                }
                exchanged.insert(to);
            }
            ["add.rn.f32", sum, a, b] if exchanged.contains(a) || exchanged.contains(b) => {
                exchanged.insert(sum);
            }
            _ => {}
        }
        changed.push_str(line);
        changed.push('\n');
        if line.trim().starts_with(".reg .b32") {
            changed.push_str("    .reg .b32 %lane;\n    .reg .pred %lost;\n");
        }
    }
    changed
}

#[test]
fn a_kernel_that_loses_a_lane() {
    let (gguf, tokens) = (small(3), some_tokens(4, 300));
    let policy = Policy::new(Act::F32, Acc::F32);
    let is_q4 = |&l: &usize| gguf.tensor(&TensorRole::FfnDownExps.name(Some(l))).unwrap().ty == TensorType::Q4_K;
    let (q4, q6): (Vec<usize>, Vec<usize>) = (0..3).partition(is_q4);
    // A lane of a Q4_K kernel has consecutive groups of 16 weights, one of a Q6_K kernel every second.
    let (run, four) = (Lane::Run(8), Lane::Four(8));
    // A kernel whose result is read, and two that keep it to themselves and go on to the residual stream.
    for (kernel, pass, lane, stage, layers) in [
        ("experts-down", 4, run, "expert_out", &q4[..]),
        ("experts-down-q6k", 4, four, "expert_out", &q6[..]),
        ("routed-down-add", 1, run, "expert_out", &q4[..]),
        ("q4k-gemv-add", 1, run, "attn_out", &[0, 1, 2][..]),
    ] {
        let plant = DevicePlant::Text { kernel: find(kernel).unwrap().id, change: without_a_lane };
        let found = planted_on_device(&gguf, policy, pass, &tokens, &[plant]);
        let sites: Vec<String> = layers.iter().map(|l| format!("layers.{l:02}.{stage}")).collect();
        let sites: Vec<&str> = sites.iter().map(String::as_str).collect();
        names_mistake(&found, Mistake::LeftOut(lane), &sites);
    }
}

/// Of equal experts the one with the higher number has the lower rank.
fn ties_to_the_higher_id(text: &str) -> String {
    let (mut changed, mut tie) = (String::new(), false);
    for line in text.lines() {
        tie |= line.contains("setp.eq.f64");
        if tie && line.contains("setp.lt.u32") {
            changed.push_str(&line.replace("setp.lt.u32", "setp.gt.u32"));
            tie = false;
        } else {
            changed.push_str(line);
        }
        changed.push('\n');
    }
    changed
}

#[test]
fn a_kernel_that_breaks_ties_the_other_way() {
    let gguf = edited(&small(2), |name, data| {
        if name.ends_with("ffn_gate_inp.weight") {
            let row = data.len() / 6;
            data.copy_within(..row, 3 * row);
        }
    });
    let tokens = some_tokens(12, 300);
    // For one token the kernels after the router choose, each for itself.
    let one = &["norm-gate-up-swiglu", "routed-down-add", "routed-down-add-q6k"][..];
    for (kernels, pass) in [(one, 1), (&["router"], 12)] {
        let plant = |&kernel| DevicePlant::Text { kernel: find(kernel).unwrap().id, change: ties_to_the_higher_id };
        let plants: Vec<DevicePlant> = kernels.iter().map(plant).collect();
        let found = planted_on_device(&gguf, F64, pass, &tokens, &plants);
        let Cause::Mistake { side, mistake, sites } = &found.verdict.cause else { panic!("{:?}", found.verdict) };
        assert_eq!((side.as_str(), mistake.as_str()), ("right", "ties between experts broken to the higher id"));
        assert!(sites.iter().all(|site| site.ends_with(".router_experts")) && !sites.is_empty(), "{sites:?}");
    }
}

#[test]
fn a_kernel_that_is_wrong_in_no_known_way_is_placed() {
    let (gguf, tokens) = (small(2), some_tokens(3, 300));
    // SwiGLU adds 2 instead of 1 to its exponential.
    let change = |text: &str| text.replacen(", 0f3F800000;", ", 0f40000000;", 1);
    let left = run(&gguf, Policy::default(), KvType::F32, &tokens, &[]);
    let plant = DevicePlant::Text { kernel: find("norm-gate-up-swiglu").unwrap().id, change };
    let right = on_device(&gguf, Policy::default(), 1, &tokens, &[plant]);
    let found = runs(&gguf, &tokens, &left, &right);
    let Cause::Unknown { side, stage, layer } = &found.verdict.cause else { panic!("{:?}", found.verdict) };
    assert_eq!((side.as_str(), *stage, *layer), ("right", Stage::ExpertSwiglu, Some(0)));
}

#[test]
fn approximate_math_is_named() {
    let (gguf, tokens) = (small(2), some_tokens(3, 300));
    let exact = Policy::new(Act::F32, Acc::F32);
    let approx = Policy { math: Math::Approx, ..exact };
    let left = run(&gguf, exact, KvType::F32, &tokens, &[]);
    let right = on_device(&gguf, approx, 1, &tokens, &[]);
    let of_left = on_device(&gguf, exact, 1, &tokens, &[]);
    let found = swapped(&gguf, &tokens, &left, &right, Swapped { left: Some(&of_left), ..Swapped::default() });
    assert_eq!(found.verdict.cause, Cause::Choices { factors: vec!["math".into()] });
    let math = &found.attributions[0];
    assert_eq!((math.left.as_str(), math.right.as_str(), math.explains), ("exact", "approx", 1.0));
    assert!(math.sites.iter().all(|site| site.ends_with(".expert_swiglu")), "{:?}", math.sites);
    assert!(found.left.reproduced && found.right.reproduced && found.unexplained == 0.0);
}

/// Hardware's approximate functions give other bits than the nearest value, within a tolerance. So does a kernel
/// whose exponential is 1 ulp off.
#[test]
fn approximations_of_hardware_are_math() {
    let (gguf, tokens) = (small(2), some_tokens(3, 300));
    let exact = Policy::new(Act::F32, Acc::F32);
    let approx = Policy { math: Math::Approx, ..exact };
    let change = |text: &str| {
        let lines = text.lines().map(|line| match line.trim().strip_prefix("ex2.approx.f32") {
            Some(operands) => {
                let to = operands.trim().split(',').next().unwrap_or_default();
                format!("{line}\n    mul.rn.f32 {to}, {to}, 0f3F800001;\n")
            }
            None => format!("{line}\n"),
        });
        lines.collect()
    };
    let plant = DevicePlant::Text { kernel: find("norm-gate-up-swiglu").unwrap().id, change };
    let left = on_device(&gguf, exact, 1, &tokens, &[]);
    let right = on_device(&gguf, approx, 1, &tokens, &[plant]);
    let factors = [(Factor::Math, [Some(&right), Some(&left)])];
    let found = swapped(&gguf, &tokens, &left, &right, Swapped { factors: &factors, ..Swapped::default() });
    assert!(!found.right.reproduced, "the plain forward has other bits");
    assert_eq!(found.verdict.cause, Cause::Choices { factors: vec!["math".into()] });
    assert_eq!((found.attributions[0].explains, found.unexplained), (1.0, 0.0));
    assert!(found.verdict.sentence.contains("explains 100%"), "{}", found.verdict.sentence);

    // Beside another accumulator, the parts of both are all of it.
    let l = Policy { acc: Acc::F64, ..exact };
    let [exact_f64, exact_f32, approx_f64] =
        [(l, &[][..]), (exact, &[]), (Policy { math: Math::Approx, ..l }, &[plant])]
            .map(|(policy, plants)| on_device(&gguf, policy, 1, &tokens, plants));
    let factors =
        [(Factor::Acc, [Some(&exact_f32), Some(&approx_f64)]), (Factor::Math, [Some(&approx_f64), Some(&exact_f32)])];
    let found = swapped(&gguf, &tokens, &exact_f64, &right, Swapped { factors: &factors, ..Swapped::default() });
    let shares: f64 = found.attributions.iter().map(|a| a.explains).sum();
    assert!((shares - 1.0).abs() < 1e-9 && found.unexplained == 0.0, "{:?}", found.attributions);
}

#[test]
fn the_device_is_measured_by_runs_on_the_other_one() {
    let (gguf, tokens) = (small(2), some_tokens(4, 300));
    let other = Policy::new(Act::Q8K, Acc::F32);
    let (left, right) = (run(&gguf, F64, KvType::F32, &tokens, &[]), on_device(&gguf, other, 4, &tokens, &[]));
    let exchanged = (on_device(&gguf, F64, 4, &tokens, &[]), run(&gguf, other, KvType::F32, &tokens, &[]));
    let of = |left_on, right_on| {
        let found =
            swapped(&gguf, &tokens, &left, &right, Swapped { left: left_on, right: right_on, ..Swapped::default() });
        let device = found.device.clone().expect("there are two");
        (device, found)
    };
    let (device, found) = of(Some(&exchanged.0), Some(&exchanged.1));
    assert_eq!((device.explains, device.first, device.last, device.alone), (0.0, Some(0.0), Some(0.0), Some(0.0)));
    assert!(device.same_bits());
    assert!(found.verdict.sentence.contains("the device explains nothing"), "{}", found.verdict.sentence);
    // With one of them, and with none, which is told.
    let (device, _) = of(None, Some(&exchanged.1));
    assert_eq!((device.first, device.last, device.same_bits()), (None, Some(0.0), true));
    let (device, found) = of(None, None);
    assert_eq!((device.first, device.last, device.differing, device.explains), (None, None, None, 0.0));
    assert!(!found.verdict.sentence.contains("device"), "{}", found.verdict.sentence);
    // A device that differs is not told as one that does not: here the left run's is another accumulator's.
    let wrong = on_device(&gguf, Policy::new(Act::F32, Acc::F32), 4, &tokens, &[]);
    let (device, _) = of(Some(&wrong), Some(&exchanged.1));
    assert!(!device.same_bits() && device.alone > Some(0.0), "{device:?}");
}
