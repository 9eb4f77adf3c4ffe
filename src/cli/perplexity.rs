//! `ptxgen perplexity`: how well a model predicts a text.

use super::{
    Outcome, Status, Usage,
    device::{DeviceArgs, Model},
    inputs, output,
    tokens::Text,
};
use indicatif::{ProgressBar, ProgressStyle};
use ptxgen_model::{ModelConfig, locate, negative_log_likelihood, tokenizer::Tokenizer};
use std::{path::PathBuf, time::Instant};

/// Tokens between two updates of the progress bar.
const BATCH: usize = 64;

/// Measure a model's perplexity on a text: one window, every token but the first is predicted
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("a text").required(true).args(["tokens", "text"]))]
pub struct Args {
    /// The model's GGUF file; without it, the bundled model
    model: Option<PathBuf>,
    /// Token ids, little-endian i32
    #[arg(long, value_name = "FILE.i32")]
    tokens: Option<PathBuf>,
    /// A text, which the model's tokenizer encodes
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// Use only the first N tokens
    #[arg(long, value_name = "N")]
    first: Option<usize>,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let gguf = super::open_model(args.model.as_deref())?;
    let text = match (&args.tokens, &args.text) {
        (Some(path), _) => Text::read(path)?,
        (None, Some(path)) => {
            let words = inputs::read_text(path)?;
            Text::new(path.display(), Tokenizer::from_gguf(&gguf)?.encode(&words)?)
        }
        (None, None) => return Err(Usage("name a text with --tokens or --text".into()).into()),
    };
    let config = ModelConfig::from_gguf(&gguf)?;
    let ids = text.checked(args.first, 2, &config)?;
    let model = Model::load(&gguf, &args.device, ids.len())?;
    let mut session = model.session(ids.len())?;

    let style = "{wide_bar} {pos}/{len} tokens, perplexity {msg}, {eta} left";
    let bar = ProgressBar::new(ids.len() as u64).with_style(ProgressStyle::with_template(style)?);
    let (start, mut total, mut predicted) = (Instant::now(), 0.0, 0usize);
    for batch in ids.chunks(BATCH) {
        let done = session.forward_rows(batch, &mut |row| {
            // The last token has no successor.
            if let Some(&next) = ids.get(predicted + 1) {
                total += negative_log_likelihood(row, next);
                predicted += 1;
            }
        });
        done.map_err(|e| locate(&mut *session, batch, e))?;
        bar.inc(batch.len() as u64);
        bar.set_message(format!("{:.4}", (total / predicted as f64).exp()));
    }
    bar.finish_and_clear();
    let speed = ids.len() as f64 / start.elapsed().as_secs_f64();
    let (perplexity, tokens) = ((total / predicted as f64).exp(), ids.len());
    let (device, policy) = (session.device(), session.policy());
    output::line(format_args!("perplexity {perplexity:.4}\n{tokens} tokens, {speed:.1} tokens/s, {device}, {policy}"))?;
    Ok(Status::Well)
}
