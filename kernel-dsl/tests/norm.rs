//! The norms, the heads' rotation and the embedding give the reference's bits.

mod support;

use half::{bf16, f16};
use proptest::prelude::*;
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{
    AttentionShape, EmbeddingRow, Norm, Shape, embedding, qk_norm_rope, rms_norm, rms_norm_q8k,
};
use ptxgen_dsl::format::{Q4K, Q6K, Q8_0, Q8KPlanar, SUPERBLOCK};
use ptxgen_dsl::precision::{AccF32, AccF64, Accumulation};
use ptxgen_dsl::reference::{self, Accumulator, RopeTable};
use support::{Data, Kind, Rng, Stored, UNKIND, all_bits, floats, q4k, q6k, run, to_bytes};

/// Values of all sizes, with the corners among them where asked.
fn values(rng: &mut Rng, n: usize, kind: Kind) -> Vec<f32> {
    let mut x = rng.vector(n);
    if kind == Kind::Adversarial {
        let corners = [0.0, -0.0, 1e-40, -1e-40, 1e20, -1e-20, 3e38, f32::INFINITY, f32::NAN];
        // Infinities and NaNs spoil a whole vector: not always.
        let some = if rng.below(2) == 0 { corners.len() } else { corners.len() - 3 };
        for _ in 0..n / 4 {
            x[rng.below(n as u64) as usize] = corners[rng.below(some as u64) as usize];
        }
    }
    x
}

fn check_norm<C: Accumulation>(cols: u32, tokens: u32, kind: Kind, seed: u64) {
    let mut rng = Rng::new(seed);
    let (n, eps) = (cols as usize, 1e-6);
    let x: Vec<f32> = (0..tokens).flat_map(|_| values(&mut rng, n, kind)).collect();
    let w = rng.vector(n);
    let expected: Vec<f32> =
        x.chunks(n).flat_map(|x| reference::rms_norm::<C::Scalar>(x, &w, eps)).map(Accumulator::to_f32).collect();
    let norm = Norm { cols, tokens, eps, pdl: false };
    let data = || vec![Data::In(to_bytes(&x)), Data::In(to_bytes(&w)), Data::Out(x.len() * 4)];
    let kernel = rms_norm::<C>("rmsnorm", norm).unwrap();
    let (outputs, _) = run(kernel, Target::SM_75, &data(), &UNKIND);
    assert_eq!(all_bits(&floats(&outputs[0])), all_bits(&expected), "{} {norm:?}", C::ACC);
    if !cols.is_multiple_of(256) {
        return;
    }
    let layout = Q8KPlanar::new(n);
    let mut data = data();
    data.push(Data::InOut(vec![0; layout.bytes() * tokens as usize]));
    let kernel = rms_norm_q8k::<C>("rmsnorm-q8k", norm).unwrap();
    let (outputs, _) = run(kernel, Target::SM_75, &data, &UNKIND);
    assert_eq!(all_bits(&floats(&outputs[0])), all_bits(&expected), "q8k {} {norm:?}", C::ACC);
    let quantized = |y: &[f32]| {
        let blocks: Vec<_> = y.as_chunks::<SUPERBLOCK>().0.iter().map(reference::quantize_q8k).collect();
        Q8KPlanar::pack(&blocks)
    };
    let expected: Vec<u8> = expected.chunks(n).flat_map(quantized).collect();
    assert!(outputs[1] == expected, "the Q8_K vectors differ: {} {norm:?}", C::ACC);
}

#[test]
fn norms_give_the_references_bits() {
    for (cols, tokens) in [(8, 1), (64, 3), (248, 1), (256, 2), (768, 1), (2048, 2), (8192, 1), (8448, 1), (20480, 1)] {
        for kind in [Kind::Plain, Kind::Adversarial] {
            check_norm::<AccF32>(cols, tokens, kind, u64::from(cols));
            check_norm::<AccF64>(cols, tokens, kind, u64::from(cols) + 1);
        }
    }
}

#[test]
fn a_vector_of_zeros_stays_zero() {
    let norm = Norm { cols: 256, tokens: 1, eps: 0.0, pdl: false };
    // 0 * (1 / sqrt(0)) is NaN, as the contract has it; with an epsilon it is 0.
    for (eps, zero) in [(0.0, false), (1e-6, true)] {
        let kernel = rms_norm::<AccF32>("rmsnorm", Norm { eps, ..norm }).unwrap();
        let data = [Data::In(vec![0; 1024]), Data::In(to_bytes(&[1.0; 256])), Data::Out(1024)];
        let (outputs, _) = run(kernel, Target::SM_90, &data, &UNKIND);
        assert!(floats(&outputs[0]).iter().all(|y| if zero { *y == 0.0 } else { y.is_nan() }));
    }
}

