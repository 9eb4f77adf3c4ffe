//! `ptxgen bench kernels`: the catalogue's kernels, each by itself.

use super::measure::{launch_time, rate};
use super::stream;
use super::work::{ROTATION, Work, bytes_read};
use crate::cli::{Outcome, Status};
use crate::cli::{
    kernels::{self, Choice, Sizes},
    output,
};
use anstream::{stderr, stdout};
use anyhow::Context;
use ptxgen_dsl::catalogue::{Built, Dims, Entry, Machine, Request, Schedule};
use ptxgen_dsl::precision::{Math, Policy};
use ptxgen_runtime::{Device, DriverInfo};
use serde::Serialize;
use std::{
    io::{self, Write},
    path::PathBuf,
};

/// Measure kernels: time of a launch, and rate relative to the memory bandwidth
///
/// Each launch uses one matrix; the matrices are different and have 1 GiB together; all launches are in one CUDA graph.
/// Results are medians over runs of the graph. The rate counts the bytes of weights that a launch reads.
#[derive(clap::Args)]
pub struct Args {
    /// Kernels, as `ptxgen list` names them [default: all]
    kernels: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    size: Sizes,
    /// Try several schedules and show the best
    #[arg(long)]
    tune: bool,
    /// Runs of each graph
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Index of the GPU
    #[arg(long, default_value_t = 0)]
    gpu: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Also write JSON to a file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

/// Shapes for products with a vector, K x N: those of Qwen3-30B-A3B's experts, of its attention's projections, and of
/// its lm_head.
const MATRICES: &[(&str, &[(u32, u32)])] = &[
    ("q4k-gemv", &[(2048, 768), (2048, 4096), (768, 2048)]),
    ("q6k-gemv", &[(2048, 768), (768, 2048), (2048, 151_936)]),
];

#[derive(Serialize)]
struct Report {
    gpu: String,
    driver: Option<String>,
    cuda: String,
    stream_gb_per_s: f64,
    kernels: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    kernel: &'static str,
    variant: String,
    sizes: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    /// Whether it uses programmatic dependent launch.
    pdl: bool,
    us: f64,
    /// None for kernels without weights.
    gb_per_s: Option<f64>,
    share_of_stream: Option<f64>,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let device = Device::cuda(args.gpu)?;
    let driver = DriverInfo::query()?;
    let info = driver.gpus.get(args.gpu).context("the GPU is gone")?;
    let bandwidth = stream::bandwidth(&device, info.multiprocessors)?;
    let mut bench = Bench { device: &device, bandwidth, args, rows: Vec::new() };
    let all = args.kernels.is_empty();
    for entry in kernels::entries(&args.kernels, all)? {
        for policy in kernels::variants(entry, args.choice, all, device.target())? {
            if policy.math == Math::Exact || args.choice.math.is_some() {
                bench.entry(entry, policy, all)?;
            }
        }
    }
    let report = Report {
        gpu: info.name.clone(),
        driver: driver.version.clone(),
        cuda: driver.cuda.to_string(),
        stream_gb_per_s: bandwidth,
        kernels: bench.rows,
    };
    let json = serde_json::to_string_pretty(&report)?;
    if let Some(file) = &args.save {
        output::write_text(file, &(json.clone() + "\n"))?;
    }
    let mut out = stdout().lock();
    if args.json {
        writeln!(out, "{json}")?
    } else {
        table(&mut out, &report)?
    }
    Ok(Status::Well)
}

struct Bench<'a> {
    device: &'a Device,
    bandwidth: f64,
    args: &'a Args,
    rows: Vec<Row>,
}

