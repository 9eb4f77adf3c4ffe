//! Many prompts at once: `ptxgen run --prompts`.

use super::{
    super::{Outcome, Status, Usage, device::Model, inputs, output},
    Args,
    chat::{Chat, Encoded, encode},
    stop::{self, Answering},
};
use anstream::{stderr, stdout};
use indicatif::{ProgressBar, ProgressStyle};
use ptxgen_model::{
    ModelConfig, Sampler,
    batch::{BatchError, BatchRoom, Ended, Queue, Request, Stop, Totals},
    gguf::Gguf,
    tokenizer::{Tokenizer, Vocabulary},
};
use serde::Serialize;
use std::{io::Write, path::Path, time::Instant};

/// A line of the output: the result of a prompt.
#[derive(Serialize)]
struct Line<'a> {
    /// The prompt's line in the file, from 0.
    index: usize,
    prompt: &'a str,
    #[serde(flatten)]
    became: Became,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Became {
    Text {
        text: String,
        /// Generated tokens.
        tokens: usize,
        /// Tokens of the prompt.
        prompt_tokens: usize,
        stop: &'static str,
    },
    Error {
        error: String,
    },
}

/// Prompts, in the order of the file.
struct Prompts {
    lines: Vec<String>,
    /// The tokens of each prompt, or the error.
    ids: Vec<Result<Vec<u32>, String>>,
}

impl Prompts {
    fn read(path: &Path) -> anyhow::Result<Vec<String>> {
        let lines: Vec<String> = inputs::read_text(path)?.lines().map(str::to_owned).collect();
        if lines.is_empty() {
            return Err(Usage(format!("{} has no prompts: there is one in each line", path.display())).into());
        }
        Ok(lines)
    }

    /// Encodes the lines, each through the chat template if there is one.
    fn encode(
        lines: Vec<String>,
        tokenizer: &Tokenizer,
        chat: Option<&Chat>,
        (most, limit): (usize, &str),
    ) -> anyhow::Result<Self> {
        let one = |line: &String| -> anyhow::Result<Result<Vec<u32>, String>> {
            let text = match chat {
                None => line.clone(),
                Some(chat) => {
                    let mut chat = chat.clone();
                    chat.say(line);
                    chat.render()?
                }
            };
            let Encoded { ids, more } = match encode(tokenizer, &text, most) {
                Ok(encoded) => encoded,
                Err(e) => return Ok(Err(e.to_string())),
            };
            let tokens = ids.len();
            Ok(match () {
                () if tokens == 0 => Err("the prompt has 0 tokens; at least 1 are needed".into()),
                () if more || tokens > most => {
                    let more = if more { "more than " } else { "" };
                    Err(format!("the prompt has {more}{tokens} tokens, which do not fit {limit}"))
                }
                () => Ok(ids),
            })
        };
        let ids = lines.iter().map(one).collect::<anyhow::Result<_>>()?;
        Ok(Self { lines, ids })
    }

    /// The positions that each needs in the cache, with `n` tokens after the prompt.
    fn positions(&self, n: usize, most: usize) -> impl Iterator<Item = usize> {
        self.ids.iter().flatten().map(move |ids| (ids.len() + n.saturating_sub(1)).min(most))
    }
}

/// The cache size for `batch` sequences at once, limited by memory; `fitting` returns how many pages fit.
fn room(
    positions: impl Iterator<Item = usize>,
    batch: usize,
    fitting: impl FnOnce(BatchRoom) -> anyhow::Result<usize>,
) -> anyhow::Result<Option<BatchRoom>> {
    let mut pages: Vec<(usize, usize)> = positions.map(|p| (p.div_ceil(BatchRoom::PAGE), p)).collect();
    pages.sort_unstable_by(|a, b| b.cmp(a));
    let Some(&(largest, positions)) = pages.first() else { return Ok(None) };
    let sequences = batch.min(pages.len());
    let wanted = pages[..sequences].iter().map(|(pages, _)| pages).sum();
    let room = BatchRoom { sequences, positions, pages: wanted };
    let pages = wanted.min(fitting(room)?.max(largest));
    if pages < wanted {
        output::note(format_args!(
            "the free memory has room for {pages} of the {wanted} pages that {sequences} prompts may take: some wait for others"
        ));
    }
    Ok(Some(BatchRoom { pages, ..room }))
}

/// Writes a line of the output.
fn write(bar: &ProgressBar, line: &Line<'_>) -> anyhow::Result<()> {
    let text = serde_json::to_string(line)?;
    bar.suspend(|| {
        let mut out = stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    })?;
    Ok(())
}

/// The text of tokens.
fn decoded(vocabulary: &Vocabulary, tokens: &[u32]) -> anyhow::Result<String> {
    let (mut decoder, mut text) = (vocabulary.decode_stream(), String::new());
    for &token in tokens.iter().filter(|t| !vocabulary.is_control(**t)) {
        text.push_str(&decoder.push(token)?);
    }
    text.push_str(&decoder.finish());
    Ok(text)
}

