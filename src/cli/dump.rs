//! `ptxgen dump`: kernels as text.

use super::{
    Outcome, Status, Usage,
    kernels::{self, Choice, Size, Switch, Variant},
    output,
};
use anstream::stdout;
use anyhow::Context;
use clap::ValueEnum;
use ptxgen_builder::print::{self, PrintOptions};
use ptxgen_dsl::{
    catalogue::{Access, Built, Contents, Entry, ParamSpec, Request, TYPICAL, Words},
    precision::Policy,
};
use serde::Serialize;
use std::{io::Write, path::PathBuf};

/// Write a kernel as PTX, as its IR, or as JSON
///
/// With --all, every kernel in every variant (or those chosen with --act, --acc and --math), one file each, and an
/// index.json. The same options give the same bytes.
#[derive(clap::Args)]
pub struct Args {
    /// The kernel, as `ptxgen list` names it
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    kernel: Option<String>,
    /// Every kernel that `ptxgen list` shows; needs -o
    #[arg(long, requires = "output")]
    all: bool,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    size: Size,
    /// Output format
    #[arg(long, value_enum, default_value = "ptx")]
    format: Format,
    /// Add .file and .loc of the Rust source, for profilers and debuggers
    #[arg(long)]
    lineinfo: bool,
    /// Remove common subexpressions and dead code; no rounding changes
    #[arg(long, value_enum, default_value = "on")]
    optimize: Switch,
    /// The file to write, or with --all the folder; without it, standard output
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// PTX text
    Ptx,
    /// The IR, with lines of the Rust source
    Ir,
    /// The IR as JSON, for programs
    Json,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Format::Ptx => "ptx",
            Format::Ir => "ir",
            Format::Json => "json",
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let Some(name) = &args.kernel else { return all(args) };
    let entry = kernels::entry(name)?;
    let (_, text) = generate(args, entry, args.choice.policy())?;
    match &args.output {
        Some(path) => output::write_text(path, &text)?,
        None => stdout().lock().write_all(text.as_bytes())?,
    }
    Ok(Status::Well)
}

fn generate(args: &Args, entry: &'static Entry, policy: Policy) -> anyhow::Result<(Built, String)> {
    let request = args.size.over(entry, args.all, Request::new(policy, args.size.target()))?;
    let built = kernels::build(entry, &request)?;
    let module = built.finish_with(&args.optimize.passes())?;
    let text = match args.format {
        Format::Ptx => print::print(&module, &PrintOptions { lineinfo: args.lineinfo, comments: false }),
        Format::Ir => print::ir(module.module()),
        Format::Json => print::json(module.module()),
    };
    Ok((built, text))
}

/// A file of `dump --all`.
#[derive(Serialize)]
struct Indexed {
    file: String,
    kernel: &'static str,
    /// The entry's name in the file.
    entry: String,
    target: String,
    #[serde(flatten)]
    variant: Variant,
    grid: [u32; 3],
    block: u32,
    dynamic_shared: u32,
    params: Vec<Param>,
}

#[derive(Serialize)]
struct Param {
    name: &'static str,
    access: &'static str,
    holds: String,
    bytes: u64,
}

impl Param {
    fn new(p: &ParamSpec) -> Param {
        let access = match p.access {
            Access::In => "in",
            Access::Out => "out",
            Access::InOut => "inout",
        };
        Param { name: p.name, access, holds: holds(p.contents), bytes: p.bytes }
    }
}

impl Indexed {
    fn new(file: String, entry: &'static Entry, built: &Built) -> Indexed {
        Indexed {
            file,
            kernel: entry.name,
            entry: built.kernel().name().to_owned(),
            target: built.target().to_string(),
            variant: Variant::of(built),
            grid: built.launch.grid,
            block: built.launch.block,
            dynamic_shared: built.launch.dynamic_shared,
            params: built.params.iter().map(Param::new).collect(),
        }
    }
}

fn holds(contents: Contents) -> String {
    match contents {
        Contents::Weights(ty) => format!("weights {}", ty.name()),
        Contents::Activations(act) => format!("activations {act}"),
        Contents::F32 => "f32".into(),
        Contents::F16 => "f16".into(),
        Contents::F64 => "f64".into(),
        Contents::Logits => "f64 logits".into(),
        Contents::Words(Words::Distinct { below }) => format!("different u32 below {below}"),
        Contents::Words(Words::Below(below)) => format!("u32 below {below}"),
        Contents::Words(Words::Is(_)) => "u32".into(),
        Contents::Words(Words::Offsets { total }) => format!("u32 rising from 0 to {total}"),
    }
}

fn all(args: &Args) -> Outcome {
    let Some(folder) = &args.output else { return Err(Usage("dump --all needs a folder: -o DIR".into()).into()) };
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut index = Vec::new();
    for entry in TYPICAL {
        for policy in args.choice.variants(entry) {
            let (built, text) = generate(args, entry, policy)?;
            let file = format!("{}.{}", built.title(), args.format.extension());
            output::write_text(&folder.join(&file), &text)?;
            index.push(Indexed::new(file, entry, &built));
        }
    }
    let text = serde_json::to_string_pretty(&index)? + "\n";
    output::write_text(&folder.join("index.json"), &text)?;
    output::line(format_args!("{} kernels and index.json in {}", index.len(), folder.display()))?;
    Ok(Status::Well)
}
