//! Attention gives the reference's bits, whatever the schedule and however many
//! tokens a pass has.

mod support;

use half::f16;
use proptest::prelude::*;
use ptxgen_builder::build::Scalar;
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{
    AttentionSchedule, AttentionShape, CatalogueError, attention, attention_combine, attention_combine_q8k,
    attention_prompt, decode_attention, qk_norm_rope,
};
use ptxgen_dsl::format::{Q8KPlanar, SUPERBLOCK};
use ptxgen_dsl::precision::{AccF32, AccF64, Accumulation};
use ptxgen_dsl::reference::{self, RopeTable};
use support::{Data, Rng, Stored, UNKIND, all_bits, floats, run, to_bytes};

/// What the heads hold.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Inputs {
    Plain,
    /// Large scores, so that weights underflow, and tiny values, so that
    /// products become signed zeros.
    Steep,
    /// NaN and infinities in some places.
    Broken,
}

fn fill(rng: &mut Rng, n: usize, inputs: Inputs) -> Vec<f32> {
    let mut x = rng.vector(n);
    match inputs {
        Inputs::Plain => {}
        Inputs::Steep => {
            let sizes = [1e3, 1.0, 1e-30, -1e-42, 0.0, -0.0];
            x.iter_mut().for_each(|x| *x *= sizes[rng.below(6) as usize]);
        }
        Inputs::Broken => {
            for _ in 0..3 {
                let corners = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38];
                x[rng.below(n as u64) as usize] = corners[rng.below(4) as usize];
            }
        }
    }
    x
}

struct Case {
    shape: AttentionShape,
    schedule: AttentionSchedule,
    /// Position of the first token, and tokens of the pass.
    state: [u32; 2],
    inputs: Inputs,
    seed: u64,
}

fn check<E: Stored, C: Accumulation>(case: &Case) {
    let Case { shape, schedule, state: [position, count], inputs, seed } = *case;
    let mut rng = Rng::new(seed);
    let AttentionShape { heads, kv_heads, head_dim, positions, tokens } = shape;
    let hd = head_dim as usize;
    let cols = heads as usize * hd;
    let q = fill(&mut rng, tokens as usize * cols, inputs);
    // Of the cache, what the tokens see; the rest was never written.
    let seen = (position + tokens.min(count)).min(positions) as usize;
    let mut cache = || -> Vec<Vec<f32>> {
        let head = |_| fill(&mut rng, seen * hd, inputs).into_iter().map(E::stored).collect();
        (0..kv_heads).map(head).collect()
    };
    let (keys, values) = (cache(), cache());

    let mut expected = vec![0.0f32; tokens as usize * cols];
    for t in 0..tokens.min(count) as usize {
        let n = (position as usize + t + 1).min(positions as usize);
        for h in 0..heads as usize {
            let at = t * cols + h * hd;
            let kv = h / (heads / kv_heads) as usize;
            let [keys, values] = [&keys, &values].map(|cache| cache[kv].chunks(hd).take(n).collect::<Vec<_>>());
            let y = reference::attention::<C::Scalar>(&q[at..][..hd], &keys, &values);
            expected[at..][..hd].copy_from_slice(&y);
        }
    }

    let state = || [position, count, 0, 0].iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    for target in [Target::SM_75, Target::SM_90] {
        let data = [
            Data::In(to_bytes(&q)),
            Data::In(stored::<E>(&keys, shape)),
            Data::In(stored::<E>(&values, shape)),
            Data::In(state()),
            Data::InOut(vec![0; expected.len() * 4]),
        ];
        let kernel = match attention_prompt::<E, C>("attention-prompt", shape, target) {
            Err(CatalogueError::SharedMemory { .. }) if target == Target::SM_75 && head_dim > 128 => continue,
            kernel => kernel.unwrap(),
        };
        let (y, _) = run(kernel, target, &data, &UNKIND);
        assert_eq!(
            all_bits(&floats(&y[0])),
            all_bits(&expected),
            "prompt {} {} {shape:?} at {position}",
            E::NAME,
            C::ACC
        );
    }
    let size = <C::Scalar as Scalar>::TY.bytes() as usize;
    let partials = shape.partials() as usize;
    let kernel = attention::<E, C>("attention", shape, schedule).unwrap();
    let data = [
        Data::In(to_bytes(&q)),
        Data::In(stored::<E>(&keys, shape)),
        Data::In(stored::<E>(&values, shape)),
        Data::In(state()),
        Data::InOut(vec![0xff; partials * 2 * size]),
        Data::InOut(vec![0xff; partials * hd * size]),
    ];
    let target = if schedule.staged { Target::SM_80 } else { Target::SM_75 };
    let (parts, _) = run(kernel, target, &data, &UNKIND);
    let title = format!("{} {} {shape:?} {schedule:?} at {position}, {count} tokens, {inputs:?}", E::NAME, C::ACC);

    let [sums, outputs] = [parts[0].clone(), parts[1].clone()];
    let used = tokens.min(count) as usize * cols;
    let data = || vec![Data::In(sums.clone()), Data::In(outputs.clone()), Data::In(state())];
    let result = || Data::InOut(vec![0; expected.len() * 4]);
    let mut args = data();
    args.push(result());
    let kernel = attention_combine::<C>("attention-combine", shape).unwrap();
    let (y, _) = run(kernel, Target::SM_75, &args, &UNKIND);
    assert_eq!(all_bits(&floats(&y[0])[..used]), all_bits(&expected[..used]), "{title}");

    if cols.is_multiple_of(SUPERBLOCK) {
        let layout = Q8KPlanar::new(cols);
        let mut args = data();
        args.push(result());
        args.push(Data::InOut(vec![0; layout.bytes() * tokens as usize]));
        let kernel = attention_combine_q8k::<C>("attention-combine-q8k", shape).unwrap();
        let (y, _) = run(kernel, Target::SM_75, &args, &UNKIND);
        assert_eq!(all_bits(&floats(&y[0])[..used]), all_bits(&expected[..used]), "q8k {title}");
        for t in 0..tokens.min(count) as usize {
            let blocks: Vec<_> =
                expected[t * cols..][..cols].as_chunks::<SUPERBLOCK>().0.iter().map(reference::quantize_q8k).collect();
            assert!(y[1][t * layout.bytes()..][..layout.bytes()] == Q8KPlanar::pack(&blocks), "Q8_K {title}");
        }
    }
}

