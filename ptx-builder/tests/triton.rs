//! Kernels in Triton and what its compiler made of them (`triton/`): all are read, verified and printed, and those with
//! values run and give them.

use std::path::{Path, PathBuf};

use ptxgen_builder::interp::{Arg, Buffer, FindingKind, Launch, Memory, Options, WarpOrder};
use ptxgen_builder::parse::parse;
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::verify::{Validated, verify};

const TARGETS: [&str; 3] = ["sm_80", "sm_90", "sm_120"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/triton")
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn module(path: &Path) -> Validated {
    let module = parse(&path.to_string_lossy(), &text(path)).unwrap_or_else(|e| panic!("{e}"));
    verify(module).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn all_are_read_and_printed() {
    let files: Vec<PathBuf> =
        std::fs::read_dir(folder().join("ptx")).expect("the folder").map(|f| f.expect("a file").path()).collect();
    assert_eq!(files.len(), 40 * TARGETS.len());
    for path in files {
        let module = module(&path);
        assert_eq!(module.module().kernels.len(), 1, "{}", path.display());
        let printed = print(&module, &PrintOptions::default());
        let again = parse("printed", &printed).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(again, *module.module(), "{}", path.display());
    }
}

/// What an argument is, and what it holds afterwards.
enum Value {
    In(Vec<u8>),
    Out(Vec<u8>, Vec<u8>),
    Scalar(u32),
}

struct Case {
    name: String,
    grid: [u32; 3],
    values: Vec<Value>,
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hexadecimal")).collect()
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text(&folder().join("values.txt")).lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let value = match words[..] {
            ["case", name, x, y] => {
                let grid = [x.parse().expect("a number"), y.parse().expect("a number"), 1];
                cases.push(Case { name: name.to_owned(), grid, values: Vec::new() });
                continue;
            }
            ["in", before] => Value::In(bytes(before)),
            ["out", after] => Value::Out(vec![0xa5; after.len() / 2], bytes(after)),
            ["inout", before, after] => Value::Out(bytes(before), bytes(after)),
            ["u32", value] => Value::Scalar(value.parse().expect("a number")),
            _ => panic!("no value: {line}"),
        };
        cases.last_mut().expect("a case").values.push(value);
    }
    cases
}

/// Kernels with a race that is their compiler's: in `lock` all threads read the count that one of them then writes.
const RACE: &[&str] = &["lock"];

/// Those where a block has more threads than values, so that several warps write the same ones to the same shared memory.
const SAME_VALUES: &[&str] = &["flips", "gathers", "histogram", "matvec", "reduce_2d", "topk"];

/// What is wrong with a run, if anything.
fn run(case: &Case, target: &str, order: WarpOrder) -> Result<(), String> {
    let path = folder().join(format!("ptx/{}.{target}.ptx", case.name));
    let head = text(&path);
    let shared = head.lines().next().and_then(|l| l.strip_prefix("// shared: ")).expect("the first line");
    let dynamic_shared = shared.parse().expect("a number of bytes");
    let module = module(&path);
    let kernel = &module.module().kernels[0];
    let block = kernel.bounds.required.expect("Triton writes the block's shape");
    let mut memory = Memory::new();
    let mut args: Vec<Arg> = Vec::new();
    let mut outputs: Vec<(Buffer, &[u8])> = Vec::new();
    for value in &case.values {
        let mut buffer = |before: &[u8]| memory.alloc(before, 16).expect("room");
        match value {
            Value::In(before) => args.push(buffer(before).into()),
            Value::Out(before, after) => {
                let made = buffer(before);
                args.push(made.into());
                outputs.push((made, after));
            }
            Value::Scalar(n) => args.push((*n).into()),
        }
    }
    // Scratch memory, which none of these use.
    while args.len() < kernel.params.len() {
        args.push(0u64.into());
    }
    let options = Options { order, ..Options::default() };
    let (grid, kernel) = (case.grid, case.name.as_str());
    let launch =
        Launch { module: &module, kernel, grid, block, dynamic_shared, args: &args, globals: None, options: &options };
    let report = launch.run(&mut memory).map_err(|e| format!("{kernel} {target}: {e}"))?;
    if report.is_clean() == RACE.contains(&kernel) {
        return Err(format!("{kernel} {target} {order:?}\n{report}"));
    }
    if report.of(FindingKind::SameValue).next().is_some() != SAME_VALUES.contains(&kernel) {
        return Err(format!(
            "{kernel} {target} {order:?}: the same values are written by several warps or not\n{report}"
        ));
    }
    for (i, (buffer, after)) in outputs.iter().enumerate() {
        if memory.read(*buffer).expect("the buffer") != *after {
            return Err(format!("{kernel} {target} {order:?}: output {i}"));
        }
    }
    Ok(())
}

#[test]
fn values_are_those_of_numpy() {
    let cases = cases();
    assert_eq!(cases.len(), 25);
    let mut wrong = Vec::new();
    for case in &cases {
        for target in TARGETS {
            for order in [WarpOrder::RoundRobin, WarpOrder::Adversarial] {
                wrong.extend(run(case, target, order).err());
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
