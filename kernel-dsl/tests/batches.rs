//! Kernels for several vectors, several matrices, and sums that are added to
//! what is there: the bits of the reference for each product.

mod support;

use proptest::prelude::*;
use proptest::{option, sample::select};
use ptxgen_builder::interp::{Options, WarpOrder};
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{CATALOGUE, CatalogueError, Dims, Family, Request, Schedule, find};
use ptxgen_dsl::format::{Q8KPlanar, SUPERBLOCK, TensorType};
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_dsl::reference::{self, Routed};
use support::{Kind, Rng, all_bits, floats, q4k, q6k, to_bytes};

/// A target, whether to start early, and a schedule: none changes a bit.
type Way = (Target, bool, Schedule);

const WAYS: [Way; 3] = [
    (Target::SM_75, false, Schedule { rows: 2, split: 4, warps: 3, slots: 2, blocks: None }),
    (Target::SM_80, true, Schedule { rows: 1, split: 32, warps: 1, slots: 3, blocks: Some(1) }),
    (Target::SM_90, true, Schedule { rows: 3, split: 2, warps: 2, slots: 1, blocks: Some(2) }),
];

fn doubles(v: &[f64]) -> Vec<u8> {
    v.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn words(v: &[u32]) -> Vec<u8> {
    v.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn weights(ty: TensorType, rng: &mut Rng, blocks: usize) -> Vec<u8> {
    match ty {
        TensorType::Q4_K => q4k(rng, blocks, Kind::Adversarial),
        _ => q6k(rng, blocks, Kind::Adversarial),
    }
}

/// Vectors one behind the other, as kernels read them.
fn vectors(act: Act, x: &[f32], cols: usize) -> Vec<u8> {
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

fn product(policy: Policy, ty: TensorType, w: &[u8], x: &[f32]) -> Vec<f32> {
    match policy.acc {
        Acc::F32 => reference::gemv::<f32>(policy.act, ty, w, x).unwrap(),
        Acc::F64 => reference::gemv::<f64>(policy.act, ty, w, x).unwrap(),
    }
}

fn swiglu(policy: Policy, gate: &[f32], up: &[f32]) -> Vec<f32> {
    let one = |(&g, &u)| match policy.acc {
        Acc::F32 => reference::swiglu::<f32>(g, u),
        Acc::F64 => reference::swiglu::<f64>(g, u),
    };
    gate.iter().zip(up).map(one).collect()
}

/// Runs a kernel of the catalogue in [`WAYS`]; the one buffer that it writes,
/// which is the same each time.
fn outputs(name: &str, policy: Policy, dims: Dims, inputs: &[Vec<u8>]) -> Vec<f32> {
    outputs_in(&WAYS, name, policy, dims, inputs)
}

fn outputs_in(ways: &[Way], name: &str, policy: Policy, dims: Dims, inputs: &[Vec<u8>]) -> Vec<f32> {
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

const FORMATS: [(TensorType, &str, &str); 2] = [(TensorType::Q4_K, "q4k-", ""), (TensorType::Q6_K, "q6k-", "-q6k")];

#[test]
fn matrix_times_vectors() {
    check_matrices((13, 768), 21);
}

/// Products with a matrix of (rows, columns), for one vector and for passes of four.
fn check_matrices((rows, cols): (usize, usize), seed: u64) {
    let tokens = 4;
    for (ty, prefix, _) in FORMATS {
        let mut rng = Rng::new(seed);
        let w = weights(ty, &mut rng, rows * cols / SUPERBLOCK);
        let (x, before) = (rng.vector(tokens * cols), rng.vector(tokens * rows));
        for policy in Policy::EXACT {
            let products: Vec<f32> = x.chunks(cols).flat_map(|x| product(policy, ty, &w, x)).collect();
            let sums: Vec<f32> = before.iter().zip(&products).map(|(&x, &y)| reference::residual(x, y)).collect();
            let dims = Dims { rows: Some(rows as u32), cols: Some(cols as u32), ..Dims::NONE };
            let run = |name: &str, tokens: usize, count: Option<u32>| {
                let mut inputs = vec![w.clone(), vectors(policy.act, &x[..tokens * cols], cols)];
                inputs.extend(count.map(|n| words(&[0, n, 0, 0])));
                inputs.push(to_bytes(&before[..tokens * rows]));
                let dims = Dims { tokens: Some(tokens as u32), ..dims };
                outputs(&format!("{prefix}{name}"), policy, dims, &inputs)
            };
            assert_eq!(all_bits(&run("gemv-add", 1, None)), all_bits(&sums[..rows]), "{ty} {policy}");
            let three = 3 * rows;
            let got = run("gemv", tokens, Some(3));
            assert_eq!(all_bits(&got[..three]), all_bits(&products[..three]), "{ty} {policy}");
            let got = run("gemv-add", tokens, Some(3));
            let expected = [&sums[..three], &before[three..]].concat();
            assert_eq!(all_bits(&got), all_bits(&expected), "{ty} {policy}");
            // More than there is room for are not touched.
            let got = run("gemv-add", 2, Some(9));
            assert_eq!(all_bits(&got), all_bits(&sums[..2 * rows]), "{ty} {policy}");
        }
    }
}

#[test]
fn queries_keys_and_values() {
    check_projections((3, 1, 10), 512, 3, 22);
}

/// The merged projections of (heads, KV heads, head's width), of one vector and of so many.
fn check_projections((heads, kv_heads, head_dim): (usize, usize, usize), cols: usize, tokens: usize, seed: u64) {
    let rows = [heads * head_dim, kv_heads * head_dim, kv_heads * head_dim];
    for (name, types) in [
        ("qkv", [TensorType::Q4_K; 3]),
        ("qkv-q6k-v", [TensorType::Q4_K, TensorType::Q4_K, TensorType::Q6_K]),
        ("qkv-q6k", [TensorType::Q6_K; 3]),
    ] {
        let mut rng = Rng::new(seed);
        let w: Vec<_> =
            types.iter().zip(rows).map(|(&ty, rows)| weights(ty, &mut rng, rows * cols / SUPERBLOCK)).collect();
        let x = rng.vector(tokens * cols);
        for policy in Policy::EXACT {
            for tokens in [1, tokens] {
                let x = &x[..tokens * cols];
                let expected: Vec<f32> = x
                    .chunks(cols)
                    .flat_map(|x| types.iter().zip(&w).flat_map(move |(&ty, w)| product(policy, ty, w, x)))
                    .collect();
                let mut inputs = w.clone();
                inputs.push(vectors(policy.act, x, cols));
                inputs.extend((tokens > 1).then(|| words(&[0, tokens as u32, 0, 0])));
                inputs.push(vec![]);
                let size = |n: usize| Some(n as u32);
                let dims = Dims {
                    heads: size(heads),
                    kv_heads: size(kv_heads),
                    head_dim: size(head_dim),
                    cols: size(cols),
                    tokens: size(tokens),
                    ..Dims::NONE
                };
                let got = outputs(name, policy, dims, &inputs);
                assert_eq!(all_bits(&got), all_bits(&expected), "{name} {policy} {tokens}");
            }
        }
    }
}

/// Lists of pairs by expert.
fn lists(ids: &[u32], experts: u32) -> (Vec<u32>, Vec<u32>) {
    let (mut offsets, mut pairs) = (vec![0], Vec::new());
    for e in 0..experts {
        pairs.extend((0..).zip(ids).filter(|(_, id)| **id == e).map(|(pair, _)| pair));
        offsets.push(pairs.len() as u32);
    }
    (offsets, pairs)
}

#[test]
fn experts_of_a_pass() {
    // Expert 1 has no token, expert 3 has four.
    check_experts_of_a_pass((5, 512), (4, 2), &[3, 0, 2, 3, 3, 2, 0, 3], 23);
}

/// The products of the experts `ids`, so many for each token, with matrices of (rows, columns).
fn check_experts_of_a_pass((rows, cols): (usize, usize), (experts, used): (u32, usize), ids: &[u32], seed: u64) {
    let (offsets, pairs) = lists(ids, experts);
    let tokens = ids.len() / used;
    let dims = Dims {
        rows: Some(rows as u32),
        cols: Some(cols as u32),
        experts: Some(experts),
        used: Some(used as u32),
        tokens: Some(tokens as u32),
        ..Dims::NONE
    };
    for (ty, _, suffix) in FORMATS {
        let mut rng = Rng::new(seed);
        let blocks = experts as usize * rows * cols / SUPERBLOCK;
        let (gate, up) = (weights(ty, &mut rng, blocks), weights(ty, &mut rng, blocks));
        let of = |w: &[u8], e: u32| w[e as usize * w.len() / experts as usize..][..w.len() / experts as usize].to_vec();
        let (x, h) = (rng.vector(tokens * cols), rng.vector(ids.len() * cols));
        for policy in Policy::EXACT {
            let expected: Vec<f32> = (0..ids.len())
                .flat_map(|pair| {
                    let x = &x[pair / used * cols..][..cols];
                    let one = |w: &[u8]| product(policy, ty, &of(w, ids[pair]), x);
                    swiglu(policy, &one(&gate), &one(&up))
                })
                .collect();
            let inputs =
                [gate.clone(), up.clone(), vectors(policy.act, &x, cols), words(&offsets), words(&pairs), vec![]];
            let got = outputs(&format!("experts-gate-up{suffix}"), policy, dims, &inputs);
            assert_eq!(all_bits(&got), all_bits(&expected), "{ty} {policy}");

            let expected: Vec<f32> = (0..ids.len())
                .flat_map(|pair| product(policy, ty, &of(&gate, ids[pair]), &h[pair * cols..][..cols]))
                .collect();
            let inputs = [gate.clone(), vectors(policy.act, &h, cols), words(&offsets), words(&pairs), vec![]];
            let got = outputs(&format!("experts-down{suffix}"), policy, dims, &inputs);
            assert_eq!(all_bits(&got), all_bits(&expected), "{ty} {policy}");
        }
    }
}

#[test]
fn a_tokens_experts_are_added_to_what_is_there() {
    check_down_added((7, 512), (&[1.0, -1.0, -0.5, 2.0, 0.5], 3), &WAYS, 24);
}

/// The weighted sum of the `used` experts that the router's logits choose: given to a kernel, and
/// chosen by a kernel itself. Without a choice there is no result.
fn check_down_added((rows, cols): (usize, usize), (logits, used): (&[f64], usize), ways: &[Way], seed: u64) {
    let size = |n: usize| Some(n as u32);
    let experts = logits.len();
    let dims = Dims { rows: size(rows), cols: size(cols), experts: size(experts), used: size(used), ..Dims::NONE };
    let routed = reference::route(logits, used);
    for (ty, _, suffix) in FORMATS {
        let mut rng = Rng::new(seed);
        let w = weights(ty, &mut rng, experts * rows * cols / SUPERBLOCK);
        let (h, before) = (rng.vector(used * cols), rng.vector(rows));
        for policy in Policy::EXACT {
            let run = |name: &str, choice: &[Vec<u8>]| {
                let inputs = [&[w.clone(), vectors(policy.act, &h, cols)], choice, &[to_bytes(&before)]].concat();
                outputs_in(ways, &format!("{name}{suffix}"), policy, dims, &inputs)
            };
            let chosen = run("routed-down-add", &[doubles(logits)]);
            let Ok(routed) = &routed else {
                assert!(chosen.iter().all(|y| y.is_nan()), "{ty} {policy}: {logits:?} give {chosen:?}");
                continue;
            };
            let given = run("moe-down-add", &[words(&routed.experts), to_bytes(&routed.weights)]);
            let expected = down_added((policy, ty), (&w, experts), &h, routed, &before);
            assert_eq!(all_bits(&given), all_bits(&expected), "{ty} {policy}");
            assert_eq!(all_bits(&chosen), all_bits(&expected), "{ty} {policy}: {logits:?}");
        }
    }
}

/// `before`, with the weighted sum added to it of the chosen experts' products. `w` has so many matrices, `h` a vector
/// for each of the chosen.
fn down_added(
    (policy, ty): (Policy, TensorType),
    (w, experts): (&[u8], usize),
    h: &[f32],
    routed: &Routed,
    before: &[f32],
) -> Vec<f32> {
    let (bytes, cols) = (w.len() / experts, h.len() / routed.experts.len());
    let matrices = routed.experts.iter().map(|&e| &w[e as usize * bytes..][..bytes]);
    let products: Vec<Vec<f32>> = matrices.zip(h.chunks(cols)).map(|(w, h)| product(policy, ty, w, h)).collect();
    let sum = |row: usize| {
        let terms = routed.weights.iter().copied().zip(products.iter().map(|p| p[row]));
        match policy.acc {
            Acc::F32 => reference::experts_sum::<f32>(terms),
            Acc::F64 => reference::experts_sum::<f64>(terms),
        }
    };
    before.iter().enumerate().map(|(row, &x)| reference::residual(x, sum(row))).collect()
}

/// Ties among the chosen and at the edge; no choice.
#[test]
fn choices_within_the_down_projections() {
    let mut rng = Rng::new(31);
    let mut logits: Vec<f64> = (0..40).map(|_| f64::from(rng.float())).collect();
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max) + 1.0;
    for (experts, logit) in [(&[33, 5, 17][..], largest), (&[2, 39, 12, 8], largest - 0.5)] {
        experts.iter().for_each(|&e| logits[e] = logit);
    }
    check_down_added((11, 256), (&logits, 6), &WAYS, 31);
    logits[7] = f64::NAN;
    check_down_added((11, 256), (&logits, 6), &WAYS, 31);
}

// Kernels that norm for themselves: the bits of the norm's kernel and theirs, one behind the other.
#[test]
fn norms_within_kernels() {
    check_norms_within(768, 13, 27);
}

/// Projections of two heads of 16 and one of keys and values, and of two of five experts of `rows` rows.
fn check_norms_within(cols: u32, rows: u32, seed: u64) {
    let (heads, experts) = (
        Dims { cols: Some(cols), heads: Some(2), kv_heads: Some(1), head_dim: Some(16), ..Dims::NONE },
        Dims { cols: Some(cols), rows: Some(rows), experts: Some(5), used: Some(2), ..Dims::NONE },
    );
    let mut rng = Rng::new(seed);
    let (x, norm) = (rng.vector(cols as usize), rng.vector(cols as usize));
    let normed = |policy: Policy| match policy.acc {
        Acc::F32 => reference::rms_norm::<f32>(&x, &norm, 1e-6),
        Acc::F64 => reference::rms_norm::<f64>(&x, &norm, 1e-6).into_iter().map(|y| y as f32).collect(),
    };
    let blocks = |rows: u32| (rows * cols) as usize / SUPERBLOCK;
    for (ty, _, suffix) in FORMATS {
        let [q, k, v] = [32, 16, 16].map(|rows| weights(ty, &mut rng, blocks(rows)));
        let other_v = weights(TensorType::Q6_K, &mut rng, blocks(16));
        let [gate, up] = [0, 1].map(|_| weights(ty, &mut rng, blocks(5 * rows)));
        let ids = words(&[4, 1]);
        for policy in Policy::EXACT {
            let y = vectors(policy.act, &normed(policy), cols as usize);
            let [raw, w] = [&x, &norm].map(|v| to_bytes(v));
            let apart =
                outputs(&format!("qkv{suffix}"), policy, heads, &[q.clone(), k.clone(), v.clone(), y.clone(), vec![]]);
            let inputs = [q.clone(), k.clone(), v.clone(), raw.clone(), w.clone(), vec![]];
            let within = outputs(&format!("norm-qkv{suffix}"), policy, heads, &inputs);
            assert_eq!(all_bits(&within), all_bits(&apart), "{ty} {policy}");
            if ty == TensorType::Q4_K {
                let inputs = [q.clone(), k.clone(), other_v.clone(), y.clone(), vec![]];
                let apart = outputs("qkv-q6k-v", policy, heads, &inputs);
                let inputs = [q.clone(), k.clone(), other_v.clone(), raw.clone(), w.clone(), vec![]];
                let within = outputs("norm-qkv-q6k-v", policy, heads, &inputs);
                assert_eq!(all_bits(&within), all_bits(&apart), "Q6_K values {policy}");
            }
            let inputs = [gate.clone(), up.clone(), y, ids.clone(), vec![]];
            let apart = outputs(&format!("fused-gate-up-swiglu{suffix}"), policy, experts, &inputs);
            let logits = doubles(&[0.1, 0.7, -0.3, 0.2, 1.5]);
            let chosen = [vec![], words(&[u32::MAX; 2]), vec![], vec![]];
            let inputs = [&[gate.clone(), up.clone(), raw, w, logits][..], &chosen].concat();
            let within = outputs(&format!("norm-gate-up-swiglu{suffix}"), policy, experts, &inputs);
            assert_eq!(all_bits(&within), all_bits(&apart), "{ty} {policy}");
        }
    }
}

#[test]
fn a_norm_and_a_choice_within_the_routers_neighbours() {
    check_within_the_routers_neighbours(264, (6, 3), 28);
}

fn check_within_the_routers_neighbours(cols: u32, (count, used): (u32, u32), seed: u64) {
    let dims = Dims { cols: Some(cols), experts: Some(count), used: Some(used), ..Dims::NONE };
    let mut rng = Rng::new(seed);
    let [x, norm] = [0, 1].map(|_| to_bytes(&rng.vector(cols as usize)));
    let w = to_bytes(&rng.vector((cols * count) as usize));
    let all = |name: &str, policy: Policy, dims: Dims, inputs: &[Vec<u8>]| {
        let dims = dims.within(find(name).unwrap().dims);
        let built = find(name).unwrap().build(&Request { dims, ..Request::new(policy, Target::SM_90) }).unwrap();
        let trial = built.try_out(&built.finish().unwrap(), inputs, &Options::default()).unwrap();
        assert!(trial.report.is_clean(), "{name} {policy}: {}", trial.report);
        trial.outputs
    };
    let results = || [vec![], words(&[0]), words(&[u32::MAX; 2]), vec![], vec![]];
    for acc in [Acc::F32, Acc::F64] {
        let policy = Policy::new(Act::F32, acc);
        let normed = all("rmsnorm", policy, dims, &[x.clone(), norm.clone(), vec![]]).swap_remove(0);
        let state = words(&[0, 1, 0, 0]);
        let apart = all("router", Policy::default(), dims, &[&[w.clone(), normed, state][..], &results()].concat());
        let inputs = [w.clone(), x.clone(), norm.clone(), vec![]];
        assert_eq!(all("norm-router-logits", policy, dims, &inputs)[0], apart[0], "{policy}");
        // The router gives logits, counter, status, ids and weights; the experts' kernel h and the last three.
        let matrix = weights(TensorType::Q4_K, &mut Rng::new(29), 256 * count as usize * 3 / SUPERBLOCK);
        let vector = to_bytes(&Rng::new(30).vector(256));
        let given = [matrix.clone(), matrix, vector.clone(), vector, apart[0].clone(), vec![]];
        let inputs = [&given[..], &results()[2..]].concat();
        let dims = Dims { rows: Some(3), cols: Some(256), ..dims };
        assert_eq!(all("norm-gate-up-swiglu", policy, dims, &inputs)[1..], apart[2..], "{policy}");
    }
}

/// Rows that are too long to be staged, on every policy.
#[test]
fn long_rows_are_read_where_they_lie() {
    let (rows, cols) = (3, 8192);
    for (ty, prefix, _) in FORMATS {
        let mut rng = Rng::new(25);
        let w = weights(ty, &mut rng, rows * cols / SUPERBLOCK);
        let x = rng.vector(cols);
        for policy in Policy::EXACT {
            let entry = find(&format!("{prefix}gemv")).unwrap();
            let dims = Dims { rows: Some(rows as u32), cols: Some(cols as u32), ..Dims::NONE };
            let built = entry.build(&Request { dims, ..Request::new(policy, Target::SM_90) }).unwrap();
            let inputs = [w.clone(), vectors(policy.act, &x, cols), vec![]];
            let trial = built.try_out(&built.finish().unwrap(), &inputs, &Options::default()).unwrap();
            assert!(trial.report.is_clean(), "{ty} {policy}: {}", trial.report);
            assert_eq!(all_bits(&floats(&trial.outputs[0])), all_bits(&product(policy, ty, &w, &x)), "{ty} {policy}");
        }
    }
}

/// Rows longer than any model's have a kernel under every policy.
#[test]
fn very_long_rows_fit() {
    for entry in CATALOGUE.iter().filter(|e| e.family == Family::Matrix) {
        for policy in entry.policies() {
            let dims = Dims { cols: Some(16_384), ..entry.trial };
            let built = entry.build(&Request { dims, ..Request::new(policy, Target::SM_75) });
            assert!(built.is_ok(), "{} {policy}: {}", entry.name, built.unwrap_err());
        }
    }
}

/// Every kernel of the catalogue can be launched early from sm_90 on, and no kernel is otherwise.
#[test]
fn every_kernel_waits_where_it_is_asked_to() {
    for entry in CATALOGUE {
        for (target, pdl) in [(Target::SM_80, true), (Target::SM_90, true), (Target::SM_90, false)] {
            let policy = entry.policies()[0];
            let request = Request { pdl, ..Request::for_reading(entry, policy, target) };
            let built = entry.build(&request).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(built.starts_early(), pdl && target == Target::SM_90, "{} {target}", entry.name);
            let module = built.finish().unwrap_or_else(|e| panic!("{}: {e}", entry.name));
            if built.starts_early() {
                let options = Options::default();
                let trial = built.try_out(&module, &built.sample_inputs(1), &options).unwrap();
                assert!(trial.report.is_clean(), "{}: {}", entry.name, trial.report);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    #[test]
    fn any_matrix(rows in 1usize..30, blocks in 1usize..4, seed: u64) {
        check_matrices((rows, blocks * SUPERBLOCK), seed);
    }

    #[test]
    fn any_projections(
        sharing in 1usize..4, kv_heads in 1usize..3, pairs in 1usize..9, blocks in 1usize..3, tokens in 2usize..4,
        seed: u64,
    ) {
        check_projections((sharing * kv_heads, kv_heads, 2 * pairs), blocks * SUPERBLOCK, tokens, seed);
    }

    #[test]
    fn any_experts_of_a_pass(
        rows in 1usize..9, blocks in 1usize..3, experts in 1u32..6, used in 1usize..4, tokens in 1usize..4, seed: u64,
    ) {
        let mut rng = Rng::new(seed ^ 1);
        let used = used.min(experts as usize);
        let ids: Vec<u32> = (0..tokens).flat_map(|_| some_of(&mut rng, experts, used)).collect();
        check_experts_of_a_pass((rows, blocks * SUPERBLOCK), (experts, used), &ids, seed);
    }

    #[test]
    fn any_sum_of_a_tokens_experts(
        rows in 1usize..20, blocks in 1usize..3, experts in 1usize..40, used in 1usize..12, levels in 1u64..60,
        odd in option::weighted(0.25, select(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY])), way in any_way(), seed: u64,
    ) {
        // Few levels are many ties.
        let mut rng = Rng::new(seed ^ 1);
        let mut logits: Vec<f64> = (0..experts).map(|_| rng.below(levels) as f64 * 0.125 - 3.0).collect();
        if let Some(odd) = odd {
            logits[rng.below(experts as u64) as usize] = odd;
        }
        check_down_added((rows, blocks * SUPERBLOCK), (&logits, used.min(experts)), &[way], seed);
    }

    #[test]
    fn any_norm_within_kernels(
        blocks in 1u32..4, rows in 1u32..20, eighths in 1u32..70, experts in 1u32..150, used in 1u32..17, seed: u64,
    ) {
        check_norms_within(blocks * SUPERBLOCK as u32, rows, seed);
        check_within_the_routers_neighbours(8 * eighths, (experts, used.min(experts)), seed);
    }
}

fn any_way() -> impl Strategy<Value = Way> {
    let schedule = (1u32..4, 0u32..6, 1u32..6, 1u32..4, option::of(1u32..4))
        .prop_map(|(rows, split, warps, slots, blocks)| Schedule { rows, split: 1 << split, warps, slots, blocks });
    (select(&[Target::SM_75, Target::SM_80, Target::SM_90]), any::<bool>(), schedule)
}

/// Different experts.
fn some_of(rng: &mut Rng, experts: u32, used: usize) -> Vec<u32> {
    let mut all: Vec<u32> = (0..experts).collect();
    (0..used).map(|_| all.swap_remove(rng.below(all.len() as u64) as usize)).collect()
}
