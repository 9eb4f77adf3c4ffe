//! `ptxgen list`: the kernels of the catalogue.

use super::{Outcome, Status};
use anstream::stdout;
use ptxgen_dsl::catalogue::{CATALOGUE, Entry, TYPICAL};
use serde::Serialize;
use std::{collections::BTreeMap, io::Write};

/// List the kernels with their options
#[derive(clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Also list the kernels of other tensor types that differ only in how their blocks are decoded; --json always
    /// includes them
    #[arg(long)]
    every_type: bool,
}

#[derive(Serialize)]
struct Kernel {
    name: &'static str,
    summary: &'static str,
    family: &'static str,
    act: Vec<&'static str>,
    acc: Vec<&'static str>,
    math: Vec<&'static str>,
    /// Its sizes, with their defaults.
    sizes: BTreeMap<&'static str, u32>,
}

impl Kernel {
    fn new(e: &Entry) -> Kernel {
        Kernel {
            name: e.name,
            summary: e.summary,
            family: e.family.name(),
            act: e.acts.iter().map(|v| v.name()).collect(),
            acc: e.accs.iter().map(|v| v.name()).collect(),
            math: e.maths.iter().map(|v| v.name()).collect(),
            sizes: e.dims.iter().collect(),
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
    let mut out = stdout().lock();
    if args.json {
        let kernels: Vec<Kernel> = CATALOGUE.iter().map(Kernel::new).collect();
        serde_json::to_writer_pretty(&mut out, &kernels)?;
        writeln!(out)?;
        return Ok(Status::Well);
    }
    let listed = if args.every_type { CATALOGUE } else { TYPICAL };
    let width = listed.iter().map(|e| e.name.len()).max().unwrap_or(0);
    let bold = anstyle::Style::new().bold();
    for e in listed {
        let sizes: String = e.dims.iter().map(|(name, n)| format!(" --{name} {n}")).collect();
        writeln!(out, "{bold}{:width$}{bold:#}  {};{}{sizes}", e.name, e.summary, Kernel::new(e).options())?;
    }
    let others = CATALOGUE.len() - listed.len();
    if others > 0 {
        writeln!(out, "and {others} of other tensor types, q5k-gemv for example: ptxgen list --every-type")?;
    }
    Ok(Status::Well)
}
