//! `ptxgen trace`: the values of a forward, stage by stage.

use super::{
    Outcome, Status, Usage,
    device::{DeviceArgs, Model},
    output, text,
    tokens::Text,
};
use anstream::stdout;
use indicatif::{ProgressBar, ProgressStyle};
use ptxgen_model::{
    Engine,
    gguf::Gguf,
    plain::PlainModel,
    trace::{
        Block, Fault, GatherStages, Layers, Positions, Recorder, Selected, Selection, Stage, Stages, Statistics, Tap,
        TraceError, TraceMeta, TraceWriter,
    },
};
use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Tokens between two updates of the progress bar.
const BATCH: usize = 64;

/// Write the values of every stage of a forward as a safetensors file, or their statistics
///
/// docs/trace.md lists the stages. The run gives the same bits as without a trace. Values that the device keeps in
/// registers are computed from the values that it writes, by the same contract. If such a computation does not
/// reproduce a value that the device wrote, the device violates the contract: the command says where and ends with exit
/// code 1.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("a text").required(true).args(["tokens", "prompt"]))]
#[command(group = clap::ArgGroup::new("what to make").required(true).multiple(true).args(["out", "stats"]))]
pub struct Args {
    /// The model's GGUF file; without it, the bundled model
    model: Option<PathBuf>,
    /// Token ids, little-endian i32
    #[arg(long, value_name = "FILE.i32")]
    tokens: Option<PathBuf>,
    /// A text, which the model's tokenizer encodes
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Use only the first N tokens
    #[arg(long, value_name = "N")]
    first: Option<usize>,
    /// The file to write
    #[arg(short, long, value_name = "FILE.safetensors")]
    out: Option<PathBuf>,
    /// Print mean, deviation, minimum and maximum, and the numbers of NaNs and infinities of each stage
    #[arg(long)]
    stats: bool,
    #[command(flatten)]
    selection: SelectionArgs,
    /// Maximum size of the file, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 30)]
    limit: u64,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Which values of a forward are recorded.
#[derive(clap::Args)]
pub struct SelectionArgs {
    /// Stages: all, or names separated by commas
    #[arg(long, value_name = "all|LIST", default_value = "all")]
    stages: Stages,
    /// Layers, counted from 0: 2..5 is 2, 3 and 4 [default: all]
    #[arg(long, value_name = "A..B")]
    layers: Option<Layers>,
    /// Positions, counted from 0: last, all, or a list like 0,5,10..20
    #[arg(long, value_name = "last|all|LIST", default_value = "all")]
    positions: Positions,
}

impl SelectionArgs {
    /// The same in the library's types.
    pub fn selection(&self) -> Selection {
        Selection {
            stages: self.stages.clone(),
            layers: self.layers.clone().unwrap_or_default(),
            positions: self.positions.clone(),
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let gguf = super::open_model(args.model.as_deref())?;
    let plain = PlainModel::new(&gguf)?;
    let config = plain.config();
    let text = match (&args.tokens, &args.prompt) {
        (Some(path), _) => Text::read(path)?,
        (None, Some(prompt)) => Text::prompt(&gguf, prompt)?,
        (None, None) => return Err(Usage("name a text with --tokens or --prompt".into()).into()),
    };
    let ids = text.checked(args.first, 1, config)?;
    let selected = args.selection.selection().of(config, ids.len()).map_err(TraceError::from)?;
    let model = Model::load(&gguf, &args.device, ids.len())?;
    let mut session = model.session(ids.len())?;

    let mut stats = args.stats.then(|| GatherStages::new(&selected, config.heads));
    let mut run = Run { recorder: Recorder::new(&plain, args.device.kv(), &ids, &selected), session: &mut *session };
    let faults = match &args.out {
        None => {
            run.through(ids.len(), &mut Both(stats.as_mut(), None))?;
            run.recorder.faults()
        }
        Some(path) => {
            let meta = TraceMeta {
                model: Some(model_name(&gguf)),
                model_sha256: Some(gguf.sha256()),
                policy: Some(args.device.policy()),
                kv: Some(args.device.kv()),
                device: Some(run.session.device()),
                version: Some(env!("CARGO_PKG_VERSION").into()),
                tokens: Some(ids.clone()),
                ..TraceMeta::default()
            };
            write(path, &mut run, &selected, (&plain, meta, args.limit), stats.as_mut())?
        }
    };
    for fault in &faults {
        output::note(format_args!("the device violates the contract: {fault}"));
    }
    if let Some(stats) = stats {
        print(&stats.finish(), &run.recorder.derived())?;
    }
    Ok(if faults.is_empty() { Status::Well } else { Status::Fault })
}

/// A session that is being recorded.
struct Run<'r> {
    recorder: Recorder<'r>,
    session: &'r mut dyn Engine,
}

impl Run<'_> {
    fn through(&mut self, tokens: usize, sink: &mut dyn Tap) -> anyhow::Result<()> {
        let style = "tracing {wide_bar} {pos}/{len} tokens";
        let bar = ProgressBar::new(tokens as u64).with_style(ProgressStyle::with_template(style)?);
        for end in (0..tokens).step_by(BATCH).map(|start| tokens.min(start + BATCH)) {
            self.recorder.advance(self.session, end, sink)?;
            bar.set_position(end as u64);
        }
        bar.finish_and_clear();
        Ok(())
    }
}

/// Records a run as a file.
fn write(
    path: &Path,
    run: &mut Run<'_>,
    selected: &Selected,
    (plain, meta, limit): (&PlainModel<'_>, TraceMeta, u64),
    stats: Option<&mut GatherStages>,
) -> anyhow::Result<Vec<Fault>> {
    let mut found = None;
    output::write_parts(path, |file| {
        let tokens = meta.tokens.as_ref().map_or(0, Vec::len);
        let mut writer = TraceWriter::new(file, plain.config(), selected, meta, limit)?;
        let bytes = writer.bytes();
        run.through(tokens, &mut Both(stats, Some(&mut writer)))?;
        let (derived, faults) = (run.recorder.derived(), run.recorder.faults());
        writer.finish(derived, faults.clone())?;
        found = Some((bytes, faults));
        Ok(())
    })?;
    let (bytes, faults) = found.unwrap_or_default();
    output::note(format_args!("{} written to {}", text::bytes(bytes), path.display()));
    Ok(faults)
}

/// The name of a model's file.
pub fn model_name(gguf: &Gguf) -> String {
    let name = Path::new(gguf.file()).file_name();
    name.map_or_else(|| gguf.file().to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Statistics and a file, either or both.
struct Both<'s, 'w, 'f>(Option<&'s mut GatherStages>, Option<&'s mut TraceWriter<'w, &'f mut File>>);

impl Tap for Both<'_, '_, '_> {
    fn take(&mut self, block: Block<'_>) {
        if let Some(stats) = &mut self.0 {
            stats.take(block);
        }
        if let Some(writer) = &mut self.1 {
            writer.take(block);
        }
    }
}

fn print(stages: &[(Stage, Statistics)], derived: &[Stage]) -> io::Result<()> {
    let mut out = stdout().lock();
    let bold = anstyle::Style::new().bold();
    let columns = ["mean", "deviation", "least", "largest"];
    write!(out, "{bold}{:<20}{:>12}", "stage", "values")?;
    columns.iter().try_for_each(|name| write!(out, "{name:>14}"))?;
    writeln!(out, "{:>8}{:>8}{bold:#}", "NaN", "inf")?;
    for (stage, s) in stages {
        write!(out, "{:<20}{:>12}", stage.name(), s.values)?;
        [s.mean, s.deviation, s.min, s.max].iter().try_for_each(|v| write!(out, "{v:>14.5e}"))?;
        writeln!(out, "{:>8}{:>8}", s.nan, s.infinite)?;
    }
    if !derived.is_empty() {
        let names: Vec<_> = derived.iter().map(|s| s.name()).collect();
        writeln!(out, "computed from what the device wrote: {}", names.join(", "))?;
    }
    Ok(())
}
