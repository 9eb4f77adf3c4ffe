//! Products of a matrix, and of attention's three.

use crate::support::{Rng, all_bits, to_bytes};
use crate::ways::{FORMATS, outputs, product, vectors, weights, words};
use proptest::prelude::*;
use ptxgen_dsl::catalogue::Dims;
use ptxgen_dsl::format::{SUPERBLOCK, TensorType};
use ptxgen_dsl::precision::Policy;
use ptxgen_dsl::reference;

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

/// The merged projections of (heads, KV heads, head's width), of one vector and of this many.
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
}
