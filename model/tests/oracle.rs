//! The CPU forward of the bundled model against the float64 oracle (`model/tests/data/README.md`).

mod common;

use common::{data, model, perplexity, relative_error, tokens};
use ptxgen_dsl::{
    precision::{Acc, Act, Policy},
    reference::argmax,
};
use ptxgen_model::{
    Engine, LogitRows,
    cpu::{CpuModel, CpuOptions},
    trace::{Block, Slice, Stage},
};
use safetensors::SafeTensors;

fn exact() -> CpuOptions {
    CpuOptions { policy: Policy::new(Act::F32, Acc::F64), ..CpuOptions::default() }
}

fn f64s(tensors: &SafeTensors<'_>, name: &str) -> Vec<f64> {
    tensors.tensor(name).unwrap().data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect()
}

#[test]
fn layers_and_logits_are_the_oracles() {
    let bytes = std::fs::read(data("tiny-64.f64.safetensors")).unwrap();
    let oracle = SafeTensors::deserialize(&bytes).unwrap();
    let gguf = model();
    let model = CpuModel::load(&gguf, exact()).unwrap();
    let mut session = model.new_session(64).unwrap();
    // The rows of a block's positions among those of all 64.
    let rows = |block: &Block<'_>, all: usize| {
        let width = all / 64;
        block.position * width..(block.position + block.tokens) * width
    };
    let mut chosen = 0;
    let mut trace = |block: Block<'_>| {
        let Some(layer) = block.layer else { return };
        let part = match block.stage {
            Stage::RouterExperts => "experts",
            Stage::RouterWeights => "router",
            Stage::MoeFfnOut => "moe_ffn_out",
            Stage::LayerOut => "out",
            _ => return,
        };
        let name = format!("l{layer}.{part}");
        match block.values {
            Slice::U32(experts) => {
                let expected = oracle.tensor(&name).unwrap();
                let expected: Vec<u64> = expected.data().as_chunks().0.iter().map(|b| u64::from_le_bytes(*b)).collect();
                let experts: Vec<u64> = experts.iter().map(|&e| u64::from(e)).collect();
                assert_eq!(experts, expected[rows(&block, expected.len())], "{name}");
                chosen += block.tokens;
            }
            Slice::F32(values) => {
                let expected = f64s(&oracle, &name);
                let expected = expected[rows(&block, expected.len())].iter().copied();
                let error = relative_error(values.iter().map(|&v| f64::from(v)), expected);
                assert!(error <= 1e-6, "{name}: {error:e}");
            }
            other => panic!("{name}: {} values of another type", other.len()),
        }
    };
    let logits = session.forward_traced(&tokens("tiny.tokens-64.i32"), LogitRows::All, Some(&mut trace)).unwrap();
    let expected = f64s(&oracle, "logits");
    let error = relative_error(logits.iter().map(|&v| f64::from(v)), expected.iter().copied());
    println!("relative error of the logits: {error:e}");
    assert!(error <= 1e-6, "{error:e}");
    for (i, (row, exact)) in logits.chunks_exact(4096).zip(expected.chunks_exact(4096)).enumerate() {
        let top = (0..4096).max_by(|&a, &b| exact[a].total_cmp(&exact[b])).unwrap();
        assert_eq!(argmax(row), top, "position {i}");
    }
    assert_eq!(chosen, 6 * 64, "every layer's choices of every position");
}

#[test]
fn perplexities_are_the_oracles() {
    let gguf = model();
    for (file, n, expected) in [("tiny.tokens-64.i32", 64, "4.2356"), ("tiny.tokens-4096.i32", 1024, "31.2844")] {
        let tokens = &tokens(file)[..n];
        let logits = common::logits(&gguf, exact(), tokens, 256);
        assert_eq!(format!("{:.4}", perplexity(&logits, tokens)), expected, "{file}");
    }
}

#[test]
fn greedy_texts_are_the_oracles() {
    let fixtures: serde_json::Value = serde_json::from_slice(&common::read("tiny-greedy.f64.json")).unwrap();
    let ids = |v: &serde_json::Value| -> Vec<u32> { serde_json::from_value(v.clone()).unwrap() };
    let gguf = model();
    let model = CpuModel::load(&gguf, exact()).unwrap();
    for fixture in fixtures.as_array().unwrap() {
        let (prompt, expected) = (ids(&fixture["prompt_ids"]), ids(&fixture["greedy_ids"]));
        let mut session = model.new_session(prompt.len() + expected.len()).unwrap();
        let mut next = argmax(session.forward(&prompt, LogitRows::Last).unwrap()) as u32;
        let mut found = vec![next];
        while found.len() < expected.len() {
            next = argmax(session.forward(&[next], LogitRows::Last).unwrap()) as u32;
            found.push(next);
        }
        assert_eq!(found, expected, "{}", fixture["prompt"]);
    }
}
