//! Every stage at every level against the scalar reference, bit for bit. Under Miri, which is slower by a factor of
//! a thousand, with fewer and smaller inputs.

use super::{
    attention::KvCache,
    matrix::{Forms, Inputs, Matrix},
    product::product,
    simd::{Simd, SimdLevel},
    team::Shared,
    vector::{ExpertsSum, Norm, NormRope, SwiGlu},
};
use crate::{
    gguf::{Gguf, GgufWriter, TensorType},
    kv::{KvType, PAGE},
};
use proptest::{prelude::*, test_runner::TestRng};
use ptxgen_dsl::{
    format::Q8KBlock,
    precision::Act,
    reference::{self, Accumulator, RopeTable},
};
use std::marker::PhantomData;

fn levels() -> impl Iterator<Item = Simd> {
    SimdLevel::ALL.into_iter().filter_map(Simd::new)
}

/// What a test goes through: all of it, or what Miri has time for.
fn cases<T>(all: &'static [T], under_miri: &'static [T]) -> &'static [T] {
    if cfg!(miri) { under_miri } else { all }
}

fn random() -> TestRng {
    TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha)
}

/// Values of very different sizes, so that every change of order shows.
fn values(random: &mut TestRng, n: usize) -> Vec<f32> {
    (0..n)
        .map(|_| {
            let size = [1e-3, 1.0, 1.0, 50.0][(random.next_u32() % 4) as usize];
            (random.next_u32() as i32 as f32) / 2f32.powi(31) * size
        })
        .collect()
}

