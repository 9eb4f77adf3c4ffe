//! The gemv kernels give the reference's bits, whatever the schedule.

mod support;

use proptest::prelude::*;
use ptxgen_builder::interp::{Options, WarpOrder};
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{CatalogueError, How, Schedule, Shape, Store, gemv};
use ptxgen_dsl::device::{DeviceActivation, DeviceFormat};
use ptxgen_dsl::format::{Q4K, Q6K, Q8KPlanar, SUPERBLOCK, TensorType};
use ptxgen_dsl::precision::{AccF32, AccF64, Accumulation, Act, ActF32, ActQ8K};
use ptxgen_dsl::reference;
use support::{Data, Kind, Rng, all_bits, floats, q4k, q6k, run, to_bytes};

fn vector(act: Act, x: &[f32]) -> Vec<u8> {
    match act {
        Act::F32 => to_bytes(x),
        Act::Q8K => {
            let blocks: Vec<_> = x.as_chunks::<SUPERBLOCK>().0.iter().map(reference::quantize_q8k).collect();
            Q8KPlanar::pack(&blocks)
        }
    }
}

fn check<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
    ty: TensorType,
    shape: Shape,
    schedule: Schedule,
    target: Target,
    kind: Kind,
    seed: u64,
) {
    let mut rng = Rng::new(seed);
    let blocks = shape.rows as usize * shape.cols as usize / SUPERBLOCK;
    let w = match ty {
        TensorType::Q4_K => q4k(&mut rng, blocks, kind),
        _ => q6k(&mut rng, blocks, kind),
    };
    let x = rng.vector(shape.cols as usize);
    let expected = reference::gemv::<C::Scalar>(X::ACT, ty, &w, &x).unwrap();
    let name = if ty == TensorType::Q4_K { "q4k-gemv" } else { "q6k-gemv" };
    // If the requested rows do not fit into shared memory, fewer are used.
    let mut fitting = Some(schedule);
    let kernel = std::iter::from_fn(|| {
        let schedule = fitting?;
        fitting = schedule.smaller();
        Some(gemv::<F, X, C, Store>(name, shape, How::new(schedule, target)))
    })
    .find(|made| !matches!(made, Err(CatalogueError::SharedMemory { .. })));
    let kernel = kernel.expect("the smallest schedule fits").unwrap();
    let data = [Data::In(w), Data::In(vector(X::ACT, &x)), Data::Out(shape.rows as usize * 4)];
    let options = Options { order: WarpOrder::Seeded(seed), ..Options::default() };
    let (outputs, _) = run(kernel, target, &data, &options);
    assert_eq!(
        all_bits(&floats(&outputs[0])),
        all_bits(&expected),
        "{name} {} {} {shape:?} {schedule:?}",
        X::ACT,
        C::ACC
    );
}

fn check_all(shape: Shape, schedule: Schedule, target: Target, kind: Kind, seed: u64) {
    check::<Q4K<'static>, ActF32, AccF32>(TensorType::Q4_K, shape, schedule, target, kind, seed);
    check::<Q4K<'static>, ActF32, AccF64>(TensorType::Q4_K, shape, schedule, target, kind, seed);
    check::<Q4K<'static>, ActQ8K, AccF32>(TensorType::Q4_K, shape, schedule, target, kind, seed);
    check::<Q4K<'static>, ActQ8K, AccF64>(TensorType::Q4_K, shape, schedule, target, kind, seed);
    check::<Q6K<'static>, ActF32, AccF32>(TensorType::Q6_K, shape, schedule, target, kind, seed);
    check::<Q6K<'static>, ActF32, AccF64>(TensorType::Q6_K, shape, schedule, target, kind, seed);
    check::<Q6K<'static>, ActQ8K, AccF32>(TensorType::Q6_K, shape, schedule, target, kind, seed);
    check::<Q6K<'static>, ActQ8K, AccF64>(TensorType::Q6_K, shape, schedule, target, kind, seed);
}

#[test]
fn every_combination_gives_the_references_bits() {
    for (cols, kind) in [(256, Kind::Plain), (768, Kind::Adversarial), (2048, Kind::Plain), (4096, Kind::Adversarial)] {
        check_all(Shape { rows: 13, cols }, Schedule::default(), Target::SM_90, kind, u64::from(cols));
    }
}

#[test]
fn sm_75_copies_through_registers_with_the_same_bits() {
    check_all(Shape { rows: 7, cols: 768 }, Schedule::default(), Target::SM_75, Kind::Adversarial, 75);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn no_schedule_changes_a_bit(
        rows in 1u32..40,
        blocks in 1u32..9,
        lane_rows in 1u32..4,
        split in 0u32..4,
        warps in 1u32..4,
        slots in 1u32..4,
        grid in proptest::option::of(1u32..4),
        adversarial: bool,
        sm_75: bool,
        seed: u64,
    ) {
        let shape = Shape { rows, cols: blocks * 256 };
        let schedule = Schedule { rows: lane_rows, split: 1 << split, warps, slots, blocks: grid };
        let kind = if adversarial { Kind::Adversarial } else { Kind::Plain };
        let target = if sm_75 { Target::SM_75 } else { Target::SM_90 };
        check_all(shape, schedule, target, kind, seed);
    }
}
