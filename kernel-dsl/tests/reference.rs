//! The scalar reference against other definitions of the same functions.

use proptest::prelude::*;
use ptxgen_dsl::{
    format::{Q4K, Q6K, TensorType},
    precision::Act,
    reference::{
        argmax, attention, attention_scores, attention_weights, gemv, quantize_q8k, rms_norm, route, swiglu,
        term_q4k_q8k,
    },
};

fn hex(s: &str) -> Vec<u8> {
    (0..s.len() / 2).map(|i| u8::from_str_radix(&s[2 * i..2 * i + 2], 16).unwrap()).collect()
}

#[test]
fn dequantization_is_the_gguf_packages_bit_for_bit() {
    let mut seen = [0; 6];
    for line in include_str!("data/dequantize.txt").lines() {
        let parts: Vec<&str> = line.split(' ').collect();
        let ty = TensorType::ALL.into_iter().position(|t| t.name() == parts[0]).unwrap();
        seen[ty] += 1;
        let expected: Vec<u32> = hex(parts[2]).chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect();
        let mut values = vec![0.0; expected.len()];
        TensorType::ALL[ty].dequantize(&hex(parts[1]), &mut values).unwrap();
        let bits: Vec<u32> = values.iter().map(|v| v.to_bits()).collect();
        assert_eq!(bits, expected, "{line}");
    }
    assert!(seen[1..].iter().all(|&n| n >= 3), "{seen:?}");
}

#[test]
fn a_decoder_says_what_it_needed() {
    let e = TensorType::Q4_K.dequantize(&[0; 143], &mut [0.0; 256]).unwrap_err();
    assert_eq!(e.to_string(), "Q4_K: 256 weights need 144 bytes, found 143 bytes");
    let e = TensorType::Q8_0.dequantize(&[0; 34], &mut [0.0; 33]).unwrap_err();
    assert_eq!(e.to_string(), "Q8_0: 33 weights need whole blocks of 32, found 34 bytes");
    let e = gemv::<f32>(Act::F32, TensorType::Q4_K, &[0; 100], &[0.0; 256]).unwrap_err();
    assert!(e.to_string().contains("whole rows of 144 bytes"), "{e}");
}

#[test]
fn quantization_keeps_its_corner_cases() {
    let mut x = [0.0f32; 256];
    assert_eq!(quantize_q8k(&x).q, [0; 256]);
    // The first of equals decides the sign of the scale; a NaN is never chosen and gives 0.
    (x[3], x[7], x[9], x[11]) = (2.0, -2.0, f32::NAN, 1.0);
    let b = quantize_q8k(&x);
    assert_eq!((b.q[3], b.q[7], b.q[9]), (-127, 127, 0));
    assert_eq!(b.q[11], -64); // -63.5 to even
    assert_eq!(b.d, 1.0 / (-127.0f32 / 2.0));
    assert_eq!(b.sums[0], -64);
    assert_eq!(quantize_q8k(&[f32::NAN; 256]).d, 0.0);
}

#[test]
fn ties_go_to_the_lower_index() {
    assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
    assert_eq!(argmax(&[f32::NAN, -1.0, f32::NAN]), 1);
    let r = route(&[0.5, 1.0, 1.0, -3.0, 1.0], 3).unwrap();
    assert_eq!(r.experts, [1, 2, 4]);
    assert_eq!(r.weights, [1.0f32 / 3.0; 3]);
    assert_eq!(route(&[0.0, f64::NAN], 1).unwrap_err().to_string(), "the router logit of expert 1 is NaN or infinite");
}

