//! Statements that are nearly right, before `ptxas` and before the parser and
//! verifier: what one refuses, so must the other.
//!
//! Each is a form of the table with one thing changed: an operand of another
//! class or kind, a constant out of range, an operand too few or too many, another
//! type, a modifier more or less. What is refused here and not there stands in
//! [`EXCUSED`], with the reason.

#[allow(dead_code)] // each test uses its part
mod ptxas_text;

use std::collections::BTreeSet;

use ptxas_text::verdict::{TARGET, refused, refuses};
use ptxas_text::{Style, line};
use ptxgen_builder::ptxas::Ptxas;
use ptxgen_builder::table::{Form, Meaning, table};
use ptxgen_builder::types::ScalarType;
use rayon::prelude::*;

/// Statements to a text: a fatal error hides the rest.
const BATCH: usize = 48;

/// Operands that are of the wrong class, kind or size for most places.
const OPERANDS: &[&str] = &[
    "%r1",
    "%rd1",
    "%h1",
    "%f1",
    "%fd1",
    "%p1",
    "!%p1",
    "0",
    "1",
    "-1",
    "16",
    "33",
    "40",
    "70000",
    "0x80000000",
    "5000000000",
    "-2147483649",
    "1.5",
    "0f3F800000",
    "0d3FF0000000000000",
    "%tid.x",
    "%clock64",
    "shared_bytes",
    "const_bytes",
    "param",
    "[%rd1]",
    "[%r1]",
    "[%f1]",
    "[%h1]",
    "[shared_bytes]",
    "[local_bytes]",
    "[const_bytes]",
    "[param]",
    "[%rd1+4]",
    "[%rd1-4]",
    "[shared_bytes+4]",
    "[shared_bytes+60]",
    "[shared_bytes+2]",
    "{%r1}",
    "{%r1, %r2}",
    "{%r1, %r1}",
    "{%rd1, %rd2}",
    "{%f1, %f2}",
    "{%h1, %h2}",
    "{%r1, %r2, %r3, %r4}",
    "{%f1, %r2}",
    "{%r1, %r2, %r3}",
    "{%rd1, %rd2, %rd3, %rd4}",
    "_",
    "END",
];
const MODIFIERS: &[&str] = &[
    "ftz",
    "sat",
    "rn",
    "rz",
    "rni",
    "approx",
    "full",
    "NaN",
    "relu",
    "wide",
    "lo",
    "hi",
    "cc",
    "nc",
    "volatile",
    "weak",
    "relaxed",
    "acquire",
    "release",
    "gpu",
    "cta",
    "cluster",
    "global",
    "shared",
    "local",
    "const",
    "param",
    "v2",
    "v4",
    "v8",
    "ca",
    "cg",
    "cs",
    "L1::evict_last",
    "L2::128B",
    "sync",
    "aligned",
    "uni",
    "to",
    "and",
    "eq",
    "lt",
    "ltu",
    "x2",
];

/// The words of an instruction's name, and its operands.
fn parts(line: &str) -> (Vec<&str>, Vec<&str>) {
    let (name, rest) = line.trim_end_matches(';').split_once(' ').unwrap_or((line.trim_end_matches(';'), ""));
    let (mut operands, mut depth, mut start) = (Vec::new(), 0, 0);
    for (i, c) in rest.char_indices() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ',' if depth == 0 => {
                operands.push(rest[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
    }
    if !rest.trim().is_empty() {
        operands.push(rest[start..].trim());
    }
    (name.split('.').collect(), operands)
}

fn write(name: &[&str], operands: &[&str]) -> String {
    format!("{} {};", name.join("."), operands.join(", "))
}

/// The statements made from one form; `turn` picks among the many.
fn variants(form: &Form, turn: &mut usize) -> Vec<String> {
    let whole = line(form, Style::Registers);
    let (name, operands) = parts(&whole);
    let mut all = Vec::new();
    let mut pick = |n: usize, all: &'static [&'static str]| -> Vec<&'static str> {
        *turn += 1;
        (0..n).map(|i| all[(*turn * 7 + i * all.len() / n) % all.len()]).collect()
    };
    for i in 0..operands.len() {
        for other in pick(6, OPERANDS) {
            let mut changed = operands.clone();
            changed[i] = other;
            all.push(write(&name, &changed));
        }
    }
    if let Some((_, fewer)) = operands.split_last() {
        all.push(write(&name, fewer));
    }
    for more in ["%r1", "0", "%p1"] {
        all.push(write(&name, &[&operands[..], &[more]].concat()));
    }
    for (i, word) in name.iter().enumerate().skip(1) {
        let without: Vec<&str> = name.iter().enumerate().filter(|(k, _)| *k != i).map(|(_, w)| *w).collect();
        all.push(write(&without, &operands));
        if ScalarType::from_name(word).is_some() {
            for ty in pick(4, TYPES) {
                let mut changed = name.clone();
                changed[i] = ty;
                all.push(write(&changed, &operands));
            }
        }
    }
    for modifier in pick(4, MODIFIERS) {
        let mut changed = name.clone();
        changed.insert(name.len() - 1, modifier);
        all.push(write(&changed, &operands));
    }
    all
}

