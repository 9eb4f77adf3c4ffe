//! `ptxgen stats`: what kernels cost.

use super::{
    Outcome, Status,
    kernels::{self, Choice, Size, Switch, Variant},
};
use anstream::stdout;
use ptxgen_builder::{
    print::{self, PrintOptions},
    ptxas::{KernelUsage, Ptxas, PtxasError},
};
use ptxgen_dsl::catalogue::{Built, Profile, Request};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::{self, Write},
};

/// Show what kernels cost: instructions, memory traffic, registers
///
/// The counts come from a trial in the interpreter on random inputs. Without --rows it has at most 64 rows, and it uses
/// 2 of 4 experts. Without --act, --acc and --math every variant is shown.
#[derive(clap::Args)]
pub struct Args {
    /// Kernels, as `ptxgen list` names them
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    kernels: Vec<String>,
    /// Every kernel
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    size: Size,
    /// Remove common subexpressions and dead code, as `dump` does
    #[arg(long, value_enum, default_value = "on")]
    optimize: Switch,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Stats {
    kernel: &'static str,
    #[serde(flatten)]
    variant: Variant,
    target: String,
    entry: String,
    /// Weights (or elements) that the trial processed.
    weights: u64,
    /// Instructions in the kernel, by class.
    instructions: BTreeMap<String, u32>,
    /// Executed lane-instructions per weight, by class.
    executed_per_weight: BTreeMap<String, f64>,
    total_executed_per_weight: f64,
    bytes_per_weight: f64,
    sectors_per_weight: f64,
    /// Share of the bytes of those sectors that the kernel uses.
    sectors_used: f64,
    shared_passes: u64,
    bank_conflicts: u64,
    peak_live_registers: u32,
    /// `None` without ptxas.
    ptxas: Option<Assembled>,
}

#[derive(Serialize)]
struct Assembled {
    registers: u32,
    spill_store_bytes: u32,
    spill_load_bytes: u32,
    shared_bytes: u32,
}

impl From<&KernelUsage> for Assembled {
    fn from(k: &KernelUsage) -> Self {
        Assembled {
            registers: k.registers,
            spill_store_bytes: k.spill_stores,
            spill_load_bytes: k.spill_loads,
            shared_bytes: k.shared,
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let ptxas = match Ptxas::find() {
        Ok(ptxas) => Ok(ptxas),
        Err(e @ PtxasError::NotFound { .. }) => Err(e.to_string()),
        Err(e) => return Err(e.into()),
    };
    let mut all = Vec::new();
    let mut out = stdout().lock();
    for entry in kernels::entries(&args.kernels, args.all)? {
        for policy in kernels::variants(entry, args.choice, args.all, args.size.target())? {
            let request = args.size.over(entry, args.all, Request::for_trial(entry, policy, args.size.target()))?;
            let built = kernels::build(entry, &request)?;
            let stats = measure(&built, args.optimize, ptxas.as_ref().ok())?;
            if args.json {
                all.push(stats);
            } else {
                stats.print(&mut out)?;
            }
        }
    }
    if args.json {
        serde_json::to_writer_pretty(&mut out, &all)?;
        writeln!(out)?;
    } else if let Err(why) = &ptxas {
        writeln!(out, "registers and spills not shown: {why}")?;
    }
    Ok(Status::Well)
}

fn measure(built: &Built, optimize: Switch, ptxas: Option<&Ptxas>) -> anyhow::Result<Stats> {
    let module = built.finish_with(&optimize.passes())?;
    let assembled = match ptxas {
        Some(ptxas) => {
            let report = ptxas.assemble(&print::print(&module, &PrintOptions::default()), built.target())?;
            report.kernel(built.kernel().name()).map(Assembled::from)
        }
        None => None,
    };
    Ok(Stats::new(built, &built.profile(&module)?, assembled))
}

impl Stats {
    fn new(built: &Built, profile: &Profile, ptxas: Option<Assembled>) -> Stats {
        let (entry, executed) = (built.entry, &profile.executed);
        Stats {
            kernel: entry.name,
            variant: Variant::of(built),
            target: built.target().to_string(),
            entry: built.kernel().name().to_owned(),
            weights: profile.weights,
            instructions: profile.written.by_class.iter().map(|(c, n)| (c.to_string(), *n)).collect(),
            executed_per_weight: profile
                .by_class
                .iter()
                .map(|(c, n)| (c.to_string(), profile.per_weight(n.lanes)))
                .collect(),
            total_executed_per_weight: profile.instructions_per_weight(),
            bytes_per_weight: profile.per_weight(executed.sector_bytes),
            sectors_per_weight: profile.per_weight(executed.sectors),
            sectors_used: profile.sectors_used(),
            shared_passes: executed.shared_passes,
            bank_conflicts: executed.bank_conflicts,
            peak_live_registers: profile.pressure.registers,
            ptxas,
        }
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let bold = anstyle::Style::new().bold();
        writeln!(
            out,
            "{bold}{}{}{bold:#} ({}, {}, {} weights)",
            self.kernel, self.variant, self.entry, self.target, self.weights
        )?;
        let mut executed: Vec<_> = self.executed_per_weight.iter().collect();
        executed.sort_by(|a, b| b.1.total_cmp(a.1));
        let executed: Vec<_> = executed.iter().map(|(c, n)| format!("{c} {n:.2}")).collect();
        writeln!(out, "  executed   {:.2} a weight: {}", self.total_executed_per_weight, executed.join(", "))?;
        let mut written: Vec<_> = self.instructions.iter().collect();
        written.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        let total: u32 = self.instructions.values().sum();
        let written: Vec<_> = written.iter().map(|(c, n)| format!("{c} {n}")).collect();
        writeln!(out, "  written    {total}: {}", written.join(", "))?;
        writeln!(
            out,
            "  global     {:.3} bytes and {:.4} sectors a weight, {:.1}% of the sectors used",
            self.bytes_per_weight,
            self.sectors_per_weight,
            100.0 * self.sectors_used
        )?;
        writeln!(
            out,
            "  shared     {} passes, {} of them for bank conflicts",
            self.shared_passes, self.bank_conflicts
        )?;
        write!(out, "  registers  {} live at most", self.peak_live_registers)?;
        match &self.ptxas {
            Some(p) => writeln!(
                out,
                "; ptxas: {} registers, {} bytes spilled, {} bytes of shared memory",
                p.registers,
                p.spill_store_bytes + p.spill_load_bytes,
                p.shared_bytes
            ),
            None => writeln!(out),
        }
    }
}