#[test]
fn attention_across_chunks_is_a_softmax() {
    let n = 200;
    let value = |i: usize, d: usize| ((i * 31 + d * 17) % 29) as f32 / 14.0 - 1.0;
    let keys: Vec<Vec<f32>> = (0..n).map(|i| (0..8).map(|d| value(i, d)).collect()).collect();
    let values: Vec<Vec<f32>> = (0..n).map(|i| (0..8).map(|d| value(i + 7, d + 3)).collect()).collect();
    let q: Vec<f32> = (0..8).map(|d| value(5, d + 1) * 3.0).collect();
    let k: Vec<&[f32]> = keys.iter().map(Vec::as_slice).collect();
    let v: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();

    let scores: Vec<f64> = keys
        .iter()
        .map(|k| k.iter().zip(&q).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() / 8f64.sqrt())
        .collect();
    let m = scores.iter().copied().fold(f64::MIN, f64::max);
    let p: Vec<f64> = scores.iter().map(|s| (s - m).exp()).collect();
    let total: f64 = p.iter().sum();
    for (i, w) in attention_weights(&attention_scores::<f64>(&q, &k)).into_iter().enumerate() {
        assert!((w - p[i] / total).abs() < 1e-14);
    }
    let (exact32, exact64) = (attention::<f32>(&q, &k, &v), attention::<f64>(&q, &k, &v));
    for d in 0..8 {
        let o: f64 = (0..n).map(|i| p[i] * f64::from(values[i][d])).sum::<f64>() / total;
        assert!((f64::from(exact64[d]) - o).abs() < 1e-7);
        assert!((f64::from(exact32[d]) - o).abs() < 2e-6);
    }
}

#[test]
fn norm_and_swiglu_are_their_formulas() {
    let x: Vec<f32> = (0..10).map(|i| i as f32 - 4.5).collect();
    let mean = x.iter().map(|x| f64::from(x * x)).sum::<f64>() / 10.0;
    let y = rms_norm::<f64>(&x, &[2.0; 10], 1e-6);
    for (x, y) in x.iter().zip(y) {
        assert!((y - 2.0 * f64::from(*x) / (mean + f64::from(1e-6f32)).sqrt()).abs() < 1e-14);
    }
    let exact = 1.5 / (1.0 + (-1.5f64).exp()) * -0.25;
    assert!((f64::from(swiglu::<f64>(1.5, -0.25)) - exact).abs() < 3e-8);
    assert_eq!(swiglu::<f32>(-1e4, 1.0).to_bits(), (-0.0f32).to_bits());
}

fn block<const N: usize>() -> impl Strategy<Value = [u8; N]> {
    proptest::collection::vec(any::<u8>(), N).prop_map(|v| v.try_into().unwrap())
}

proptest! {
    /// The integer form of a Q4_K term is the dot product of the dequantized vectors.
    #[test]
    fn q4k_term_is_the_dot_product(mut w in block::<144>(), x in proptest::collection::vec(-3.0f32..3.0, 256)) {
        (w[1], w[3]) = (w[1] & 0x3b, w[3] & 0x3b); // finite, below 1
        let x = quantize_q8k(&x.try_into().unwrap());
        let w = Q4K::new(&w);
        let mut values = [0.0; 256];
        w.dequantize(&mut values);
        let exact: Vec<f64> = values.iter().zip(&x.q).map(|(w, q)| f64::from(*w) * f64::from(*q) * f64::from(x.d)).collect();
        let magnitude: f64 = exact.iter().map(|t| t.abs()).sum();
        let term = term_q4k_q8k::<f64>(w, &x);
        prop_assert!((term - exact.iter().sum::<f64>()).abs() <= 1e-6 * magnitude);
    }

    /// Weights as a product takes them are the dequantized ones, where the exponents are near.
    #[test]
    fn weights_are_the_dequantized_values(mut w in block::<144>(), v in block::<210>()) {
        (w[1], w[3]) = (0x21 | w[1] & 0x82, 0x21 | w[3] & 0x82);
        let w = Q4K::new(&w);
        let mut values = [0.0; 256];
        w.dequantize(&mut values);
        prop_assert_eq!(w.weights::<f32>(), values);
        prop_assert_eq!(w.weights::<f64>().map(|w| w as f32), values);
        let v = Q6K::new(&v);
        if v.d().is_finite() {
            prop_assert_eq!(v.weights::<f64>().map(|w| w as f32), v.weights::<f32>());
        }
    }
}
