//! The other kernels of the catalogue give the reference's bits.

mod support;

use proptest::prelude::*;
use ptxgen_builder::interp::Options;
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{
    Experts, How, Schedule, Shape, Store, dequantize, gate_up_swiglu, moe_down, quantize_q8k, swiglu,
};
use ptxgen_dsl::device::{DeviceActivation, DeviceFormat};
use ptxgen_dsl::format::{Q4K, Q6K, Q8KPlanar, SUPERBLOCK, TensorType};
use ptxgen_dsl::precision::{Acc, AccF32, AccF64, Accumulation, Act, ActF32, ActQ8K, Math};
use ptxgen_dsl::reference;
use support::{Data, Kind, Rng, UNKIND, all_bits, floats, q4k, q6k, run, to_bytes};

fn quantized(x: &[f32]) -> Vec<u8> {
    let blocks: Vec<_> = x.as_chunks::<SUPERBLOCK>().0.iter().map(reference::quantize_q8k).collect();
    Q8KPlanar::pack(&blocks)
}

fn vector(act: Act, x: &[f32]) -> Vec<u8> {
    match act {
        Act::F32 => to_bytes(x),
        Act::Q8K => quantized(x),
    }
}

fn weights(ty: TensorType, rng: &mut Rng, blocks: usize, kind: Kind) -> Vec<u8> {
    match ty {
        TensorType::Q4_K => q4k(rng, blocks, kind),
        _ => q6k(rng, blocks, kind),
    }
}

#[test]
fn quantization_gives_the_references_bytes() {
    let mut rng = Rng::new(8);
    let mut x = rng.vector(5 * SUPERBLOCK);
    // All zero; a tie of magnitudes; tiny; NaN and infinity.
    x[..SUPERBLOCK].fill(0.0);
    x[SUPERBLOCK + 17] = -1.5;
    x[SUPERBLOCK + 3] = 1.5;
    x[SUPERBLOCK + 250] = 1.5;
    x[2 * SUPERBLOCK..3 * SUPERBLOCK].iter_mut().for_each(|v| *v *= 1e-42);
    x[3 * SUPERBLOCK + 9] = f32::NAN;
    x[4 * SUPERBLOCK + 200] = f32::INFINITY;
    check_quantization(&x);
}

fn check_quantization(x: &[f32]) {
    let kernel = quantize_q8k("quantize-q8k", x.len() as u32, 1).unwrap();
    let expected = quantized(x);
    let layout = Q8KPlanar::new(x.len());
    let used = layout.sums() + x.len() / 8;
    let (outputs, _) = run(kernel, Target::SM_75, &[Data::In(to_bytes(x)), Data::Out(used)], &UNKIND);
    // Between the scales and the sums there may be padding, which nothing writes.
    let scales = layout.scales() + x.len() / SUPERBLOCK * 4;
    assert_eq!(outputs[0][..scales], expected[..scales]);
    assert_eq!(outputs[0][layout.sums()..used], expected[layout.sums()..used]);
}

fn check_swiglu<C: Accumulation>(n: usize, seed: u64) {
    let mut rng = Rng::new(seed);
    let mut gate: Vec<f32> = rng.vector(n).iter().map(|v| v * 100.0).collect();
    let up = rng.vector(n);
    let corners = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e-40, -88.0, 104.0, -746.0, 3e38];
    gate.iter_mut().zip(corners).for_each(|(gate, corner)| *gate = corner);
    let expected: Vec<f32> = gate.iter().zip(&up).map(|(&g, &u)| reference::swiglu::<C::Scalar>(g, u)).collect();
    let data = || [Data::In(to_bytes(&gate)), Data::In(to_bytes(&up)), Data::Out(4 * n)];
    let exact = swiglu::<C>("swiglu", n as u32, Math::Exact).unwrap();
    let (outputs, _) = run(exact, Target::SM_75, &data(), &UNKIND);
    assert_eq!(all_bits(&floats(&outputs[0])), all_bits(&expected));

    for perturb in [None, Some(1), Some(2)] {
        let approx = swiglu::<C>("swiglu", n as u32, Math::Approx).unwrap();
        let (outputs, _) = run(approx, Target::SM_75, &data(), &Options { perturb, ..UNKIND });
        if perturb.is_none() {
            let approx = gate.iter().zip(&up).map(|(&g, &u)| reference::swiglu_approx::<C::Scalar>(g, u));
            assert_eq!(all_bits(&floats(&outputs[0])), all_bits(&approx.collect::<Vec<_>>()));
        }
        for ((&got, &exact), &g) in floats(&outputs[0]).iter().zip(&expected).zip(&gate) {
            // Beyond e^88 the approximation divides by infinity; the result is tiny.
            if g.abs() < 80.0 {
                let relative = match C::ACC {
                    Acc::F32 => (g.abs() + 8.0) * f32::EPSILON,
                    Acc::F64 => 4e-7,
                };
                let bound = relative * exact.abs() + 1e-38;
                assert!((got - exact).abs() <= bound, "silu({g}): {got} for {exact}");
            }
        }
    }
}

