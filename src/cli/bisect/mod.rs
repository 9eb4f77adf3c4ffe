//! `ptxgen bisect`: why two runs of a model differ.

mod text;

use super::{Outcome, Status, Usage, device::Model, output, tokens::Text, trace::model_name};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use ptxgen_model::{
    ModelConfig, RunSpec, SideSpec,
    bisect::{Factor, Run, Swapped, bisect, factor_swaps, swaps},
    gguf::Gguf,
    plain::PlainModel,
    trace::{Collect, Recorder, Selection, TraceData, TraceFile, TraceMeta},
};
use std::{borrow::Cow, path::PathBuf};

/// Find out why two runs of a model differ: which choice, which stage, which layer
///
/// Recomputes every stage of both runs from the run's own recorded inputs, which shows what the run computes there.
/// Then it changes one difference of the runs at a time. Exit code 1 if a run computes something wrong.
#[derive(clap::Args)]
pub struct Args {
    /// The model's GGUF file; without it, the bundled model
    model: Option<PathBuf>,
    /// A run, such as cpu:act=f32,acc=f64,kv=f32 (devices: cpu, cuda, interp), or a trace file
    #[arg(long, value_name = "RUN")]
    left: SideSpec,
    /// The run to compare with the left one
    #[arg(long, value_name = "RUN")]
    right: SideSpec,
    /// Token ids, little-endian i32 [default: those of a trace]
    #[arg(long, value_name = "FILE.i32", conflicts_with = "prompt")]
    tokens: Option<PathBuf>,
    /// A text, which the model's tokenizer encodes
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Use only the first N tokens
    #[arg(long, value_name = "N")]
    first: Option<usize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let gguf = super::open_model(args.model.as_deref())?;
    let config = ModelConfig::from_gguf(&gguf)?;
    let [left, right] = [&args.left, &args.right].map(open);
    let files = [left?, right?];
    let ids = ids(args, &gguf, &config, &files)?;
    let meta = TraceMeta {
        model: Some(model_name(&gguf)),
        model_sha256: Some(gguf.sha256()),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        tokens: Some(ids.clone()),
        ..TraceMeta::default()
    };
    for file in files.iter().flatten() {
        let other = file.meta().model_sha256.as_ref().filter(|own| Some(*own) != meta.model_sha256.as_ref());
        if let Some(other) = other {
            let (path, own) = (file.path().display(), meta.model_sha256.unwrap_or_default());
            anyhow::bail!("{path} is a trace of another model: SHA-256 {other}, and {} has {own}", gguf.file());
        }
    }
    let [left_file, right_file] = files;
    let left = trace(&args.left, left_file, &gguf, &meta)?;
    let right = trace(&args.right, right_file, &gguf, &meta)?;
    let names = [name(&args.left), name(&args.right)];
    let [left, right] = [Run { name: &names[0], trace: &left }, Run { name: &names[1], trace: &right }];
    let devices = exchanged(&gguf, &meta, left, right);
    let [swapped_left, swapped_right] = devices.each_ref().map(|run| run.as_deref());
    let factors = exchanged_factors(&gguf, &meta, left, right);
    let factors: Vec<_> = factors.iter().map(|(f, runs)| (*f, runs.each_ref().map(|run| run.as_deref()))).collect();
    let swapped = Swapped { left: swapped_left, right: swapped_right, factors: &factors };

    let style = ProgressStyle::with_template("bisecting {wide_bar} {pos}/{len} forwards, {eta} left")?;
    let bar = ProgressBar::new(0).with_style(style);
    let mut progress = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let found = bisect(&gguf, &ids, left, right, swapped, &mut progress);
    bar.finish_and_clear();
    let found = found?;
    if args.json {
        output::line(serde_json::to_string_pretty(&found)?)?;
    } else {
        output::line(crate::cli::shown::shown(text::of(&found).trim_end()))?;
    }
    Ok(if found.verdict.is_fault() { Status::Fault } else { Status::Well })
}

fn name(side: &SideSpec) -> String {
    match side {
        SideSpec::Run(run) => run.to_string(),
        SideSpec::File(path) => path.display().to_string(),
    }
}

fn open(side: &SideSpec) -> anyhow::Result<Option<TraceFile>> {
    match side {
        SideSpec::Run(_) => Ok(None),
        SideSpec::File(path) => Ok(Some(crate::cli::open_trace(path)?)),
    }
}