/// Bytes of rows of a type with scales that are finite.
fn weights(random: &mut TestRng, ty: TensorType, width: usize, rows: usize) -> Vec<u8> {
    let mut bytes = vec![0; ty.bytes_of(width * rows).unwrap()];
    random.fill_bytes(&mut bytes);
    let sane = |b: &mut [u8]| b[1] = b[1] & 0x83 | 0x20;
    for block in bytes.chunks_exact_mut(ty.block_bytes()) {
        match ty {
            TensorType::F32 => block[3] = block[3] & 0x80 | 0x3e,
            TensorType::BF16 => block[1] = block[1] & 0x80 | 0x3e,
            TensorType::F16 | TensorType::Q8_0 => sane(block),
            TensorType::Q4_K => {
                sane(block);
                sane(&mut block[2..]);
            }
            TensorType::Q6_K => sane(&mut block[208..]),
            _ => ty.set_factors(block, &mut |_| half::f16::from_bits(random.next_u32() as u16 & 0x83ff | 0x2000)),
        }
    }
    bytes
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn products_are_the_references<A: Accumulator>(act: Act) {
    let mut random = random();
    for ty in TensorType::ALL {
        let widths =
            if ty.block_len() == 256 { cases(&[256, 768, 1280], &[256]) } else { cases(&[32, 256, 544], &[64]) };
        for &width in widths {
            for &rows in cases(&[1, 7, 37], &[3]) {
                let bytes = weights(&mut random, ty, width, rows);
                let mut writer = GgufWriter::new();
                writer.tensor("w", &[width, rows], ty);
                let gguf = Gguf::from_bytes("test", &writer.to_bytes(&bytes).unwrap()).unwrap();
                let w = Matrix::new(&gguf.tensor("w").unwrap());
                let x: Vec<Vec<f32>> = (0..7).map(|_| values(&mut random, width)).collect();
                let forms = Forms::of(act, [ty]);
                for simd in levels() {
                    let inputs = Inputs::new(x.len(), width, forms);
                    let out = Shared::new(0.0f32, x.len() * rows);
                    // SAFETY: there is one worker.
                    unsafe {
                        for (slot, x) in x.iter().enumerate() {
                            inputs.prepare(simd, slot, x, forms);
                        }
                        let slots: Vec<u32> = (0..x.len() as u32).collect();
                        product::<A>(simd, act, &w, 0..rows, &inputs, &slots, |i, r| {
                            out.write(i * rows + r.start..i * rows + r.end)
                        });
                    }
                    for (i, x) in x.iter().enumerate() {
                        let expected = reference::gemv::<A>(act, ty, &bytes, x).unwrap();
                        // SAFETY: the worker is done.
                        let found = unsafe { out.read(i * rows..(i + 1) * rows) };
                        assert_eq!(bits(found), bits(&expected), "{ty} {rows}x{width}, {:?}, vector {i}", simd.level());
                    }
                }
            }
        }
    }
}

#[test]
fn products_act_f32_acc_f32() {
    products_are_the_references::<f32>(Act::F32);
}

#[test]
fn products_act_f32_acc_f64() {
    products_are_the_references::<f64>(Act::F32);
}

#[test]
fn products_act_q8k_acc_f32() {
    products_are_the_references::<f32>(Act::Q8K);
}

#[test]
fn products_act_q8k_acc_f64() {
    products_are_the_references::<f64>(Act::Q8K);
}

#[test]
fn quantization_is_the_references_on_awkward_blocks() {
    let mut random = random();
    let mut blocks: Vec<[f32; 256]> =
        vec![[0.0; 256], [-0.0; 256], [f32::NAN; 256], [f32::INFINITY; 256], [1e-45; 256]];
    for i in 0..if cfg!(miri) { 4 } else { 200 } {
        let mut x: [f32; 256] = values(&mut random, 256).try_into().unwrap();
        let at = |r: &mut TestRng| (r.next_u32() % 256) as usize;
        if i % 4 == 1 {
            // Equal magnitudes of both signs.
            (x[at(&mut random)], x[at(&mut random)]) = (60.0, -60.0);
        }
        if i % 4 == 2 {
            x[at(&mut random)] = f32::NAN;
        }
        if i % 4 == 3 {
            // Ties of the rounding.
            x = std::array::from_fn(|j| (j as f32 - 128.0) / 2.0);
            x[at(&mut random)] = 127.0;
        }
        blocks.push(x);
    }
    for x in &blocks {
        let expected = reference::quantize_q8k(x);
        for simd in levels() {
            let forms = Forms { q8k: true, lanes: false };
            let inputs = Inputs::new(1, 256, forms);
            // SAFETY: there is one worker.
            let found = unsafe {
                inputs.prepare(simd, 0, x, forms);
                &inputs.q8k(0)[0]
            };
            let parts = |b: &Q8KBlock| (b.q, b.sums, b.d.to_bits());
            assert_eq!(parts(found), parts(&expected), "{:?}: {x:?}", simd.level());
        }
    }
}

fn vectors_are_the_references<A: Accumulator>() {
    let mut random = random();
    for &n in cases(&[2, 6, 64, 80, 256, 1000], &[2, 80]) {
        let (x, w, u) = (values(&mut random, n), values(&mut random, n), values(&mut random, n));
        let rope = RopeTable::new(n, 1e4, 9);
        for simd in levels() {
            let (mut out, mut groups) = (vec![0.0; n], Vec::<A>::new());
            simd.run(Norm { x: &x, w: &w, eps: 1e-6, out: &mut out, groups: &mut groups });
            let expected: Vec<f32> = reference::rms_norm::<A>(&x, &w, 1e-6).into_iter().map(A::to_f32).collect();
            assert_eq!(bits(&out), bits(&expected), "norm of {n}, {:?}", simd.level());

            out.copy_from_slice(&x);
            simd.run(NormRope { head: &mut out, w: &w, eps: 1e-6, table: rope.at(8), groups: &mut groups });
            let expected = reference::qk_norm_rope::<A>(&x, &w, 1e-6, rope.at(8));
            assert_eq!(bits(&out), bits(&expected), "RoPE of {n}, {:?}", simd.level());

            simd.run(SwiGlu { gate: &x, up: &u, out: &mut out, acc: PhantomData::<A> });
            let expected: Vec<f32> = x.iter().zip(&u).map(|(&g, &u)| reference::swiglu::<A>(g, u)).collect();
            assert_eq!(bits(&out), bits(&expected), "SwiGLU of {n}, {:?}", simd.level());

            let y = [&x[..], &w, &u].concat();
            simd.run(ExpertsSum { weights: &[0.5, 0.3, 0.2], y: &y, out: &mut out, sums: &mut groups });
            let sum = |i: usize| reference::experts_sum::<A>([(0.5, x[i]), (0.3, w[i]), (0.2, u[i])]);
            let expected: Vec<f32> = (0..n).map(sum).collect();
            assert_eq!(bits(&out), bits(&expected), "sum of {n}, {:?}", simd.level());
        }
    }
}

#[test]
fn vectors_acc_f32() {
    vectors_are_the_references::<f32>();
}

#[test]
fn vectors_acc_f64() {
    vectors_are_the_references::<f64>();
}

fn attention_is_the_references<A: Accumulator>(ty: KvType) {
    let mut random = random();
    for &head_dim in cases(&[2, 6, 40, 64, 128], &[6]) {
        let positions: usize = if cfg!(miri) { 18 } else { 600 };
        let stored = |x: Vec<f32>| match ty {
            KvType::F32 => x,
            KvType::F16 => x.into_iter().map(|x| half::f16::from_f32(x).to_f32()).collect(),
        };
        let mut cache = KvCache::new(ty, 2, 3, head_dim);
        // Pages in any order, made in two goes.
        let table: Vec<u32> = (0..positions.div_ceil(PAGE) as u32).map(|page| page ^ 3).collect();
        assert!(cache.make(&table[..table.len() / 2]) && cache.make(&table));
        let (mut keys, mut values_) = (vec![], vec![]);
        for pos in 0..positions {
            let (k, v) = (values(&mut random, head_dim), values(&mut random, head_dim));
            // SAFETY: there is one worker.
            unsafe { cache.put((1, 2), (&table, pos), &k, &v) };
            keys.push(stored(k));
            values_.push(stored(v));
        }
        let q = values(&mut random, head_dim);
        for &seen in cases(&[1, 2, 5, 16, 17, 63, 64, 65, 128, 150, 255, 256, 257, 600], &[1, 17]) {
            let k: Vec<&[f32]> = keys[..seen].iter().map(Vec::as_slice).collect();
            let v: Vec<&[f32]> = values_[..seen].iter().map(Vec::as_slice).collect();
            let expected = reference::attention::<A>(&q, &k, &v);
            for simd in levels() {
                let mut out = vec![0.0; head_dim];
                // SAFETY: there is one worker.
                unsafe { cache.attend::<A>(simd, (1, 2), &q, (&table, seen), &mut out, &mut Vec::new()) };
                assert_eq!(bits(&out), bits(&expected), "{head_dim} over {seen}, {ty}, {:?}", simd.level());
            }
        }
    }
}

#[test]
fn attention_acc_f32() {
    attention_is_the_references::<f32>(KvType::F32);
    attention_is_the_references::<f32>(KvType::F16);
}

#[test]
fn attention_acc_f64() {
    attention_is_the_references::<f64>(KvType::F32);
    attention_is_the_references::<f64>(KvType::F16);
}
