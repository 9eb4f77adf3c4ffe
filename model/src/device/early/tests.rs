//! The plans' early starts: that all are possible, and that a launch at the wrong place is found, by the plan and by the
//! interpreter.

use super::*;
use crate::{
    Engine,
    config::ModelConfig,
    device::{
        DeviceModel, DeviceOptions,
        bind::Kernels,
        listing::{MIXES, model},
        passes::{Passes, Plans},
        plan::Paging,
    },
    gguf::{Gguf, TensorType},
    kv::KvType,
    sample::{Sampler, Sampling},
    synth::{Mix, Preset, Synth, Vocabulary},
};
use ptxgen_dsl::{
    catalogue::{Dims, KernelId, Role},
    precision::Policy,
};
use ptxgen_runtime::{Device, InterpOptions};
use std::{collections::HashMap, ops::ControlFlow};

const NOWHERE: (Slot, u64) = (Slot::Stream, 0);

/// The overlaps of kernels that have been looked at: many plans have the same.
#[derive(Default)]
struct Known(HashMap<(KernelId, Dims, Policy), Overlap>);

impl Known {
    fn look(&mut self, plan: &Plan<'_>) {
        for ((id, dims, _), built) in &plan.kernels {
            let overlap = || built.finish().unwrap().overlap(0);
            self.0.entry((*id, *dims, built.policy)).or_insert_with(overlap);
        }
    }

    fn of(&self, plan: &Plan<'_>) -> Vec<&Overlap> {
        plan.kernels.iter().map(|((id, dims, _), built)| &self.0[&(*id, *dims, built.policy)]).collect()
    }
}

#[test]
fn every_launch_of_the_plans_may_start_early() {
    let (mut known, mut early) = (Known::default(), 0);
    for preset in [Preset::Tiny, Preset::TinyDense] {
        let config = ModelConfig { blocks: 2, ..preset.config() };
        for (mix, ty) in MIXES {
            for policy in [Policy::EXACT[1], Policy::EXACT[2]] {
                let model = model(&config, policy, KvType::F32, ty);
                let plans = Plans::new(&model, 256, 128).unwrap();
                for passes in std::iter::once(&plans.one).chain(&plans.many) {
                    known.look(&passes.plan);
                    let overlaps = known.of(&passes.plan);
                    assert!(overlaps.iter().all(|o| o.waits), "{preset:?}, {mix}, {policy}");
                    // A token after the other, as `generate` has them, up to the choice of the next.
                    let token = &passes.plan.launches[..passes.choice.end];
                    let two = [token, token].concat();
                    let touches = |l: &&Launch| {
                        let uses = l.places.iter().zip(&overlaps[l.kernel].early);
                        uses.into_iter().any(|(place, uses)| uses.any() && !place.home.slot.is_constant())
                    };
                    early += two.iter().filter(touches).count();
                    let found: Vec<_> =
                        races(&passes.plan, &two, |l| overlaps[l.kernel], NOWHERE).into_iter().flatten().collect();
                    assert_eq!(found, [], "{preset:?}, {mix}, {policy}");
                }
            }
        }
    }
    assert!(early > 100, "{early} launches touch early what others write");
}

/// Steps of a batch, one after the other.
#[test]
fn every_launch_of_a_step_may_start_early() {
    let (mut known, config) = (Known::default(), ModelConfig { blocks: 2, ..Preset::Tiny.config() });
    let (_, usual) = MIXES[0];
    for policy in [Policy::EXACT[1], Policy::EXACT[2]] {
        let model = model(&config, policy, KvType::F16, usual);
        for rows in [1, 5] {
            let passes = Passes::of_rows(&model, 256, (rows, Paging { sequences: 3, pages: 9 })).unwrap();
            known.look(&passes.plan);
            let step = &passes.plan.launches[..passes.choice.end];
            let overlaps = known.of(&passes.plan);
            let races = races(&passes.plan, &[step, step].concat(), |l| overlaps[l.kernel], NOWHERE);
            assert_eq!(races.into_iter().flatten().collect::<Vec<_>>(), [], "{policy}, {rows} rows");
        }
    }
}

fn small(preset: Preset) -> Gguf {
    let mut config = ModelConfig { blocks: 2, vocab: 64, heads: 2, kv_heads: 1, ..preset.config() };
    if config.experts > 0 {
        (config.experts, config.experts_used) = (4, 2);
    }
    let synth = Synth { config, mix: Mix::Q4KM, vocabulary: Vocabulary::None, seed: 62 };
    Gguf::from_bytes("early.gguf", &synth.to_bytes().unwrap()).unwrap()
}