fn check_heads<E: Stored, C: Accumulation>(shape: AttentionShape, position: u32, count: u32, kind: Kind, seed: u64) {
    let mut rng = Rng::new(seed);
    let AttentionShape { heads, kv_heads, head_dim, positions, tokens } = shape;
    let (hd, eps) = (head_dim as usize, 1e-5);
    let all = (heads + 2 * kv_heads) as usize * hd;
    let qkv: Vec<f32> = (0..tokens).flat_map(|_| values(&mut rng, all, kind)).collect();
    let norms = [rng.vector(hd), rng.vector(hd)];
    let table = RopeTable::new(hd, 1e4, positions as usize);
    let before = rng.vector((kv_heads * positions * head_dim) as usize);

    let (mut keys, mut values) = (before.clone(), before.clone());
    let mut q = vec![0.0; (tokens * heads * head_dim) as usize];
    for t in 0..tokens.min(count) as usize {
        let at = position as usize + t;
        if at >= positions as usize {
            continue;
        }
        let row = &qkv[t * all..][..all];
        for (h, x) in row.chunks(hd).enumerate() {
            let turned = |w: &[f32]| reference::qk_norm_rope::<C::Scalar>(x, w, eps, table.at(at));
            let place = |h: usize| (h * positions as usize + at) * hd;
            let (queries, both) = (heads as usize, (heads + kv_heads) as usize);
            match h {
                _ if h < queries => q[(t * queries + h) * hd..][..hd].copy_from_slice(&turned(&norms[0])),
                _ if h < both => keys[place(h - queries)..][..hd].copy_from_slice(&turned(&norms[1])),
                _ => values[place(h - both)..][..hd].copy_from_slice(x),
            }
        }
    }

    let kernel = qk_norm_rope::<E, C>("qk-norm-rope", shape, eps).unwrap();
    let state = [position, count, 0, 0].iter().flat_map(|w| w.to_le_bytes()).collect();
    let data = [
        Data::In(to_bytes(&qkv)),
        Data::In(to_bytes(&norms[0])),
        Data::In(to_bytes(&norms[1])),
        Data::In(to_bytes(table.values())),
        Data::In(state),
        Data::InOut(vec![0; q.len() * 4]),
        Data::InOut(E::bytes(&before)),
        Data::InOut(E::bytes(&before)),
    ];
    let (outputs, _) = run(kernel, Target::SM_75, &data, &UNKIND);
    let title = format!("{} {} {shape:?} at {position}, {count} tokens", E::NAME, C::ACC);
    assert_eq!(all_bits(&floats(&outputs[0])), all_bits(&q), "q: {title}");
    assert!(same::<E>(&outputs[1], &keys), "keys: {title}");
    assert!(same::<E>(&outputs[2], &values), "values: {title}");
}

/// Whether a cache holds these values, NaN for NaN.
fn same<E: Stored>(cache: &[u8], values: &[f32]) -> bool {
    let expected = E::bytes(values);
    let size = expected.len() / values.len();
    let mut all = cache.chunks(size).zip(expected.chunks(size)).zip(values);
    all.all(|((found, expected), v)| {
        let nan = match size {
            2 => f16::from_le_bytes([found[0], found[1]]).is_nan(),
            _ => floats(found)[0].is_nan(),
        };
        if v.is_nan() { nan } else { found == expected }
    })
}

fn check_all_heads(shape: AttentionShape, position: u32, count: u32, kind: Kind, seed: u64) {
    check_heads::<f32, AccF32>(shape, position, count, kind, seed);
    check_heads::<f32, AccF64>(shape, position, count, kind, seed);
    check_heads::<f16, AccF32>(shape, position, count, kind, seed);
    check_heads::<f16, AccF64>(shape, position, count, kind, seed);
}

#[test]
fn heads_are_normed_turned_and_appended() {
    for (heads, kv_heads, head_dim) in [(4, 2, 64), (8, 1, 128), (3, 3, 96), (2, 1, 256), (1, 1, 8), (2, 2, 136)] {
        for kind in [Kind::Plain, Kind::Adversarial] {
            let shape = AttentionShape { heads, kv_heads, head_dim, positions: 9, tokens: 1 };
            check_all_heads(shape, 5, 1, kind, u64::from(head_dim));
            check_all_heads(AttentionShape { tokens: 3, ..shape }, 0, 2, kind, u64::from(head_dim) + 1);
        }
    }
}

#[test]
fn tokens_beyond_the_cache_are_left_out() {
    let shape = AttentionShape { heads: 2, kv_heads: 1, head_dim: 64, positions: 4, tokens: 3 };
    check_all_heads(shape, 2, 3, Kind::Plain, 7);
    check_all_heads(AttentionShape { tokens: 1, ..shape }, 4, 1, Kind::Plain, 7);
}

fn check_embedding<F: EmbeddingRow>(w: Vec<u8>, shape: Shape, ids: &[u32]) {
    let row = w.len() / shape.rows as usize;
    let mut expected = vec![0.0; ids.len() * shape.cols as usize];
    for (&id, x) in ids.iter().zip(expected.chunks_mut(shape.cols as usize)) {
        F::TYPE.dequantize(&w[id as usize * row..][..row], x).unwrap();
    }
    let kernel = embedding::<F>("embedding", shape, ids.len() as u32).unwrap();
    let data =
        [Data::In(w), Data::In(ids.iter().flat_map(|i| i.to_le_bytes()).collect()), Data::Out(expected.len() * 4)];
    let (outputs, _) = run(kernel, Target::SM_75, &data, &UNKIND);
    assert_eq!(all_bits(&floats(&outputs[0])), all_bits(&expected), "{}", F::TYPE);
}

