//! Products by tiles on tensor cores: passes of so many tokens that they pay, which have the bits of the reference, too.

use crate::pass::lists;
use crate::support::{Rng, all_bits, to_bytes};
use crate::ways::{FORMATS, Way, outputs_in, product, swiglu, vectors, weights, words};
use proptest::prelude::*;
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{Dims, Request, Schedule, find};
use ptxgen_dsl::format::{SUPERBLOCK, TensorType};
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_dsl::reference;

const SCHEDULE: Schedule = Schedule { rows: 4, split: 8, warps: 4, slots: 4, blocks: None };

/// As few blocks of as many warps as there can be.
const LARGE: Schedule = Schedule { blocks: Some(1), ..SCHEDULE };

/// Tensor cores, and none.
const TILES: [Way; 4] = [
    (Target::SM_80, false, SCHEDULE),
    (Target::SM_90, true, SCHEDULE),
    (Target::SM_90, true, LARGE),
    (Target::SM_75, false, SCHEDULE),
];

const POLICIES: [Policy; 2] = [Policy::new(Act::Q8K, Acc::F32), Policy::new(Act::Q8K, Acc::F64)];

fn size(n: usize) -> Option<u32> {
    Some(n as u32)
}

/// Products of a matrix of (rows, columns) with `count` vectors, in passes of up to `tokens`.
fn check_matrix((rows, cols): (usize, usize), (tokens, count): (usize, usize), seed: u64) {
    for (ty, prefix, _) in FORMATS {
        let mut rng = Rng::new(seed);
        let w = weights(ty, &mut rng, rows * cols / SUPERBLOCK);
        let (x, before) = (rng.vector(tokens * cols), rng.vector(tokens * rows));
        for policy in POLICIES {
            let products: Vec<f32> = x.chunks(cols).flat_map(|x| product(policy, ty, &w, x)).collect();
            let sums = before.iter().zip(&products).map(|(&x, &y)| reference::residual(x, y));
            let dims = Dims { rows: size(rows), cols: size(cols), tokens: size(tokens), ..Dims::NONE };
            let inputs = [w.clone(), vectors(policy.act, &x, cols), words(&[0, count as u32, 0, 0]), to_bytes(&before)];
            let got = outputs_in(&TILES, &format!("{prefix}gemv-add"), policy, dims, &inputs);
            let expected: Vec<f32> = sums.take(count * rows).chain(before[count * rows..].iter().copied()).collect();
            assert_eq!(all_bits(&got), all_bits(&expected), "{ty} {policy}");
            let got = outputs_in(&TILES, &format!("{prefix}gemv"), policy, dims, &inputs);
            assert_eq!(all_bits(&got[..count * rows]), all_bits(&products[..count * rows]), "{ty} {policy}");
        }
    }
}

#[test]
fn a_matrix_times_tiles_of_vectors() {
    check_matrix((160, 256), (16, 1), 42);
    // Eleven superblocks are not shared out over teams of warps.
    check_matrix((37, 2816), (40, 37), 41);
    check_matrix((70, 512), (8, 3), 47);
    // Teams with a superblock each, with two, with four.
    check_matrix((37, 768), (40, 37), 43);
    check_matrix((20, 2048), (16, 9), 44);
    check_matrix((16, 4096), (33, 33), 45);
    check_matrix((18, 5120), (16, 16), 46);
}

/// The merged projections of (heads, KV heads, head's width).
fn check_projections((heads, kv_heads, head_dim): (usize, usize, usize), cols: usize, tokens: usize, seed: u64) {
    let rows = [heads * head_dim, kv_heads * head_dim, kv_heads * head_dim];
    for (name, types) in [
        ("qkv", [TensorType::Q4_K; 3]),
        ("qkv-q6k-v", [TensorType::Q4_K, TensorType::Q4_K, TensorType::Q6_K]),
        ("qkv-q6k", [TensorType::Q6_K; 3]),
    ] {
        let mut rng = Rng::new(seed);
        let of = |(&ty, rows): (&TensorType, usize)| weights(ty, &mut rng, rows * cols / SUPERBLOCK);
        let w: Vec<_> = types.iter().zip(rows).map(of).collect();
        let x = rng.vector(tokens * cols);
        for policy in POLICIES {
            let one = |x| types.iter().zip(&w).flat_map(move |(&ty, w)| product(policy, ty, w, x));
            let expected: Vec<f32> = x.chunks(cols).flat_map(one).collect();
            let inputs = [w.clone(), vec![vectors(policy.act, &x, cols), words(&[0, tokens as u32, 0, 0]), vec![]]];
            let dims = Dims {
                heads: size(heads),
                kv_heads: size(kv_heads),
                head_dim: size(head_dim),
                cols: size(cols),
                tokens: size(tokens),
                ..Dims::NONE
            };
            let got = outputs_in(&TILES, name, policy, dims, &inputs.concat());
            assert_eq!(all_bits(&got), all_bits(&expected), "{name} {policy}");
        }
    }
}

