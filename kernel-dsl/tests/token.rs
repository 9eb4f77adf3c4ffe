//! From the experts' results to the next token: the reference's bits.

mod support;

use std::slice;

use proptest::prelude::*;
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{Experts, argmax, experts_sum, moe_group, sample_draw, sample_keys, sample_sort};
use ptxgen_dsl::precision::{AccF32, AccF64, Accumulation};
use ptxgen_dsl::reference::{self, Distribution};
use support::{Data, INTERLEAVED, Rng, all_bits, floats, run, to_bytes, word_bytes, words};

/// Chooses from the last of `tokens` rows, and checks what becomes of the state.
fn check_argmax(rows: &[Vec<f32>], most: u32, chosen: u32) {
    let vocabulary = rows[0].len();
    let mut all = rows.concat();
    all.resize(most as usize * vocabulary, f32::INFINITY);
    let (ring, tokens) = (5, rows.len() as u32);
    let kernel = argmax("argmax", vocabulary as u32, most, ring).unwrap();
    let data = [
        Data::In(to_bytes(&all)),
        Data::InOut(vec![0; 16]),
        Data::InOut(word_bytes(&[1000, tokens, chosen, 0])),
        Data::Out(4),
        Data::InOut(word_bytes(&[u32::MAX; 5])),
    ];
    let (out, _) = run(kernel, Target::SM_90, &data, &INTERLEAVED);
    let expected = reference::argmax(&rows[rows.len() - 1]) as u32;
    assert_eq!(words(&out[2]), [expected], "{vocabulary} {tokens} of {most}");
    assert_eq!(words(&out[1]), [1000 + tokens, 1, chosen + 1, 0]);
    assert!(out[0].iter().all(|&b| b == 0), "the scratch words are 0 again");
    let mut ring = [u32::MAX; 5];
    ring[chosen as usize % 5] = expected;
    assert_eq!(words(&out[3]), ring);
}

#[test]
fn argmax_of_ties_zeros_nan_and_infinities() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    for row in [
        vec![1.0],
        vec![nan],
        vec![nan, nan, -inf],
        vec![nan, -inf, -inf],
        vec![-0.0, 0.0, -0.0],
        vec![0.0, -0.0, f32::from_bits(1)],
        vec![-1.0, f32::from_bits(0x8000_0001), nan, -2.0],
        vec![inf, 1.0, inf, -inf],
        vec![-3.0, -2.0, -2.0, -f32::MAX],
        vec![-nan, nan, 7.0, 7.0],
        vec![nan; 3000],
        vec![-1.5; 2049],
    ] {
        check_argmax(&[row], 1, 4);
    }
    let mut rng = Rng::new(5);
    let mut row = rng.vector(10_000);
    (row[2047], row[2048], row[9999]) = (4.0, 4.0, 4.0);
    check_argmax(&[row.clone()], 1, 0);
    row[9999] = 4.5;
    check_argmax(&[row.clone()], 1, 11);
    check_argmax(&[rng.vector(10_000), rng.vector(10_000), row], 4, 3);
}