/// The tokens to run on: those of the command line, or of a trace.
fn ids(args: &Args, gguf: &Gguf, config: &ModelConfig, files: &[Option<TraceFile>]) -> anyhow::Result<Vec<u32>> {
    let known = || files.iter().flatten().find_map(|f| Some((f.path(), f.meta().tokens.clone()?)));
    let text = match (&args.tokens, &args.prompt) {
        (Some(path), _) => Text::read(path)?,
        (None, Some(prompt)) => Text::prompt(gguf, prompt)?,
        (None, None) => {
            let (path, ids) = known().ok_or_else(|| Usage("name a text with --tokens or --prompt".into()))?;
            Text::new(path.display(), ids)
        }
    };
    text.checked(args.first, 1, config)
}

/// A side's values: read from a file, or recorded now.
fn trace(side: &SideSpec, file: Option<TraceFile>, gguf: &Gguf, meta: &TraceMeta) -> anyhow::Result<TraceData> {
    match (side, file) {
        (_, Some(file)) => Ok(file.data()?),
        (SideSpec::Run(spec), None) => record(gguf, spec.clone(), meta).with_context(|| format!("cannot run {spec}")),
        (SideSpec::File(path), None) => Ok(TraceFile::open(path)?.data()?),
    }
}

/// Each run's choices on the other run's device, as far as this machine can run that.
fn exchanged<'a>(gguf: &Gguf, meta: &TraceMeta, left: Run<'a>, right: Run<'a>) -> [Option<Cow<'a, TraceData>>; 2] {
    let Some(specs) = swaps(left, right) else { return [None, None] };
    if left.trace.meta.policy == right.trace.meta.policy && left.trace.meta.kv == right.trace.meta.kv {
        return [Some(Cow::Borrowed(right.trace)), Some(Cow::Borrowed(left.trace))];
    }
    specs.map(|spec| Some(Cow::Owned(try_record(gguf, spec, meta)?)))
}

/// Each run with one choice of the other run, where plain forwards do not give its bits.
fn exchanged_factors<'a>(
    gguf: &Gguf,
    meta: &TraceMeta,
    left: Run<'a>,
    right: Run<'a>,
) -> Vec<(Factor, [Option<Cow<'a, TraceData>>; 2])> {
    let is = |spec: &RunSpec, own: Run<'_>, other: Run<'_>| {
        let meta = &other.trace.meta;
        (meta.policy, meta.kv) == (Some(spec.policy), Some(spec.kv)) && meta.device == own.trace.meta.device
    };
    let run = |spec: Option<RunSpec>, own: Run<'a>, other: Run<'a>| match spec? {
        spec if is(&spec, own, other) => Some(Cow::Borrowed(other.trace)),
        spec => Some(Cow::Owned(try_record(gguf, spec, meta)?)),
    };
    let all = factor_swaps(left, right).into_iter();
    all.map(|(factor, [l, r])| (factor, [run(l, left, right), run(r, right, left)])).collect()
}

/// A run that is useful but not necessary.
fn try_record(gguf: &Gguf, spec: RunSpec, meta: &TraceMeta) -> Option<TraceData> {
    let run = record(gguf, spec.clone(), meta);
    run.map_err(|e| output::note(format_args!("{spec} cannot be run, which would tell more: {e:#}"))).ok()
}

fn record(gguf: &Gguf, spec: RunSpec, meta: &TraceMeta) -> anyhow::Result<TraceData> {
    let plain = PlainModel::new(gguf)?;
    let ids = meta.tokens.as_deref().unwrap_or_default();
    let (policy, kv) = (spec.policy, spec.kv);
    let model = Model::on(gguf, spec, ids.len())?;
    let mut session = model.session(ids.len())?;
    let selected = Selection::default().of(plain.config(), ids.len())?;
    let mut collect = Collect::new(plain.config(), &selected, ids.len());
    let mut recorder = Recorder::new(&plain, kv, ids, &selected);
    recorder.advance(&mut *session, ids.len(), &mut collect)?;
    let (derived, faults) = (recorder.derived(), recorder.faults());
    let mut data = collect.finish();
    let (policy, kv, device) = (Some(policy), Some(kv), Some(session.device()));
    data.meta = TraceMeta { policy, kv, device, derived, faults, ..meta.clone() };
    Ok(data)
}
