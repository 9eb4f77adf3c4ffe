//! Synthetic models: the same bytes from the same seed, weights of sane size, llama.cpp's types.

use ptxgen_model::{
    ModelConfig, TensorRole, bundled,
    gguf::{Gguf, TensorType},
    synth::{Mix, Preset, Synth, Vocabulary},
};

fn tiny(mix: Mix) -> Synth {
    Synth { config: Preset::Tiny.config(), mix, vocabulary: Vocabulary::None, seed: 7 }
}

#[test]
fn bytes_depend_on_the_seed_alone() {
    let mut synth = tiny(Mix::Q4KM);
    synth.config.blocks = 2;
    let one = synth.to_bytes().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    assert!(pool.install(|| synth.to_bytes().unwrap()) == one, "threads change the bytes");

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.gguf");
    let mut told = Vec::new();
    synth.write(&path, |n| told.push(n)).unwrap();
    assert!(std::fs::read(&path).unwrap() == one, "streaming changes the bytes");
    assert!(told.is_sorted());
    assert_eq!(told.last(), Some(&synth.writer().data_bytes()));

    synth.seed = 8;
    assert!(synth.to_bytes().unwrap() != one);
}

/// The bundled model was quantized by llama.cpp as Q4_K_M.
#[test]
fn types_are_llama_cpps() {
    let real = bundled().unwrap().unwrap();
    let synth = tiny(Mix::Q4KM);
    for (role, block) in synth.config.tensors() {
        let t = real.tensor(&role.name(block)).unwrap();
        assert_eq!((t.ty, t.dims), (synth.tensor_type(role, block), &role.dims(&synth.config)[..]));
    }
    // Of 48 layers llama.cpp gives more bits to the first and last 6 and every third between.
    let big = Synth { config: Preset::Qwen3_30bA3b.config(), ..synth };
    let more = (0..48).filter(|b| big.tensor_type(TensorRole::AttnV, Some(*b)) == TensorType::Q6_K);
    let expected: Vec<_> = (0..6).chain((8..42).step_by(3)).chain(42..48).collect();
    assert_eq!(more.collect::<Vec<_>>(), expected);
    assert_eq!(big.writer().data_bytes() / 100_000_000, 185);
}

/// Mean and standard deviation of a tensor's first weights.
fn moments(gguf: &Gguf, name: &str) -> (f64, f64) {
    let t = gguf.tensor(name).unwrap();
    let n = t.elements().min(1 << 16);
    let mut w = vec![0f32; n];
    t.ty.dequantize(&t.data[..t.ty.bytes_of(n).unwrap()], &mut w).unwrap();
    assert!(w.iter().all(|w| w.is_finite()));
    let mean = w.iter().map(|w| f64::from(*w)).sum::<f64>() / n as f64;
    let square = w.iter().map(|w| (f64::from(*w) - mean).powi(2)).sum::<f64>();
    (mean, (square / n as f64).sqrt())
}

#[test]
fn weights_have_the_size_of_trained_ones() {
    let mixes = [Mix::Q4KM].into_iter().chain(TensorType::ALL.map(Mix::One));
    for mix in mixes {
        let mut synth = tiny(mix);
        synth.config.blocks = 1;
        let gguf = Gguf::from_bytes("m.gguf", &synth.to_bytes().unwrap()).unwrap();
        for name in ["token_embd.weight", "output.weight", "blk.0.ffn_down_exps.weight"] {
            let (mean, deviation) = moments(&gguf, name);
            // Of the types of few bits the size is a rough one.
            use TensorType::{BF16, F16, F32, Q4_K, Q6_K, Q8_0};
            let rough = matches!(mix, Mix::One(ty) if ![F32, F16, BF16, Q8_0, Q4_K, Q6_K].contains(&ty));
            let (off, sizes) = if rough { (2e-2, 0.002..0.1) } else { (2e-3, 0.015..0.045) };
            assert!(mean.abs() < off && sizes.contains(&deviation), "{mix:?} {name} {mean} {deviation}");
        }
        let (mean, deviation) = moments(&gguf, "blk.0.attn_norm.weight");
        assert!((mean - 1.0).abs() < 0.03 && (deviation - 0.1).abs() < 0.02, "{mean} {deviation}");
        let (mean, deviation) = moments(&gguf, "blk.0.ffn_gate_inp.weight");
        assert!(mean.abs() < 4e-3 && (deviation - 0.05).abs() < 3e-3, "{mean} {deviation}");
    }
}

#[test]
fn rows_that_are_no_whole_blocks_get_another_type() {
    let mut synth = tiny(Mix::Q4KM);
    synth.config = ModelConfig { hidden: 288, expert_ff: 40, blocks: 1, vocab: 64, ..synth.config };
    let ty = |role| synth.tensor_type(role, Some(0));
    assert_eq!(ty(TensorRole::AttnQ), TensorType::Q8_0);
    assert_eq!(ty(TensorRole::AttnOutput), TensorType::Q4_K);
    assert_eq!(ty(TensorRole::FfnDownExps), TensorType::F16);
    let gguf = Gguf::from_bytes("m.gguf", &synth.to_bytes().unwrap()).unwrap();
    assert_eq!(ModelConfig::from_gguf(&gguf).unwrap(), synth.config);
}

#[test]
fn shapes_that_make_no_model_are_named() {
    let message = |edit: fn(&mut Synth)| {
        let mut synth = tiny(Mix::Q4KM);
        edit(&mut synth);
        synth.check().unwrap_err().to_string()
    };
    assert_eq!(message(|s| s.config.blocks = 0), "--layers 0: expected 1 to 10000");
    assert_eq!(message(|s| s.config.experts_used = 17), "--topk 17: expected 1 to 16");
    assert_eq!(message(|s| s.config.kv_heads = 3), "--kv 3: expected a divisor of --heads 4");
    assert_eq!(message(|s| s.config.head_dim = 33), "--hd 33: expected an even number");
    assert_eq!(
        message(|s| (s.vocabulary, s.config.vocab) = (Vocabulary::Bytes, 256)),
        "--vocab 256: expected at least 257 for --byte-vocabulary"
    );
    let dense = |s: &mut Synth| s.config = ModelConfig { experts: 4, ..Preset::TinyDense.config() };
    assert_eq!(message(dense), "--experts 4: expected none: the layers of a Qwen3 are dense");
    assert_eq!(
        message(|s| s.config = ModelConfig { ff: 0, ..Preset::TinyDense.config() }),
        "--ff 0: expected 1 to 1048576"
    );
    assert_eq!(tiny(Mix::Q4KM).check(), Ok(()));
}