/// Draws from the last of `rows` with the random word of the token's number.
fn check_sample(rows: &[Vec<f32>], most: u32, from: Distribution, chosen: u32, random: &[u64]) {
    let vocabulary = rows[0].len() as u32;
    let mut all = rows.concat();
    all.resize((most * vocabulary) as usize, f32::INFINITY);
    let (ring, tokens) = (random.len() as u32, rows.len() as u32);
    let state = [50, tokens, chosen, 0];
    let keys = sample_keys(vocabulary) as usize * 8;
    let kernel = sample_sort("sample-sort", vocabulary, most).unwrap();
    let data = [Data::In(to_bytes(&all)), Data::In(word_bytes(&state)), Data::Out(keys)];
    let (mut out, _) = run(kernel, Target::SM_90, &data, &INTERLEAVED);
    let kernel = sample_draw("sample-draw", vocabulary, ring).unwrap();
    let data = [
        Data::In(out.remove(0)),
        Data::In(from.words().iter().flat_map(|w| w.to_le_bytes()).collect()),
        Data::In(random.iter().flat_map(|w| w.to_le_bytes()).collect()),
        Data::Out(keys),
        Data::InOut(vec![0; 4]),
        Data::InOut(word_bytes(&state)),
        Data::Out(4),
        Data::InOut(word_bytes(&vec![u32::MAX; random.len()])),
    ];
    let (out, _) = run(kernel, Target::SM_90, &data, &INTERLEAVED);
    let word = random[chosen as usize % random.len()];
    let expected = reference::sample(&rows[rows.len() - 1], &from, word);
    assert_eq!(words(&out[3]), [expected], "{vocabulary} {from:?} {word:#x}");
    assert_eq!(words(&out[1]), [0]);
    assert_eq!(words(&out[2]), [50 + tokens, 1, chosen + 1, 0]);
    assert_eq!(words(&out[4])[chosen as usize % random.len()], expected);
}

#[test]
fn draws_from_ties_zeros_nan_and_infinities() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    for row in [
        vec![1.0],
        vec![nan, nan],
        vec![nan, -inf, -inf, nan],
        vec![-0.0, 0.0, -0.0, 0.0, 0.0],
        vec![inf, 1.0, inf, -inf, nan, inf],
        vec![3.0, 1.0, 2.0, 2.0, nan, 2.0, -40.0, -inf, 2.0],
        vec![-1.5; 2100],
        (0..2049).map(|i| (i % 7) as f32).collect(),
    ] {
        let kept = [(0, 1.0), (3, 1.0), (0, 0.5), (5, 0.9), (1, 0.0), (7, -1.0), (9999, nan.into())];
        for (i, (top_k, top_p)) in kept.into_iter().enumerate() {
            let temperature = [1.0, 0.3, 1e-310, inf.into()][i % 4];
            for word in [[0, u64::MAX], [1 << 63, 0x1234_5678_9abc_def0]][i % 2] {
                check_sample(slice::from_ref(&row), 1, Distribution { temperature, top_k, top_p }, 0, &[word]);
            }
        }
    }
    let mut rng = Rng::new(6);
    let row: Vec<f32> = rng.vector(9000).iter().map(|v| v * 12.0).collect();
    let from = Distribution { temperature: 0.8, top_k: 40, top_p: 0.95 };
    let random = [rng.bits(), rng.bits(), rng.bits()];
    check_sample(&[row.clone(), rng.vector(9000), row], 4, from, 5, &random);
}

fn check_group(experts: Experts, tokens: usize, most: u32, ids: &[u32]) {
    let used = experts.used as usize;
    let mut all = ids.to_vec();
    all.resize(most as usize * used, 0);
    let kernel = moe_group("moe-group", experts, most).unwrap();
    let count = experts.count as usize;
    let data = [
        Data::In(word_bytes(&all)),
        Data::In(word_bytes(&[9, tokens as u32, 0, 0])),
        Data::Out((count + 1) * 4),
        Data::InOut(word_bytes(&vec![u32::MAX; most as usize * used])),
    ];
    let (out, _) = run(kernel, Target::SM_90, &data, &INTERLEAVED);
    let (offsets, pairs) = (words(&out[0]), words(&out[1]));
    let mut expected = Vec::new();
    for (e, &start) in offsets[..count].iter().enumerate() {
        assert_eq!(start as usize, expected.len(), "expert {e}");
        expected.extend((0..tokens * used).filter(|&i| ids[i] as usize == e).map(|i| i as u32));
    }
    assert_eq!(offsets[count] as usize, expected.len());
    assert_eq!(pairs[..tokens * used], expected);
}

#[test]
fn experts_get_their_tokens_in_order() {
    check_group(Experts { count: 5, used: 2 }, 1, 1, &[3, 0]);
    // All tokens with the same experts; no tokens at all.
    check_group(Experts { count: 9, used: 3 }, 20, 32, &[8, 4, 0].repeat(20));
    check_group(Experts { count: 4, used: 2 }, 0, 2, &[]);
}