#[test]
fn embedding_rows_are_the_dequantized_rows() {
    check_embeddings(Shape { rows: 7, cols: 1280 }, &[6, 0, 3, 3], 21);
    let x = values(&mut Rng::new(21), 24, Kind::Adversarial);
    check_embedding::<f32>(to_bytes(&x), Shape { rows: 3, cols: 8 }, &[2]);
}

fn check_embeddings(shape: Shape, ids: &[u32], seed: u64) {
    let mut rng = Rng::new(seed);
    let n = (shape.rows * shape.cols) as usize;
    check_embedding::<Q4K<'static>>(q4k(&mut rng, n / 256, Kind::Adversarial), shape, ids);
    check_embedding::<Q6K<'static>>(q6k(&mut rng, n / 256, Kind::Adversarial), shape, ids);
    let x = values(&mut rng, n, Kind::Adversarial);
    check_embedding::<f32>(to_bytes(&x), shape, ids);
    check_embedding::<f16>(x.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect(), shape, ids);
    check_embedding::<bf16>(x.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect(), shape, ids);
    let block = |_| {
        let d = f16::from_f32(rng.float()).to_le_bytes();
        d.into_iter().chain((0..32).map(|_| rng.bits() as u8)).collect::<Vec<_>>()
    };
    check_embedding::<Q8_0<'static>>((0..n / 32).flat_map(block).collect(), shape, ids);
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let refused = |e: Result<(), ptxgen_dsl::catalogue::CatalogueError>| e.unwrap_err().to_string();
    let norm = Norm { cols: 100, tokens: 1, eps: 1e-6, pdl: false };
    let e = refused(rms_norm::<AccF32>("rmsnorm", norm).map(|_| ()));
    assert_eq!(e, "rmsnorm: cols is 100, expected a multiple of 8, up to 32,768");
    let e = refused(rms_norm_q8k::<AccF32>("rmsnorm-q8k", Norm { cols: 128, ..norm }).map(|_| ()));
    assert_eq!(e, "rmsnorm-q8k: cols is 128, expected a multiple of 256, up to 32,768");
    let e = refused(rms_norm::<AccF32>("rmsnorm", Norm { cols: 64, tokens: 0, ..norm }).map(|_| ()));
    assert_eq!(e, "rmsnorm: tokens is 0, expected 1 to 65,535");
    let shape = AttentionShape { heads: 3, kv_heads: 2, head_dim: 64, positions: 4, tokens: 3 };
    let e = refused(qk_norm_rope::<f32, AccF32>("qk-norm-rope", shape, 1e-6).map(|_| ()));
    assert_eq!(e, "qk-norm-rope: heads is 3, expected a multiple of kv-heads, up to 4,096");
    let shape = AttentionShape { heads: 4, head_dim: 60, ..shape };
    let e = refused(qk_norm_rope::<f32, AccF32>("qk-norm-rope", shape, 1e-6).map(|_| ()));
    assert_eq!(e, "qk-norm-rope: head-dim is 60, expected a multiple of 8, up to 256");
    let e = refused(embedding::<Q4K<'static>>("embedding-q4k", Shape { rows: 4, cols: 128 }, 1).map(|_| ()));
    assert!(e.contains("cols is 128"), "{e}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_norm(eighths in 1u32..160, tokens in 1u32..4, adversarial: bool, seed: u64) {
        let kind = if adversarial { Kind::Adversarial } else { Kind::Plain };
        check_norm::<AccF32>(eighths * 8, tokens, kind, seed);
        check_norm::<AccF64>(eighths * 8, tokens, kind, seed);
    }

    #[test]
    fn any_embedding(rows in 1u32..30, blocks in 1u32..6, tokens in 1usize..6, seed: u64) {
        let mut rng = Rng::new(seed ^ 1);
        let ids: Vec<u32> = (0..tokens).map(|_| rng.below(u64::from(rows)) as u32).collect();
        check_embeddings(Shape { rows, cols: blocks * 256 }, &ids, seed);
    }

    #[test]
    fn any_heads(
        sharing in 1u32..5, kv_heads in 1u32..4, eighths in 1u32..33, tokens in 1u32..4, count in 0u32..5,
        position in 0u32..9, adversarial: bool, seed: u64,
    ) {
        let shape = AttentionShape { heads: sharing * kv_heads, kv_heads, head_dim: eighths * 8, positions: 10, tokens };
        let kind = if adversarial { Kind::Adversarial } else { Kind::Plain };
        // A pass of one token has one.
        check_all_heads(shape, position, if tokens == 1 { 1 } else { count }, kind, seed);
    }
}
