//! The experts' products of a whole pass.

use crate::support::{Rng, all_bits};
use crate::ways::{FORMATS, outputs, product, swiglu, vectors, weights, words};
use proptest::prelude::*;
use ptxgen_dsl::catalogue::Dims;
use ptxgen_dsl::format::SUPERBLOCK;
use ptxgen_dsl::precision::Policy;

/// Lists of pairs by expert.
pub fn lists(ids: &[u32], experts: u32) -> (Vec<u32>, Vec<u32>) {
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

/// Different experts.
fn some_of(rng: &mut Rng, experts: u32, used: usize) -> Vec<u32> {
    let mut all: Vec<u32> = (0..experts).collect();
    (0..used).map(|_| all.swap_remove(rng.below(all.len() as u64) as usize)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    #[test]
    fn any_experts_of_a_pass(
        rows in 1usize..9, blocks in 1usize..3, experts in 1u32..6, used in 1usize..4, tokens in 1usize..4, seed: u64,
    ) {
        let mut rng = Rng::new(seed ^ 1);
        let used = used.min(experts as usize);
        let ids: Vec<u32> = (0..tokens).flat_map(|_| some_of(&mut rng, experts, used)).collect();
        check_experts_of_a_pass((rows, blocks * SUPERBLOCK), (experts, used), &ids, seed);
    }
}
