//! `ptxgen bench policies`: cost and accuracy of each policy.

use super::measure::median;
use crate::cli::{
    Outcome, Status, Usage,
    device::{DeviceArgs, Model},
    output,
    tokens::Text,
};
use ptxgen_dsl::precision::{Acc, Act, Math, Policy};
use ptxgen_model::{
    Engine, LogitRows, ModelConfig, Sampler, Sampling,
    policies::{Agreement, Reading},
};
use serde::Serialize;
use std::{ops::ControlFlow, path::PathBuf, time::Instant};

/// Measure every policy on a text: perplexity, agreement with the exact forward (act=f32, acc=f64, on the CPU), speed;
/// and the effect of each part of a policy
#[derive(clap::Args)]
pub struct Args {
    /// The model's GGUF file; without it, the bundled model
    model: Option<PathBuf>,
    /// Token ids, little-endian i32
    #[arg(long, value_name = "FILE.i32")]
    tokens: PathBuf,
    /// Use only the first N tokens
    #[arg(long, value_name = "N")]
    first: Option<usize>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Speed: runs of each policy, alternating between policies; the median counts. 0 measures no speed
    #[arg(long, default_value_t = 5)]
    runs: u16,
    /// Speed: tokens decoded, and tokens of the prompt; at most those of the text
    #[arg(short, default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..))]
    n: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Also write the JSON to a file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report {
    device: String,
    version: &'static str,
    tokens: usize,
    policies: Vec<Row>,
    pairs: Vec<Pair>,
}

/// One policy on the device.
#[derive(Serialize)]
struct Row {
    policy: String,
    perplexity: f64,
    against_exact: Agreement,
    decode_tokens_per_s: Option<f64>,
    prefill_tokens_per_s: Option<f64>,
}

/// Two policies that differ in some parts.
#[derive(Serialize)]
struct Pair {
    left: String,
    right: String,
    /// Their differences: `act`, `acc`, `math`.
    parts: Vec<&'static str>,
    difference: Agreement,
}

/// A policy with its model and the results.
struct Candidate<'g> {
    policy: Policy,
    model: Model<'g>,
    reading: Reading,
    decode: Vec<f64>,
    prefill: Vec<f64>,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    if args.device.policy() != Policy::default() {
        return Err(Usage("bench policies measures every policy: leave out --act, --acc and --math".into()).into());
    }
    let gguf = crate::cli::open_model(args.model.as_deref())?;
    let config = ModelConfig::from_gguf(&gguf)?;
    let ids = Text::read(&args.tokens)?.checked(args.first, 2, &config)?;

    let capacity = ids.len().max(usize::from(args.n) + 1).min(config.context);
    let exact = Model::on_cpu(&gguf, &args.device, Policy::new(Act::F32, Acc::F64))?;
    let exact = Reading::new(&mut *exact.session(ids.len())?, &ids)?;
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for policy in policies() {
        // Exact policies come first, so that clocks and caches of the device have settled before the others run.
        let model = match candidates.first().map(|c| &c.model) {
            Some(model) if model.is_on_cpu() && policy.math == Math::Approx => break,
            Some(model) if model.is_on_cpu() => Model::on_cpu(&gguf, &args.device, policy)?,
            _ => Model::of_policy(&gguf, &args.device, policy, capacity)?,
        };
        let reading = Reading::new(&mut *model.session(capacity)?, &ids)?;
        candidates.push(Candidate { policy, model, reading, decode: Vec::new(), prefill: Vec::new() });
    }
    let device = match candidates.first() {
        Some(first) => first.model.session(1)?.device(),
        None => return Err(Usage("no policy runs on this device".into()).into()),
    };
    let n = usize::from(args.n).min(ids.len() - 1);
    for _ in 0..args.runs {
        for candidate in &mut candidates {
            let mut session = candidate.model.session(capacity)?;
            candidate.prefill.push(prefill(&mut *session, &ids[..n])?);
            candidate.decode.push(decode(&mut *session, ids[0], n)?);
        }
    }

    let report = Report {
        device,
        version: env!("CARGO_PKG_VERSION"),
        tokens: ids.len(),
        pairs: pairs(&candidates),
        policies: candidates.iter_mut().map(|c| row(c, &ids, &exact)).collect(),
    };
    let json = serde_json::to_string_pretty(&report)?;
    if let Some(path) = &args.save {
        output::write_text(path, &json)?;
    }
    if args.json {
        output::line(json)?;
    } else {
        table(&report)?;
    }
    Ok(Status::Well)
}

