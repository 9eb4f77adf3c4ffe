//! `ptxgen compare`: the differences of two runs of a model.

use super::{
    Outcome, Status, Usage,
    device::{Model, threads},
    inputs, output,
    shown::on_a_line,
    tokens::Text,
    trace::{SelectionArgs, model_name},
};
use anstream::stdout;
use indicatif::{ProgressBar, ProgressStyle};
use ptxgen_model::{
    Engine, SideSpec,
    compare::{CompareOptions, Comparison, Difference, RunSide, Side, Source, Thresholds, Verdict, compare},
    gguf::Gguf,
    plain::PlainModel,
    report,
    tokenizer::Tokenizer,
    trace::{TraceFile, TraceMeta},
};
use std::{
    io::{self, Write},
    path::PathBuf,
};

/// Compare two runs of a model, or traces of them, stage by stage
///
/// A side is a run or a trace. A run is `DEVICE:act=..,acc=..` with DEVICE cpu, cuda or interp (`,kv=f16` and
/// `,math=approx` may follow). A trace is a safetensors file whose tensors have stages' names, as `ptxgen trace` writes
/// it (docs/trace.md). Errors are relative to the left side. Exit code 1 if a stage exceeds a threshold, or a device
/// violates the contract.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("a text").args(["tokens", "prompt", "prompts"]))]
pub struct Args {
    /// The model's GGUF file; without it, the bundled model
    model: Option<PathBuf>,
    /// The side to which errors are relative
    #[arg(long, value_name = "RUN|TRACE")]
    left: SideSpec,
    /// The other side
    #[arg(long, value_name = "RUN|TRACE")]
    right: SideSpec,
    /// Token ids, little-endian i32; not needed with a trace, which contains its tokens
    #[arg(long, value_name = "FILE.i32")]
    tokens: Option<PathBuf>,
    /// A text, which the model's tokenizer encodes
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// A file of texts, one per line
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Use only the first N tokens of each text
    #[arg(long, value_name = "N")]
    first: Option<usize>,
    #[command(flatten)]
    selection: SelectionArgs,
    /// Fail if a stage's cosine is below C
    #[arg(long, value_name = "C", allow_negative_numbers = true)]
    min_cos: Option<f64>,
    /// Fail if a stage's relative error is above E
    #[arg(long, value_name = "E", allow_negative_numbers = true)]
    max_rel: Option<f64>,
    /// Also compare traces of different model files
    #[arg(long)]
    any_model: bool,
    /// CPU threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Also write a report: one HTML page with charts
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let found = found(args)?;
    if let Some(path) = &args.html {
        output::write_text(path, &report::html(&found)?)?;
    }
    let mut out = stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &found)?;
        writeln!(out)?;
    } else {
        print(&found, &mut out)?;
    }
    let faults = found.left.faults.len() + found.right.faults.len();
    Ok(if found.verdict == Verdict::Past || faults > 0 { Status::Fault } else { Status::Well })
}

