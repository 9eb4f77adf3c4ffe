//! Dense Qwen3: against the float64 oracle (`data/oracle.py`, `data/shapes.py` makes the fixtures), and the CPU, the plain
//! forward and the interpreted kernels against each other, bit for bit.

mod common;

use common::{
    bits, data,
    device::{same_as_the_cpu, some_tokens},
    logits, relative_error,
};
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_model::{
    Engine, KvType, LogitRows, ModelConfig,
    cpu::{CpuModel, CpuOptions},
    device::DeviceOptions,
    gguf::{Gguf, TensorType},
    synth::{Mix, Preset, Synth, Vocabulary},
    trace::{Block, Slice, Stage},
};
use ptxgen_runtime::Device;
use safetensors::SafeTensors;

fn dense(mix: Mix, seed: u64, change: impl FnOnce(&mut ModelConfig)) -> Gguf {
    let mut config = Preset::TinyDense.config();
    change(&mut config);
    let synth = Synth { config, mix, vocabulary: Vocabulary::None, seed };
    Gguf::from_bytes("dense.gguf", &synth.to_bytes().unwrap()).unwrap()
}

/// `[layers, hidden, heads, kv heads, head width, inner width]`
fn model(shape: [usize; 6], seed: u64, mix: Mix, tied: bool) -> Gguf {
    dense(mix, seed, |c| {
        [c.blocks, c.hidden, c.heads, c.kv_heads, c.head_dim, c.ff] = shape;
        (c.vocab, c.tied) = (300, tied);
    })
}

fn check(name: &str, gguf: &Gguf) {
    let bytes = std::fs::read(data("dense.safetensors")).unwrap();
    let oracle = SafeTensors::deserialize(&bytes).unwrap();
    let f64s = |part: &str| -> Vec<f64> {
        let tensor = oracle.tensor(&format!("{name}.{part}")).unwrap();
        tensor.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect()
    };
    let all = oracle.tensor(&format!("{name}.logits")).unwrap();
    let n = all.shape()[0];
    let tokens: Vec<u32> = (0..n as u32).map(|i| i * 37 % 300).collect();

    let options = CpuOptions { policy: Policy::new(Act::F32, Acc::F64), ..CpuOptions::default() };
    let model = CpuModel::load(gguf, options).unwrap();
    let hidden = model.config().hidden;
    let mut session = model.new_session(n).unwrap();
    let mut given = Vec::new();
    let mut trace = |block: Block<'_>| {
        if let (Stage::FfnOut, Slice::F32(values)) = (block.stage, block.values)
            && block.position + block.tokens == n
        {
            given.extend(values[values.len() - hidden..].iter().map(|&v| f64::from(v)));
        }
    };
    let found = session.forward_traced(&tokens, LogitRows::All, Some(&mut trace)).unwrap().to_vec();
    let expected = f64s("ffn_out");
    assert_eq!(given.len(), expected.len());
    let errors = [
        relative_error(given, expected),
        relative_error(
            found.iter().map(|&v| f64::from(v)),
            all.data().as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))),
        ),
        relative_error(found[(n - 1) * 300..].iter().map(|&v| f64::from(v)), f64s("last")),
    ];
    println!("{name}: {errors:?}");
    assert!(errors.iter().all(|&e| e <= 1e-6), "{name}: {errors:?}");

    for policy in Policy::EXACT {
        let options = CpuOptions { policy, threads: Some(1), ..CpuOptions::default() };
        let one = logits(gguf, options, &tokens, n);
        for (threads, batch) in [(2, 5), (3, 1)] {
            let other = logits(gguf, CpuOptions { threads: Some(threads), ..options }, &tokens, batch);
            assert!(bits(&one) == bits(&other), "{name}, {policy}, {threads} threads");
        }
    }
}

#[test]
fn usual_types() {
    check("usual", &model([2, 256, 8, 2, 64, 512], 41, Mix::Q4KM, false));
}

#[test]
fn tied_output_in_q8_0() {
    check("tied", &model([2, 128, 6, 3, 32, 352], 42, Mix::Q4KM, true));
}

#[test]
fn odd_widths_in_f32() {
    check("odd", &model([2, 33, 3, 3, 2, 7], 43, Mix::One(TensorType::F32), false));
}

#[test]
fn two_chunks_of_positions_in_q6_k() {
    check("chunks", &model([1, 512, 8, 1, 128, 768], 44, Mix::One(TensorType::Q6_K), false));
}

/// Two layers, one with Q6_K values and down projections, one without.
fn small() -> Gguf {
    dense(Mix::Q4KM, 45, |c| (c.blocks, c.vocab) = (2, 300))
}

fn on_interp(policy: Policy, kv: KvType, pass: usize) -> DeviceOptions {
    DeviceOptions { policy, kv, pass }
}

#[test]
fn the_interpreter_gives_the_cpus_bits_on_every_policy_in_every_pass() {
    let gguf = small();
    for (i, policy) in Policy::EXACT.into_iter().enumerate() {
        let kv = [KvType::F16, KvType::F32][i % 2];
        same_as_the_cpu(&Device::interp(), &gguf, on_interp(policy, kv, [4, 3, 1, 7][i]), &some_tokens(7, 300), 3);
    }
}

#[test]
fn the_interpreter_gives_the_cpus_bits_in_long_passes() {
    let gguf = dense(Mix::Q4KM, 46, |c| (c.blocks, c.vocab, c.tied) = (1, 300, true));
    let policy = Policy::new(Act::Q8K, Acc::F32);
    let options = on_interp(policy, KvType::F32, 96);
    same_as_the_cpu(&Device::interp(), &gguf, options, &some_tokens(101, 300), 1);
}

#[test]
fn the_interpreter_gives_the_cpus_bits_for_other_types() {
    use TensorType::{F16, IQ4_XS, Q5_K, Q8_0};
    for (i, ty) in [F16, Q8_0, Q5_K, IQ4_XS].into_iter().enumerate() {
        let gguf = dense(Mix::One(ty), 47, |c| (c.blocks, c.vocab) = (1, 100));
        let options = on_interp(Policy::EXACT[i], KvType::F32, 4);
        same_as_the_cpu(&Device::interp(), &gguf, options, &some_tokens(3, 100), 1);
    }
}