#[test]
fn queries_keys_and_values_of_tiles() {
    // Eight teams, whose memory the three products of a launch share.
    check_projections((2, 1, 16), 2048, 17, 48);
    check_projections((3, 1, 26), 512, 19, 43);
}

/// The products of the experts `ids`, so many for each token, with matrices of (rows, columns).
fn check_experts((rows, cols): (usize, usize), (experts, used): (u32, usize), ids: &[u32], seed: u64) {
    let (offsets, pairs) = lists(ids, experts);
    let tokens = ids.len() / used;
    let dims = Dims {
        rows: size(rows),
        cols: size(cols),
        experts: Some(experts),
        used: size(used),
        tokens: size(tokens),
        ..Dims::NONE
    };
    for (ty, _, suffix) in FORMATS {
        let mut rng = Rng::new(seed);
        let blocks = experts as usize * rows * cols / SUPERBLOCK;
        let (gate, up) = (weights(ty, &mut rng, blocks), weights(ty, &mut rng, blocks));
        let of = |w: &[u8], e: u32| w[e as usize * w.len() / experts as usize..][..w.len() / experts as usize].to_vec();
        let (x, h) = (rng.vector(tokens * cols), rng.vector(ids.len() * cols));
        for policy in POLICIES {
            let both = |pair: usize| {
                let x = &x[pair / used * cols..][..cols];
                let one = |w: &[u8]| product(policy, ty, &of(w, ids[pair]), x);
                swiglu(policy, &one(&gate), &one(&up))
            };
            let expected: Vec<f32> = (0..ids.len()).flat_map(both).collect();
            let lists = [words(&offsets), words(&pairs), vec![]];
            let inputs = [&[gate.clone(), up.clone(), vectors(policy.act, &x, cols)][..], &lists].concat();
            let got = outputs_in(&TILES, &format!("experts-gate-up{suffix}"), policy, dims, &inputs);
            assert_eq!(all_bits(&got), all_bits(&expected), "{ty} {policy}");

            let down = |pair: usize| product(policy, ty, &of(&gate, ids[pair]), &h[pair * cols..][..cols]);
            let expected: Vec<f32> = (0..ids.len()).flat_map(down).collect();
            let inputs = [&[gate.clone(), vectors(policy.act, &h, cols)][..], &lists].concat();
            let got = outputs_in(&TILES, &format!("experts-down{suffix}"), policy, dims, &inputs);
            assert_eq!(all_bits(&got), all_bits(&expected), "{ty} {policy}");
        }
    }
}

/// Experts with no token, with one, with more than a tile has.
#[test]
fn experts_of_tiles() {
    let ids: Vec<u32> = (0..36).flat_map(|t| [3, if t == 7 { 0 } else { 2 }]).collect();
    check_experts((21, 256), (4, 2), &ids, 44);
    // Several blocks share out the tiles of an expert.
    let ids: Vec<u32> = (0..256).map(|t| u32::from(t % 37 == 0)).collect();
    check_experts((3, 256), (2, 1), &ids, 45);
}

#[test]
fn tensor_cores_are_used_where_there_are_any_and_it_pays() {
    const MATRIX: [&str; 3] = ["q4k-gemv", "q6k-gemv-add", "qkv-q6k-v"];
    const EXPERTS: [&str; 2] = ["experts-gate-up", "experts-down-q6k"];
    for (names, tokens, target, expected) in [
        (&MATRIX[..], 8, Target::SM_80, true),
        (&MATRIX, 8, Target::SM_75, false),
        (&MATRIX, 7, Target::SM_90, false),
        (&EXPERTS, 16, Target::SM_80, true),
        (&EXPERTS, 16, Target::SM_75, false),
        (&EXPERTS, 15, Target::SM_90, false),
    ] {
        for name in names {
            let entry = find(name).unwrap();
            let dims = Dims { tokens: Some(tokens), ..entry.trial };
            let text = |policy| {
                let built = entry.build(&Request { dims, ..Request::new(policy, target) }).unwrap();
                let module = built.finish().unwrap();
                built.prove(&module, policy).unwrap_or_else(|e| panic!("{name} {policy}: {e:#?}"));
                print(&module, &PrintOptions::default())
            };
            for policy in POLICIES {
                assert_eq!(text(policy).contains("mma.sync"), expected, "{name} {policy} {tokens} {target}");
            }
            assert!(!text(Policy::new(Act::F32, Acc::F32)).contains("mma.sync"), "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]

    #[test]
    fn any_tiles(rows in 1usize..80, blocks in 1usize..10, tokens in 16usize..70, missing in 0usize..16, seed: u64) {
        check_matrix((rows, blocks * SUPERBLOCK), (tokens, tokens - missing.min(tokens - 1)), seed);
    }

    #[test]
    fn any_experts_of_tiles(rows in 1usize..40, blocks in 1usize..4, experts in 1u32..5, tokens in 16usize..50, seed: u64) {
        let mut rng = Rng::new(seed ^ 1);
        let ids: Vec<u32> = (0..tokens).map(|_| rng.below(u64::from(experts)) as u32).collect();
        check_experts((rows, blocks * SUPERBLOCK), (experts, 1), &ids, seed);
    }
}