/// The requested comparison.
fn found(args: &Args) -> anyhow::Result<Comparison> {
    let thresholds = Thresholds { min_cos: args.min_cos, max_rel: args.max_rel };
    thresholds.check()?;
    let sides = [&args.left, &args.right];
    let files = sides.map(|side| match side {
        SideSpec::File(path) => Some(super::open_trace(path)),
        SideSpec::Run(_) => None,
    });
    let [left, right] = files;
    let files = [left.transpose()?, right.transpose()?];
    let options = CompareOptions { selection: args.selection.selection(), thresholds, any_model: args.any_model };
    let given = args.tokens.is_some() || args.prompt.is_some() || args.prompts.is_some();
    if let ([Some(_), Some(_)], false) = (&files, given) {
        if args.first.is_some() || args.threads.is_some() {
            return Err(Usage("two traces are compared as they are: leave out --first and --threads".into()).into());
        }
        // No model is needed.
        let [left, right] = files.map(|file| file.map(Source::File));
        let (Some(left), Some(right)) = (left, right) else { unreachable!("both are traces") };
        return Ok(compare(left, right, &[], &options, &mut |_| ())?);
    }

    let gguf = super::open_model(args.model.as_deref())?;
    let plain = PlainModel::new(&gguf)?;
    let prompts = prompts(args, &gguf, &plain)?;
    if prompts.is_empty() && files.iter().all(Option::is_none) {
        return Err(Usage("name a text with --tokens, --prompt or --prompts: both sides are runs".into()).into());
    }
    let of_file = |f: &TraceFile| Some(Text::new(f.path().display(), f.meta().tokens.clone()?));
    let of_files = files.iter().flatten().filter_map(of_file).map(|text| text.checked(None, 1, plain.config()));
    let of_files = of_files.collect::<Result<Vec<_>, _>>()?;
    let capacity = prompts.iter().chain(&of_files).map(Vec::len).max().unwrap_or(1);
    let meta = TraceMeta { model: Some(model_name(&gguf)), model_sha256: Some(gguf.sha256()), ..TraceMeta::default() };

    let models = sides.map(|side| match side {
        SideSpec::Run(run) => {
            let run = ptxgen_model::RunSpec { threads: args.threads.map(threads), ..run.clone() };
            Some(Model::on(&gguf, run.clone(), capacity).map(|model| (run, model)))
        }
        SideSpec::File(_) => None,
    });
    let [left, right] = models;
    let models = [left.transpose()?, right.transpose()?];
    let mut sources = Vec::new();
    for (model, file) in models.iter().zip(files) {
        sources.push(match (model, file) {
            (Some((spec, model)), _) => {
                let session: Box<dyn Engine + '_> = model.session(capacity)?;
                Source::Run(RunSide { spec: spec.clone(), session, plain: &plain, meta: meta.clone() })
            }
            (None, Some(file)) => Source::File(file),
            (None, None) => unreachable!("a side is a run or a trace"),
        });
    }
    let (Some(right), Some(left)) = (sources.pop(), sources.pop()) else { unreachable!("there are two sides") };
    let style = "comparing {wide_bar} {pos}/{len} tokens, {eta} left";
    let total = if prompts.is_empty() { capacity } else { prompts.iter().map(Vec::len).sum() };
    let bar = ProgressBar::new(total as u64).with_style(ProgressStyle::with_template(style)?);
    let found = compare(left, right, &prompts, &options, &mut |done| bar.set_position(done as u64));
    bar.finish_and_clear();
    Ok(found?)
}

/// The requested texts, as tokens.
fn prompts(args: &Args, gguf: &Gguf, plain: &PlainModel<'_>) -> anyhow::Result<Vec<Vec<u32>>> {
    let all = match (&args.tokens, &args.prompt, &args.prompts) {
        (Some(path), ..) => vec![Text::read(path)?],
        (_, Some(text), _) => vec![Text::prompt(gguf, text)?],
        (.., Some(path)) => {
            let text = inputs::read_text(path)?;
            let tokenizer = Tokenizer::from_gguf(gguf)?;
            let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
            let prompt = |(i, line): (usize, &str)| {
                let name = format_args!("line {} of {}", i + 1, path.display());
                Ok::<_, anyhow::Error>(Text::new(name, tokenizer.encode(line)?))
            };
            let prompts = lines.map(prompt).collect::<Result<Vec<_>, _>>()?;
            anyhow::ensure!(!prompts.is_empty(), "{}: no line of it is a text", path.display());
            prompts
        }
        _ => Vec::new(),
    };
    all.into_iter().map(|text| text.checked(args.first, 1, plain.config())).collect()
}

fn print(c: &Comparison, out: &mut impl Write) -> io::Result<()> {
    let bold = anstyle::Style::new().bold();
    for (word, side) in [("left", &c.left), ("right", &c.right)] {
        describe(word, side, out)?;
    }
    writeln!(out, "{} of {} positions\n", count(c.prompts as u64, "prompt"), c.positions)?;
    if c.verdict == Verdict::Equal {
        writeln!(out, "no divergence: all {} values have the same bits", c.values)?;
    } else {
        writeln!(
            out,
            "{bold}{:<30}{:>12}{:>12}{:>13}{:>11}{:>12}{bold:#}",
            "stage", "differing", "cosine", "relative", "largest", "ulp"
        )?;
        table(&c.stages, out)?;
        writeln!(out)?;
        summary(c, out)?;
    }
    if !c.missing.is_empty() {
        let names: Vec<_> = c.missing.iter().map(|s| s.name()).collect();
        writeln!(out, "only one side has, in some layer: {}", names.join(", "))?;
    }
    for (word, side) in [("left", &c.left), ("right", &c.right)] {
        for fault in &side.faults {
            writeln!(out, "the {word} device violates the contract: {fault}")?;
        }
    }
    Ok(())
}