impl Bench<'_> {
    fn request(&self, policy: Policy) -> Request {
        let machine = Machine::new(self.device.multiprocessors());
        Request { machine, ..Request::new(policy, self.device.target()) }
    }

    fn entry(&mut self, entry: &'static Entry, policy: Policy, all: bool) -> anyhow::Result<()> {
        let shapes = MATRICES.iter().find(|(name, _)| *name == entry.name).map_or(&[][..], |(_, shapes)| shapes);
        let dims = shapes.iter().map(|&(k, n)| Dims { rows: Some(n), cols: Some(k), ..Dims::NONE });
        let mut dims: Vec<Dims> = if shapes.is_empty() { vec![Dims::NONE] } else { dims.collect() };
        let asked = self.args.size.over(entry, all, self.request(policy));
        if asked.dims != Dims::NONE {
            dims = vec![asked.dims];
        }
        for dims in dims {
            let request = Request { dims, ..self.request(policy) };
            self.shape(entry, request).with_context(|| format!("{} {policy}", entry.name))?;
        }
        Ok(())
    }

    /// A kernel without and with programmatic dependent launch.
    fn shape(&mut self, entry: &'static Entry, request: Request) -> anyhow::Result<()> {
        let built = kernels::build(entry, &request)?;
        let mut work = Work::new(self.device, &built, ROTATION)?;
        for pdl in [false, true] {
            let request = Request { pdl, ..request };
            let built = kernels::build(entry, &request)?;
            if pdl && !built.kernel().waits() {
                continue;
            }
            let row = self.row(&built, &request, &mut work)?;
            if !self.args.json {
                let (kernel, variant, sizes, us) = (&row.kernel, &row.variant, &row.sizes, row.us);
                // Progress only: an error of writing is ignored, where `eprintln!` would panic.
                let _ = writeln!(stderr(), "{kernel} {variant} {sizes}: {us:.2} us{}", dependent(row.pdl));
            }
            self.rows.push(row);
        }
        if self.args.tune && bytes_read(&built) > 0 {
            let best = self.tuned(entry, &Request { pdl: true, ..request }, &mut work)?;
            self.rows.extend(best);
        }
        Ok(())
    }

    fn row(&self, built: &Built, request: &Request, work: &mut Work) -> anyhow::Result<Row> {
        // SAFETY: the words in the buffers are those that `Work` creates from what the parameters say of them.
        let kernel = unsafe { self.device.load_launchable_unchecked(&built.launch)? };
        let calls = work.calls(&kernel)?;
        let time = launch_time(self.device, &calls, self.args.runs.into())?;
        let bytes = bytes_read(built);
        let gb_per_s = (bytes > 0).then(|| rate(bytes, time));
        let sizes = request.dims.or(built.entry.dims);
        let sizes: Vec<String> = sizes.iter().map(|(name, n)| format!("{name} {n}")).collect();
        Ok(Row {
            kernel: built.entry.name,
            variant: built.entry.variant(built.policy),
            sizes: sizes.join(", "),
            schedule: request.schedule.map(|s| {
                let blocks = s.blocks.map_or("all".to_owned(), |b| b.to_string());
                format!("rows {} split {} warps {} slots {} blocks {blocks}", s.rows, s.split, s.warps, s.slots)
            }),
            pdl: built.kernel().waits(),
            us: time.as_secs_f64() * 1e6,
            gb_per_s,
            share_of_stream: gb_per_s.map(|r| r / self.bandwidth),
        })
    }

    /// The five fastest of many schedules.
    fn tuned(&self, entry: &'static Entry, request: &Request, work: &mut Work) -> anyhow::Result<Vec<Row>> {
        let mut rows = Vec::new();
        for schedule in schedules(self.device.multiprocessors()) {
            let request = Request { schedule: Some(schedule), ..*request };
            // A schedule that does not fit is not a candidate.
            let Ok(built) = entry.build(&request) else { continue };
            rows.push(self.row(&built, &request, work)?);
        }
        rows.sort_by(|a, b| a.us.total_cmp(&b.us));
        rows.truncate(5);
        Ok(rows)
    }
}

/// Schedules to try.
fn schedules(multiprocessors: u32) -> Vec<Schedule> {
    let mut all = Vec::new();
    for rows in [1, 2, 4, 8] {
        for split in [1, 2, 4, 8] {
            for warps in [2, 4, 8, 12, 16] {
                for slots in [1, 2, 3, 4] {
                    for blocks in [None, Some(multiprocessors), Some(2 * multiprocessors)] {
                        all.push(Schedule { rows, split, warps, slots, blocks });
                    }
                }
            }
        }
    }
    all
}

/// A note for kernels that use programmatic dependent launch.
fn dependent(pdl: bool) -> &'static str {
    if pdl { "; dependent launch" } else { "" }
}

fn table(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let driver = report.driver.as_deref().unwrap_or("unknown");
    writeln!(out, "{}, driver {driver}, CUDA {}", report.gpu, report.cuda)?;
    writeln!(out, "streaming read: {:.0} GB/s", report.stream_gb_per_s)?;
    writeln!(out, "\n| kernel | variant | sizes | us | GB/s | of streaming |\n|---|---|---|---|---|---|")?;
    for row in &report.kernels {
        let sizes = row.schedule.as_ref().map_or(row.sizes.clone(), |s| format!("{}; {s}", row.sizes));
        let number = |value: Option<f64>, scale: f64, unit: &str| {
            value.map_or(String::new(), |v| format!("{:.0}{unit}", v * scale))
        };
        let (rate, share) = (number(row.gb_per_s, 1.0, ""), number(row.share_of_stream, 100.0, "%"));
        let (variant, pdl) = (&row.variant, dependent(row.pdl));
        writeln!(out, "| {} | {variant} | {sizes}{pdl} | {:.2} | {rate} | {share} |", row.kernel, row.us)?;
    }
    Ok(())
}
