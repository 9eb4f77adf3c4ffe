//! Kernels in CUDA C++ and what nvcc made of them: all are read, verified and printed, and run to the values that numpy
//! gives; faults that are planted in some are found at their line, and the same without the fault is clean.

mod corpus;
mod faults;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use ptxgen_builder::interp::{Arg, Buffer, FindingKind, Launch, Memory, Options, WarpOrder};
use ptxgen_builder::parse::parse;
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::ptxas::Ptxas;
use ptxgen_builder::verify::Validated;

use corpus::{TARGETS, module, sources, text};
use values::{Case, Value, cases};

const ORDERS: [WarpOrder; 3] = [WarpOrder::RoundRobin, WarpOrder::Adversarial, WarpOrder::Seeded(19)];

/// Entries that are refused, and by what: instructions and registers that the table does not have.
const REFUSED: &[(&str, &str)] = &[("tile_of_warps", "%reserved_smem_offset_1")];

/// Entries of others' code in which there is something to find, for which targets, and what: CUB's merges read the value
/// after the last one of both runs and do not use it, and CUDA's own sum of two bf16 for sm_80 is a plain read and an
/// atomic exchange.
const FOUND: &[(&str, &[&str], FindingKind)] = &[
    ("atomic_floats", &["sm_80"], FindingKind::Race),
    ("cub_merge_sort", &TARGETS, FindingKind::Uninitialized),
    ("cub_warp_sort", &TARGETS, FindingKind::Uninitialized),
];

#[test]
fn all_are_read_and_printed() {
    let ptxas = Ptxas::for_tests();
    let mut kernels = BTreeSet::new();
    for target in TARGETS {
        let mut refused = BTreeMap::new();
        for source in sources("kernels") {
            let name = format!("{source} for {target}");
            let (module, errors) = module(&name, &text(&source, target));
            kernels.extend(module.module().kernels.iter().map(|k| k.name.clone()).chain(errors.keys().cloned()));
            refused.extend(errors);
            let printed = print(&module, &PrintOptions::default());
            let again = parse("printed", &printed).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(again, *module.module(), "{name}");
            if let Some(ptxas) = &ptxas {
                ptxas.assemble(&printed, module.module().target).unwrap_or_else(|e| panic!("{name}: {e}"));
            }
        }
        let is_known = |(entry, why): (&String, &String)| REFUSED.iter().any(|(e, w)| e == entry && why.contains(w));
        let is_as_known = refused.len() == REFUSED.len() && refused.iter().all(is_known);
        assert!(is_as_known, "{target}: what is refused is not what REFUSED says: {refused:#?}");
    }
    let run: BTreeSet<String> = cases().into_iter().map(|c| c.kernel).collect();
    assert_eq!(kernels, run, "each kernel has a case");
    assert_eq!(kernels.len(), 140);
}

/// What is wrong with a run, if anything.
fn run(module: &Validated, case: &Case, target: &str, order: WarpOrder) -> Result<(), String> {
    let mut memory = Memory::new();
    let mut args: Vec<Arg> = Vec::new();
    let mut outputs: Vec<(usize, Buffer)> = Vec::new();
    for (i, value) in case.values.iter().enumerate() {
        let buffer = match value {
            Value::Scalar(bytes) => {
                args.push(Arg::bytes(bytes));
                continue;
            }
            Value::In(before) | Value::InOut(before, _) => memory.alloc(before, 256),
            Value::Out(after) => memory.alloc_uninit(after.bytes.len() as u64, 256),
        };
        let buffer = buffer.expect("room");
        args.push(buffer.into());
        if !matches!(value, Value::In(_)) {
            outputs.push((i, buffer));
        }
    }
    let options = Options { order, ..Options::default() };
    let launch = Launch {
        module,
        kernel: &case.kernel,
        grid: case.grid,
        block: case.block,
        dynamic_shared: case.shared,
        args: &args,
        globals: None,
        options: &options,
    };
    let report = launch.run(&mut memory).map_err(|e| e.to_string())?;
    let found: BTreeSet<FindingKind> = report.findings.iter().map(|f| f.kind).collect();
    let known = FOUND.iter().filter(|(kernel, targets, _)| *kernel == case.kernel && targets.contains(&target));
    let known: BTreeSet<FindingKind> = known.map(|(.., kind)| *kind).collect();
    if found != known {
        return Err(report.to_string());
    }
    for (i, buffer) in outputs {
        let (Value::Out(after) | Value::InOut(_, after)) = &case.values[i] else { continue };
        let found = memory.read(buffer).expect("the buffer");
        after.compare(&found).map_err(|e| format!("argument {i}: {e}"))?;
    }
    match &case.prints {
        Some(text) if report.printed != *text => Err(format!("printed {:?}, not {text:?}", report.printed)),
        _ => Ok(()),
    }
}

#[test]
fn values_are_those_of_numpy() {
    let cases = cases();
    let mut wrong = Vec::new();
    for source in sources("kernels") {
        for target in TARGETS {
            let (module, _) = module(&source, &text(&source, target));
            let is_here = |case: &&Case| module.module().kernels.iter().any(|k| k.name == case.kernel);
            for case in cases.iter().filter(is_here) {
                for order in ORDERS {
                    let told = |e| format!("{} of {source} for {target}, {order:?}: {e}", case.name);
                    wrong.extend(run(&module, case, target, order).err().map(told));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