fn check_sum<C: Accumulation>(cols: u32, used: u32, (tokens, most): (usize, u32), seed: u64) {
    let mut rng = Rng::new(seed);
    let (n, k, rows) = (cols as usize, used as usize, most as usize);
    let mut y = rng.vector(rows * k * n);
    let mut weights = rng.vector(rows * k);
    let mut x = rng.vector(rows * n);
    // Zeros of both signs, and values that are not finite.
    y[0] = f32::INFINITY;
    weights[rows * k - 1] = f32::NAN;
    for i in (0..rows * n).step_by(7) {
        x[i] = -0.0;
        for rank in 0..k {
            y[(i / n * k + rank) * n + i % n] = -0.0;
        }
    }
    let expected: Vec<f32> = (0..rows * n)
        .map(|i| {
            let (t, c) = (i / n, i % n);
            let terms = (0..k).map(|r| (weights[t * k + r], y[(t * k + r) * n + c]));
            if t < tokens { reference::residual(x[i], reference::experts_sum::<C::Scalar>(terms)) } else { x[i] }
        })
        .collect();
    let kernel = experts_sum::<C>("experts-sum", cols, used, most).unwrap();
    let data = [
        Data::In(to_bytes(&y)),
        Data::In(to_bytes(&weights)),
        Data::In(word_bytes(&[3, tokens as u32, 0, 0])),
        Data::InOut(to_bytes(&x)),
    ];
    let (out, _) = run(kernel, Target::SM_90, &data, &INTERLEAVED);
    assert_eq!(all_bits(&floats(&out[0])), all_bits(&expected), "{cols} {used} {tokens} of {most} {}", C::ACC);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn argmax_is_the_references(n in 1usize..6000, tokens in 1usize..4, spare in 0u32..2, levels in 1u64..9, seed: u64) {
        let mut rng = Rng::new(seed);
        let mut row = || (0..n).map(|_| rng.below(levels) as f32 - 3.0).collect::<Vec<_>>();
        let rows: Vec<Vec<f32>> = (0..tokens).map(|_| row()).collect();
        check_argmax(&rows, tokens as u32 + spare, seed as u32 % 17);
    }

    #[test]
    fn draws_are_the_references(
        n in 1usize..5000,
        levels in 1u64..3000,
        temperature in 0.05f64..4.0,
        top_k in prop_oneof![Just(0u32), 1u32..60, 1u32..6000],
        top_p in prop_oneof![Just(1.0f64), 0.0f64..1.0],
        word: u64,
        seed: u64,
    ) {
        let mut rng = Rng::new(seed);
        let row: Vec<f32> = (0..n).map(|_| rng.below(levels) as f32 * 0.01 - 9.0).collect();
        check_sample(&[row], 1, Distribution { temperature, top_k, top_p }, 2, &[0, 0, word, 0]);
    }

    #[test]
    fn lists_of_experts(count in 1u32..140, used in 1u32..9, tokens in 0usize..40, spare in 0u32..3, seed: u64) {
        let mut rng = Rng::new(seed);
        let used = used.min(count);
        let ids: Vec<u32> = (0..tokens * used as usize).map(|_| rng.below(u64::from(count)) as u32).collect();
        // A kernel for one token always has it.
        let most = if tokens == 0 { spare + 2 } else { tokens as u32 + spare };
        check_group(Experts { count, used }, tokens, most, &ids);
    }

    #[test]
    fn sums_of_experts(cols in 1u32..1300, used in 1u32..10, tokens in 1usize..4, spare in 0u32..3, seed: u64) {
        check_sum::<AccF32>(cols, used, (tokens, tokens as u32 + spare), seed);
        check_sum::<AccF64>(cols & !3 | 4, used, (tokens, tokens as u32 + spare), seed);
    }
}
