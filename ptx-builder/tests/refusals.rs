//! What the verifier says of kernels that are wrong, or nearly: `refusals/*.ptx` are bodies of kernels, and
//! `refusals/*.txt` all errors and doubts of each. `BLESS=1` regenerates those.
//!
//! `// name: bounds` begins a kernel, with its launch bounds if it has any.

mod lacking;

use std::fmt::Write;
use std::path::Path;

use ptxgen_builder::parse::parse;
use ptxgen_builder::testing::assert_golden;
use ptxgen_builder::verify::{Doubts, verify, verify_with};

use lacking::{changed, digest, statements};

/// What is said of one kernel.
fn said(file: &str, line: usize, bounds: &str, body: &str) -> String {
    // The body's first line has the number that it has in the file.
    let head = include_str!("refusals/head.ptx").trim_end().replace('\n', " ").replace("BOUNDS", bounds);
    let text = format!("{head}{}{body}ret; }}\n", "\n".repeat(line + 1));
    let module = match parse(file, &text) {
        Ok(module) => module,
        Err(e) => return format!("  {e}\n"),
    };
    let certain: Vec<String> =
        verify(module.clone()).err().iter().flat_map(|e| e.iter()).map(|e| e.to_string()).collect();
    let mut told = String::new();
    for e in verify_with(module, Doubts::Refuse).err().iter().flat_map(|e| e.iter()) {
        let doubt = if certain.contains(&e.to_string()) { "" } else { "perhaps: " };
        writeln!(told, "  {doubt}{}", e.to_string().replace("\n  in kernel 'k'", "")).expect("text");
    }
    if told.is_empty() { "  is taken\n".to_owned() } else { told }
}

/// The title, the bounds, the body and the first line of each kernel of a file.
fn kernels(text: &str) -> Vec<(&str, &str, String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let starts: Vec<usize> = (0..lines.len()).filter(|&i| lines[i].starts_with("// ")).collect();
    let kernel = |(n, &start): (usize, &usize)| {
        let end = starts.get(n + 1).copied().unwrap_or(lines.len());
        let (title, bounds) = lines[start][3..].split_once(':').expect("a name and bounds");
        (title, bounds, lines[start + 1..end].iter().map(|l| format!("{l}\n")).collect(), start)
    };
    starts.iter().enumerate().map(kernel).collect()
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/refusals").join(format!("{name}.ptx"));
    std::fs::read_to_string(path).expect("a file")
}

fn told(name: &str) {
    let mut all = String::new();
    for (title, bounds, body, start) in kernels(&read(name)) {
        writeln!(all, "{title}\n{}", said(&format!("{name}.ptx"), start, bounds, &body)).expect("text");
    }
    assert_golden!(format!("tests/refusals/{name}.txt"), all);
}

#[test]
fn of_indices() {
    told("indices");
}

#[test]
fn of_threads_that_meet() {
    told("meeting");
}

#[test]
fn of_copies_and_values() {
    told("values");
}

/// The rules that are told of, and one number for all that is said.
fn in_short(said: &str) -> String {
    let rule = |line: &str| {
        let (_, rule) = line.rsplit_once('[')?;
        Some(rule.strip_suffix(']')?.to_owned())
    };
    let mut rules: Vec<String> = said.lines().filter_map(rule).collect();
    rules.dedup();
    format!(
        "{} {:08x}",
        if rules.is_empty() { said.trim().lines().next().unwrap_or("").to_owned() } else { rules.join(", ") },
        digest(said.bytes())
    )
}

/// The same kernels, each without one of its statements, or with another number or guard: a rule is broken, or none is.
#[test]
fn of_kernels_that_differ_a_little() {
    for name in ["indices", "meeting", "values"] {
        let mut all = String::new();
        for (title, bounds, body, start) in kernels(&read(name)) {
            writeln!(all, "{title}").expect("text");
            let said = |body: &str| in_short(&said(name, start, bounds, body));
            for lacking in statements(&body) {
                let without = format!("{}{}", &body[..lacking.start], &body[lacking.end..]);
                writeln!(all, "  without {} {}", body[lacking].trim(), said(&without)).expect("text");
            }
            for (what, changed) in changed(&body) {
                writeln!(all, "  {what}: {}", said(&changed)).expect("text");
            }
        }
        assert_golden!(format!("tests/refusals/{name}-changed.txt"), all);
    }
}