const TYPES: &[&str] = &[
    "b8", "b16", "b32", "b64", "b128", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "f16", "f16x2", "bf16",
    "bf16x2", "f32", "f64", "pred", "tf32", "e4m3x2",
];

/// What is refused here though the assembler takes it, by the words of the
/// message or of the statement. What it refuses is never taken here.
const EXCUSED: &[(&str, &str)] = &[
    ("unknown instruction", "the table is not all of PTX"),
    // What the ISA forbids and the assembler does not look at.
    ("out-of-bounds", "an access past its array"),
    ("misaligned", "an access that is not aligned"),
    ("lane-mask", "lanes that execute an instruction are in its mask"),
    ("accesses generic space", "a variable has no generic address until `cvta` makes one"),
    ("uses an mbarrier that the kernel never makes", "an mbarrier is initialized first"),
    ("the number must be a multiple of 32, from 32 to 1024", "a block has at most 1024 threads"),
    ("written twice by one instruction", "two results in one register"),
    ("the address of 'param' (param) has 64 bits", "half of an address"),
    // What it takes and no document says.
    ("integer register of 64", "an address in a register of 16 bits, or of 32 in global space"),
    ("found a vector of", "braces around one operand, or around two that are one"),
    ("istypep", "a constant as a handle"),
    ("'immLut' must be", "a table of more than eight bits"),
    ("match.all.sync.b32 _", "a match whose lanes nobody wants"),
    ("mbarrier.pending_count", "a constant as a state"),
    ("mov.b32 {%h1, %h2}, %tid", "halves of a special register"),
    ("movmatrix", "a predicate as a fragment"),
    ("operands (d, a, b), found 4", "a third source of an atomic that has two"),
    ("is declared b64; move or convert", "a float in a wider register"),
    ("is declared f32; move or convert", "a float register among those of a fragment or vector, or as a lane number"),
    ("found a floating-point constant", "the bits of a float as a lane number"),
    ("operand 'src-size'", "a predicate in place of a number of bytes"),
    ("operand mbar of 'cp.async.bulk", "an address without brackets"),
    ("%clock64", "a special register of another size, or in `cvt`"),
    ("is the address of a symbol", "an address taken apart"),
    ("isspacep.", "an address of 32 bits"),
    ("is declared b32; move or convert", "a half in a wider register"),
    ("expects 1 to 1048575 arrivals", "a number of arrivals that no mbarrier has"),
    ("is not in -2147483648..=4294967295", "a number that has more bits than its operand"),
    ("mma.sp", "metadata in a predicate, one register for a fragment of several"),
];

/// What the assembler refuses and the verifier takes, by its message.
const TAKEN: &[(&str, &str)] = &[
    (
        "cannot be combined with modifier",
        "cache operators and hints beside an ordering are dropped when a file is read",
    ),
    ("Arguments mismatch for instruction 'set", "constants in comparisons of or with bf16"),
];

fn excused(line: &str, message: &str) -> bool {
    EXCUSED.iter().any(|(words, _)| message.contains(words) || line.contains(words))
}

fn sample() -> Vec<&'static Form> {
    let ends = |f: &&Form| !matches!(f.meaning, Meaning::Branch | Meaning::Exit | Meaning::Trap);
    let legal = |f: &&Form| f.is_legal_on(TARGET) && ends(f);
    table()
        .rows()
        .iter()
        .flat_map(|row| {
            let forms: Vec<&Form> = row.forms().iter().filter(legal).collect();
            let step = (forms.len() / SAMPLED).max(1);
            forms.into_iter().step_by(step).take(SAMPLED).collect::<Vec<_>>()
        })
        .collect()
}

const SAMPLED: usize = 4;

#[test]
fn statements_that_are_nearly_right() {
    let Some(ptxas) = Ptxas::for_tests() else { return };
    let mut turn = 0;
    let lines: BTreeSet<String> = sample().into_iter().flat_map(|f| variants(f, &mut turn)).collect();
    let lines: Vec<String> = lines.into_iter().collect();
    let differences: Vec<String> = lines
        .par_chunks(BATCH)
        .flat_map_iter(|batch| {
            let theirs = refused(&ptxas, batch);
            let differs = |(i, line): (usize, &String)| {
                let ours = refuses(line);
                match (ours, theirs.get(&i)) {
                    (None, Some(message)) if !TAKEN.iter().any(|(words, _)| message.contains(words)) => {
                        Some(format!("taken here, refused by ptxas: {line}  # {message}"))
                    }
                    (Some(message), None) if !excused(line, &message) => Some(format!(
                        "refused here, taken by ptxas: {line}  # {}",
                        message.lines().next().unwrap_or("")
                    )),
                    _ => None,
                }
            };
            batch.iter().enumerate().filter_map(differs).collect::<Vec<_>>()
        })
        .collect();
    assert!(differences.is_empty(), "{} of {} statements:\n{}", differences.len(), lines.len(), differences.join("\n"));
}