fn became(vocabulary: &Vocabulary, ended: Ended, prompt_tokens: usize) -> anyhow::Result<Became> {
    let stop = match ended.stop {
        Ok(Stop::End) => "end",
        Ok(Stop::Length) => "length",
        Ok(Stop::Context) => "context",
        Ok(Stop::Stopped) => "interrupted",
        Err(BatchError::Sequence { error, .. }) => return Ok(Became::Error { error: error.to_string() }),
        Err(error) => return Ok(Became::Error { error: error.to_string() }),
    };
    let tokens = ended.tokens.len();
    Ok(Became::Text { text: decoded(vocabulary, &ended.tokens)?, tokens, prompt_tokens, stop })
}

/// Continues every line of a file.
pub fn run(
    args: &Args,
    path: &Path,
    (gguf, config): (&Gguf, &ModelConfig),
    tokenizer: Tokenizer,
    chat: Option<&Chat>,
    sampler: &Sampler,
) -> Outcome {
    let lines = Prompts::read(path)?;
    let (most, limit) = match args.ctx {
        Some(ctx) => (ctx as usize, format!("--ctx {ctx}")),
        None => (config.context, format!("the model's context of {}", config.context)),
    };
    let prompts = Prompts::encode(lines, &tokenizer, chat, (most, limit.as_str()))?;
    let vocabulary = tokenizer.into_vocabulary();
    let count = prompts.lines.len();
    let bar = ProgressBar::new(count as u64);
    let bar = bar.with_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} prompts, {msg}, {eta} left")?);
    let mut faults = 0;
    let mut requests = Vec::new();
    for (index, (line, ids)) in prompts.lines.iter().zip(&prompts.ids).enumerate() {
        match ids {
            Ok(ids) => requests.push((index, ids)),
            Err(error) => {
                faults += 1;
                bar.inc(1);
                write(&bar, &Line { index, prompt: line, became: Became::Error { error: error.clone() } })?;
            }
        }
    }
    if requests.is_empty() {
        bar.finish_and_clear();
        return Ok(Status::Fault);
    }
    let model = Model::load(gguf, &args.device, 1)?;
    let batch = usize::from(args.batch);
    let Some(room) = room(prompts.positions(args.n, most), batch, |room| model.fitting_pages(room))? else {
        return Ok(Status::Fault);
    };
    let mut batch = model.batch(room)?;
    let (device, policy) = (batch.device(), batch.policy());
    let mut queue = Queue::new(&mut batch, |token| vocabulary.is_end(token));
    for (_, ids) in &requests {
        queue.push(Request { tokens: ids.to_vec(), most: args.n, sampler: sampler.clone() });
    }
    let (start, mut written) = (Instant::now(), Ok(()));
    let speed = |totals: &Totals| totals.written as f64 / start.elapsed().as_secs_f64().max(1e-9);
    let mut told = |ended: Ended| {
        let (index, ids) = requests[ended.index];
        faults += usize::from(ended.stop.is_err());
        bar.inc(1);
        let line = became(&vocabulary, ended, ids.len())
            .and_then(|became| write(&bar, &Line { index, prompt: &prompts.lines[index], became }));
        if written.is_ok() {
            written = line;
        }
    };
    stop::watch();
    let answering = Answering::begin();
    let mut interrupted = false;
    while queue.step(&mut told)? {
        bar.set_message(format!("{:.1} tokens/s", speed(&queue.totals())));
        if answering.is_stopped() {
            interrupted = true;
            queue.stop(&mut told);
        }
    }
    drop(answering);
    let totals = queue.totals();
    let speed = speed(&totals);
    drop(queue);
    bar.finish_and_clear();
    written?;
    if interrupted {
        let left = requests.len() as u64 - totals.ended;
        output::note(format_args!("interrupted: {left} prompts were not started"));
    }
    let _ = writeln!(
        stderr(),
        "{count} prompts, {faults} with an error; {} tokens read, {} written, {speed:.1} tokens/s, {device}, {policy}",
        totals.read,
        totals.written
    );
    Ok(if faults > 0 || interrupted { Status::Fault } else { Status::Well })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_for_the_longest_that_may_be_at_work_together() {
        let room = |batch, fitting| room([10, 64, 65, 200].into_iter(), batch, |_| Ok(fitting)).unwrap().unwrap();
        assert_eq!(room(2, 100), BatchRoom { sequences: 2, positions: 200, pages: 4 + 2 });
        assert_eq!(room(9, 100), BatchRoom { sequences: 4, positions: 200, pages: 8 });
        // At least the longest must fit; whether it does is said when the room is taken.
        assert_eq!(room(9, 1), BatchRoom { sequences: 4, positions: 200, pages: 4 });
    }
}