/// The bytes of a cache that holds these values, and then nothing that may show.
fn stored<E: Stored>(cache: &[Vec<f32>], shape: AttentionShape) -> Vec<u8> {
    let mut all = Vec::new();
    for head in cache {
        let mut bytes = E::bytes(head);
        bytes.resize((shape.positions * shape.head_dim * E::TY.bytes()) as usize, 0xff);
        all.extend(bytes);
    }
    all
}

/// One token through `decode-attention`: the cache and the chunks' results of
/// `qk-norm-rope` and `attention`.
fn check_decode<E: Stored, C: Accumulation>(case: &Case) {
    let Case { shape, schedule, state: [position, _], inputs, seed } = *case;
    let mut rng = Rng::new(seed);
    let AttentionShape { heads, kv_heads, head_dim, positions, .. } = shape;
    let (hd, eps) = (head_dim as usize, 1e-6);
    let qkv = fill(&mut rng, (heads + 2 * kv_heads) as usize * hd, inputs);
    let norms = [rng.vector(hd), rng.vector(hd)];
    let table = RopeTable::new(hd, 1e4, positions as usize);
    let seen = position.min(positions) as usize;
    let mut cache = || -> Vec<Vec<f32>> { (0..kv_heads).map(|_| fill(&mut rng, seen * hd, inputs)).collect() };
    let caches = [cache(), cache()].map(|c| stored::<E>(&c, shape));
    let state: Vec<u8> = [position, 1, 0, 0].iter().flat_map(|w: &u32| w.to_le_bytes()).collect();
    let size = <C::Scalar as Scalar>::TY.bytes() as usize;
    let partials = [2, hd].map(|n| vec![0x55u8; shape.partials() as usize * n * size]);

    let projected = || {
        let floats = [&qkv, &norms[0], &norms[1], &table.values().to_vec()];
        let mut data: Vec<Data> = floats.into_iter().map(|v| Data::In(to_bytes(v))).collect();
        data.push(Data::In(state.clone()));
        data
    };
    let mut data = projected();
    data.push(Data::InOut(vec![0; heads as usize * hd * 4]));
    data.extend(caches.iter().cloned().map(Data::InOut));
    let (turned, _) = run(qk_norm_rope::<E, C>("qk-norm-rope", shape, eps).unwrap(), Target::SM_75, &data, &UNKIND);
    let mut data: Vec<Data> = turned.iter().cloned().map(Data::In).collect();
    data.push(Data::In(state.clone()));
    data.extend(partials.iter().cloned().map(Data::InOut));
    let held = AttentionSchedule { staged: false, ..schedule };
    let (separate, _) = run(attention::<E, C>("attention", shape, held).unwrap(), Target::SM_75, &data, &UNKIND);

    let mut data = projected();
    data.extend(caches.into_iter().map(Data::InOut));
    data.extend(partials.into_iter().map(Data::InOut));
    let kernel = decode_attention::<E, C>("decode-attention", shape, schedule, (eps, true)).unwrap();
    let (fused, _) = run(kernel, Target::SM_90, &data, &UNKIND);
    let title = format!("{} {} {shape:?} {schedule:?} at {position}, {inputs:?}", E::NAME, C::ACC);
    assert!(fused[0] == turned[1], "keys: {title}");
    assert!(fused[1] == turned[2], "values: {title}");
    if position < positions {
        assert!(fused[2] == separate[0], "sums: {title}");
        assert!(fused[3] == separate[1], "outputs: {title}");
    }
}

