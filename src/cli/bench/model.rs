//! `ptxgen bench decode` and `ptxgen bench prefill`: a whole model.

use super::measure::{self, rate};
use super::stream;
use crate::cli::{Outcome, Status, device::PolicyArgs, output};
use anyhow::Context;
use ptxgen_model::batch::{BatchRoom, Part, Wants};
use ptxgen_model::device::{DeviceModel, DeviceOptions, DeviceSession, StageTime};
use ptxgen_model::{Engine, LogitRows, Sampler, Sampling};
use ptxgen_runtime::{Device, DriverInfo};
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

/// The options that both commands have.
#[derive(clap::Args)]
struct Common {
    /// The model's GGUF file; without it, the bundled model
    model: Option<PathBuf>,
    #[command(flatten)]
    choices: PolicyArgs,
    /// Runs; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Index of the GPU
    #[arg(long, default_value_t = 0)]
    gpu: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Measure decoding: tokens per second, one after the other, chosen greedily on the device
#[derive(clap::Args)]
pub struct Decode {
    #[command(flatten)]
    common: Common,
    /// Decode N sequences at once, as `ptxgen run --prompts` does; tokens per second are the total of all sequences
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: Option<u16>,
    /// Tokens to decode
    #[arg(short, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    n: u32,
    /// Tokens in the KV cache at the start
    #[arg(long, default_value_t = 0)]
    depth: u32,
    /// Show the time of each stage of a token
    #[arg(long)]
    stages: bool,
}

/// Measure prefill: tokens per second of a prompt
#[derive(clap::Args)]
pub struct Prefill {
    #[command(flatten)]
    common: Common,
    /// Tokens of the prompt
    #[arg(short, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    n: u32,
    /// Maximum number of tokens of a pass
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u16).range(1..=2048))]
    pass: u16,
    /// Show the time of each stage of the first pass
    #[arg(long)]
    stages: bool,
}

#[derive(Serialize)]
struct Report {
    what: &'static str,
    gpu: String,
    driver: Option<String>,
    policy: String,
    kv: String,
    tokens: u32,
    depth: u32,
    /// Number of sequences, if a batch was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<u16>,
    /// Of all sequences together.
    tokens_per_s: f64,
    us_per_token: f64,
    /// Bytes of weights that a token reads.
    bytes_per_token: u64,
    stream_gb_per_s: f64,
    /// Bytes per second of a decoded token, as a share of the streaming bandwidth of the same run.
    share_of_stream: Option<f64>,
    load_gb_per_s: f64,
    weight_bytes: u64,
    /// Device memory that the model and the session use.
    memory_bytes: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stages: Vec<Stage>,
}

#[derive(Serialize)]
struct Stage {
    kernel: &'static str,
    launches: usize,
    us: f64,
    us_of_a_token: f64,
    bytes: u64,
    gb_per_s: f64,
    /// `memory` from half of the streaming bandwidth on, else `latency`.
    bound: &'static str,
}

/// Runs `ptxgen bench decode`.
pub fn decode(args: &Decode) -> Outcome {
    let capacity = args.depth as usize + args.n as usize + 1;
    if let Some(batch) = args.batch {
        return decode_batch(args, batch, capacity);
    }
    measured(&args.common, capacity, DeviceOptions::default().pass, |session, report| {
        (report.what, report.tokens, report.depth) = ("decode", args.n, args.depth);
        if args.depth > 0 {
            session.forward(&prompt(args.depth, session.vocab()), LogitRows::Last)?;
        }
        let seconds = median(args.common.runs, || {
            session.rewind(args.depth as usize);
            let start = Instant::now();
            let mut sampler = Sampler::new(Sampling::default());
            let mut each = |_| ControlFlow::Continue(());
            session.generate(1, args.n as usize, &mut sampler, &mut each)?;
            Ok(start.elapsed().as_secs_f64())
        })?;
        report.tokens_per_s = f64::from(args.n) / seconds;
        let bytes = report.bytes_per_token as f64 * report.tokens_per_s / 1e9;
        report.share_of_stream = Some(bytes / report.stream_gb_per_s);
        if args.stages {
            session.rewind(args.depth as usize);
            let stages = session.stage_times(args.common.runs.into())?;
            report.stages = shown(stages, report.stream_gb_per_s);
        }
        Ok(())
    })
}

