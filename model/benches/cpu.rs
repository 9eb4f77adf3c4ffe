//! Tokens a second of the bundled model on the CPU, by policy and threads, and their ratio to what
//! llama.cpp was measured at with 2 threads (`docs/results.md`).
//!
//! `cargo bench -p ptxgen-model --bench cpu [-- WORD...]` measures the rows whose name has every
//! WORD, such as `q8k` or `threads=2`.

use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_model::{
    Engine, LogitRows, bundled,
    cpu::{CpuModel, CpuOptions},
};
use std::time::{Duration, Instant};

/// llama.cpp's AVX2 build with 2 threads, tokens a second: 256 tokens at depth 256.
const LLAMA_DECODE: f64 = 4_066.0;
/// The same in prefill.
const LLAMA_PREFILL: f64 = 13_010.0;

/// Tokens before the first one that is timed, and tokens timed.
const DEPTH: usize = 256;
/// Tokens of a prefill.
const PREFILL: usize = 512;
/// Repetitions of a row at most, at least 3.
const RUNS: usize = 15;
/// Time after which a row is repeated no more.
const ENOUGH: Duration = Duration::from_secs(4);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let gguf = bundled().expect("the source has the bundled model").expect("the bundled model is whole");
    println!(
        "| policy | threads | decode, median | best | of {LLAMA_DECODE} | prefill, median | best | of {LLAMA_PREFILL} |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for act in [Act::Q8K, Act::F32] {
        for acc in [Acc::F32, Acc::F64] {
            for threads in [1, 2] {
                let policy = Policy::new(act, acc);
                let name = format!("{policy} threads={threads}");
                if words.iter().any(|w| !name.contains(w.as_str())) {
                    continue;
                }
                let options = CpuOptions { policy, threads: Some(threads), ..CpuOptions::default() };
                let model = CpuModel::load(&gguf, options).expect("the bundled model runs on a CPU");
                let decode = Speed::of(DEPTH, || decode(&model));
                let prefill = Speed::of(PREFILL, || prefill(&model));
                println!(
                    "| {policy} | {threads} | {:.0} | {:.0} | {:.2} | {:.0} | {:.0} | {:.2} |",
                    decode.median,
                    decode.best,
                    decode.median / LLAMA_DECODE,
                    prefill.median,
                    prefill.best,
                    prefill.median / LLAMA_PREFILL,
                );
            }
        }
    }
}

/// Tokens a second over some runs.
struct Speed {
    median: f64,
    best: f64,
}

impl Speed {
    /// Of `run`, which takes `tokens` in the time that it gives. The first run only warms up.
    fn of(tokens: usize, mut run: impl FnMut() -> Duration) -> Self {
        let (mut times, start) = (Vec::new(), Instant::now());
        run();
        while times.len() < 3 || times.len() < RUNS && start.elapsed() < ENOUGH {
            times.push(run());
        }
        times.sort_unstable();
        let speed = |time: Duration| tokens as f64 / time.as_secs_f64();
        Self { median: speed(times[times.len() / 2]), best: speed(times[0]) }
    }
}

/// The time of [`DEPTH`] single tokens after as many.
fn decode(model: &CpuModel<'_>) -> Duration {
    let mut session = model.new_session(2 * DEPTH).expect("a short sequence");
    let tokens = tokens(2 * DEPTH, model);
    let (before, timed) = tokens.split_at(DEPTH);
    session.forward(before, LogitRows::Last).expect("the tokens fit");
    let start = Instant::now();
    for token in timed {
        session.forward(&[*token], LogitRows::Last).expect("the tokens fit");
    }
    start.elapsed()
}

/// The time of [`PREFILL`] tokens given at once.
fn prefill(model: &CpuModel<'_>) -> Duration {
    let mut session = model.new_session(PREFILL).expect("a short sequence");
    let tokens = tokens(PREFILL, model);
    let start = Instant::now();
    session.forward(&tokens, LogitRows::Last).expect("the tokens fit");
    start.elapsed()
}

/// Tokens that are all over the vocabulary.
fn tokens(n: usize, model: &CpuModel<'_>) -> Vec<u32> {
    let vocab = model.config().vocab as u64;
    (0..n as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) % vocab).map(|t| t as u32).collect()
}