fn check_all_decode(case: &Case) {
    check_decode::<f32, AccF32>(case);
    check_decode::<f32, AccF64>(case);
    check_decode::<f16, AccF32>(case);
    check_decode::<f16, AccF64>(case);
}

fn check_all(case: &Case) {
    check::<f32, AccF32>(case);
    check::<f32, AccF64>(case);
    check::<f16, AccF32>(case);
    check::<f16, AccF64>(case);
}

fn shape(heads: u32, kv_heads: u32, head_dim: u32, positions: u32) -> AttentionShape {
    AttentionShape { heads, kv_heads, head_dim, positions, tokens: 1 }
}

/// A decode step after `position` tokens.
fn decode(shape: AttentionShape, position: u32, inputs: Inputs) {
    for staged in [false, true] {
        let schedule = AttentionSchedule { staged, ..AttentionSchedule::default() };
        let case = Case { shape, schedule, state: [position, 1], inputs, seed: u64::from(position) };
        check_all(&case);
        // NaN has no fixed bits in the chunks' results.
        if inputs != Inputs::Broken {
            check_all_decode(&case);
        }
    }
}

#[test]
fn one_position_a_whole_chunk_and_one_more() {
    for position in [0, 62, 63, 64, 199] {
        for inputs in [Inputs::Plain, Inputs::Steep, Inputs::Broken] {
            decode(shape(4, 2, 64, 256), position, inputs);
        }
    }
}

#[test]
fn heads_of_all_sizes() {
    decode(shape(8, 1, 128, 192), 130, Inputs::Plain);
    decode(shape(8, 2, 96, 128), 70, Inputs::Steep);
    decode(shape(2, 1, 256, 128), 127, Inputs::Steep);
    decode(shape(7, 1, 8, 128), 100, Inputs::Steep);
    decode(shape(3, 3, 136, 80), 79, Inputs::Plain);
}

#[test]
fn many_chunks() {
    // More than a run of 16, not a power of two; a cache with room for more.
    decode(shape(4, 1, 64, 64 * 40), 64 * 21 + 5, Inputs::Plain);
    decode(shape(2, 1, 128, 64 * 64), 64 * 33, Inputs::Steep);
}

#[test]
fn positions_beyond_the_cache_are_not_read() {
    decode(shape(2, 1, 64, 70), 90, Inputs::Plain);
}

#[test]
fn a_pass_of_tokens_gives_the_bits_of_each_alone() {
    let schedule = AttentionSchedule { tokens: 3, ..AttentionSchedule::default() };
    for state in [[0, 7], [60, 7], [126, 5], [3, 0]] {
        let shape = AttentionShape { tokens: 7, ..shape(4, 2, 64, 192) };
        check_all(&Case { shape, schedule, state, inputs: Inputs::Plain, seed: 5 });
    }
}

/// A block has rows to spare, and the token after its last one sees one chunk more than it does.
#[test]
fn rows_to_spare_see_no_more_than_the_others() {
    let shape = AttentionShape { heads: 3, kv_heads: 1, head_dim: 176, positions: 210, tokens: 7 };
    let case = Case {
        shape,
        schedule: AttentionSchedule::default(),
        state: [187, 7], // the sixth token is the first that sees four chunks
        inputs: Inputs::Plain,
        seed: 0,
    };
    check_all(&case);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_schedule_changes_a_bit(
        sharing in 1u32..9, kv_heads in 1u32..3, eighths in 1u32..33, positions in 1u32..260, tokens in 1u32..4,
        block_heads in 1u32..9, warps in 1u32..9, splits in 1u32..6, block_tokens in 1u32..4, staged: bool,
        place in 0.0f64..1.0, steep: bool, seed: u64,
    ) {
        let heads = sharing * kv_heads;
        let shape = AttentionShape { heads, kv_heads, head_dim: eighths * 8, positions, tokens };
        let schedule = AttentionSchedule { heads: block_heads, warps, splits, tokens: block_tokens, staged };
        let position = (f64::from(positions - 1) * place) as u32;
        let inputs = if steep { Inputs::Steep } else { Inputs::Plain };
        let case = Case { shape, schedule, state: [position, tokens], inputs, seed };
        check_all(&case);
        check_all_decode(&Case { shape: AttentionShape { tokens: 1, ..shape }, ..case });
    }
}
