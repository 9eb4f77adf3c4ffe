//! Legal statements written in other ways, before `ptxas` and before the parser and verifier: a table of who takes what,
//! which is a page of the book.

#[allow(dead_code)] // each test uses its part
mod ptxas_text;

use std::fmt::Write;

use ptxas_text::verdict::{TARGET, refused, refuses};
use ptxas_text::{Style, line};
use ptxgen_builder::assert_golden;
use ptxgen_builder::ptxas::Ptxas;
use ptxgen_builder::table::{Form, Meaning, Op, table};
use ptxgen_builder::testing::Random;
use rayon::prelude::*;

/// Statements to a text: a fatal error hides the rest.
const BATCH: usize = 40;

/// Variants of each kind.
const EACH: usize = 143;

/// What is changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    Order,
    Optional,
    Spacing,
    Case,
    Constants,
    Vectors,
    Placement,
}

impl Kind {
    const ALL: [Kind; 7] =
        [Kind::Order, Kind::Optional, Kind::Spacing, Kind::Case, Kind::Constants, Kind::Vectors, Kind::Placement];

    fn title(self) -> &'static str {
        match self {
            Kind::Order => "modifiers in another order",
            Kind::Optional => "a modifier more or less",
            Kind::Spacing => "spaces and comments",
            Kind::Case => "upper case",
            Kind::Constants => "constants",
            Kind::Vectors => "braces and sinks",
            Kind::Placement => "guards, labels, blocks",
        }
    }
}

const MODIFIERS: &[&str] = &[
    "ftz",
    "sat",
    "rn",
    "rz",
    "weak",
    "volatile",
    "relaxed.gpu",
    "uni",
    "sync",
    "aligned",
    "global",
    "shared",
    "shared::cta",
    "L1::evict_last",
    "L1::no_allocate",
    "L2::128B",
    "ca",
    "cg",
    "cs",
    "satfinite",
    "relu",
    "approx",
    "NaN",
    "noftz",
    "cc",
    "lo",
    "wide",
    "v2",
    "cta",
    "and",
    "u32",
    "f32",
];

const CONSTANTS: &[&str] = &[
    "1U",
    "0x1F",
    "0X1f",
    "017",
    "0b101",
    "0B11",
    "(1+2)*3",
    "-1",
    "~0",
    "!0",
    "1?2:3",
    "WARP_SZ",
    "1<<4",
    "1.0",
    "-1.0",
    "1e3",
    "1E-3",
    "0f3f800000",
    "0F3F800000",
    "0d3ff0000000000000",
    "0D3FF0000000000000",
    "0x1FFFFFFFF",
    "08",
    ".5",
    "1.",
    "(.u64) 5",
    "(.s64) -1",
    "+1",
    "- 1",
    "--1",
    "3%2",
    "7/2",
    "1==1",
    "2>1&&0",
    "0x",
    "1_000",
    "99999999999999999999",
];

/// The opcode with its modifiers, and the operands.
fn split(statement: &str) -> (Vec<String>, Vec<String>) {
    let statement = statement.trim_end_matches(';');
    let (name, rest) = statement.split_once(' ').unwrap_or((statement, ""));
    let mut operands = Vec::new();
    let (mut depth, mut one) = (0, String::new());
    for c in rest.chars() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ',' if depth == 0 => {
                operands.push(std::mem::take(&mut one).trim().to_owned());
                continue;
            }
            _ => {}
        }
        one.push(c);
    }
    if !one.trim().is_empty() {
        operands.push(one.trim().to_owned());
    }
    (name.split('.').map(str::to_owned).collect(), operands)
}

fn joined(name: &[String], operands: &[String]) -> String {
    format!("{} {};", name.join("."), operands.join(", "))
}

