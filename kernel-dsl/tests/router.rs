//! The router and the plain matrices give the reference's bits.

mod support;

use half::{bf16, f16};
use proptest::prelude::*;
use ptxgen_builder::interp::{Options, WarpOrder};
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::ptxas::Ptxas;
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{
    Dims, Experts, Family, PairVector, Request, Shape, TYPICAL, norm_router_logits, plain_experts, plain_gemv,
    plain_gemv_add, router, router_tiles,
};
use ptxgen_dsl::device::DevicePlain;
use ptxgen_dsl::format::{Q8_0, TensorType};
use ptxgen_dsl::precision::{AccF32, AccF64, Accumulation, Act};
use ptxgen_dsl::reference::{self, Accumulator, NanInRouter, Routed};
use support::{Data, INTERLEAVED, Rng, all_bits, floats, run, to_bytes, word_bytes, words};

/// Written for programmatic dependent launch where the target has it.
fn waits(target: Target) -> bool {
    target.sm() >= 90
}

/// Values of a plain type, in its bytes.
fn plain(rng: &mut Rng, ty: TensorType, n: usize) -> Vec<u8> {
    match ty {
        TensorType::F32 => to_bytes(&rng.vector(n)),
        TensorType::F16 => rng.vector(n).iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect(),
        TensorType::BF16 => rng.vector(n).iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect(),
        _ => {
            let mut all = vec![0; ty.bytes_of(n).unwrap()];
            all.iter_mut().for_each(|b| *b = rng.bits() as u8);
            for block in all.chunks_exact_mut(Q8_0::BYTES) {
                block[..2].copy_from_slice(&f16::from_f32(rng.float() * 0.01).to_le_bytes());
            }
            all
        }
    }
}

/// What a router launch gave.
struct Choice {
    logits: Vec<f64>,
    status: u64,
    ids: Vec<u32>,
    weights: Vec<f32>,
}

fn route<F: DevicePlain>(
    w: &[u8],
    x: &[f32],
    cols: usize,
    experts: Experts,
    (tokens, most): (usize, u32),
    target: Target,
    options: &Options,
) -> Choice {
    let kernel = router::<F>("router", cols as u32, experts, most, (target, waits(target))).unwrap();
    let (count, used) = (experts.count as usize, experts.used as usize);
    let rows = most as usize;
    let mut padded = x.to_vec();
    padded.resize(rows * cols, f32::NAN);
    let data = [
        Data::In(w.to_vec()),
        Data::In(to_bytes(&padded)),
        Data::In(word_bytes(&[77, tokens as u32, 0, 0])),
        Data::Out(rows * count * 8),
        Data::InOut(vec![0; 4 * router_tiles(most) as usize]),
        Data::InOut(vec![0xff; 8]),
        Data::Out(rows * used * 4),
        Data::Out(rows * used * 4),
    ];
    let (out, _) = run(kernel, target, &data, options);
    assert!(out[1].iter().all(|&b| b == 0), "the counters are 0 again");
    let logits = out[0].as_chunks().0.iter().map(|b| f64::from_le_bytes(*b));
    Choice {
        logits: logits.take(tokens * count).collect(),
        status: u64::from_le_bytes(out[2][..].try_into().unwrap()),
        ids: words(&out[3])[..tokens * used].to_vec(),
        weights: floats(&out[4])[..tokens * used].to_vec(),
    }
}

fn check_router<F: DevicePlain>(
    (w, x): (&[u8], &[f32]),
    cols: usize,
    experts: Experts,
    (tokens, most): (usize, u32),
    target: Target,
    options: &Options,
) {
    let got = route::<F>(w, x, cols, experts, (tokens, most), target, options);
    let (count, used) = (experts.count as usize, experts.used as usize);
    let mut status = u64::MAX;
    for token in 0..tokens {
        let x = &x[token * cols..][..cols];
        let logits = reference::router_logits(F::TYPE, w, x).unwrap();
        let bits = |v: &[f64]| -> Vec<u64> {
            v.iter().map(|v| if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() }).collect()
        };
        assert_eq!(bits(&got.logits[token * count..][..count]), bits(&logits), "token {token}");
        let (ids, weights) = (&got.ids[token * used..][..used], &got.weights[token * used..][..used]);
        match reference::route(&logits, used) {
            Ok(Routed { experts, weights: expected }) => {
                assert_eq!(ids, experts, "token {token}: {logits:?}");
                assert_eq!(all_bits(weights), all_bits(&expected), "token {token}");
            }
            Err(NanInRouter { expert, .. }) => {
                status = status.min((token as u64) << 32 | expert as u64);
                assert_eq!(ids, (0..used as u32).collect::<Vec<_>>());
                assert!(weights.iter().all(|w| w.is_nan()));
            }
        }
    }
    assert_eq!(got.status, status);
}