fn overlapping() -> Device {
    Device::interp_with(InterpOptions { overlap: true, ..InterpOptions::default() })
}

fn options(policy: Policy) -> DeviceOptions {
    DeviceOptions { policy, kv: KvType::F32, pass: 4 }
}

/// A prompt and some tokens with launches that overlap: nothing is found, and the tokens are the same.
#[test]
fn passes_with_overlapping_launches_give_the_same_tokens() {
    for preset in [Preset::Tiny, Preset::TinyDense] {
        let gguf = small(preset);
        for policy in [Policy::EXACT[1], Policy::EXACT[2]] {
            let run = |device: &Device| {
                let model = DeviceModel::load(device, &gguf, options(policy), 16, &mut |_| ()).unwrap();
                let mut session = model.new_session(16).unwrap();
                session.forward(&[1, 2, 3], crate::LogitRows::Last).unwrap();
                let mut tokens = Vec::new();
                let mut each = |token| {
                    tokens.push(token);
                    ControlFlow::Continue(())
                };
                session.generate(4, 3, &mut Sampler::new(Sampling::default()), &mut each).unwrap();
                tokens
            };
            assert_eq!(run(&overlapping()), run(&Device::interp()), "{preset:?}, {policy}");
        }
    }
}

/// A token's first launch of a kernel and the one before it, which is told, the other way round.
fn swapped<'m>(plan: &Plan<'m>, id: KernelId) -> (Plan<'m>, KernelId) {
    let mut plan = plan.clone();
    let at = plan.launches.iter().position(|l| plan.kernels[l.kernel].entry.id == id).unwrap();
    plan.launches.swap(at - 1, at);
    let other = plan.kernels[plan.launches[at].kernel].entry.id;
    (plan, other)
}

/// With the router's logits before the product onto the stream, the experts' kernel reads the stream early while the
/// launch just before it writes that. The plan says so, and lets it wait; the interpreter finds the race where it does not.
#[test]
fn a_launch_at_the_wrong_place_is_found_by_the_plan_and_by_the_interpreter() {
    let gguf = small(Preset::Tiny);
    for policy in [Policy::EXACT[1], Policy::EXACT[2]] {
        let model = DeviceModel::load(&overlapping(), &gguf, options(policy), 16, &mut |_| ()).unwrap();
        let mut session = model.new_session(16).unwrap();
        session.set_pass(&[1], 0).unwrap();
        let (plan, writer) = swapped(&session.plans.one.plan, KernelId::NormRouterLogits);
        let (device, body) = (model.device(), session.plans.one.body.clone());
        let kernels = Kernels::load(&model.devices, &plan).unwrap();
        let launches = &plan.launches[body];
        let found: Vec<_> = races(&plan, launches, |l| kernels.overlap(l), NOWHERE)
            .into_iter()
            .flatten()
            .map(|r| r.to_string())
            .collect();
        let [first, ..] = &found[..] else { panic!("{policy}: nothing found") };
        let reader = KernelId::Matrix(Role::NormGateUp, TensorType::Q4_K);
        let expected = format!("{reader} touches x before it waits, while {writer} may be at work on it");
        assert_eq!(first, &expected);
        assert!(found.iter().all(|f| f == first), "{found:?}");

        // As the plan has them, one waits for the other.
        let calls = kernels.bind(&plan, launches, &model.weights, &mut session.rows.buffers.all, NOWHERE).unwrap();
        device.replay(&device.graph(&calls).unwrap()).unwrap();
        assert_eq!(calls.iter().filter(|call| !call.waits_itself()).count(), found.len());

        let early =
            |l: &Launch| kernels.call(&plan, l, &model.weights, &mut session.rows.buffers.all, NOWHERE).unwrap();
        let calls: Vec<_> = launches.iter().map(early).collect();
        let error = device.replay(&device.graph(&calls).unwrap()).unwrap_err().to_string();
        let [reader, writer] = [reader, writer].map(|id| id.name().replace('-', "_"));
        let said = ["EarlyAccess", &reader, "reads x[", &format!("which '{writer}"), "writes", ".rs:"];
        assert!(said.iter().all(|s| error.contains(*s)), "{policy}: {error}");
    }
}
