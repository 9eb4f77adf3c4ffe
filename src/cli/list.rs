//! `ptxgen list`: the kernels of the catalogue.

use super::{Outcome, Status};
use anstream::stdout;
use ptxgen_dsl::catalogue::{CATALOGUE, Entry};
use serde::Serialize;
use std::io::Write;

/// List the kernels with their options
#[derive(clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Kernel {
    name: &'static str,
    summary: &'static str,
    act: Vec<&'static str>,
    acc: Vec<&'static str>,
    math: Vec<&'static str>,
    rows: u32,
    cols: u32,
    experts: Option<u32>,
    experts_used: Option<u32>,
}

impl Kernel {
    fn new(e: &Entry) -> Kernel {
        Kernel {
            name: e.name,
            summary: e.summary,
            act: e.acts.iter().map(|v| v.name()).collect(),
            acc: e.accs.iter().map(|v| v.name()).collect(),
            math: e.maths.iter().map(|v| v.name()).collect(),
            rows: e.shape.rows,
            cols: e.shape.cols,
            experts: e.experts.map(|e| e.count),
            experts_used: e.experts.map(|e| e.used),
        }
    }

    /// `--act f32|q8k --acc f32|f64`.
    fn options(&self) -> String {
        let parts = [("act", &self.act), ("acc", &self.acc), ("math", &self.math)];
        let parts = parts.iter().filter(|(_, values)| !values.is_empty());
        parts.map(|(name, values)| format!(" --{name} {}", values.join("|"))).collect()
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let kernels: Vec<Kernel> = CATALOGUE.iter().map(Kernel::new).collect();
    let mut out = stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &kernels)?;
        writeln!(out)?;
        return Ok(Status::Well);
    }
    let width = kernels.iter().map(|k| k.name.len()).max().unwrap_or(0);
    let bold = anstyle::Style::new().bold();
    for k in &kernels {
        writeln!(
            out,
            "{bold}{:width$}{bold:#}  {};{} --rows {} --cols {}",
            k.name,
            k.summary,
            k.options(),
            k.rows,
            k.cols
        )?;
    }
    Ok(Status::Well)
}