fn check_random<F: DevicePlain>(cols: usize, experts: Experts, tokens: (usize, u32), target: Target, seed: u64) {
    let mut rng = Rng::new(seed);
    let w = plain(&mut rng, F::TYPE, experts.count as usize * cols);
    let x = rng.vector(tokens.0 * cols);
    let options = Options { order: WarpOrder::Seeded(seed), ..INTERLEAVED };
    check_router::<F>((&w, &x), cols, experts, tokens, target, &options);
}

#[test]
fn the_router_of_every_type_gives_the_references_bits() {
    let experts = Experts { count: 60, used: 6 };
    for target in [Target::SM_75, Target::SM_90] {
        check_random::<f32>(768, experts, (1, 1), target, 1);
        check_random::<f16>(320, experts, (3, 5), target, 2);
        check_random::<bf16>(100, experts, (1, 1), target, 3);
        check_random::<Q8_0<'static>>(288, experts, (2, 2), target, 4);
    }
    check_random::<f32>(2048, Experts { count: 128, used: 8 }, (1, 1), Target::SM_90, 5);
    check_random::<f32>(256, Experts { count: 256, used: 16 }, (6, 8), Target::SM_90, 6);
    check_random::<f32>(512, Experts { count: 1, used: 1 }, (1, 1), Target::SM_90, 7);
}

#[test]
fn the_router_of_many_tokens_gives_the_references_bits() {
    let experts = |count, used| Experts { count, used };
    check_random::<f32>(512, experts(64, 4), (70, 140), Target::SM_90, 8);
    check_random::<f16>(256, experts(32, 16), (65, 129), Target::SM_80, 9);
    check_random::<bf16>(2304, experts(32, 3), (17, 130), Target::SM_90, 10);
    check_random::<Q8_0<'static>>(768, experts(160, 8), (33, 129), Target::SM_80, 11);
    // A block of sm_75 lacks the memory for this one.
    check_random::<f32>(2048, experts(32, 8), (66, 130), Target::SM_75, 12);
}

#[test]
fn of_many_tokens_those_without_a_choice_are_told() {
    let (cols, experts, tokens) = (256, Experts { count: 32, used: 5 }, 70);
    let mut rng = Rng::new(13);
    let w = plain(&mut rng, TensorType::F32, 32 * cols);
    let mut x = rng.vector(tokens * cols);
    x[20 * cols + 7] = f32::NAN;
    x[69 * cols] = f32::INFINITY;
    // Ties of all experts.
    x[3 * cols..4 * cols].fill(0.0);
    check_router::<f32>((&w, &x), cols, experts, (tokens, 130), Target::SM_90, &INTERLEAVED);
}

/// One column: a logit is a weight times the activation.
fn check_logits(w: &[f32], x: &[f32], used: u32) {
    let experts = Experts { count: w.len() as u32, used };
    let tokens = (x.len(), x.len() as u32);
    check_router::<f32>((&to_bytes(w), x), 1, experts, tokens, Target::SM_90, &INTERLEAVED);
}

