//! A model on a device compared with the CPU.

use super::bits;
use ptxgen_model::{
    Engine, LogitRows, ModelConfig, Sampler, Sampling,
    cpu::{CpuModel, CpuOptions},
    device::{DeviceModel, DeviceOptions},
    gguf::Gguf,
    synth::{Mix, Preset, Synth, Vocabulary},
};
use ptxgen_runtime::Device;
use std::ops::ControlFlow;

/// A model of random weights; `change` says how it differs from the bundled one.
pub fn synth(mix: Mix, seed: u64, change: impl FnOnce(&mut ModelConfig)) -> Gguf {
    let mut config = Preset::Tiny.config();
    change(&mut config);
    let synth = Synth { config, mix, vocabulary: Vocabulary::None, seed };
    Gguf::from_bytes("synth.gguf", &synth.to_bytes().unwrap()).unwrap()
}

/// Three layers of different types, for several devices.
pub fn moe() -> Gguf {
    synth(Mix::Q4KM, 81, |c| {
        (c.blocks, c.vocab, c.experts, c.experts_used) = (3, 200, 6, 2);
        (c.heads, c.kv_heads, c.head_dim) = (4, 2, 64);
    })
}

/// One matrix is both the embedding, on the first of several devices, and the output projection, on the last.
pub fn tied() -> Gguf {
    synth(Mix::Q4KM, 82, |c| {
        *c = Preset::TinyDense.config();
        (c.blocks, c.vocab, c.tied) = (3, 100, true);
    })
}

/// `n` tokens of a vocabulary.
pub fn some_tokens(n: usize, vocab: usize) -> Vec<u32> {
    (0..n).map(|i| (i * 2_654_435_761 % vocab) as u32).collect()
}

/// Tokens chosen greedily after `first`.
pub fn greedy(session: &mut dyn Engine, first: u32, n: usize) -> Vec<u32> {
    chosen_by(session, Sampling::default(), first, n)
}

/// Tokens drawn after `first`.
pub fn drawn(session: &mut dyn Engine, first: u32, n: usize) -> Vec<u32> {
    chosen_by(session, Sampling { temperature: 1.5, top_k: 40, top_p: 0.95, seed: 7, ..Sampling::default() }, first, n)
}

fn chosen_by(session: &mut dyn Engine, sampling: Sampling, first: u32, n: usize) -> Vec<u32> {
    let mut tokens = Vec::new();
    let mut sampler = Sampler::new(sampling);
    let mut each = |token| {
        tokens.push(token);
        ControlFlow::Continue(())
    };
    session.generate(first, n, &mut sampler, &mut each).unwrap();
    tokens
}

/// Feeds `tokens` in pieces of these lengths, the rest in one, and gives all logits' bits.
pub fn fed(session: &mut dyn Engine, tokens: &[u32], lengths: &[usize]) -> Vec<u32> {
    let mut found = Vec::new();
    let mut rest = tokens;
    for &length in lengths.iter().chain([&usize::MAX]) {
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        if !piece.is_empty() {
            found.extend(bits(session.forward(piece, LogitRows::All).unwrap()));
        }
        rest = behind;
    }
    found
}

/// Logits and greedy tokens of a device are the CPU's, whatever the passes, twice.
pub fn same_as_the_cpu(device: &Device, gguf: &Gguf, options: DeviceOptions, tokens: &[u32], chosen: usize) {
    same_as_the_cpu_on(std::slice::from_ref(device), gguf, options, tokens, chosen);
}

/// The same on several devices.
pub fn same_as_the_cpu_on(devices: &[Device], gguf: &Gguf, options: DeviceOptions, tokens: &[u32], chosen: usize) {
    let DeviceOptions { policy, kv, .. } = options;
    let capacity = tokens.len() + chosen + 1;
    let cpu = CpuModel::load(gguf, CpuOptions { policy, kv, ..CpuOptions::default() }).unwrap();
    let mut on_cpu = cpu.new_session(capacity).unwrap();
    let expected = fed(&mut on_cpu, tokens, &[]);
    let greedy_expected = greedy(&mut on_cpu, tokens[0], chosen);
    on_cpu.rewind(tokens.len());
    let drawn_expected = drawn(&mut on_cpu, tokens[0], chosen);

    let model = DeviceModel::load_on(devices, gguf, options, capacity, &mut |_| ()).unwrap();
    let mut session = model.new_session(capacity).unwrap();
    for lengths in [&[][..], &[1, 1]] {
        let found = fed(&mut session, tokens, lengths);
        assert!(found == expected, "{policy}, KV {kv}, lengths {lengths:?}: logits differ");
        assert_eq!(session.position(), tokens.len());
        assert_eq!(greedy(&mut session, tokens[0], chosen), greedy_expected, "{policy}, KV {kv}");
        assert_eq!(session.position(), tokens.len() + chosen);
        session.rewind(tokens.len());
        assert_eq!(drawn(&mut session, tokens[0], chosen), drawn_expected, "{policy}, KV {kv}, drawn");
        session.rewind(0);
    }
    // The last row by itself, after a rewind into the middle.
    let middle = tokens.len() / 2;
    fed(&mut session, tokens, &[]);
    session.rewind(middle);
    let last = bits(session.forward(&tokens[middle..], LogitRows::Last).unwrap());
    assert!(last[..] == expected[expected.len() - last.len()..], "{policy}, KV {kv}: the last row differs");
}
