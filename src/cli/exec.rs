//! `ptxgen exec`: runs an entry of a PTX file in the interpreter.

mod args;
mod npy;
mod show;

use super::{Outcome, Status, Usage, inputs, output};
use anstream::stdout;
use args::{Given, given};
use clap::ValueEnum;
use ptxgen_builder::{
    exec::{Exec, ExecError},
    interp::{LaunchError, Options, WarpOrder},
    target::Gpu,
};
use std::{io::Write, path::PathBuf};

/// Run an entry of a PTX file on this CPU, and report its errors
///
/// The file may come from any compiler. Data races, reads of uninitialized memory, out-of-bounds accesses, barriers
/// that part of a block does not reach, and endless waits are reported at the instruction and, if the file has line
/// information, at the source line. Output of the kernel's printf is printed.
///
/// Give one --arg for each parameter of the entry, in order. A scalar is `u32:7` or `f32:0.5`. A pointer to a buffer is
/// `in:f32:FILE` (read), `inout:f32:FILE` (read, and written back), `out:f32:COUNT` or `out:f32:COUNT:FILE`
/// (uninitialized, then printed or written to the file) or `zero:u32:COUNT`. A FILE is raw little-endian data or .npy,
/// whose type and shape are checked. Output files are written completely, and only if the launch runs to its end.
///
/// Exit code 1 if there are findings.
#[derive(clap::Args)]
pub struct Args {
    /// The PTX file
    #[arg(value_name = "FILE.ptx")]
    file: PathBuf,
    /// The entry; not needed if the file has only one
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,
    /// Blocks in x, y and z
    #[arg(long, value_name = "X[,Y[,Z]]", default_value = "1", value_parser = shape)]
    grid: Shape,
    /// Threads per block in x, y and z
    #[arg(long, value_name = "X[,Y[,Z]]", default_value = "1", value_parser = shape)]
    block: Shape,
    /// Blocks per cluster in x, y and z, up to 16 in all, if the entry does not say so itself
    #[arg(long, value_name = "X[,Y[,Z]]", value_parser = shape)]
    cluster: Option<Shape>,
    /// Bytes of dynamic shared memory
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    shared: u32,
    /// The parameters in order: TYPE:VALUE, in:TYPE:FILE, inout:TYPE:FILE, out:TYPE:COUNT[:FILE], zero:TYPE:COUNT
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    args: Vec<String>,
    /// Order in which warps run
    #[arg(long, value_enum, default_value = "round-robin")]
    order: Order,
    /// Run warps in random order, with this seed
    #[arg(long, value_name = "N", conflicts_with = "order")]
    seed: Option<u64>,
    /// Number of warp instructions of a block that counts as an endless loop
    #[arg(long, value_name = "N", default_value_t = Options::default().max_steps)]
    max_steps: u64,
    /// The GPU on which blocks that wait for each other must be resident together, such as h200
    #[arg(long, value_name = "NAME")]
    gpu: Option<Gpu>,
    /// Also print what was executed: instructions, shared memory passes, sectors of global memory
    #[arg(long)]
    counts: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    /// In turn
    RoundRobin,
    /// Unfavourable: the last warp as far as it can run before the others, atomics from the highest lane down
    Adversarial,
}

#[derive(Clone, Copy)]
struct Shape([u32; 3]);

/// One to three extents; missing ones are 1.
fn shape(text: &str) -> Result<Shape, String> {
    let mut shape = [1; 3];
    let parts: Vec<&str> = text.split(',').collect();
    if parts.len() > 3 {
        return Err("there are three dimensions at most".into());
    }
    for (extent, part) in shape.iter_mut().zip(parts) {
        *extent = part.trim().parse().map_err(|_| format!("'{part}' is not a number of blocks or threads"))?;
    }
    Ok(Shape(shape))
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let text = inputs::read_text(&args.file)?;
    let file = args.file.display().to_string();
    let given: Vec<Given> = args.args.iter().map(|text| given(text)).collect::<Result<_, _>>()?;
    let values: Vec<_> = given.iter().map(|g| g.value.clone()).collect();
    let order = match (args.seed, args.order) {
        (Some(seed), _) => WarpOrder::Seeded(seed),
        (None, Order::RoundRobin) => WarpOrder::RoundRobin,
        (None, Order::Adversarial) => WarpOrder::Adversarial,
    };
    let options = Options {
        order,
        cluster: args.cluster.map(|Shape(cluster)| cluster),
        max_steps: args.max_steps,
        count: args.counts,
        gpu: args.gpu,
        ..Options::default()
    };
    let exec = Exec {
        entry: args.entry.as_deref(),
        grid: args.grid.0,
        block: args.block.0,
        shared: args.shared,
        args: &values,
        options,
        ..Exec::new(&file, &text)
    };
    let ran = match exec.run() {
        Ok(ran) => ran,
        Err(
            e @ (ExecError::Entry(_) | ExecError::Launch(LaunchError::ArgCount { .. } | LaunchError::ArgSize { .. })),
        ) => {
            return Err(Usage(e.to_string()).into());
        }
        Err(ExecError::Launch(e @ LaunchError::Shape { .. })) => return Err(Usage(e.to_string()).into()),
        Err(e) => return Err(e.into()),
    };
    let mut out = stdout().lock();
    out.write_all(ran.report.printed.as_bytes())?;
    if ran.report.fault().is_none() {
        for (given, bytes) in given.iter().zip(&ran.outputs) {
            let Some(bytes) = bytes else { continue };
            match &given.file {
                Some(path) => output::write_file(path, |to| given.write(to, bytes))?,
                None => show::values(&mut out, given, bytes)?,
            }
        }
    }
    show::report(&mut out, &ran, args.block.0)?;
    if args.counts {
        show::counts(&mut out, &ran.report.counters)?;
    }
    Ok(if ran.report.is_clean() { Status::Well } else { Status::Fault })
}