fn vary(kind: Kind, statement: &str, random: &mut Random) -> Option<String> {
    let mut below = |n: usize| random.below(n as u64) as usize;
    let (mut name, mut operands) = split(statement);
    match kind {
        Kind::Order => {
            if name.len() < 3 {
                return None;
            }
            for i in (2..name.len()).rev() {
                name.swap(i, 1 + below(i));
            }
        }
        Kind::Optional => {
            if name.len() > 2 && below(3) == 0 {
                name.remove(1 + below(name.len() - 1));
            } else {
                name.insert(1 + below(name.len()), MODIFIERS[below(MODIFIERS.len())].to_owned());
            }
        }
        Kind::Spacing => {
            let gaps = ["", " ", "  ", "\t", "/* c */", " /**/ "];
            let mut gap = || gaps[below(gaps.len())];
            let head = match name.split_first() {
                Some((first, rest)) if gap().is_empty() => {
                    format!("{first}{}.{}", gap(), rest.join(&format!("{}.", gap())))
                }
                _ => name.join("."),
            };
            let list: Vec<String> = operands.iter().map(|o| format!("{}{o}{}", gap(), gap())).collect();
            return Some(format!("{}{head} {}{};", gap(), list.join(","), gap()));
        }
        Kind::Case => match below(4) {
            0 => name[0] = name[0].to_uppercase(),
            1 => {
                let last = name.len() - 1;
                name[last] = name[last].to_uppercase();
            }
            _ => {
                let i = below(operands.len().max(1));
                let operand = operands.get_mut(i)?;
                *operand = operand.to_uppercase();
            }
        },
        Kind::Constants => {
            let last = operands.len().checked_sub(1).filter(|&last| last > 0)?;
            let i = last - below(2.min(last));
            operands[i] = CONSTANTS[below(CONSTANTS.len())].to_owned();
        }
        Kind::Vectors => {
            let i = below(operands.len().max(1));
            let operand = operands.get_mut(i)?;
            *operand = match (operand.starts_with('{'), below(3)) {
                (false, 0) => "_".to_owned(),
                (false, 1) => format!("{{{operand}, {operand}}}"),
                (false, _) => format!("{{{operand}}}"),
                (true, 0) => operand.trim_matches(['{', '}']).to_owned(),
                (true, 1) => operand.replacen("%r1", "_", 1).replacen("%f1", "_", 1).replacen(',', " ,", 1),
                (true, _) => format!("{{{operand}}}"),
            };
        }
        Kind::Placement => {
            let statement = joined(&name, &operands);
            return Some(match below(9) {
                0 => format!("@%p1 {statement}"),
                1 => format!("@!%p1 {statement}"),
                2 => format!("@ ! %p1 {statement}"),
                3 => format!("{{ {statement} }}"),
                4 => format!("{statement};"),
                5 => format!(".pragma \"nounroll\"; {statement}"),
                6 => format!("{{ .reg .b32 t; {statement} }}"),
                7 => format!("{{ here: {statement} bra here; }}"),
                _ => format!("@true {statement}"),
            });
        }
    }
    Some(joined(&name, &operands))
}

fn sample() -> Vec<Vec<&'static Form>> {
    let ends = |f: &&Form| !matches!(f.meaning, Meaning::Branch | Meaning::Exit | Meaning::Trap) && f.op != Op::Call;
    let legal = |f: &&Form| f.is_legal_on(TARGET) && ends(f);
    table()
        .rows()
        .iter()
        .map(|row| row.forms().iter().filter(legal).collect())
        .filter(|f: &Vec<_>| !f.is_empty())
        .collect()
}

/// A number that `text` alone decides (FNV-1a).
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// One variant of each kind for each row; of each kind, the [`EACH`] whose digests are the least. So a new row changes a
/// line of the page, and not every line.
fn variants() -> Vec<(Kind, String)> {
    let rows = sample();
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let one = |row: &Vec<&'static Form>| {
            let form = row.iter().min_by_key(|form| digest(&line(form, Style::Registers)))?;
            let mut random = Random::new(digest(&format!("{} {}", kind.title(), line(form, Style::Registers))));
            let style = if random.below(3) == 0 { Style::Constants } else { Style::Registers };
            let statement = line(form, style);
            vary(kind, &statement, &mut random).filter(|variant| *variant != statement)
        };
        let mut found: Vec<String> = rows.iter().filter_map(one).collect();
        found.sort_by_key(|variant| digest(variant));
        found.dedup();
        assert!(found.len() >= EACH, "{} has only {} variants", kind.title(), found.len());
        all.extend(found.into_iter().take(EACH).map(|variant| (kind, variant)));
    }
    all
}

