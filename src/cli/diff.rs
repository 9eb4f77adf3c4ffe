//! `ptxgen diff`: what a policy changes in a kernel's text.

use super::{
    Outcome, Status,
    kernels::{self, Size, Switch},
};
use anstream::stdout;
use anstyle::{AnsiColor, Style};
use ptxgen_builder::print::{self, PrintOptions};
use ptxgen_dsl::{
    catalogue::{Entry, Request},
    precision::Policy,
};
use similar::{Algorithm, ChangeTag, DiffOp, capture_diff_slices, group_diff_ops};
use std::io::{self, Write};

/// Show what a policy changes in a kernel
///
/// Registers, labels and the entry's name are compared by kind only, so that lines differ only where the instructions
/// do. The kernel has a small shape that is easy to read, unless --rows and --cols say otherwise.
#[derive(clap::Args)]
pub struct Args {
    /// The kernel, as `ptxgen list` names it
    kernel: String,
    /// The policy of the left side, such as act=q8k,acc=f32; missing parts have their default
    #[arg(long)]
    left: Policy,
    /// The policy of the right side
    #[arg(long)]
    right: Policy,
    #[command(flatten)]
    size: Size,
    /// Lines shown around a change
    #[arg(long, value_name = "LINES", default_value_t = 3)]
    context: u16,
    /// Compare what `dump` writes with this option
    #[arg(long, value_enum, default_value = "on")]
    optimize: Switch,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let entry = kernels::entry(&args.kernel)?;
    let left = Side::new(args, entry, args.left)?;
    let right = Side::new(args, entry, args.right)?;
    let mut out = stdout().lock();
    let ops = capture_diff_slices(Algorithm::Patience, &left.keys, &right.keys);
    let (mut removed, mut added) = (0, 0);
    writeln!(out, "--- {} {}", entry.name, args.left)?;
    writeln!(out, "+++ {} {}", entry.name, args.right)?;
    for group in group_diff_ops(ops, args.context.into()) {
        hunk(&mut out, &left, &right, &group, (&mut removed, &mut added))?;
    }
    writeln!(out, "{removed} lines removed, {added} added; {} and {} lines in all", left.keys.len(), right.keys.len())?;
    Ok(Status::Well)
}

/// A kernel's text, and the part of each line that is compared.
struct Side {
    text: String,
    keys: Vec<String>,
}

impl Side {
    fn new(args: &Args, entry: &'static Entry, policy: Policy) -> anyhow::Result<Side> {
        let request = args.size.over(entry, false, Request::for_reading(entry, policy, args.size.target()))?;
        let built = kernels::build(entry, &request)?;
        let module = built.finish_with(&args.optimize.passes())?;
        let text = print::print(&module, &PrintOptions::default());
        let keys = text.lines().map(|l| key(&l.replace(built.kernel().name(), ""))).collect();
        Ok(Side { text, keys })
    }
}

/// A line without the numbers of registers and labels. Declarations of registers are ignored, because they follow from
/// the rest.
fn key(line: &str) -> String {
    if line.trim_start().starts_with(".reg") {
        return ".reg".into();
    }
    let mut out = String::with_capacity(line.len());
    let mut in_name = false;
    for c in line.chars() {
        match c {
            '%' | '$' => in_name = true,
            '0'..='9' if in_name => continue,
            'a'..='z' | 'A'..='Z' | '_' if in_name => {}
            _ => in_name = false,
        }
        // Column positions depend on the length of names.
        if !(c.is_whitespace() && out.ends_with(char::is_whitespace)) {
            out.push(c);
        }
    }
    out
}

fn hunk(
    out: &mut impl Write,
    left: &Side,
    right: &Side,
    ops: &[DiffOp],
    (removed, added): (&mut usize, &mut usize),
) -> io::Result<()> {
    let (l, r): (Vec<&str>, Vec<&str>) = (left.text.lines().collect(), right.text.lines().collect());
    let head = AnsiColor::Cyan.on_default();
    if let Some(first) = ops.first() {
        writeln!(
            out,
            "{head}@@ line {} / line {} @@{head:#}",
            first.old_range().start + 1,
            first.new_range().start + 1
        )?;
    }
    for op in ops {
        for change in op.iter_changes(&l, &r) {
            let (style, sign) = match change.tag() {
                ChangeTag::Equal => (Style::new(), ' '),
                ChangeTag::Delete => {
                    *removed += 1;
                    (AnsiColor::Red.on_default(), '-')
                }
                ChangeTag::Insert => {
                    *added += 1;
                    (AnsiColor::Green.on_default(), '+')
                }
            };
            writeln!(out, "{style}{sign}{}{style:#}", change.value())?;
        }
    }
    Ok(())
}
