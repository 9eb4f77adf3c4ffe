//! Faults planted in kernels: each is found at the lines that its source marks, and the same kernel without it is clean.
//!
//! A kernel of `faults/` has a line `// run: gGRID bBLOCK [sBYTES] ARGUMENT..` before it, where an argument is `in:N` or
//! `inout:N` (the numbers from 0), `zero:N` or `out:N` (nobody has written it), N words long, or `u32:VALUE`; and
//! `// found: KIND` on each line where a finding of that kind is wanted.

use ptxgen_builder::interp::{Arg, Launch, Memory, Options, WarpOrder};
use ptxgen_builder::ir::Loc;
use ptxgen_builder::parse::read;
use ptxgen_builder::verify::{Doubts, verify_each};

use crate::corpus::{TARGETS, file, sources, text, variant};

struct Fault {
    kernel: String,
    run: String,
    /// Kinds and lines.
    marks: Vec<(String, u32)>,
}

fn faults(source: &str) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut run = None;
    for (line, number) in file(&format!("faults/{source}.cu")).lines().zip(1..) {
        run = line.strip_prefix("// run: ").map(str::to_owned).or(run);
        if let Some((_, head)) = line.split_once("__global__ void ") {
            let kernel = head.split('(').next().expect("a name").to_owned();
            let run = run.take().unwrap_or_else(|| panic!("{kernel}: how it is run is not said"));
            faults.push(Fault { kernel, run, marks: Vec::new() });
        }
        if let Some((_, kinds)) = line.split_once("// found: ") {
            let marks = &mut faults.last_mut().expect("a kernel").marks;
            marks.extend(kinds.split(' ').map(|kind| (kind.to_owned(), number)));
        }
    }
    faults
}

/// A kind, and the places that are to blame.
type Found = (String, Vec<Option<Loc>>);

/// What is found in a kernel, by the verifier or else in a run, and all of it in words.
fn find(text: &str, fault: &Fault, order: WarpOrder) -> (Vec<Found>, String) {
    let reading = read("text", text);
    assert!(reading.errors.is_empty(), "{:?}", reading.errors);
    let mut module = reading.module;
    module.kernels.retain(|k| k.name == fault.kernel);
    let judged = verify_each(module, Doubts::Warn);
    if let Some((_, errors)) = judged.refused.first() {
        let found = errors.iter().map(|e| (format!("{:?}", e.rule), vec![e.loc.clone()])).collect();
        return (found, errors.to_string());
    }
    let mut memory = Memory::new();
    let (mut grid, mut block, mut dynamic_shared, mut args) = ([1; 3], [1; 3], 0, Vec::new());
    for word in fault.run.split(' ') {
        let size = |text: &str| text.parse::<u32>().unwrap_or_else(|e| panic!("{word}: {e}"));
        let shape = |text: &str| {
            let mut sizes = text.split(',').map(size);
            [1; 3].map(|one| sizes.next().unwrap_or(one))
        };
        let counted = |n: u32| (0..n).flat_map(u32::to_le_bytes).collect::<Vec<u8>>();
        let buffer = match word.split_once(':') {
            Some(("in" | "inout", n)) => memory.alloc(&counted(size(n)), 256),
            Some(("zero", n)) => memory.alloc(&vec![0; 4 * size(n) as usize], 256),
            Some(("out", n)) => memory.alloc_uninit(4 * u64::from(size(n)), 256),
            Some(("u32", n)) => {
                args.push(Arg::from(size(n)));
                continue;
            }
            _ => {
                match word.split_at(1) {
                    ("g", sizes) => grid = shape(sizes),
                    ("b", sizes) => block = shape(sizes),
                    ("s", bytes) => dynamic_shared = size(bytes),
                    _ => panic!("{word} is no part of a run"),
                }
                continue;
            }
        };
        args.push(buffer.expect("room").into());
    }
    let options = Options { order, max_steps: 100_000, ..Options::default() };
    let (module, kernel, args) = (&judged.validated, fault.kernel.as_str(), &args[..]);
    let launch = Launch { module, kernel, grid, block, dynamic_shared, args, globals: None, options: &options };
    let report = launch.run(&mut memory).unwrap_or_else(|e| panic!("{kernel}: {e}"));
    let places = |f: &ptxgen_builder::interp::Finding| {
        let other = f.other.as_ref().map(|other| other.site.loc.clone());
        std::iter::once(f.site.loc.clone()).chain(other).collect()
    };
    (report.findings.iter().map(|f| (format!("{:?}", f.kind), places(f))).collect(), report.to_string())
}

const ORDERS: [WarpOrder; 2] = [WarpOrder::RoundRobin, WarpOrder::Adversarial];

#[test]
fn planted_faults_are_found_at_their_lines() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for source in sources("faults") {
        let name = format!("{source}.cu");
        let faults = faults(&source);
        count += faults.len();
        for target in TARGETS {
            let text = text(&source, target);
            for (fault, order) in faults.iter().flat_map(|fault| ORDERS.map(|order| (fault, order))) {
                let (found, told) = find(&text, fault, order);
                let is_marked = |kind: &str, loc: &Option<Loc>| {
                    let here = loc.iter().flat_map(Loc::chain).filter(|at| *at.file == *name);
                    here.into_iter().any(|at| fault.marks.iter().any(|(k, line)| k == kind && *line == at.line))
                };
                let is_right = |(kind, places): &Found| places.iter().all(|at| is_marked(kind, at));
                if found.is_empty() || !found.iter().all(is_right) {
                    wrong.push(format!("{} for {target}, {order:?}: {told}", fault.kernel));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(count, 61);
}

#[test]
fn without_their_faults_they_are_clean() {
    let mut wrong = Vec::new();
    for source in sources("faults") {
        let text = variant(&source, "right");
        for fault in faults(&source) {
            for order in ORDERS {
                let (found, told) = find(&text, &fault, order);
                if !found.is_empty() {
                    wrong.push(format!("{}, {order:?}: {told}", fault.kernel));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
