//! The generated kernels in the interpreter give the CPU's bits for a whole model.

mod common;

use common::{
    bits,
    device::{fed, same_as_the_cpu, some_tokens, synth},
};
use ptxgen_dsl::precision::{Acc, Act, Math, Policy};
use ptxgen_model::{
    Engine, EngineError, KvType, LoadError, LogitRows, bundled,
    cpu::{CpuModel, CpuOptions},
    device::{DeviceModel, DeviceOptions},
    gguf::{Gguf, TensorType},
    synth::Mix,
};
use ptxgen_runtime::Device;

fn options(policy: Policy, kv: KvType, pass: usize) -> DeviceOptions {
    DeviceOptions { policy, kv, pass }
}

/// Two layers, one with Q6_K values and down projections, one without; as few tokens as show it.
fn small() -> Gguf {
    synth(Mix::Q4KM, 21, |c| {
        (c.blocks, c.vocab, c.experts, c.experts_used) = (2, 300, 6, 2);
        (c.heads, c.kv_heads, c.head_dim) = (4, 2, 64);
    })
}

#[test]
fn the_interpreter_gives_the_cpus_logits_on_every_policy() {
    let gguf = bundled().expect("the repository has the model").expect("it is sound");
    for (policy, kv) in Policy::EXACT.into_iter().zip([KvType::F32, KvType::F16, KvType::F32, KvType::F16]) {
        let cpu = CpuModel::load(&gguf, CpuOptions { policy, kv, ..CpuOptions::default() }).unwrap();
        let interp = DeviceModel::load(&Device::interp(), &gguf, options(policy, kv, 32), 8, &mut |_| ()).unwrap();
        let tokens = [17, 300, 4095];
        let (mut on_cpu, mut interpreted) = (cpu.new_session(8).unwrap(), interp.new_session(8).unwrap());
        let expected = bits(on_cpu.forward(&tokens, LogitRows::All).unwrap());
        let got = bits(interpreted.forward(&tokens, LogitRows::All).unwrap());
        assert!(got == expected, "{policy}: logits differ");
    }
}

#[test]
fn passes_of_every_size_and_greedy_tokens_are_the_cpus() {
    let gguf = small();
    for (i, policy) in Policy::EXACT.into_iter().enumerate() {
        let kv = [KvType::F16, KvType::F32][i % 2];
        same_as_the_cpu(&Device::interp(), &gguf, options(policy, kv, [4, 3, 1, 7][i]), &some_tokens(7, 300), 3);
    }
}

/// Approximate SwiGLU is another function, close to the exact one, and still the same in every pass.
#[test]
fn approximate_math_is_close_and_does_not_depend_on_the_pass() {
    let (gguf, tokens) = (small(), some_tokens(7, 300));
    for exact in Policy::EXACT {
        let logits = |policy, lengths: &[usize]| {
            let model =
                DeviceModel::load(&Device::interp(), &gguf, options(policy, KvType::F32, 4), 8, &mut |_| ()).unwrap();
            fed(&mut model.new_session(8).unwrap(), &tokens, lengths)
        };
        let approx = Policy { math: Math::Approx, ..exact };
        let (expected, found) = (logits(exact, &[]), logits(approx, &[]));
        // Rounding to 8 bits swallows nearly all of the difference, and here sometimes all of it.
        assert!(found != expected || exact.act == Act::Q8K, "{approx}: the exact bits");
        assert!(logits(approx, &[1, 1, 3]) == found, "{approx}: depends on the pass");
        let values = |bits: &[u32]| bits.iter().map(|b| f64::from(f32::from_bits(*b))).collect::<Vec<_>>();
        let error = common::relative_error(values(&found), values(&expected));
        println!("{approx}: {error:.2e} from exact");
        // What it does not swallow it makes a step of.
        assert!(error <= if exact.act == Act::Q8K { 0.02 } else { 2e-6 }, "{approx}: {error:.2e}");
    }
}

#[test]
fn wide_heads_many_experts_and_a_tied_output() {
    let gguf = synth(Mix::Q4KM, 22, |c| {
        (c.blocks, c.vocab, c.hidden, c.tied) = (1, 301, 512, true);
        (c.heads, c.kv_heads, c.head_dim) = (6, 1, 128);
        (c.experts, c.experts_used, c.expert_ff) = (60, 6, 256);
    });
    for policy in [Policy::new(Act::Q8K, Acc::F32), Policy::new(Act::F32, Acc::F64)] {
        same_as_the_cpu(&Device::interp(), &gguf, options(policy, KvType::F16, 4), &some_tokens(5, 301), 2);
    }
}

#[test]
fn q6k_throughout() {
    let gguf = synth(Mix::One(TensorType::Q6_K), 23, |c| {
        (c.blocks, c.vocab, c.experts, c.experts_used) = (1, 128, 4, 4);
        (c.heads, c.kv_heads, c.head_dim) = (4, 4, 40);
    });
    let policy = Policy::new(Act::Q8K, Acc::F64);
    same_as_the_cpu(&Device::interp(), &gguf, options(policy, KvType::F32, 4), &some_tokens(5, 128), 1);
}