#[test]
fn ties_zeros_and_values_that_are_not_finite() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    check_logits(&[0.25; 130], &[1.0, -0.0, 0.0], 8);
    check_logits(&[0.0, -0.0, 0.0, -0.0, 1e-30], &[1.0, -1.0], 3);
    check_logits(&[1.0, 2.0, 2.0, -3.0, 2.0, 1.0, 1.0], &[1.0, 400.0, -400.0, 1e30, -1e30], 5);
    check_logits(&[1.0, nan, 2.0, nan], &[1.0, 1.0], 2);
    check_logits(&[1.0, 2.0, -inf, 3.0], &[1.0, -1.0, 0.0, 2.0], 2);
    check_logits(&[-inf, -inf, -inf], &[1.0, -1.0], 2);
    check_logits(&[1.0, inf, 3.0, inf], &[0.5, nan, 1.0, -1.0, 2.0], 4);
    // Logits that differ and probabilities that do not; powers that are zero; hardly apart.
    check_logits(&[1.0, 2.0, 3.0, 4.0, 5.0, 2.5, 4.5], &[1e-17, 3e-17, 1e-16, 1e-15, 1e-10, 1e-9, 1e-8], 4);
    check_logits(&[-1.0, 2.0, -3.0, 4.0, -5.0, 2.5], &[100.0, 150.0, 300.0, 1e3, 1e4], 4);
    check_logits(&[1.0, 2.0], &[1.0, 599.0, 601.0, 1e5], 2);
    // More experts than threads; one without a probability in the last slot.
    let mut many: Vec<f32> = (0..300).map(|i| ((i * 37) % 151) as f32 * 0.1).collect();
    check_logits(&many, &[1.0, -2.0], 16);
    many[299] = nan;
    check_logits(&many, &[1.0], 16);
}

/// The logits of a norm that the kernel computes itself.
fn check_norm_logits<F: DevicePlain, C: Accumulation>(cols: u32, experts: u32, target: Target, seed: u64) {
    let mut rng = Rng::new(seed);
    let w = plain(&mut rng, F::TYPE, (experts * cols) as usize);
    let [x, norm] = [0, 1].map(|_| rng.vector(cols as usize));
    let eps = 1e-6;
    let normed: Vec<f32> = reference::rms_norm::<C::Scalar>(&x, &norm, eps).into_iter().map(|y| y.to_f32()).collect();
    let expected = reference::router_logits(F::TYPE, &w, &normed).unwrap();
    let kernel = norm_router_logits::<F, C>("norm-router-logits", cols, experts, (eps, waits(target))).unwrap();
    let data = [Data::In(w), Data::In(to_bytes(&x)), Data::In(to_bytes(&norm)), Data::Out(expected.len() * 8)];
    let options = Options { order: WarpOrder::Seeded(seed), ..INTERLEAVED };
    let (out, _) = run(kernel, target, &data, &options);
    let expected: Vec<u8> = expected.iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(out[0], expected, "{} {} {experts}x{cols} {target}", F::TYPE, C::ACC);
}

/// The shapes that are run are assembled with the catalogue, for one token.
#[test]
fn passes_of_many_tokens_assemble_without_spills() {
    let Some(ptxas) = Ptxas::for_tests() else { return };
    let families = [Family::Plain, Family::Router, Family::Token];
    for entry in TYPICAL.iter().filter(|e| families.contains(&e.family) && e.dims.tokens.is_some()) {
        let many = if entry.family == Family::Plain { 64 } else { 512 };
        let ways = [(Target::SM_75, 32), (Target::SM_90, 32), (Target::SM_75, many), (Target::SM_90, many)];
        for (policy, (target, tokens)) in entry.policies().into_iter().cycle().zip(ways) {
            let dims = Dims { tokens: Some(tokens), ..Dims::NONE };
            let built = entry.build(&Request { dims, ..Request::new(policy, target) }).unwrap();
            let text = print(&built.finish().unwrap(), &PrintOptions::default());
            let report = ptxas.assemble(&text, target).unwrap_or_else(|e| panic!("{}: {e}", built.title()));
            let used = report.kernel(built.kernel().name()).expect("the kernel is in the report");
            assert_eq!((used.stack_frame, used.spill_stores), (0, 0), "{} {target}: {used:?}", built.title());
        }
    }
}

