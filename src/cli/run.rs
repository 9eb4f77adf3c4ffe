//! `ptxgen run`: text from a model.

use super::{
    Outcome, Status, Usage,
    device::{DeviceArgs, Model},
    output,
    tokens::Text,
};
use anstream::{stderr, stdout};
use anyhow::Context;
use ptxgen_model::{
    Engine, LogitRows, Qwen3MoeConfig, Sampler, Sampling,
    tokenizer::{ChatTemplate, Message, Tokenizer, Vocabulary},
};
use std::{
    io::{self, BufRead, Write},
    ops::ControlFlow,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Continue a text with a model, or talk to it
///
/// The text is streamed to standard output, followed by a line with the number of tokens, tokens a
/// second, the device and the policy. Greedy unless --temp is given.
#[derive(clap::Args)]
pub struct Args {
    /// The model's GGUF file; without it, the bundled model, which writes Rust
    model: Option<PathBuf>,
    /// The text to continue; with --chat, a single message
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Talk: lines of standard input go through the model's chat template
    #[arg(long)]
    chat: bool,
    /// With --chat: ask for an answer without thinking first, if the template knows how (Qwen3's does)
    #[arg(long, requires = "chat")]
    no_thinking: bool,
    /// Tokens to write at most, in each answer; none are written beyond the model's context
    #[arg(short, value_name = "N", default_value = "128")]
    n: usize,
    /// Temperature; 0 is greedy
    #[arg(long, value_name = "T", default_value = "0", value_parser = temperature, allow_negative_numbers = true)]
    temp: f64,
    /// Draw among the fewest tokens whose probability reaches P
    #[arg(long, value_name = "P", default_value = "1", value_parser = share, allow_negative_numbers = true)]
    top_p: f64,
    /// Draw among the K most likely tokens; 0 is all
    #[arg(long, value_name = "K", default_value = "0")]
    top_k: usize,
    /// Seed of the random numbers
    #[arg(long, value_name = "S", default_value = "0")]
    seed: u64,
    #[command(flatten)]
    device: DeviceArgs,
}

/// What the bundled model is given when nothing else is said.
const PROMPT: &str = "fn main() {\n";

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let gguf = super::open_model(args.model.as_deref())?;
    let tokenizer = Tokenizer::from_gguf(&gguf)?;
    let template = args.chat.then(|| ChatTemplate::from_gguf(&gguf, &tokenizer)).transpose()?;
    let prompt = match (&args.prompt, args.chat, &args.model) {
        (Some(prompt), _, _) => Some(prompt.as_str()),
        (None, true, _) => None,
        (None, false, None) => Some(PROMPT),
        (None, false, Some(_)) => return Err(Usage("give a --prompt to continue, or --chat".into()).into()),
    };
    let config = Qwen3MoeConfig::from_gguf(&gguf)?;
    let sampling = Sampling { temperature: args.temp, top_k: args.top_k, top_p: args.top_p, seed: args.seed };
    let what = if args.chat { "the conversation" } else { "the prompt" };
    let encode = |text: &str| Text::new(what, tokenizer.encode(text)?).checked(None, 1, &config);
    let thinking = args.no_thinking.then_some(false);
    match (template, prompt) {
        (Some(template), None) => {
            let model = Model::load(&gguf, &args.device, config.context)?;
            let mut session = model.session(config.context)?;
            let mut writer = Writer::new(&tokenizer, Sampler::new(sampling), args.n);
            let mut messages = Vec::new();
            ask();
            for line in io::stdin().lock().lines() {
                messages.push(message("user", &line.context("cannot read standard input")?));
                let answer = writer.answer(&mut *session, encode(&template.render(&messages, thinking)?)?)?;
                output::line("")?;
                messages.push(message("assistant", &answer));
                ask();
            }
            writer.report(&*session)
        }
        (template, prompt) => {
            let prompt = prompt.unwrap_or(PROMPT);
            let ids = match template {
                Some(template) => encode(&template.render(&[message("user", prompt)], thinking)?)?,
                None => encode(prompt)?,
            };
            let vocabulary = tokenizer.into_vocabulary();
            let capacity = ids.len().saturating_add(args.n).min(config.context);
            let model = Model::load(&gguf, &args.device, capacity)?;
            let mut session = model.session(capacity)?;
            let mut writer = Writer::new(&vocabulary, Sampler::new(sampling), args.n);
            writer.answer(&mut *session, ids)?;
            writer.report(&*session)
        }
    }
}

/// Shows that a message is expected; not part of the output.
fn ask() {
    let _ = write!(stderr(), "> ");
}

fn message(role: &str, content: &str) -> Message {
    Message { role: role.into(), content: content.into() }
}

/// Streams answers and keeps count.
struct Writer<'t> {
    vocabulary: &'t Vocabulary,
    sampler: Sampler,
    n: usize,
    /// The tokens that the session has taken.
    taken: Vec<u32>,
    written: usize,
    time: Duration,
}

impl<'t> Writer<'t> {
    fn new(vocabulary: &'t Vocabulary, sampler: Sampler, n: usize) -> Self {
        Self { vocabulary, sampler, n, taken: Vec::new(), written: 0, time: Duration::ZERO }
    }

    /// Writes the continuation of `ids` and returns it. The part of `ids` that the session has
    /// taken before is not computed again.
    fn answer(&mut self, session: &mut dyn Engine, ids: Vec<u32>) -> anyhow::Result<String> {
        let same = ids.iter().zip(&self.taken).take_while(|(a, b)| a == b).count().min(ids.len() - 1);
        session.rewind(same);
        let first = self.sampler.next(session.forward(&ids[same..], LogitRows::Last)?);
        self.taken = ids;

        let (mut out, mut decoder, mut text) = (stdout().lock(), self.vocabulary.decode_stream(), String::new());
        let (start, mut written) = (Instant::now(), 0);
        let mut show = |token| -> anyhow::Result<ControlFlow<()>> {
            if written == self.n || self.vocabulary.is_end(token) {
                return Ok(ControlFlow::Break(()));
            }
            written += 1;
            if !self.vocabulary.is_control(token) {
                let piece = decoder.push(token)?;
                write!(out, "{piece}")?;
                out.flush()?;
                text.push_str(&piece);
            }
            Ok(if written == self.n { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        let mut shown = show(first);
        if let Ok(ControlFlow::Continue(())) = shown {
            let mut before = first;
            session.generate(first, self.n, &mut self.sampler, &mut |token| {
                self.taken.push(std::mem::replace(&mut before, token));
                shown = show(token);
                if let Ok(ControlFlow::Continue(())) = shown {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })?;
        }
        if shown?.is_continue() {
            output::note(format_args!("the context of {} tokens is full", session.capacity()));
        }
        self.written += written;
        let rest = decoder.finish();
        write!(out, "{rest}")?;
        text.push_str(&rest);
        self.time += start.elapsed();
        Ok(text)
    }

    /// Writes the last line.
    fn report(&self, session: &dyn Engine) -> Outcome {
        let (tokens, speed) = (self.written, self.written as f64 / self.time.as_secs_f64().max(1e-9));
        let (device, policy) = (session.device(), session.policy());
        output::line(format_args!("\n{tokens} tokens, {speed:.1} tokens/s, {device}, {policy}"))?;
        Ok(Status::Well)
    }
}

fn temperature(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(t) if (0.0..=100.0).contains(&t) => Ok(t),
        _ => Err("expected a number from 0 (greedy) to 100".into()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(p) if p > 0.0 && p <= 1.0 => Ok(p),
        _ => Err("expected a share above 0, at most 1".into()),
    }
}
