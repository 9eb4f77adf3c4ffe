//! Answers, printed while they are generated.

use super::{
    super::{Outcome, Status, output, shown::shown},
    stop::Answering,
};
use anstream::{stderr, stdout};
use indicatif::{ProgressBar, ProgressStyle};
use ptxgen_model::{
    Engine, LogitRows, Sampler, locate,
    speculate::{Counts, Speculation},
    tokenizer::Vocabulary,
};
use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
    ops::ControlFlow,
    time::{Duration, Instant},
};

/// Tokens of a prompt that are processed between two checks for an interrupt.
const PIECE: usize = 128;

/// Prints answers and counts tokens.
pub struct Writer<'t> {
    vocabulary: &'t Vocabulary,
    sampler: Sampler,
    n: usize,
    speculation: Option<Speculation<'t>>,
    /// The tokens that the session has taken.
    taken: Vec<u32>,
    written: usize,
    time: Duration,
    /// Whether the text goes to a terminal, which would interpret control characters.
    terminal: bool,
}

impl<'t> Writer<'t> {
    pub fn new(vocabulary: &'t Vocabulary, sampler: Sampler, n: usize, speculation: Option<Speculation<'t>>) -> Self {
        let terminal = io::stdout().is_terminal();
        Self { vocabulary, sampler, n, speculation, taken: Vec::new(), written: 0, time: Duration::ZERO, terminal }
    }

    /// Maximum number of tokens of an answer.
    pub fn most(&self) -> usize {
        self.n
    }

    /// Writes the continuation of `ids`, at least one, and returns it. Tokens of `ids` that the session has already
    /// processed are not computed again.
    pub fn answer(&mut self, session: &mut dyn Engine, ids: &[u32]) -> anyhow::Result<String> {
        let answering = Answering::begin();
        let Some(first) = self.read(session, ids, &answering)? else { return Ok(String::new()) };

        let (mut out, mut decoder, mut text) = (stdout().lock(), self.vocabulary.decode_stream(), String::new());
        let (start, mut written, terminal) = (Instant::now(), 0, self.terminal);
        let mut show = |token| -> anyhow::Result<ControlFlow<()>> {
            if written == self.n || self.vocabulary.is_end(token) || answering.is_stopped() {
                return Ok(ControlFlow::Break(()));
            }
            written += 1;
            if !self.vocabulary.is_control(token) {
                let piece = decoder.push(token)?;
                out.write_all(if terminal { Cow::Owned(shown(&piece)) } else { Cow::Borrowed(&*piece) }.as_bytes())?;
                out.flush()?;
                text.push_str(&piece);
            }
            Ok(if written == self.n { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        let mut shown_all = show(first);
        if let Ok(ControlFlow::Continue(())) = shown_all {
            let mut before = first;
            let text: Vec<u32> = self.taken.iter().copied().chain([first]).collect();
            let taken = &mut self.taken;
            let mut each = |token| {
                taken.push(std::mem::replace(&mut before, token));
                shown_all = show(token);
                if let Ok(ControlFlow::Continue(())) = shown_all {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            };
            let done = match &mut self.speculation {
                None => session.generate(first, self.n, &mut self.sampler, &mut each),
                Some(speculation) => speculation.generate(session, &text, self.n, &mut self.sampler, &mut each),
            };
            done.map_err(|e| locate(session, &[before], e))?;
        }
        if shown_all?.is_continue() {
            output::note(format_args!("the context of {} tokens is full", session.capacity()));
        }
        self.written += written;
        let rest = decoder.finish();
        write!(out, "{rest}")?;
        text.push_str(&rest);
        self.time += start.elapsed();
        Ok(text)
    }

    /// Processes a prompt and chooses the next token; `None` if it was stopped.
    fn read(&mut self, session: &mut dyn Engine, ids: &[u32], answering: &Answering) -> anyhow::Result<Option<u32>> {
        let last = ids.len().saturating_sub(1);
        let same = ids.iter().zip(&self.taken).take_while(|(a, b)| a == b).count().min(last);
        session.rewind(same);
        self.taken.truncate(same);
        self.sampler.take(&ids[same..]);
        let bar = ProgressBar::new((ids.len() - same) as u64);
        let bar = bar.with_style(ProgressStyle::with_template("reading {wide_bar} {pos}/{len} tokens, {eta} left")?);
        let mut next = None;
        for piece in ids[same..].chunks(PIECE) {
            if answering.is_stopped() {
                bar.finish_and_clear();
                return Ok(None);
            }
            let end = session.position() + piece.len() == ids.len();
            match session.forward(piece, LogitRows::Last) {
                Ok(logits) if end => next = Some(self.sampler.next(logits)),
                Ok(_) => {}
                Err(e) => return Err(locate(session, piece, e).into()),
            }
            self.taken.extend_from_slice(piece);
            bar.inc(piece.len() as u64);
        }
        bar.finish_and_clear();
        Ok(next)
    }

    /// Writes the line about speed, unless it would disturb the text.
    pub fn report(&self, session: &dyn Engine) -> Outcome {
        let (tokens, speed) = (self.written, self.written as f64 / self.time.as_secs_f64().max(1e-9));
        let (device, policy) = (session.device(), session.policy());
        if let Some(speculation) = &self.speculation {
            let Counts { tokens, steps, guessed, accepted } = speculation.counts();
            let each = tokens as f64 / steps.max(1) as f64;
            let _ = writeln!(stderr(), "{accepted} of {guessed} guesses accepted, {each:.2} tokens a step");
        }
        let _ = writeln!(stderr(), "{tokens} tokens, {speed:.1} tokens/s, {device}, {policy}");
        Ok(Status::Well)
    }
}
