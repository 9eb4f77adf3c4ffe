//! Kernels of the catalogue run on several targets in several schedules, and what they are compared with.

use crate::support::{Kind, Rng, all_bits, floats, q4k, q6k, to_bytes};
use ptxgen_builder::interp::{Options, WarpOrder};
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{CatalogueError, Dims, Request, Schedule, find};
use ptxgen_dsl::format::{Q8KPlanar, SUPERBLOCK, TensorType};
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_dsl::reference;

/// A target, whether to start early, and a schedule: none changes a bit.
pub type Way = (Target, bool, Schedule);

pub const WAYS: [Way; 3] = [
    (Target::SM_75, false, Schedule { rows: 2, split: 4, warps: 3, slots: 2, blocks: None }),
    (Target::SM_80, true, Schedule { rows: 1, split: 32, warps: 1, slots: 3, blocks: Some(1) }),
    (Target::SM_90, true, Schedule { rows: 3, split: 2, warps: 2, slots: 1, blocks: Some(2) }),
];

pub fn doubles(v: &[f64]) -> Vec<u8> {
    v.iter().flat_map(|v| v.to_le_bytes()).collect()
}

pub fn words(v: &[u32]) -> Vec<u8> {
    v.iter().flat_map(|v| v.to_le_bytes()).collect()
}

pub fn weights(ty: TensorType, rng: &mut Rng, blocks: usize) -> Vec<u8> {
    match ty {
        TensorType::Q4_K => q4k(rng, blocks, Kind::Adversarial),
        _ => q6k(rng, blocks, Kind::Adversarial),
    }
}

/// Vectors one after the other, as kernels read them.
pub fn vectors(act: Act, x: &[f32], cols: usize) -> Vec<u8> {
    match act {
        Act::F32 => to_bytes(x),
        Act::Q8K => {
            let one = |x: &[f32]| {
                let blocks: Vec<_> = x.as_chunks::<SUPERBLOCK>().0.iter().map(reference::quantize_q8k).collect();
                Q8KPlanar::pack(&blocks)
            };
            x.chunks(cols).flat_map(one).collect()
        }
    }
}

pub fn product(policy: Policy, ty: TensorType, w: &[u8], x: &[f32]) -> Vec<f32> {
    match policy.acc {
        Acc::F32 => reference::gemv::<f32>(policy.act, ty, w, x).unwrap(),
        Acc::F64 => reference::gemv::<f64>(policy.act, ty, w, x).unwrap(),
    }
}

pub fn swiglu(policy: Policy, gate: &[f32], up: &[f32]) -> Vec<f32> {
    let one = |(&g, &u)| match policy.acc {
        Acc::F32 => reference::swiglu::<f32>(g, u),
        Acc::F64 => reference::swiglu::<f64>(g, u),
    };
    gate.iter().zip(up).map(one).collect()
}

/// Runs a kernel of the catalogue in [`WAYS`]; the one buffer that it writes,
/// which is the same each time.
pub fn outputs(name: &str, policy: Policy, dims: Dims, inputs: &[Vec<u8>]) -> Vec<f32> {
    outputs_in(&WAYS, name, policy, dims, inputs)
}

pub fn outputs_in(ways: &[Way], name: &str, policy: Policy, dims: Dims, inputs: &[Vec<u8>]) -> Vec<f32> {
    let entry = find(name).unwrap();
    let mut all = Vec::new();
    for &(target, pdl, schedule) in ways {
        let build = |schedule| {
            let request = Request { dims, schedule: Some(schedule), pdl, ..Request::new(policy, target) };
            entry.build(&request)
        };
        // The first of this and smaller schedules that fits the shared memory.
        let mut smaller = std::iter::successors(Some(schedule), |s| s.smaller()).map(build);
        let built = smaller.find(|b| !matches!(b, Err(CatalogueError::SharedMemory { .. })));
        let built = built.unwrap_or_else(|| panic!("{name}: no schedule fits {target}")).unwrap();
        let module = built.finish().unwrap_or_else(|e| panic!("{name}: {e}"));
        let waits = print(&module, &PrintOptions::default()).contains("griddepcontrol.wait");
        assert_eq!(waits, pdl && target >= Target::SM_90, "{name} {target}");
        let options = Options { order: WarpOrder::Adversarial, ..Options::default() };
        let trial = built.try_out(&module, inputs, &options).unwrap();
        assert!(trial.report.is_clean(), "{name} {policy} {target}: {}", trial.report);
        all.push(floats(&trial.outputs[0]));
    }
    assert!(all.iter().all(|y| all_bits(y) == all_bits(&all[0])), "{name} {policy}");
    all.swap_remove(0)
}

pub const FORMATS: [(TensorType, &str, &str); 2] = [(TensorType::Q4_K, "q4k-", ""), (TensorType::Q6_K, "q6k-", "-q6k")];
