//! Rows of several sequences, whose keys and values lie in pages: the reference's bits for each row, whatever the others
//! are, and nothing written but what is theirs.

mod support;

use half::f16;
use proptest::prelude::*;
use ptxgen_builder::build::Scalar;
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{
    AttentionSchedule, AttentionShape, CatalogueError, PagedShape, argmax_rows, rows_attention, rows_combine,
    rows_combine_q8k, rows_norm_rope,
};
use ptxgen_dsl::format::{Q8KPlanar, SUPERBLOCK};
use ptxgen_dsl::precision::{AccF32, AccF64, Accumulation};
use ptxgen_dsl::reference::{self, CHUNK, RopeTable};
use support::{Data, Rng, Stored, UNKIND, all_bits, floats, run, to_bytes, word_bytes, words};

struct Case {
    heads: (u32, u32, u32),
    /// Positions of a sequence at most, rows of a pass at most.
    positions: u32,
    tokens: u32,
    /// The rows: sequence and position. Of a sequence, what goes before the first is in the cache.
    rows: Vec<(u32, u32)>,
    schedule: AttentionSchedule,
    seed: u64,
}

/// A cache of pages on the host: bytes, the same as what nothing has been written to.
struct Cache {
    bytes: Vec<u8>,
    size: usize,
    shape: PagedShape,
}

const UNTOUCHED: u8 = 0xff;

impl Cache {
    fn new<E: Stored>(shape: PagedShape) -> Cache {
        let size = E::TY.bytes() as usize;
        Cache { bytes: vec![UNTOUCHED; shape.cache() as usize * size], size, shape }
    }

    /// Bytes of a head of a position.
    fn head(&mut self, tables: &[u32], (sequence, position): (u32, u32), head: u32) -> &mut [u8] {
        let AttentionShape { kv_heads, head_dim, .. } = self.shape.heads;
        let page = tables[(sequence * self.shape.heads.chunks() + position / CHUNK as u32) as usize];
        let row = (page * kv_heads + head) * CHUNK as u32 + position % CHUNK as u32;
        let len = head_dim as usize * self.size;
        &mut self.bytes[row as usize * len..][..len]
    }
}