/// The same for several sequences at once.
fn decode_batch(args: &Decode, sequences: u16, capacity: usize) -> Outcome {
    let Loaded { model, mut report, free } = Loaded::new(&args.common, 1, DeviceOptions::default().pass)?;
    let mut batch = model.new_batch(BatchRoom::new(sequences.into(), capacity))?;
    report.memory_bytes = free.saturating_sub(model.device().memory()?.free);
    (report.what, report.tokens, report.depth, report.batch) = ("decode", args.n, args.depth, Some(sequences));
    let members = (0..sequences).map(|_| batch.join(capacity)).collect::<Result<Vec<_>, _>>()?;
    if args.depth > 0 {
        let tokens = prompt(args.depth, batch.vocab());
        for &sequence in &members {
            batch.step(&[Part { sequence, tokens: &tokens, wants: Wants::Nothing }])?;
        }
    }
    // Each sequence begins with a different token, so that their texts differ.
    let first = prompt(sequences.into(), batch.vocab());
    let mut once = || {
        for &sequence in &members {
            batch.rewind(sequence, args.depth as usize)?;
        }
        let (mut tokens, start) = (first.clone(), Instant::now());
        for _ in 0..args.n {
            let part = |(&sequence, token)| Part { sequence, tokens: std::slice::from_ref(token), wants: Wants::Token };
            let parts: Vec<Part<'_>> = members.iter().zip(&tokens).map(part).collect();
            let step = batch.step(&parts)?;
            let next = (0..members.len()).map(|i| Ok(step.answer(i)?.token.unwrap_or(0)));
            tokens = next.collect::<anyhow::Result<_>>()?;
        }
        Ok(start.elapsed().as_secs_f64())
    };
    once()?;
    report.tokens_per_s = f64::from(args.n) * f64::from(sequences) / median(args.common.runs, &mut once)?;
    if args.stages {
        report.stages = shown(batch.stage_times(args.common.runs.into())?, report.stream_gb_per_s);
    }
    report.print(args.common.json)
}

/// Runs `ptxgen bench prefill`.
pub fn prefill(args: &Prefill) -> Outcome {
    measured(&args.common, args.n as usize, args.pass.into(), |session, report| {
        (report.what, report.tokens) = ("prefill", args.n);
        let tokens = prompt(args.n, session.vocab());
        let mut once = || {
            session.rewind(0);
            let start = Instant::now();
            session.forward(&tokens, LogitRows::Last)?;
            Ok(start.elapsed().as_secs_f64())
        };
        once()?;
        report.tokens_per_s = f64::from(args.n) / median(args.common.runs, once)?;
        if args.stages {
            let stages = session.prompt_stage_times(&tokens, args.common.runs.into())?;
            report.stages = shown(stages, report.stream_gb_per_s);
        }
        Ok(())
    })
}

/// Stages as they are printed, with the streaming bandwidth.
fn shown(stages: Vec<StageTime>, stream_gb_per_s: f64) -> Vec<Stage> {
    let one = |s: StageTime| {
        let (us, gb_per_s) = (s.time.as_secs_f64() * 1e6, rate(s.bytes, s.time));
        let bound = if gb_per_s >= stream_gb_per_s / 2.0 { "memory" } else { "latency" };
        let us_of_a_token = us * s.launches as f64;
        Stage { kernel: s.kernel, launches: s.launches, us, us_of_a_token, bytes: s.bytes, gb_per_s, bound }
    };
    stages.into_iter().map(one).collect()
}

/// Tokens from all over the vocabulary.
fn prompt(n: u32, vocab: usize) -> Vec<u32> {
    (0..u64::from(n)).map(|i| (i * 2_654_435_761 % vocab as u64) as u32).collect()
}

fn median(runs: u16, mut once: impl FnMut() -> anyhow::Result<f64>) -> anyhow::Result<f64> {
    let mut times = (0..runs).map(|_| once()).collect::<Result<Vec<_>, _>>()?;
    measure::median(&mut times, f64::total_cmp).context("nothing was measured")
}

