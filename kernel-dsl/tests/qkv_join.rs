//! Queries, keys and values put together: every value in its place, and nothing else written.

mod support;

use proptest::prelude::*;
use ptxgen_builder::interp::{Options, WarpOrder};
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{AttentionShape, qkv_join};
use support::{Data, Rng, all_bits, floats, run, to_bytes, word_bytes};

const LEFT_ALONE: f32 = -7.5;

/// `here` tokens by a kernel made for up to `tokens`.
fn check((kv_heads, group, head_dim): (u32, u32, u32), tokens: u32, here: u32, seed: u64) {
    let heads = kv_heads * group;
    let shape = AttentionShape { heads, kv_heads, head_dim, positions: 1, tokens };
    let mut rng = Rng::new(seed);
    let widths = [heads, kv_heads, kv_heads].map(|n| (n * head_dim) as usize);
    let parts = widths.map(|width| rng.vector(width * tokens as usize));
    let all: usize = widths.iter().sum();
    let expected: Vec<f32> = (0..tokens as usize)
        .flat_map(|t| {
            let row = widths.iter().zip(&parts).flat_map(move |(&width, part)| part[t * width..][..width].to_vec());
            row.map(move |v| if t < here as usize { v } else { LEFT_ALONE })
        })
        .collect();
    let before = vec![LEFT_ALONE; all * tokens as usize];
    for (target, order) in [(Target::SM_75, WarpOrder::RoundRobin), (Target::SM_90, WarpOrder::Adversarial)] {
        let [q, k, v] = parts.clone().map(|part| Data::In(to_bytes(&part)));
        let state = Data::In(word_bytes(&[11, here, 0, 0]));
        let kernel = qkv_join("qkv-join", shape).unwrap();
        let options = Options { order, ..Options::default() };
        let (out, _) = run(kernel, target, &[q, k, v, state, Data::InOut(to_bytes(&before))], &options);
        assert_eq!(all_bits(&floats(&out[0])), all_bits(&expected), "{shape:?}, {here} tokens");
    }
}

#[test]
fn rows_of_three_matrices_become_rows_of_one() {
    check((4, 8, 128), 3, 3, 1);
    check((1, 1, 8), 1, 1, 2);
    check((2, 3, 24), 5, 2, 3);
}

#[test]
fn shapes_that_attention_does_not_have_are_refused() {
    let shape = AttentionShape { heads: 4, kv_heads: 3, head_dim: 64, positions: 1, tokens: 1 };
    let message = |shape| qkv_join("qkv-join", shape).err().map(|e| e.to_string()).unwrap_or_default();
    assert_eq!(message(shape), "qkv-join: heads is 4, expected a multiple of kv-heads, up to 4,096");
    let odd = AttentionShape { heads: 3, head_dim: 12, ..shape };
    assert_eq!(message(odd), "qkv-join: head-dim is 12, expected a multiple of 8, up to 256");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_heads(kv in 1u32..5, group in 1u32..5, eights in 1u32..9, tokens in 1u32..6, here in 1u32..6, seed: u64) {
        check((kv, group, eights * 8), tokens, here.min(tokens), seed);
    }
}
