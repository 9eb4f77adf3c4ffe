//! `ptxgen bench speculate`: text with guesses beside the same text without, in one run.

use super::measure::median;
use crate::cli::{
    Outcome, Status,
    device::{DeviceArgs, Model},
    inputs, output,
    run::SpeculateArgs,
};
use anyhow::ensure;
use ptxgen_model::{Engine, LogitRows, ModelConfig, Sampler, Sampling, speculate::Counts, tokenizer::Tokenizer};
use serde::Serialize;
use std::{ops::ControlFlow, path::PathBuf, time::Instant};

/// Measure text with guesses beside the same text without, on any device
///
/// The two take turns; the median of each counts, and both texts have to be the same.
#[derive(clap::Args)]
pub struct Args {
    /// The model's GGUF file; without it, the bundled model
    model: Option<PathBuf>,
    /// The text to continue, - for standard input
    #[arg(long, value_name = "FILE")]
    prompt_file: PathBuf,
    /// Tokens to write, whatever ends texts
    #[arg(short, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    n: u32,
    /// Temperature; 0 takes the most likely token
    #[arg(long, default_value_t = 0.0)]
    temp: f64,
    /// Runs of each
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    speculate: SpeculateArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Serialize)]
struct Report {
    device: String,
    policy: String,
    prompt_tokens: usize,
    tokens: usize,
    plain_tokens_per_s: f64,
    tokens_per_s: f64,
    /// Of the speed without guesses.
    ratio: f64,
    tokens_per_step: f64,
    guessed: u64,
    accepted: u64,
    /// Steps of so many tokens whose logits are all looked at.
    steps: Vec<Step>,
}

#[derive(Serialize)]
struct Step {
    tokens: usize,
    us: f64,
    /// In steps of one token.
    ratio: f64,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    args.speculate.refuse_off()?;
    let gguf = crate::cli::open_model(args.model.as_deref())?;
    let tokenizer = Tokenizer::from_gguf(&gguf)?;
    let config = ModelConfig::from_gguf(&gguf)?;
    let ids = tokenizer.encode(&inputs::read_text(&args.prompt_file)?)?;
    ensure!(!ids.is_empty(), "{}: a text of at least one token is expected", args.prompt_file.display());
    let capacity = ids.len() + args.n as usize + 1;
    ensure!(
        capacity <= config.context,
        "{}: {} tokens and {} more do not fit the model's context of {}",
        args.prompt_file.display(),
        ids.len(),
        args.n,
        config.context
    );
    let draft = args.speculate.open(&tokenizer)?;
    let draft = args.speculate.load(draft.as_ref(), &args.device, Some(capacity))?;
    let model = Model::load(&gguf, &args.device, capacity)?;
    let mut session = model.session(capacity)?;
    let options = Sampling { temperature: args.temp, ..Sampling::default() };

    let (mut plain, mut with, mut counts) = (Vec::new(), Vec::new(), Counts::default());
    for _ in 0..=args.runs {
        let (expected, seconds) =
            write(&mut *session, &ids, args.n as usize, options, |session, text, sampler, each| {
                session.generate(text[text.len() - 1], args.n as usize, sampler, each)
            })?;
        plain.push(seconds);
        let mut speculation = args.speculate.speculation_or_lookup(draft.as_ref())?;
        let (text, seconds) = write(&mut *session, &ids, args.n as usize, options, |session, text, sampler, each| {
            speculation.generate(session, text, args.n as usize, sampler, each)
        })?;
        with.push(seconds);
        counts = speculation.counts();
        ensure!(text == expected, "the text with guesses is another: report this with the model and the prompt");
    }
    // The first run of each may have prepared the device.
    let [plain, with] = [plain, with].map(|mut times| median(&mut times[1..], f64::total_cmp).unwrap_or_default());
    let steps = steps(&mut *session, &ids, args.runs)?;
    let n = f64::from(args.n);
    let report = Report {
        device: session.device(),
        policy: session.policy().to_string(),
        prompt_tokens: ids.len(),
        tokens: args.n as usize,
        plain_tokens_per_s: n / plain,
        tokens_per_s: n / with,
        ratio: plain / with,
        tokens_per_step: counts.tokens as f64 / counts.steps.max(1) as f64,
        guessed: counts.guessed,
        accepted: counts.accepted,
        steps,
    };
    print(&report, args.json)
}

/// Writes a text after a prompt: its tokens, and the seconds that it took after the prompt.
fn write(
    session: &mut dyn Engine,
    prompt: &[u32],
    n: usize,
    options: Sampling,
    generate: impl FnOnce(
        &mut dyn Engine,
        &[u32],
        &mut Sampler,
        &mut dyn FnMut(u32) -> ControlFlow<()>,
    ) -> Result<(), ptxgen_model::EngineError>,
) -> anyhow::Result<(Vec<u32>, f64)> {
    session.rewind(0);
    let mut sampler = Sampler::new(options);
    let first = sampler.next(session.forward(prompt, LogitRows::Last)?);
    let text = [prompt, &[first]].concat();
    let (mut written, start) = (Vec::with_capacity(n), Instant::now());
    generate(session, &text, &mut sampler, &mut |token| {
        written.push(token);
        ControlFlow::Continue(())
    })?;
    Ok((written, start.elapsed().as_secs_f64()))
}

/// What steps of 1, 2, 4 and 8 tokens take after the prompt.
fn steps(session: &mut dyn Engine, prompt: &[u32], runs: u16) -> anyhow::Result<Vec<Step>> {
    session.rewind(prompt.len() - 1);
    let start = session.position();
    let room = session.capacity() - start;
    let mut all: Vec<Step> = Vec::new();
    for tokens in [1, 2, 4, 8].into_iter().filter(|n| *n <= room) {
        let text: Vec<u32> = prompt.iter().rev().cycle().take(tokens).copied().collect();
        let mut times = Vec::new();
        for _ in 0..4 * runs + 1 {
            let begin = Instant::now();
            if tokens == 1 {
                session
                    .generate(text[0], 1, &mut Sampler::new(Sampling::default()), &mut |_| ControlFlow::Continue(()))?;
            } else {
                session.most_likely(&text)?;
            }
            times.push(begin.elapsed().as_secs_f64());
            session.rewind(start);
        }
        let us = median(&mut times[1..], f64::total_cmp).unwrap_or_default() * 1e6;
        let ratio = us / all.first().map_or(us, |one| one.us);
        all.push(Step { tokens, us, ratio });
    }
    Ok(all)
}

fn print(r: &Report, json: bool) -> Outcome {
    if json {
        output::line(serde_json::to_string_pretty(r)?)?;
        return Ok(Status::Well);
    }
    output::line(format!("{}, {}", r.device, r.policy))?;
    output::line(format!(
        "{} tokens after a prompt of {}, the same with guesses as without",
        r.tokens, r.prompt_tokens
    ))?;
    output::line(format!("without guesses {:.1} tokens/s", r.plain_tokens_per_s))?;
    output::line(format!(
        "with guesses {:.1} tokens/s, {:.2} times as fast; {:.2} tokens a step, {} of {} guesses accepted",
        r.tokens_per_s, r.ratio, r.tokens_per_step, r.accepted, r.guessed
    ))?;
    for step in &r.steps {
        output::line(format!("a step of {} tokens {:.0} us, {:.2} times one", step.tokens, step.us, step.ratio))?;
    }
    Ok(Status::Well)
}
