//! The command line: one file for each command.
//!
//! Exit codes: 0 success, 1 a fault was found (a broken file, a missing device, a failed run or check), 2 wrong use
//! ([`usage`]).

mod bench;
mod bisect;
mod check;
mod compare;
mod completions;
mod device;
mod diff;
mod doctor;
mod dump;
mod exec;
mod inputs;
mod inspect;
mod interrupt;
mod kernels;
mod list;
mod logits;
mod man;
mod output;
mod perplexity;
mod run;
mod shown;
mod startup;
mod stats;
mod synth;
mod template;
mod text;
mod tokenize;
mod tokens;
mod trace;
mod usage;

use anstream::stderr;
use anyhow::Error;
use clap::{CommandFactory, Parser, Subcommand};
use ptxgen_model::{
    gguf::Gguf,
    trace::{TraceError, TraceFile},
};
use shown::shown;
use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};
use usage::Usage;

/// PTX kernels with proven precision, and a quantized mixture-of-experts model that runs on them
#[derive(Parser)]
#[command(name = "ptxgen", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(list::Args),
    Dump(dump::Args),
    Exec(exec::Args),
    Check(check::Args),
    Compare(compare::Args),
    Stats(stats::Args),
    Diff(diff::Args),
    Bench(bench::Args),
    Bisect(bisect::Args),
    Doctor(doctor::Args),
    Inspect(inspect::Args),
    Logits(logits::Args),
    Perplexity(perplexity::Args),
    Run(run::Args),
    Synth(synth::Args),
    Tokenize(tokenize::Args),
    Trace(trace::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// The result of a command: success, a fault that it has already reported, or an error.
type Outcome = anyhow::Result<Status>;

/// How a command that did its work ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    /// No fault.
    Well,
    /// A fault was found and printed.
    Fault,
}

/// Runs the command that the process's arguments name.
pub fn main() -> ExitCode {
    startup::begin();
    if template::is_asked_for() {
        return template::child();
    }
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::List(args) => list::run(&args),
        Command::Dump(args) => dump::run(&args),
        Command::Exec(args) => exec::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Bisect(args) => bisect::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Logits(args) => logits::run(&args),
        Command::Perplexity(args) => perplexity::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Synth(args) => synth::run(&args),
        Command::Tokenize(args) => tokenize::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Man(args) => man::run(&args, Cli::command()),
    };
    match outcome {
        Ok(Status::Well) => ExitCode::SUCCESS,
        Ok(Status::Fault) => ExitCode::from(1),
        // The reader of our output has closed it, as in `ptxgen inspect MODEL | head`.
        Err(e) if is_broken_pipe(&e) => ExitCode::SUCCESS,
        Err(e) if output::is_io(&e) => fail(&e.context("cannot write to standard output")),
        Err(e) => fail(&e),
    }
}

/// Reports an error, if standard error can be written.
fn fail(e: &Error) -> ExitCode {
    let style = anstyle::AnsiColor::Red.on_default().bold();
    let mut err = stderr().lock();
    let _ = writeln!(err, "{style}error{style:#}: {}", shown(&e.to_string()));
    for cause in e.chain().skip(1) {
        let _ = writeln!(err, "  caused by: {}", shown(&cause.to_string()));
    }
    ExitCode::from(if usage::is_wrong_use(e) { 2 } else { 1 })
}

/// Opens the model that a command names, or the bundled one.
fn open_model(path: Option<&Path>) -> anyhow::Result<Gguf> {
    match path {
        Some(path) => {
            let gguf = Gguf::open(path)?;
            inputs::remember(path);
            Ok(gguf)
        }
        None => match ptxgen_model::bundled() {
            Some(gguf) => Ok(gguf?),
            None => Err(Usage(
                "this build has no bundled model (packages from a registry carry none): name a GGUF file".into(),
            )
            .into()),
        },
    }
}

/// Opens a trace that a command names.
fn open_trace(path: &Path) -> Result<TraceFile, TraceError> {
    let file = TraceFile::open(path)?;
    inputs::remember(path);
    Ok(file)
}

fn is_broken_pipe(e: &Error) -> bool {
    e.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let json = cause.downcast_ref::<serde_json::Error>();
        let kind = io.or_else(|| json.and_then(serde_json::Error::io_error_kind));
        kind == Some(io::ErrorKind::BrokenPipe)
    })
}
