//! Plans as text, compared with a file: the launches of a model, their order and their buffers.
//!
//! `BLESS=1 cargo test -p ptxgen-model --lib listing` updates it. With `PLANS=FILE` a test writes the plans of many
//! more models to that file, to compare two versions of the code.

use super::{passes::Plans, place::Placement, plan::Model};
use crate::{
    config::{ModelConfig, TensorRole as T},
    gguf::TensorType,
    kv::KvType,
    synth::Preset,
};
use ptxgen_builder::target::Target;
use ptxgen_dsl::{
    catalogue::Machine,
    precision::{Acc, Act, Policy},
};
use std::{fmt::Write, path::Path};

/// The usual types: those of llama.cpp's Q4_K_M where it uses more bits.
fn usual(role: T) -> TensorType {
    match role {
        T::Output | T::AttnV | T::FfnDownExps | T::FfnDown => TensorType::Q6_K,
        _ => TensorType::Q4_K,
    }
}

/// A type for each tensor.
type OfRole = fn(T) -> TensorType;

/// Mixes of types that lead to different launches.
pub(super) const MIXES: [(&str, OfRole); 13] = [
    ("usual", usual),
    ("q4k", |_| TensorType::Q4_K),
    ("q6k", |_| TensorType::Q6_K),
    ("f16", |_| TensorType::F16),
    ("f32", |_| TensorType::F32),
    ("q8_0", |_| TensorType::Q8_0),
    ("iq2xs", |_| TensorType::IQ2_XS),
    ("mxfp4", |_| TensorType::MXFP4),
    (
        "gate and up apart",
        |r| if matches!(r, T::FfnGateExps | T::FfnGate) { TensorType::Q5_K } else { TensorType::Q4_K },
    ),
    ("plain gate", |r| if matches!(r, T::FfnGateExps | T::FfnGate) { TensorType::BF16 } else { TensorType::Q4_K }),
    ("plain down", |r| if matches!(r, T::FfnDownExps | T::FfnDown) { TensorType::F16 } else { TensorType::Q6_K }),
    ("plain q", |r| if r == T::AttnQ { TensorType::Q8_0 } else { TensorType::Q4_K }),
    ("plain output", |r| if r == T::AttnOutput { TensorType::F16 } else { TensorType::Q4_K }),
];

pub(super) fn model(config: &ModelConfig, policy: Policy, kv: KvType, ty: impl Fn(T) -> TensorType) -> Model {
    let own = |role: T| if role.is_f32() { TensorType::F32 } else { ty(role) };
    let types = config.tensors().map(|(role, layer)| ((role, layer), own(role))).collect();
    let graph = config.graph();
    let (target, placement) = (Target::SM_90, Placement::on_one(config.blocks));
    let machines = vec![Machine::H200];
    Model { config: config.clone(), types, policy, kv, target, machines, placement, graph, without: Vec::new() }
}

/// One line per launch: layer, kernel, sizes, and the buffer of each parameter.
pub(super) fn list(model: &Model, pass: usize) -> String {
    let mut text = String::new();
    let plans = match Plans::new(model, model.config.context.min(4096), pass) {
        Ok(plans) => plans,
        Err(e) => return format!("  {e}\n"),
    };
    for passes in std::iter::once(&plans.one).chain(&plans.many) {
        let plan = &passes.plan;
        writeln!(
            text,
            "  passes of {}: to {}, {}, {}",
            plan.tokens, passes.body.end, passes.head.end, passes.choice.end
        )
        .unwrap();
        for launch in &plan.launches {
            let ((name, dims, _), built) = plan.kernels.get_index(launch.kernel).unwrap();
            let layer = launch.layer.map_or("-".into(), |l| l.to_string());
            let dims: Vec<_> = dims.iter().map(|(name, size)| format!("{name}={size}")).collect();
            write!(text, "    {layer} {name} {}:", dims.join(",")).unwrap();
            for (place, spec) in launch.places.iter().zip(&built.params) {
                write!(text, " {}={:?}", spec.name, place.home.slot).unwrap();
                if place.start > 0 {
                    write!(text, "+{}", place.start).unwrap();
                }
            }
            text.push('\n');
        }
    }
    text
}

#[test]
fn plans_are_those_of_the_file() {
    let mut text = String::new();
    for preset in [Preset::Tiny, Preset::TinyDense] {
        let config = ModelConfig { blocks: 1, ..preset.config() };
        for policy in [Policy::new(Act::Q8K, Acc::F32), Policy::new(Act::F32, Acc::F32)] {
            writeln!(text, "{} {preset:?}, {policy}", config.architecture.name).unwrap();
            text += &list(&model(&config, policy, KvType::F32, usual), 1024);
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/plans.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    pretty_assertions::assert_eq!(text, expected, "see CONTRIBUTING.md: BLESS=1 writes {}", path.display());
}

/// Dense Qwen3 in its published sizes, from 0.6B to 32B: checks that there are kernels for every policy.
#[test]
fn dense_models_of_every_size_have_plans() {
    let sizes =
        [(1024, 16, 3072), (2048, 16, 6144), (2560, 32, 9728), (4096, 32, 12288), (5120, 40, 17408), (5120, 64, 25600)];
    for (hidden, heads, ff) in sizes {
        let tied = hidden <= 2560;
        let config = ModelConfig { blocks: 1, hidden, heads, ff, tied, ..Preset::Qwen3_8b.config() };
        for policy in Policy::EXACT {
            let model = model(&config, policy, KvType::F32, usual);
            let plans = Plans::new(&model, 1024, 1024).unwrap_or_else(|e| panic!("{hidden}, {ff}, {policy}: {e}"));
            let launches = plans.one.plan.launches.iter().filter(|l| l.layer == Some(0)).count();
            let most = if policy.act == Act::Q8K { 9 } else { 8 };
            assert!(launches <= most, "{hidden}, {ff}, {policy}: {launches} launches a layer");
            assert_eq!(plans.many.len(), if policy.act == Act::Q8K { 2 } else { 1 });
        }
    }
}

/// Writes many models' plans to the file in `PLANS`.
#[test]
fn many_plans() {
    let Some(path) = std::env::var_os("PLANS") else {
        println!("skipped: PLANS names no file");
        return;
    };
    let mut text = String::new();
    for preset in [Preset::Tiny, Preset::Qwen3_30bA3b] {
        for tied in [false, true] {
            let config = ModelConfig { blocks: 2, tied, ..preset.config() };
            for (name, ty) in MIXES {
                for policy in Policy::EXACT {
                    for (kv, pass) in [(KvType::F32, 1024), (KvType::F16, 7)] {
                        writeln!(text, "{preset:?} tied {tied}, {name}, {policy}, {kv}, {pass}").unwrap();
                        text += &list(&model(&config, policy, kv, ty), pass);
                    }
                }
            }
        }
    }
    std::fs::write(path, text).unwrap();
}
