//! What the tests of a whole model share.
#![allow(dead_code)] // each test file uses its part

use ptxgen_model::{
    Engine, LogitRows, bundled,
    cpu::{CpuModel, CpuOptions},
    gguf::Gguf,
};
use std::path::PathBuf;

pub mod batch;
pub mod comparison;
pub mod device;
pub mod mixed;
pub mod speculate;

/// A file of `tests/data`.
pub fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

pub fn read(name: &str) -> Vec<u8> {
    std::fs::read(data(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

pub fn tokens(name: &str) -> Vec<u32> {
    read(name).as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)).collect()
}

pub fn model() -> Gguf {
    bundled().expect("the tests run in the repository").unwrap()
}

/// The bundled model with a NaN in the embedding of token 5: its d is at the row's start.
pub fn model_with_nan() -> Gguf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/tiny-rust-moe-Q4_K_M.gguf");
    let mut bytes = std::fs::read(path).unwrap();
    let gguf = Gguf::from_bytes("whole.gguf", &bytes).unwrap();
    let row = gguf.tensor("token_embd.weight").unwrap().outer(5).data;
    let header = bytes.len() - gguf.tensor_bytes().len();
    let at = header + row.as_ptr().addr() - gguf.tensor_bytes().as_ptr().addr();
    bytes[at..at + 2].copy_from_slice(&0x7e00u16.to_le_bytes());
    Gguf::from_bytes("nan.gguf", &bytes).unwrap()
}

/// All logits of `tokens`, fed `batch` at a time.
pub fn logits(gguf: &Gguf, options: CpuOptions, tokens: &[u32], batch: usize) -> Vec<f32> {
    let model = CpuModel::load(gguf, options).unwrap();
    let mut session = model.new_session(tokens.len()).unwrap();
    tokens.chunks(batch).flat_map(|t| session.forward(t, LogitRows::All).unwrap().to_vec()).collect()
}

pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// ||a - b|| / ||b||
pub fn relative_error(a: impl IntoIterator<Item = f64>, b: impl IntoIterator<Item = f64>) -> f64 {
    let (mut difference, mut norm) = (0.0, 0.0);
    for (a, b) in a.into_iter().zip(b) {
        difference += (a - b) * (a - b);
        norm += b * b;
    }
    (difference / norm).sqrt()
}

pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// exp of the mean negative log-likelihood of tokens 1.. under `logits`, [tokens, vocab].
pub fn perplexity(logits: &[f32], tokens: &[u32]) -> f64 {
    let vocab = logits.len() / tokens.len();
    let rows = logits.chunks_exact(vocab).zip(&tokens[1..]);
    let total: f64 = rows
        .map(|(row, &next)| {
            let m = row.iter().copied().fold(f32::MIN, f32::max);
            let sum: f64 = row.iter().map(|l| f64::from(l - m).exp()).sum();
            sum.ln() + f64::from(m) - f64::from(row[next as usize])
        })
        .sum();
    (total / (tokens.len() - 1) as f64).exp()
}