/// Loads the model, lets `measure` fill in the rest, and prints the report.
fn measured(
    args: &Common,
    capacity: usize,
    pass: usize,
    measure: impl FnOnce(&mut DeviceSession<'_>, &mut Report) -> anyhow::Result<()>,
) -> Outcome {
    let Loaded { model, mut report, free } = Loaded::new(args, capacity, pass)?;
    let mut session = model.new_session(capacity)?;
    report.memory_bytes = free.saturating_sub(model.device().memory()?.free);
    measure(&mut session, &mut report)?;
    report.print(args.json)
}

/// A model to measure.
struct Loaded {
    model: DeviceModel,
    report: Report,
    /// Free device memory before loading.
    free: u64,
}

impl Loaded {
    fn new(args: &Common, capacity: usize, pass: usize) -> anyhow::Result<Self> {
        let gguf = crate::cli::open_model(args.model.as_deref())?;
        let device = Device::cuda(args.gpu)?;
        let driver = DriverInfo::query()?;
        let info = driver.gpus.get(args.gpu).context("the GPU is gone")?;
        let stream_gb_per_s = stream::bandwidth(&device, info.multiprocessors)?;

        let (policy, kv) = (args.choices.policy(), args.choices.kv);
        let before = device.memory()?.free;
        let start = Instant::now();
        let options = DeviceOptions { policy, kv, pass };
        let model = DeviceModel::load(&device, &gguf, options, capacity, &mut |_| ())?;
        device.synchronize()?;
        let load_gb_per_s = rate(model.weight_bytes(), start.elapsed());
        let report = Report {
            what: "",
            gpu: info.name.clone(),
            driver: driver.version.clone(),
            policy: policy.to_string(),
            kv: kv.to_string(),
            tokens: 0,
            depth: 0,
            batch: None,
            tokens_per_s: 0.0,
            us_per_token: 0.0,
            bytes_per_token: model.bytes_of_a_token(),
            stream_gb_per_s,
            share_of_stream: None,
            load_gb_per_s,
            weight_bytes: model.weight_bytes(),
            memory_bytes: 0,
            stages: Vec::new(),
        };
        Ok(Self { model, report, free: before })
    }
}

impl Report {
    fn print(mut self, json: bool) -> Outcome {
        self.us_per_token = 1e6 / self.tokens_per_s;
        if json {
            output::line(serde_json::to_string_pretty(&self)?)?;
        } else {
            table(&self)?;
        }
        Ok(Status::Well)
    }
}

fn table(r: &Report) -> anyhow::Result<()> {
    let gb = |bytes: u64| bytes as f64 / 1e9;
    let line = |text: String| output::line(text);
    line(format!("{}, driver {}", r.gpu, r.driver.as_deref().unwrap_or("unknown")))?;
    line(format!("{}, {} tokens at depth {}, {}, KV {}", r.what, r.tokens, r.depth, r.policy, r.kv))?;
    line(format!("{:.1} tokens/s, {:.1} us a token", r.tokens_per_s, r.us_per_token))?;
    if let Some(batch) = r.batch {
        let each = r.tokens_per_s / f64::from(batch);
        let step = 1e6 / each;
        line(format!("{batch} sequences, {each:.1} tokens/s each, {step:.1} us a step"))?;
    }
    let share = r.share_of_stream.map_or(String::new(), |s| format!(", {:.1}% of it for weights", s * 100.0));
    line(format!(
        "{:.2} GB of weights a token; streaming read {:.0} GB/s{share}",
        gb(r.bytes_per_token),
        r.stream_gb_per_s
    ))?;
    line(format!(
        "loaded at {:.1} GB/s; {:.2} GB of weights, {:.2} GB in all",
        r.load_gb_per_s,
        gb(r.weight_bytes),
        gb(r.memory_bytes)
    ))?;
    if r.stages.is_empty() {
        return Ok(());
    }
    line(
        "\n| stage | launches | us | us a token | bytes | GB/s | bound by |\n|---|---|---|---|---|---|---|".to_owned(),
    )?;
    for s in &r.stages {
        line(format!(
            "| {} | {} | {:.2} | {:.1} | {} | {:.0} | {} |",
            s.kernel, s.launches, s.us, s.us_of_a_token, s.bytes, s.gb_per_s, s.bound
        ))?;
    }
    let total: f64 = r.stages.iter().map(|s| s.us_of_a_token).sum();
    line(format!("| all | | | {total:.1} | | | |"))?;
    Ok(())
}
