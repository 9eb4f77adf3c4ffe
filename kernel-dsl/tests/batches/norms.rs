//! Kernels that norm, and choose experts, for themselves: the bits of those that do nothing else.

use crate::support::{Rng, all_bits, to_bytes};
use crate::ways::{FORMATS, doubles, outputs, vectors, weights, words};
use proptest::prelude::*;
use ptxgen_builder::interp::Options;
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{Dims, Request, find};
use ptxgen_dsl::format::{SUPERBLOCK, TensorType};
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_dsl::reference;

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

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    #[test]
    fn any_norm_within_kernels(
        blocks in 1u32..4, rows in 1u32..20, eighths in 1u32..70, experts in 1u32..150, used in 1u32..17, seed: u64,
    ) {
        check_norms_within(blocks * SUPERBLOCK as u32, rows, seed);
        check_within_the_routers_neighbours(8 * eighths, (experts, used.min(experts)), seed);
    }
}