#[test]
fn swiglu_gives_the_references_bits() {
    check_swiglu::<AccF32>(1000, 3);
    check_swiglu::<AccF64>(1000, 3);
}

fn check_gate_up<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
    ty: TensorType,
    shape: Shape,
    kind: Kind,
    seed: u64,
) {
    let mut rng = Rng::new(seed);
    let experts = Experts { count: 5, used: 3 };
    let blocks = shape.rows as usize * shape.cols as usize / SUPERBLOCK;
    let gate = weights(ty, &mut rng, 5 * blocks, kind);
    let up = weights(ty, &mut rng, 5 * blocks, kind);
    let x = rng.vector(shape.cols as usize);
    let ids = [4u32, 0, 2];
    let bytes = gate.len() / 5;
    let expected: Vec<f32> = ids
        .iter()
        .flat_map(|&e| {
            let matrix = |w: &[u8]| {
                let w = &w[e as usize * bytes..][..bytes];
                reference::gemv::<C::Scalar>(X::ACT, ty, w, &x).unwrap()
            };
            let (g, u) = (matrix(&gate), matrix(&up));
            g.into_iter().zip(u).map(|(g, u)| reference::swiglu::<C::Scalar>(g, u)).collect::<Vec<_>>()
        })
        .collect();
    let schedule = Schedule { rows: 1, warps: 2, ..Schedule::default() };
    for target in [Target::SM_75, Target::SM_90] {
        let name = "fused-gate-up-swiglu";
        let kernel = gate_up_swiglu::<F, X, C>(name, shape, experts, Math::Exact, How::new(schedule, target)).unwrap();
        let ids = ids.iter().flat_map(|i| i.to_le_bytes()).collect();
        let data = [
            Data::In(gate.clone()),
            Data::In(up.clone()),
            Data::In(vector(X::ACT, &x)),
            Data::In(ids),
            Data::Out(expected.len() * 4),
        ];
        let (outputs, _) = run(kernel, target, &data, &UNKIND);
        assert_eq!(all_bits(&floats(&outputs[0])), all_bits(&expected), "{ty:?} {} {} {target}", X::ACT, C::ACC);
    }
}

fn check_down<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
    ty: TensorType,
    shape: Shape,
    kind: Kind,
    seed: u64,
) {
    let mut rng = Rng::new(seed);
    let experts = Experts { count: 6, used: 4 };
    let blocks = shape.rows as usize * shape.cols as usize / SUPERBLOCK;
    let down = weights(ty, &mut rng, 6 * blocks, kind);
    let h: Vec<Vec<f32>> = (0..4).map(|_| rng.vector(shape.cols as usize)).collect();
    let (ids, routing) = ([1u32, 5, 0, 3], [0.4f32, 0.3, 0.2, 0.1]);
    let bytes = down.len() / 6;
    let products: Vec<Vec<f32>> = ids
        .iter()
        .zip(&h)
        .map(|(&e, h)| {
            let w = &down[e as usize * bytes..][..bytes];
            reference::gemv::<C::Scalar>(X::ACT, ty, w, h).unwrap()
        })
        .collect();
    let expected: Vec<f32> = (0..shape.rows as usize)
        .map(|r| reference::experts_sum::<C::Scalar>(routing.iter().copied().zip(products.iter().map(|p| p[r]))))
        .collect();
    let schedule = Schedule { rows: 1, warps: 3, ..Schedule::default() };
    for target in [Target::SM_75, Target::SM_90] {
        let kernel = moe_down::<F, X, C, Store>("moe-down", shape, experts, How::new(schedule, target)).unwrap();
        let data = [
            Data::In(down.clone()),
            Data::In(h.iter().flat_map(|h| vector(X::ACT, h)).collect()),
            Data::In(ids.iter().flat_map(|i| i.to_le_bytes()).collect()),
            Data::In(to_bytes(&routing)),
            Data::Out(expected.len() * 4),
        ];
        let (outputs, _) = run(kernel, target, &data, &UNKIND);
        assert_eq!(all_bits(&floats(&outputs[0])), all_bits(&expected), "{ty:?} {} {} {target}", X::ACT, C::ACC);
    }
}

