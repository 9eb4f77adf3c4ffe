//! The weighted sum of a token's experts, added to what is there.

use crate::support::{Rng, all_bits, to_bytes};
use crate::ways::{FORMATS, WAYS, Way, doubles, outputs_in, product, vectors, weights, words};
use proptest::prelude::*;
use proptest::{option, sample::select};
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{Dims, Schedule};
use ptxgen_dsl::format::{SUPERBLOCK, TensorType};
use ptxgen_dsl::precision::{Acc, Policy};
use ptxgen_dsl::reference::{self, Routed};

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

/// `before`, with the weighted sum added to it of the chosen experts' products. `w` has this many matrices, `h` a vector
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

fn any_way() -> impl Strategy<Value = Way> {
    let schedule = (1u32..4, 0u32..6, 1u32..6, 1u32..4, option::of(1u32..4))
        .prop_map(|(rows, split, warps, slots, blocks)| Schedule { rows, split: 1 << split, warps, slots, blocks });
    (select(&[Target::SM_75, Target::SM_80, Target::SM_90]), any::<bool>(), schedule)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

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
}