fn describe(word: &str, side: &Side, out: &mut impl Write) -> io::Result<()> {
    let known = [&side.device, &side.policy, &side.model];
    let known: Vec<_> = known.into_iter().flatten().map(String::as_str).collect();
    let about = if known.is_empty() { String::new() } else { format!(" ({})", known.join("; ")) };
    writeln!(out, "{word:<6} {}", on_a_line(&format!("{}{about}", side.name)))
}

/// One row for each stage that differs; the stages between two of them share a row.
fn table(stages: &[Difference], out: &mut impl Write) -> io::Result<()> {
    for group in stages.chunk_by(|a, b| a.differing == 0 && b.differing == 0) {
        let name = |d: &Difference| d.stage.tensor_name(d.layer);
        match group {
            [first, .., last] => writeln!(out, "{} to {}: the same bits", name(first), name(last))?,
            [d] if d.differing == 0 => writeln!(out, "{}: the same bits", name(d))?,
            [d] => {
                let share = format!("{:.1}%", 100.0 * d.differing as f64 / d.values as f64);
                write!(out, "{:<30}{share:>12}", name(d))?;
                if let (Some(cosine), Some(relative), Some(largest), Some(ulp)) =
                    (d.cosine, d.relative, d.largest, d.largest_ulp)
                {
                    write!(out, "{cosine:>12.8}{relative:>13.3e}{largest:>11.2e}{ulp:>12}")?;
                }
                if d.not_finite > 0 {
                    write!(out, "  {} with NaN or infinity", count(d.not_finite, "pair"))?;
                }
                writeln!(out)?;
            }
            [] => {}
        }
    }
    Ok(())
}

fn summary(c: &Comparison, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{} of {} values differ", c.differing, c.values)?;
    let place = |p: &ptxgen_model::compare::Place| {
        let prompt = if c.prompts > 1 { format!("prompt {}, ", p.prompt) } else { String::new() };
        format!("{} ({prompt}position {}, value {})", p.stage.tensor_name(p.layer), p.position, p.index)
    };
    if let Some(first) = &c.first {
        writeln!(out, "first stage that differs: {}", place(first))?;
    }
    let given = [
        c.thresholds.min_cos.map(|v| format!("cosine {v}")),
        c.thresholds.max_rel.map(|v| format!("relative error {v}")),
    ];
    let given: Vec<_> = given.into_iter().flatten().collect();
    let threshold =
        if given.is_empty() { format!("relative error {}", Comparison::NOTABLE) } else { given.join(" or ") };
    match &c.first_past {
        Some(past) => writeln!(out, "first stage past {threshold}: {}", place(past))?,
        None => writeln!(out, "no stage is past {threshold}")?,
    }
    if let Some(g) = &c.growth {
        writeln!(out, "the error grows most in layer {}: from {:.3e} to {:.3e}", g.layer, g.before, g.after)?;
    }
    experts(c, out)?;
    if let Some(top) = &c.top {
        write!(out, "most likely next token: the same at {} of {} positions", top.same, top.positions)?;
        writeln!(out, ", {} of {}", top.same_at_the_end, count(top.prompts, "prompt's end"))?;
    }
    if let Some(p) = &c.perplexity {
        writeln!(out, "perplexity over {}: {:.4} and {:.4}", count(p.tokens, "token"), p.left, p.right)?;
    }
    Ok(())
}

/// The choices of experts, in layers where they differ.
fn experts(c: &Comparison, out: &mut impl Write) -> io::Result<()> {
    let all: usize = c.experts.iter().map(|e| e.choices.len()).sum();
    let same: usize = c.experts.iter().map(|e| e.same).sum();
    if all > 0 {
        writeln!(out, "experts: the same at {same} of {all} choices")?;
    }
    for layer in c.experts.iter().filter(|e| e.same < e.choices.len()) {
        let (other, of) = (layer.choices.len() - layer.same, layer.choices.len());
        write!(out, "  layer {}: different at {other} of {of}", layer.layer)?;
        match layer.largest_margin_of_other {
            Some(margin) => writeln!(out, ", where the left side's choice was {margin:.3e} clear at most")?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
