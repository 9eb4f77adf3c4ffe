//! The findings of a launch, in the form of compute-sanitizer.

use super::args::Given;
use ptxgen_builder::{
    exec::Ran,
    interp::{Counters, Finding, FindingKind},
    types::{Kind, ScalarType},
};
use std::io::{self, Write};

/// Number of values of an output that are shown.
const SHOWN: usize = 16;

/// A kind of finding, in words.
fn title(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::OutOfBounds => "Access out of bounds",
        FindingKind::Misaligned => "Misaligned access",
        FindingKind::ReadOnlySpace => "Write to read-only memory",
        FindingKind::Trap => "Trap",
        FindingKind::Assertion => "Assertion failed",
        FindingKind::Deadlock => "Endless wait",
        FindingKind::StepLimit => "Too many instructions",
        FindingKind::BadOperand => "Invalid operand",
        FindingKind::Uninitialized => "Uninitialized read",
        FindingKind::Race => "Race",
        FindingKind::ReadOnlyWritten => "Write to data of the read-only path",
        FindingKind::ProxyFence => "Missing proxy fence",
        FindingKind::AsyncPending => "Access to an unfinished asynchronous copy",
        FindingKind::BarrierDivergence => "Divergent barrier",
        FindingKind::BarrierExited => "Barrier without threads that exited",
        FindingKind::BarrierSites => "Threads at different barriers",
        FindingKind::WarpMask => "Wrong member mask",
        FindingKind::InactiveLane => "Shuffle from a lane that does not take part",
        FindingKind::IndexWrapped => "Wrapped index",
        FindingKind::SameValue => "Same value written twice",
        FindingKind::EarlyAccess => "Access before the wait for other kernels",
        _ => "Finding",
    }
}

/// `(3, 0, 0)`: thread `n` of a block.
fn thread(n: u32, [x, y, _]: [u32; 3]) -> String {
    let (x, y) = (x.max(1), y.max(1));
    format!("({}, {}, {})", n % x, n / x % y, n / x / y)
}

fn block([x, y, z]: [u32; 3]) -> String {
    format!("({x}, {y}, {z})")
}

fn finding(out: &mut impl Write, f: &Finding, shape: [u32; 3]) -> io::Result<()> {
    writeln!(out, "========= {}: {}", title(f.kind), f.message)?;
    writeln!(out, "=========     at {}, in {}", f.site, f.kernel)?;
    let first = f.warp * 32 + f.lanes.trailing_zeros() % 32;
    let more = match f.lanes.count_ones() {
        0 | 1 => String::new(),
        n => format!(" and {} more of its warp", n - 1),
    };
    writeln!(out, "=========     by thread {}{more} in block {}", thread(first, shape), block(f.block))?;
    if let Some(other) = &f.other {
        writeln!(out, "=========     and {}", other.site)?;
        let n = other.warp * 32 + other.lane;
        writeln!(out, "=========     by thread {} in block {}", thread(n, shape), block(other.block))?;
    }
    if f.count > 1 {
        writeln!(out, "=========     {} times", f.count)?;
    }
    writeln!(out, "=========")
}

/// All findings, and their number.
pub fn report(out: &mut impl Write, ran: &Ran, shape: [u32; 3]) -> io::Result<()> {
    for f in &ran.report.findings {
        finding(out, f, shape)?;
    }
    let mild = ran.report.findings.iter().filter(|f| f.kind.is_mild()).count();
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let warnings = if mild == 0 { String::new() } else { format!(", {}", count(mild, "warning")) };
    writeln!(out, "========= ERROR SUMMARY: {}{warnings}", count(ran.report.findings.len() - mild, "error"))
}

/// An output that is not written to a file.
pub fn values(out: &mut impl Write, given: &Given, bytes: &[u8]) -> io::Result<()> {
    let size = given.ty.bytes().max(1) as usize;
    let all: Vec<String> = bytes.chunks_exact(size).take(SHOWN).map(|b| value(given.ty, b)).collect();
    let more = if bytes.len() / size > SHOWN { ", .." } else { "" };
    writeln!(out, "{}: {}{more}", given.text, all.join(", "))
}

fn value(ty: ScalarType, bytes: &[u8]) -> String {
    let bits = bytes.iter().rev().fold(0u64, |bits, &b| bits << 8 | u64::from(b));
    match (ty, ty.kind()) {
        (ScalarType::F32, _) => format!("{:?}", f32::from_bits(bits as u32)),
        (ScalarType::F64, _) => format!("{:?}", f64::from_bits(bits)),
        (_, Kind::Signed) => {
            let unused = 64 - ty.bits();
            ((bits << unused) as i64 >> unused).to_string()
        }
        (_, Kind::Unsigned) => bits.to_string(),
        _ => format!("{bits:#0width$x}", width = 2 + 2 * bytes.len()),
    }
}

/// What was executed.
pub fn counts(out: &mut impl Write, counters: &Counters) -> io::Result<()> {
    let t = &counters.total;
    writeln!(out, "warp instructions      {}", t.warps)?;
    writeln!(out, "thread instructions    {}", t.lanes)?;
    writeln!(out, "shared memory passes   {} ({} of them bank conflicts)", t.shared_passes, t.bank_conflicts)?;
    writeln!(out, "global memory sectors  {} ({} bytes of them asked for)", t.sectors, t.sector_bytes)
}