/// Who takes a statement.
struct Verdict {
    kind: Kind,
    statement: String,
    theirs: Option<String>,
    ours: Option<String>,
}

fn verdicts(ptxas: &Ptxas) -> Vec<Verdict> {
    let all = variants();
    all.par_chunks(BATCH)
        .flat_map_iter(|batch| {
            let lines: Vec<String> = batch.iter().map(|(_, line)| line.clone()).collect();
            let mut theirs = refused(ptxas, &lines);
            let one = |(i, (kind, line)): (usize, &(Kind, String))| {
                let (theirs, ours) = (theirs.remove(&i), refuses(line));
                // A statement that cannot be read may take its neighbours with it.
                let alone = || refused(ptxas, std::slice::from_ref(line)).remove(&0);
                let theirs = theirs.and_then(|message| if ours.is_none() { alone() } else { Some(message) });
                Verdict { kind: *kind, statement: line.clone(), theirs, ours }
            };
            batch.iter().enumerate().map(one).collect::<Vec<_>>()
        })
        .collect()
}

const HEAD: &str = "\
# Spellings

What an assembler reads beyond the forms of the table: 1,001 legal statements, each with one thing changed, before `ptxas` of
CUDA 13 and before the parser and verifier, for sm_90 and PTX 9.0. `ptx-builder/tests/ptxas_spellings.rs` makes them, with a
fixed seed, and this page: `BLESS=1 cargo test -p ptxgen-builder --test ptxas_spellings`.

";

fn page(verdicts: &[Verdict]) -> String {
    let mut text = HEAD.to_owned();
    text.push_str(
        "| what is changed | variants | both take | both refuse | only `ptxas` takes | only `ptxgen` takes |\n",
    );
    text.push_str("|---|---|---|---|---|---|\n");
    let row = |title: &str, of: &[&Verdict]| {
        let count = |theirs: bool, ours: bool| {
            of.iter().filter(|v| v.theirs.is_none() == theirs && v.ours.is_none() == ours).count()
        };
        let (both, none, them, us) = (count(true, true), count(false, false), count(true, false), count(false, true));
        format!("| {title} | {} | {both} | {none} | {them} | {us} |\n", of.len())
    };
    for kind in Kind::ALL {
        let of: Vec<&Verdict> = verdicts.iter().filter(|v| v.kind == kind).collect();
        text.push_str(&row(kind.title(), &of));
    }
    text.push_str(&row("**all**", &verdicts.iter().collect::<Vec<_>>()));
    let mut list = |title: &str, pick: &dyn Fn(&Verdict) -> Option<&String>| {
        let found: Vec<(&Verdict, &String)> = verdicts.iter().filter_map(|v| Some((v, pick(v)?))).collect();
        if !found.is_empty() {
            write!(text, "\n## {title}\n\n").expect("writes to a string");
        }
        for (verdict, message) in found {
            let message = message.lines().next().unwrap_or_default();
            let message =
                message.split_once(": ").filter(|(at, _)| at.starts_with("x.ptx")).map_or(message, |(_, m)| m);
            let statement = verdict.statement.replace('\t', " ");
            writeln!(text, "- ``{statement}``: {message}").expect("writes to a string");
        }
    };
    list("Only `ptxas` takes", &|v| v.ours.as_ref().filter(|_| v.theirs.is_none()));
    list("Only `ptxgen` takes", &|v| v.theirs.as_ref().filter(|_| v.ours.is_none()));
    text
}

#[test]
fn spellings() {
    let Some(ptxas) = Ptxas::for_tests() else { return };
    assert_golden!("../docs/spellings.md", page(&verdicts(&ptxas)));
}
