//! Q8_K activations: each product against float64, and the whole model against llama.cpp.

mod common;

use common::{cosine, logits, model, read, relative_error, tokens};
use ptxgen_dsl::{
    format::TensorType,
    precision::{Acc, Act, Policy},
    reference::{gemv, quantize_q8k},
};
use ptxgen_model::cpu::CpuOptions;

/// Every quantized matrix of the model times one vector, against float64 on the same quantized
/// input.
#[test]
fn each_product_is_within_a_millionth() {
    let gguf = model();
    let x: Vec<f32> = (0..256).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.03).collect();
    let block = quantize_q8k(&x.clone().try_into().unwrap());
    let mut products = 0;
    for t in gguf.tensors().filter(|t| t.ty.reads_q8k()) {
        let mut w = vec![0.0; t.elements()];
        t.ty.dequantize(t.data, &mut w).unwrap();
        let exact: Vec<f64> = w
            .chunks_exact(256)
            .map(|row| row.iter().zip(&block.q).map(|(w, q)| f64::from(*w) * f64::from(*q) * f64::from(block.d)).sum())
            .collect();
        let f32s = gemv::<f32>(Act::Q8K, t.ty, t.data, &x).unwrap();
        let f64s = gemv::<f64>(Act::Q8K, t.ty, t.data, &x).unwrap();
        for found in [f32s, f64s] {
            let error = relative_error(found.into_iter().map(f64::from), exact.iter().copied());
            assert!(error <= 1e-6, "{}: {error:e}", t.name);
        }
        products += 1;
        assert!(matches!(t.ty, TensorType::Q4_K | TensorType::Q6_K));
    }
    assert!(products > 40);
}

#[test]
fn logits_are_near_llama_cpps() {
    let theirs: Vec<f32> =
        read("tiny-64.llama-cpp-cpu.logits.f32").as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    for acc in [Acc::F32, Acc::F64] {
        let options = CpuOptions { policy: Policy::new(Act::Q8K, acc), ..CpuOptions::default() };
        let ours = logits(&model(), options, &tokens("tiny.tokens-64.i32"), 64);
        let cosines: Vec<f64> =
            ours.chunks_exact(4096).zip(theirs.chunks_exact(4096)).map(|(a, b)| cosine(a, b)).collect();
        let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
        let least = cosines.iter().copied().fold(1.0, f64::min);
        println!("acc {acc}: cosine with llama.cpp {mean:.6} in the mean, {least:.6} at least");
        assert!(mean >= 0.999 && least >= 0.95, "acc {acc}: {mean} in the mean, {least} at least");
    }
}