/// Every policy, exact ones first.
fn policies() -> impl Iterator<Item = Policy> {
    Math::ALL.iter().flat_map(|&math| Policy::EXACT.map(|policy| Policy { math, ..policy }))
}

/// Tokens a second of a prompt.
fn prefill(session: &mut dyn Engine, tokens: &[u32]) -> anyhow::Result<f64> {
    // Once without measuring, to load the data that it reads.
    session.forward(tokens, LogitRows::Last)?;
    session.rewind(0);
    let start = Instant::now();
    session.forward(tokens, LogitRows::Last)?;
    Ok(tokens.len() as f64 / start.elapsed().as_secs_f64())
}

/// Tokens per second, one after the other, from the start of a sequence.
fn decode(session: &mut dyn Engine, first: u32, n: usize) -> anyhow::Result<f64> {
    session.rewind(0);
    let start = Instant::now();
    let mut each = |_| ControlFlow::Continue(());
    session.generate(first, n, &mut Sampler::new(Sampling::default()), &mut each)?;
    Ok(n as f64 / start.elapsed().as_secs_f64())
}

fn row(candidate: &mut Candidate<'_>, ids: &[u32], exact: &Reading) -> Row {
    Row {
        policy: candidate.policy.to_string(),
        perplexity: candidate.reading.perplexity(ids),
        against_exact: candidate.reading.against(exact),
        decode_tokens_per_s: median(&mut candidate.decode, f64::total_cmp),
        prefill_tokens_per_s: median(&mut candidate.prefill, f64::total_cmp),
    }
}

/// Pairs that differ in one part, and pairs that differ in activations and accumulator, whose difference the parts have
/// to explain.
fn pairs(candidates: &[Candidate<'_>]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (i, left) in candidates.iter().enumerate() {
        for right in &candidates[i + 1..] {
            let (l, r) = (left.policy, right.policy);
            let differs = [("act", l.act != r.act), ("acc", l.acc != r.acc), ("math", l.math != r.math)];
            let parts: Vec<_> = differs.iter().filter(|(_, differs)| *differs).map(|(part, _)| *part).collect();
            let both_approx = l.math == Math::Approx && r.math == Math::Approx;
            if !both_approx && (parts.len() == 1 || parts == ["act", "acc"]) {
                let difference = right.reading.against(&left.reading);
                pairs.push(Pair { left: l.to_string(), right: r.to_string(), parts, difference });
            }
        }
    }
    pairs.sort_by_key(|pair| pair.parts.clone());
    pairs
}

/// The columns of an agreement.
fn columns(a: &Agreement) -> String {
    if a.equal {
        return "same bits | | | 0 | 0".into();
    }
    format!(
        "{:.6} | {:.6} | {:.1e} | {} of {} | {} of {}",
        a.cosine, a.least_cosine, a.relative, a.other_tokens, a.positions, a.other_expert_sets, a.expert_sets
    )
}

const COLUMNS: &str = "cosine | least, of a position | relative error | other top token | other experts";

fn table(report: &Report) -> anyhow::Result<()> {
    output::line(format_args!("{} tokens, {}, ptxgen {}\n", report.tokens, report.device, report.version))?;
    let rule = |columns: usize| output::line(format_args!("|{}", "---|".repeat(columns)));
    output::line(format_args!("| policy | perplexity | {COLUMNS} | decode, tokens/s | prefill, tokens/s |"))?;
    rule(9)?;
    for r in &report.policies {
        let speed = |s: Option<f64>| s.map_or("-".into(), |s| format!("{s:.0}"));
        let (decode, prefill) = (speed(r.decode_tokens_per_s), speed(r.prefill_tokens_per_s));
        let agreement = columns(&r.against_exact);
        output::line(format_args!("| {} | {:.4} | {agreement} | {decode} | {prefill} |", r.policy, r.perplexity))?;
    }
    output::line(format_args!("\n| what differs | from | to | {COLUMNS} |"))?;
    rule(8)?;
    for p in &report.pairs {
        let parts = p.parts.join(" and ");
        output::line(format_args!("| {parts} | {} | {} | {} |", p.left, p.right, columns(&p.difference)))?;
    }
    Ok(())
}
