//! Early starts: what a launch reads before it waits for the one before is not written by launches that may still be at
//! work. Kernels fix what they read early; the order of rules must keep to it, and no interpreter overlaps launches.

use super::{
    listing::{MIXES, model},
    passes::{Passes, Plans},
    plan::{Launch, Paging, Plan},
    slot::Slot,
};
use crate::{config::ModelConfig, kv::KvType, synth::Preset};
use ptxgen_builder::build::ArgInfo;
use ptxgen_dsl::precision::Policy;

/// What a kernel reads before it waits, beside weights (docs/kernels.md, "Starting early").
fn reads_early(kernel: &str) -> &'static [&'static str] {
    match kernel {
        _ if kernel.starts_with("norm-gate-up-") => &["x"],
        _ if kernel.starts_with("routed-down-") => &["logits"],
        // Each expert's matrix is asked for at once.
        _ if kernel.starts_with("moe-down-") => &["ids"],
        _ if kernel.starts_with("decode-attention-") => &["state", "rope", "keys", "values"],
        _ => &[],
    }
}

/// Whether it lets the next launch start before it waits itself (`Entry::is_eager`).
fn is_eager(kernel: &str) -> bool {
    kernel == "quantize-q8k" || kernel.starts_with("attention-combine") || kernel.starts_with("rows-combine")
}

fn name(plan: &Plan<'_>, launch: &Launch) -> &'static str {
    plan.kernels[launch.kernel].entry.name
}

fn writes(plan: &Plan<'_>, launch: &Launch, slot: Slot) -> bool {
    let args = launch.places.iter().zip(plan.kernels[launch.kernel].kernel().args());
    args.filter(|(_, info)| matches!(info, ArgInfo::Buffer { writes: true, .. })).any(|(place, _)| place.slot == slot)
}

/// Reads that come too early, in words.
fn races(plan: &Plan<'_>, launches: &[Launch]) -> Vec<String> {
    let mut found = Vec::new();
    for (i, launch) in launches.iter().enumerate() {
        let built = &plan.kernels[launch.kernel];
        for param in reads_early(name(plan, launch)) {
            let at = built.params.iter().position(|p| p.name == *param).expect("kernels have what they read early");
            let slot = launch.places[at].slot;
            // The launch before may be at work; where it is eager, the one before that, too.
            for before in launches[..i].iter().rev() {
                if writes(plan, before, slot) {
                    found.push(format!("{} reads {param} while {} writes it", name(plan, launch), name(plan, before)));
                }
                if !is_eager(name(plan, before)) {
                    break;
                }
            }
        }
    }
    found
}

#[test]
fn nothing_is_read_while_it_is_written() {
    let mut early = 0;
    for preset in [Preset::Tiny, Preset::TinyDense] {
        let config = ModelConfig { blocks: 2, ..preset.config() };
        for (mix, ty) in MIXES {
            for policy in Policy::EXACT {
                let model = model(&config, policy, KvType::F32, ty);
                let plans = Plans::new(&model, 256, 128).unwrap();
                for passes in std::iter::once(&plans.one).chain(&plans.many) {
                    // A token after the other, as `generate` has them, up to the choice of the next.
                    let token = &passes.plan.launches[..passes.choice.end];
                    let two = [token, token].concat();
                    early += two.iter().filter(|l| !reads_early(name(&passes.plan, l)).is_empty()).count();
                    assert_eq!(races(&passes.plan, &two), Vec::<String>::new(), "{preset:?}, {mix}, {policy}");
                }
            }
        }
    }
    assert!(early > 100, "{early} launches read early");
}

/// Steps of a batch, one after the other.
#[test]
fn nor_in_a_batch() {
    let config = ModelConfig { blocks: 2, ..Preset::Tiny.config() };
    let (_, usual) = MIXES[0];
    for policy in Policy::EXACT {
        let model = model(&config, policy, KvType::F16, usual);
        for rows in [1, 5] {
            let passes = Passes::of_rows(&model, 256, (rows, Paging { sequences: 3, pages: 9 })).unwrap();
            let step = &passes.plan.launches[..passes.choice.end];
            assert_eq!(races(&passes.plan, &[step, step].concat()), Vec::<String>::new(), "{policy}, {rows} rows");
        }
    }
}

#[test]
fn a_launch_less_between_is_found() {
    let config = ModelConfig { blocks: 1, ..Preset::Tiny.config() };
    let (_, usual) = MIXES[0];
    for policy in Policy::EXACT {
        let model = model(&config, policy, KvType::F32, usual);
        let plans = Plans::new(&model, 256, 1).unwrap();
        let plan = &plans.one.plan;
        let less: Vec<Launch> =
            plan.launches.iter().filter(|l| !name(plan, l).starts_with("norm-gate-up-")).cloned().collect();
        let found = races(plan, &less);
        assert_eq!(found.len(), 1, "{policy}: {found:?}");
        assert!(found[0].ends_with("reads logits while norm-router-logits writes it"), "{found:?}");
    }
}