fn check_gemv<F: DevicePlain, C: Accumulation>(shape: Shape, (tokens, most): (usize, u32), target: Target, seed: u64) {
    let mut rng = Rng::new(seed);
    let (rows, cols) = (shape.rows as usize, shape.cols as usize);
    let w = plain(&mut rng, F::TYPE, rows * cols);
    let x = rng.vector(most as usize * cols);
    let before = rng.vector(most as usize * rows);
    let products: Vec<f32> = (0..tokens)
        .flat_map(|t| reference::gemv::<C::Scalar>(Act::Q8K, F::TYPE, &w, &x[t * cols..][..cols]).unwrap())
        .collect();
    let sums: Vec<f32> = products.iter().zip(&before).map(|(&y, &x)| reference::residual(x, y)).collect();
    let options = Options { order: WarpOrder::Seeded(seed), ..Options::default() };
    let bytes = most as usize * rows * 4;
    let state = || Data::In(word_bytes(&[0, tokens as u32, 0, 0]));
    let what = format!("{} {} {shape:?} {tokens} of {most}", F::TYPE, C::ACC);

    let kernel = plain_gemv::<F, C>("plain-gemv", shape, most, waits(target)).unwrap();
    let data = [Data::In(w.clone()), Data::In(to_bytes(&x)), state(), Data::Out(bytes)];
    let (out, _) = run(kernel, target, &data, &options);
    assert_eq!(all_bits(&floats(&out[0])[..tokens * rows]), all_bits(&products), "{what}");

    let kernel = plain_gemv_add::<F, C>("plain-gemv-add", shape, most, waits(target)).unwrap();
    let data = [Data::In(w), Data::In(to_bytes(&x)), state(), Data::InOut(to_bytes(&before))];
    let (out, _) = run(kernel, target, &data, &options);
    assert_eq!(all_bits(&floats(&out[0])[..tokens * rows]), all_bits(&sums), "{what}, with a residual");
}

fn check_gemvs(shape: Shape, tokens: (usize, u32), target: Target, seed: u64) {
    let blocks = Shape { cols: shape.cols.next_multiple_of(32), ..shape };
    check_gemv::<f32, AccF32>(shape, tokens, target, seed);
    check_gemv::<f32, AccF64>(shape, tokens, target, seed);
    check_gemv::<f16, AccF32>(shape, tokens, target, seed);
    check_gemv::<f16, AccF64>(shape, tokens, target, seed);
    check_gemv::<bf16, AccF32>(shape, tokens, target, seed);
    check_gemv::<bf16, AccF64>(shape, tokens, target, seed);
    check_gemv::<Q8_0<'static>, AccF32>(blocks, tokens, target, seed);
    check_gemv::<Q8_0<'static>, AccF64>(blocks, tokens, target, seed);
}

#[test]
fn plain_matrices_give_the_references_bits() {
    check_gemvs(Shape { rows: 13, cols: 512 }, (1, 1), Target::SM_75, 1);
    check_gemvs(Shape { rows: 5, cols: 768 }, (3, 4), Target::SM_90, 2);
    // More than a block's threads hold at once, and an end that is no group.
    check_gemvs(Shape { rows: 2, cols: 9000 }, (2, 2), Target::SM_90, 3);
}

fn check_experts<F: DevicePlain, C: Accumulation>(
    vector: PairVector,
    shape: Shape,
    (tokens, most): (usize, u32),
    seed: u64,
) {
    let mut rng = Rng::new(seed);
    let experts = Experts { count: 5, used: 3 };
    let (rows, cols, used) = (shape.rows as usize, shape.cols as usize, 3);
    let w = plain(&mut rng, F::TYPE, 5 * rows * cols);
    let per_token = if vector == PairVector::Token { 1 } else { used };
    let x = rng.vector(most as usize * per_token * cols);
    let ids: Vec<u32> = (0..most as usize * used).map(|_| rng.below(5) as u32).collect();
    let matrix = w.len() / 5;
    let expected: Vec<f32> = (0..tokens * used)
        .flat_map(|pair| {
            let w = &w[ids[pair] as usize * matrix..][..matrix];
            let x = &x[pair * per_token / used * cols..][..cols];
            reference::gemv::<C::Scalar>(Act::F32, F::TYPE, w, x).unwrap()
        })
        .collect();
    let kernel = plain_experts::<F, C>("experts", shape, experts, vector, most).unwrap();
    let data = [
        Data::In(w),
        Data::In(to_bytes(&x)),
        Data::In(word_bytes(&ids)),
        Data::In(word_bytes(&[0, tokens as u32, 0, 0])),
        Data::Out(most as usize * used * rows * 4),
    ];
    let (out, _) = run(kernel, Target::SM_90, &data, &INTERLEAVED);
    assert_eq!(all_bits(&floats(&out[0])[..expected.len()]), all_bits(&expected), "{} {vector:?}", F::TYPE);
}