macro_rules! combinations {
    ($check:ident, $shape:expr, $kind:expr, $seed:expr) => {
        $check::<Q4K<'static>, ActF32, AccF32>(TensorType::Q4_K, $shape, $kind, $seed);
        $check::<Q4K<'static>, ActF32, AccF64>(TensorType::Q4_K, $shape, $kind, $seed);
        $check::<Q4K<'static>, ActQ8K, AccF32>(TensorType::Q4_K, $shape, $kind, $seed);
        $check::<Q4K<'static>, ActQ8K, AccF64>(TensorType::Q4_K, $shape, $kind, $seed);
        $check::<Q6K<'static>, ActF32, AccF32>(TensorType::Q6_K, $shape, $kind, $seed);
        $check::<Q6K<'static>, ActF32, AccF64>(TensorType::Q6_K, $shape, $kind, $seed);
        $check::<Q6K<'static>, ActQ8K, AccF32>(TensorType::Q6_K, $shape, $kind, $seed);
        $check::<Q6K<'static>, ActQ8K, AccF64>(TensorType::Q6_K, $shape, $kind, $seed);
    };
}

#[test]
fn gate_up_gives_the_references_bits() {
    combinations!(check_gate_up, Shape { rows: 5, cols: 768 }, Kind::Adversarial, 11);
}

#[test]
fn down_gives_the_references_bits() {
    combinations!(check_down, Shape { rows: 7, cols: 512 }, Kind::Plain, 12);
}

#[test]
fn dequantization_gives_the_references_bits() {
    check_dequantization(21, 4);
}

fn check_dequantization(blocks: usize, seed: u64) {
    const SM: Target = Target::SM_75;
    let mut rng = Rng::new(seed);
    for (ty, w) in [
        (TensorType::Q4_K, q4k(&mut rng, blocks, Kind::Adversarial)),
        (TensorType::Q6_K, q6k(&mut rng, blocks, Kind::Adversarial)),
    ] {
        let mut expected = vec![0.0; blocks * SUPERBLOCK];
        ty.dequantize(&w, &mut expected).unwrap();
        let (blocks, data) = (blocks as u32, [Data::In(w), Data::Out(expected.len() * 4)]);
        let (outputs, _) = match ty {
            TensorType::Q4_K => run(dequantize::<Q4K<'static>>("dequantize-q4k", blocks).unwrap(), SM, &data, &UNKIND),
            _ => run(dequantize::<Q6K<'static>>("dequantize-q6k", blocks).unwrap(), SM, &data, &UNKIND),
        };
        assert_eq!(all_bits(&floats(&outputs[0])), all_bits(&expected), "{ty:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn any_quantization(blocks in 1usize..20, scale in -40i32..30, seed: u64) {
        let mut rng = Rng::new(seed);
        let mut x: Vec<f32> = rng.vector(blocks * SUPERBLOCK).iter().map(|x| x * 2.0f32.powi(scale)).collect();
        // Some zeros and equal magnitudes.
        for _ in 0..x.len() / 8 {
            let [from, to, zero] = [0; 3].map(|_| rng.below(x.len() as u64) as usize);
            x[to] = -x[from];
            x[zero] = 0.0;
        }
        check_quantization(&x);
    }

    #[test]
    fn any_swiglu(n in 1usize..3000, seed: u64) {
        check_swiglu::<AccF32>(n, seed);
        check_swiglu::<AccF64>(n, seed);
    }

    #[test]
    fn any_gate_up(rows in 1u32..20, blocks in 1u32..4, adversarial: bool, seed: u64) {
        let kind = if adversarial { Kind::Adversarial } else { Kind::Plain };
        combinations!(check_gate_up, Shape { rows, cols: blocks * 256 }, kind, seed);
    }

    #[test]
    fn any_down(rows in 1u32..20, blocks in 1u32..4, adversarial: bool, seed: u64) {
        let kind = if adversarial { Kind::Adversarial } else { Kind::Plain };
        combinations!(check_down, Shape { rows, cols: blocks * 256 }, kind, seed);
    }

    #[test]
    fn any_dequantization(blocks in 1usize..60, seed: u64) {
        check_dequantization(blocks, seed);
    }
}