#[test]
fn several_chunks_of_positions() {
    let gguf = synth(Mix::Q4KM, 24, |c| {
        (c.blocks, c.vocab, c.experts, c.experts_used) = (1, 64, 2, 1);
        (c.heads, c.kv_heads, c.head_dim) = (2, 1, 32);
    });
    let policy = Policy::new(Act::Q8K, Acc::F32);
    same_as_the_cpu(&Device::interp(), &gguf, options(policy, KvType::F32, 32), &some_tokens(70, 64), 1);
}

#[test]
fn a_session_refuses_what_it_cannot_do_and_goes_on() {
    let gguf = small();
    let policy = Policy::new(Act::Q8K, Acc::F32);
    let model = DeviceModel::load(&Device::interp(), &gguf, options(policy, KvType::F32, 4), 4, &mut |_| ()).unwrap();
    assert!(matches!(model.new_session(5000), Err(LoadError::Context { asked: 5000, context: 4096 })));
    let mut session = model.new_session(2).unwrap();
    assert_eq!(session.forward(&[], LogitRows::Last).unwrap_err(), EngineError::NoTokens);
    let full = session.forward(&[1, 2, 3], LogitRows::Last).unwrap_err();
    assert_eq!(full, EngineError::Full { tokens: 3, position: 0, capacity: 2 });
    assert!(matches!(session.forward(&[1, 300], LogitRows::Last), Err(EngineError::Token { token: 300, .. })));
    assert_eq!(session.position(), 0);
    session.forward(&[1, 2], LogitRows::Last).unwrap();
    assert!(common::device::greedy(&mut session, 3, 4).is_empty());
}

/// The CPU runs these files; there is no kernel for them, which is said before weights are copied.
#[test]
fn sizes_and_types_without_a_kernel_are_refused_by_name() {
    let refused = |gguf: &Gguf| {
        let options = options(Policy::default(), KvType::F32, 4);
        let mut copied = 0;
        let loaded = DeviceModel::load(&Device::interp(), gguf, options, 4, &mut |p| copied = copied.max(p.done));
        let error = loaded.expect_err("there is no such kernel");
        assert_eq!(copied, 0, "{error}");
        CpuModel::load(gguf, CpuOptions::default()).unwrap();
        error
    };
    for (head_dim, heads) in [(20, 4), (264, 2)] {
        let gguf = synth(Mix::One(TensorType::F16), 27, |c| {
            (c.blocks, c.vocab, c.experts, c.experts_used) = (1, 100, 4, 2);
            (c.hidden, c.heads, c.kv_heads, c.head_dim, c.expert_ff) = (96, heads, 2, head_dim, 64);
        });
        let error = refused(&gguf);
        let (text, size) = (error.to_string(), format!("{head_dim}"));
        assert!(matches!(error, LoadError::Size(_)), "{text}");
        assert!(text.contains("head-dim") && text.contains(&size) && text.contains("multiple of 8"), "{text}");
        assert!(text.ends_with("--device cpu runs this file"), "{text}");
    }
}

#[test]
fn plain_types_throughout() {
    for (i, ty) in [TensorType::F16, TensorType::BF16, TensorType::Q8_0, TensorType::F32].into_iter().enumerate() {
        let gguf = synth(Mix::One(ty), 26, |c| {
            (c.blocks, c.vocab, c.experts, c.experts_used) = (1, 100, 4, 2);
            (c.hidden, c.heads, c.kv_heads, c.head_dim, c.expert_ff) = (96, 4, 2, 24, 64);
        });
        let policy = Policy::EXACT[i];
        same_as_the_cpu(&Device::interp(), &gguf, options(policy, KvType::F32, 4), &some_tokens(3, 100), 1);
    }
}

#[test]
fn nan_in_a_router_names_the_layer_and_leaves_the_session_as_it_was() {
    let gguf = common::model_with_nan();
    let policy = Policy::new(Act::Q8K, Acc::F32);
    let model = DeviceModel::load(&Device::interp(), &gguf, options(policy, KvType::F32, 4), 8, &mut |_| ()).unwrap();
    let mut session = model.new_session(8).unwrap();
    let expected = bits(session.forward(&[1], LogitRows::Last).unwrap());
    for tokens in [&[2, 5, 2][..], &[5]] {
        let error = session.forward(tokens, LogitRows::Last).unwrap_err();
        let position = 1 + tokens.iter().position(|&t| t == 5).unwrap();
        assert_eq!(error, EngineError::NanInRouter { layer: 0, expert: 0, position });
        assert_eq!(session.position(), 1);
    }
    session.rewind(0);
    assert_eq!(bits(session.forward(&[1], LogitRows::Last).unwrap()), expected);
}

/// Passes of more tokens than the kernels of few take: products on tensor cores, attention of many queries. Prompts that
/// a long pass takes with room to spare, and that take a long one, then a short one; all logits, and those of the last.
#[test]
fn long_passes_are_the_cpus() {
    let gguf = small();
    for (acc, kv) in [(Acc::F32, KvType::F32), (Acc::F64, KvType::F16)] {
        let policy = Policy::new(Act::Q8K, acc);
        same_as_the_cpu(&Device::interp(), &gguf, options(policy, kv, 96), &some_tokens(101, 300), 1);
    }
}