#[test]
fn plain_experts_give_the_references_bits() {
    let shape = Shape { rows: 21, cols: 288 };
    for vector in [PairVector::Token, PairVector::Pair] {
        check_experts::<f32, AccF32>(vector, shape, (1, 1), 1);
        check_experts::<f16, AccF64>(vector, shape, (2, 3), 2);
        check_experts::<bf16, AccF32>(vector, shape, (3, 3), 3);
        check_experts::<Q8_0<'static>, AccF64>(vector, shape, (1, 2), 4);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn no_shape_of_a_plain_matrix_changes_a_bit(
        rows in 1u32..40,
        cols in 1u32..1100,
        tokens in 1usize..4,
        spare in 0u32..3,
        seed: u64,
    ) {
        check_gemvs(Shape { rows, cols }, (tokens, tokens as u32 + spare), Target::SM_75, seed);
    }

    #[test]
    fn no_shape_of_a_router_changes_a_bit(
        count in 1u32..280,
        used in 1u32..17,
        cols in 1usize..600,
        tokens in 1usize..7,
        spare in 0u32..3,
        seed: u64,
    ) {
        let experts = Experts { count, used: used.min(count) };
        let tokens = (tokens, tokens as u32 + spare);
        check_random::<f32>(cols, experts, tokens, Target::SM_75, seed);
        check_random::<f16>(cols, experts, tokens, Target::SM_75, seed);
        check_random::<bf16>(cols, experts, tokens, Target::SM_90, seed);
        check_random::<Q8_0<'static>>(cols.next_multiple_of(32), experts, tokens, Target::SM_90, seed);
    }

    #[test]
    fn no_shape_of_a_norms_logits_changes_a_bit(experts in 1u32..280, eighths in 1u32..130, sm_75: bool, seed: u64) {
        let cols = 8 * eighths;
        let target = if sm_75 { Target::SM_75 } else { Target::SM_90 };
        check_norm_logits::<f32, AccF32>(cols, experts, target, seed);
        check_norm_logits::<f16, AccF64>(cols, experts, target, seed);
        check_norm_logits::<bf16, AccF32>(cols, experts, target, seed);
        check_norm_logits::<Q8_0<'static>, AccF64>(cols.next_multiple_of(32), experts, target, seed);
    }

    #[test]
    fn no_shape_of_plain_experts_changes_a_bit(
        rows in 1u32..30,
        cols in 1u32..600,
        tokens in 1usize..4,
        spare in 0u32..3,
        pairs: bool,
        seed: u64,
    ) {
        let vector = if pairs { PairVector::Pair } else { PairVector::Token };
        let (shape, tokens) = (Shape { rows, cols }, (tokens, tokens as u32 + spare));
        let blocks = Shape { cols: cols.next_multiple_of(32), ..shape };
        check_experts::<f32, AccF32>(vector, shape, tokens, seed);
        check_experts::<f32, AccF64>(vector, shape, tokens, seed);
        check_experts::<f16, AccF32>(vector, shape, tokens, seed);
        check_experts::<f16, AccF64>(vector, shape, tokens, seed);
        check_experts::<bf16, AccF32>(vector, shape, tokens, seed);
        check_experts::<bf16, AccF64>(vector, shape, tokens, seed);
        check_experts::<Q8_0<'static>, AccF32>(vector, blocks, tokens, seed);
        check_experts::<Q8_0<'static>, AccF64>(vector, blocks, tokens, seed);
    }
}