fn check<E: Stored, C: Accumulation>(case: &Case) {
    let Case { heads: (heads, kv_heads, head_dim), positions, tokens, ref rows, schedule, seed } = *case;
    let mut rng = Rng::new(seed);
    let sequences = rows.iter().map(|r| r.0).max().unwrap() + 1;
    let all_heads = AttentionShape { heads, kv_heads, head_dim, positions, tokens };
    let chunks = all_heads.chunks();
    // More pages than there are in use, in any order.
    let pages = sequences * chunks + 3;
    let shape = PagedShape { heads: all_heads, sequences, pages };
    let mut free: Vec<u32> = (0..pages).collect();
    let tables: Vec<u32> =
        (0..sequences * chunks).map(|_| free.swap_remove(rng.below(free.len() as u64) as usize)).collect();
    let (hd, eps, width) = (head_dim as usize, 1e-6, (heads + 2 * kv_heads) as usize * head_dim as usize);
    let qkv = rng.vector(tokens as usize * width);
    let norms = [rng.vector(hd), rng.vector(hd)];
    let table = RopeTable::new(hd, 1e4, positions as usize);
    let mut caches = [Cache::new::<E>(shape), Cache::new::<E>(shape)];
    for sequence in 0..sequences {
        let first = rows.iter().filter(|r| r.0 == sequence).map(|r| r.1).min().unwrap_or(0);
        for position in 0..first {
            for head in 0..kv_heads {
                for cache in &mut caches {
                    let values: Vec<u8> = rng.vector(hd).into_iter().flat_map(E::to).collect();
                    cache.head(&tables, (sequence, position), head).copy_from_slice(&values);
                }
            }
        }
    }
    let before = caches.each_ref().map(|c| c.bytes.clone());
    // What they become, and the turned queries.
    let mut queries = vec![0f32; (tokens * heads) as usize * hd];
    for (t, &row) in rows.iter().enumerate() {
        let head = |h: u32| &qkv[t * width + h as usize * hd..][..hd];
        let turned = |x: &[f32], w: &[f32]| reference::qk_norm_rope::<C::Scalar>(x, w, eps, table.at(row.1 as usize));
        for h in 0..heads {
            let at = (t * heads as usize + h as usize) * hd;
            queries[at..at + hd].copy_from_slice(&turned(head(h), &norms[0]));
        }
        for h in 0..kv_heads {
            let [keys, values] = &mut caches;
            let key: Vec<u8> = turned(head(heads + h), &norms[1]).into_iter().flat_map(E::to).collect();
            let value: Vec<u8> = head(heads + kv_heads + h).iter().copied().flat_map(E::to).collect();
            keys.head(&tables, row, h).copy_from_slice(&key);
            values.head(&tables, row, h).copy_from_slice(&value);
        }
    }
    // Rows that are not of the pass name a place that is there.
    let mut places: Vec<u32> = rows.iter().flat_map(|&(sequence, position)| [position, sequence]).collect();
    places.resize(2 * tokens as usize, 0);
    let state = word_bytes(&[9, rows.len() as u32, 0, 0]);
    let at = || [Data::In(state.clone()), Data::In(word_bytes(&places))];
    let title = format!("{} {} {shape:?} {rows:?}", E::NAME, C::ACC);

    let mut data: Vec<Data> =
        [&qkv, &norms[0], &norms[1], &table.values().to_vec()].map(|v| Data::In(to_bytes(v))).into();
    data.extend(at());
    data.push(Data::In(word_bytes(&tables)));
    data.push(Data::InOut(vec![0; queries.len() * 4]));
    data.extend(before.map(Data::InOut));
    let kernel = rows_norm_rope::<E, C>("rows-norm-rope", shape, eps).unwrap();
    let (out, _) = run(kernel, Target::SM_75, &data, &UNKIND);
    assert_eq!(all_bits(&floats(&out[0])), all_bits(&queries), "queries: {title}");
    assert!(out[1] == caches[0].bytes && out[2] == caches[1].bytes, "cache: {title}");

    let cols = (heads * head_dim) as usize;
    let mut expected = vec![0f32; tokens as usize * cols];
    for (t, &(sequence, position)) in rows.iter().enumerate() {
        for h in 0..heads {
            let kv = h / (heads / kv_heads);
            let mut read = |which: usize| -> Vec<Vec<f32>> {
                let size = caches[which].size;
                let mut of =
                    |p| caches[which].head(&tables, (sequence, p), kv).chunks(size).map(E::of).collect::<Vec<f32>>();
                (0..=position).map(&mut of).collect()
            };
            let (keys, values) = (read(0), read(1));
            let [keys, values] = [&keys, &values].map(|rows| rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let at = t * cols + h as usize * hd;
            let y = reference::attention::<C::Scalar>(&queries[at..at + hd], &keys, &values);
            expected[at..at + hd].copy_from_slice(&y);
        }
    }
    let size = <C::Scalar as Scalar>::TY.bytes() as usize;
    let partials = all_heads.partials() as usize;
    let mut data = vec![Data::In(to_bytes(&queries))];
    data.extend(caches.iter().map(|c| Data::In(c.bytes.clone())));
    data.extend(at());
    data.push(Data::In(word_bytes(&tables)));
    data.extend([2, hd].map(|n| Data::InOut(vec![0xff; partials * n * size])));
    let kernel = rows_attention::<E, C>("rows-attention", shape, schedule).unwrap();
    let (parts, _) = run(kernel, Target::SM_75, &data, &UNKIND);

    let used = rows.len() * cols;
    let partials = || {
        let mut data: Vec<Data> = parts.iter().cloned().map(Data::In).collect();
        data.extend(at());
        data.push(Data::InOut(vec![0; expected.len() * 4]));
        data
    };
    let kernel = rows_combine::<C>("rows-combine", all_heads).unwrap();
    let (y, _) = run(kernel, Target::SM_75, &partials(), &UNKIND);
    assert_eq!(all_bits(&floats(&y[0])[..used]), all_bits(&expected[..used]), "{title}");
    if cols.is_multiple_of(SUPERBLOCK) {
        let layout = Q8KPlanar::new(cols);
        let mut data = partials();
        data.push(Data::InOut(vec![0; layout.bytes() * tokens as usize]));
        let (y, _) = run(rows_combine_q8k::<C>("rows-combine-q8k", all_heads).unwrap(), Target::SM_75, &data, &UNKIND);
        assert_eq!(all_bits(&floats(&y[0])[..used]), all_bits(&expected[..used]), "q8k {title}");
        for t in 0..rows.len() {
            let blocks: Vec<_> =
                expected[t * cols..][..cols].as_chunks::<SUPERBLOCK>().0.iter().map(reference::quantize_q8k).collect();
            assert!(y[1][t * layout.bytes()..][..layout.bytes()] == Q8KPlanar::pack(&blocks), "Q8_K {title}");
        }
    }
}

fn check_all(case: &Case) {
    check::<f32, AccF32>(case);
    check::<f32, AccF64>(case);
    check::<f16, AccF32>(case);
    check::<f16, AccF64>(case);
}

#[test]
fn prompts_and_single_tokens_of_several_sequences() {
    // The last tokens of a prompt that goes over the end of a page, first one then another sequence alone, a first token.
    let rows = vec![(2, 130), (0, 64), (0, 63), (0, 62), (3, 0), (1, 127), (2, 129)];
    let schedule = AttentionSchedule::default();
    for (heads, splits) in [((4, 2, 64), 64), ((8, 2, 32), 1)] {
        let schedule = AttentionSchedule { splits, ..schedule };
        check_all(&Case { heads, positions: 192, tokens: 9, rows: rows.clone(), schedule, seed: 3 });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn rows_of_any_sequences(
        sharing in 1u32..5, kv_heads in 1u32..3, eighths in 1u32..17, positions in 1u32..200, spare in 0u32..3,
        starts in proptest::collection::vec((0.0f64..1.0, 1u32..4), 1..4), splits in 1u32..5, seed: u64,
    ) {
        let mut rows: Vec<(u32, u32)> = (0..)
            .zip(&starts)
            .flat_map(|(sequence, &(place, n))| {
                let first = (f64::from(positions - 1) * place) as u32;
                (first..(first + n).min(positions)).map(move |p| (sequence, p))
            })
            .collect();
        rows.reverse();
        let tokens = rows.len() as u32 + spare;
        let schedule = AttentionSchedule { splits, ..AttentionSchedule::default() };
        let heads = (sharing * kv_heads, kv_heads, eighths * 8);
        check_all(&Case { heads, positions, tokens, rows, schedule, seed });
    }
}

#[test]
fn sizes_that_are_none_are_refused() {
    let heads = AttentionShape { heads: 4, kv_heads: 2, head_dim: 64, positions: 128, tokens: 2 };
    let refused = |shape| match rows_norm_rope::<f32, AccF32>("rows", shape, 1e-6) {
        Err(CatalogueError::Shape { dimension, .. }) => dimension,
        other => panic!("{:?}", other.map(|_| ())),
    };
    let shape = PagedShape { heads, sequences: 1, pages: 1 };
    assert_eq!(refused(PagedShape { pages: 0, ..shape }), "pages");
    assert_eq!(refused(PagedShape { pages: 1 << 20, ..shape }), "pages");
    assert_eq!(refused(PagedShape { sequences: 0, ..shape }), "sequences");
    assert_eq!(refused(PagedShape { sequences: u32::MAX, ..shape }), "sequences");
    assert_eq!(refused(PagedShape { heads: AttentionShape { head_dim: 12, ..heads }, ..shape }), "head-dim");
    assert!(argmax_rows("argmax-rows", 0, 1).is_err() && argmax_rows("argmax-rows", 1, 0).is_err());
}

#[test]
fn the_most_likely_of_each_row_and_what_is_no_number() {
    let mut rng = Rng::new(9);
    for vocabulary in [1, 300, 2048, 5000] {
        let mut rows: Vec<Vec<f32>> = (0..5).map(|_| rng.vector(vocabulary)).collect();
        (rows[1][vocabulary - 1], rows[1][0]) = (7.0, 7.0);
        rows[2][vocabulary / 2] = f32::NAN;
        rows[3].fill(f32::NAN);
        rows[4][vocabulary - 1] = f32::NEG_INFINITY;
        let most = 7;
        let mut all = rows.concat();
        all.resize(most * vocabulary, f32::INFINITY);
        let kernel = argmax_rows("argmax-rows", vocabulary as u32, most as u32).unwrap();
        let data = [
            Data::In(to_bytes(&all)),
            Data::In(word_bytes(&[3, 5, 0, 0])),
            Data::InOut(vec![0; most * 16]),
            Data::InOut(word_bytes(&[77; 14])),
        ];
        let (out, _) = run(kernel, Target::SM_90, &data, &UNKIND);
        assert!(out[0].iter().all(|&b| b == 0), "the scratch words are 0 again");
        let expected: Vec<u32> = rows
            .iter()
            .flat_map(|row| {
                let bad = row.iter().position(|v| !v.is_finite()).map_or(u32::MAX, |i| i as u32);
                [reference::argmax(row) as u32, bad]
            })
            .chain([77; 4])
            .collect();
        assert_eq!(words(&out[1]), expected, "{vocabulary}");
    }
}
