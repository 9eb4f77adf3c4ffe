//! What the optimizer does to the catalogue, by instructions and by NVIDIA's assembler: the table in docs/results.md.

use ptxgen::{
    builder::{
        analysis::precision::PolicyRule,
        opt::OptOptions,
        print::{PrintOptions, print},
        ptxas::{KernelUsage, Ptxas},
        target::Target,
        verify::Validated,
    },
    dsl::catalogue::{Built, Entry, Request, TYPICAL},
    dsl::precision::Policy,
};
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A kernel in one way.
struct Cost {
    instructions: usize,
    used: KernelUsage,
}

fn cost(ptxas: &Ptxas, built: &Built, module: &Validated) -> Cost {
    let text = print(module, &PrintOptions::default());
    let report = ptxas.assemble(&text, built.target()).unwrap_or_else(|e| panic!("{}: {e}", built.title()));
    let used = report.kernel(built.kernel().name()).expect("the kernel is in the report").clone();
    Cost { instructions: module.module().kernels[0].insts().count(), used }
}

fn both(ptxas: &Ptxas, entry: &'static Entry, policy: Policy, target: Target) -> [Cost; 2] {
    let built = entry.build(&Request::new(policy, target)).unwrap_or_else(|e| panic!("{e}"));
    [OptOptions::NONE, OptOptions::ALL].map(|passes| {
        let module = built.finish_with(&passes).unwrap_or_else(|e| panic!("{}: {e}", built.title()));
        cost(ptxas, &built, &module)
    })
}

/// A proof is of what the author wrote as well: it holds, or fails, with and without the optimizer. Only that nothing is
/// lost on the way (`lost-bits`), which refuses what it cannot follow, may need the optimizer's shorter ways.
#[test]
fn policies_hold_with_and_without() {
    for entry in TYPICAL {
        for made in entry.policies() {
            let built =
                entry.build(&Request::for_reading(entry, made, Target::SM_90)).unwrap_or_else(|e| panic!("{e}"));
            let [written, optimized] = [OptOptions::NONE, OptOptions::ALL]
                .map(|passes| built.finish_with(&passes).unwrap_or_else(|e| panic!("{}: {e}", built.title())));
            for policy in entry.policies() {
                let [without, with] = [&written, &optimized].map(|m| built.prove(m, policy).err().unwrap_or_default());
                let refused = without.iter().any(|v| v.rule != PolicyRule::LostBits);
                let same = if with.is_empty() { !refused } else { !without.is_empty() };
                assert!(same, "{} under {policy}: {without:?}, {with:?}", built.title());
            }
        }
    }
}

#[test]
#[ignore = "takes minutes; its output is the table in docs/results.md"]
fn with_and_without() {
    let Some(ptxas) = Ptxas::for_tests() else { return };
    println!(
        "| target | instructions | registers: fewer / same / more | largest gain, loss | spills |\n|---|---|---|---|---|"
    );
    for target in [Target::SM_75, Target::SM_80, Target::SM_90, Target::SM_100, Target::SM_120] {
        let work: Vec<_> = TYPICAL.iter().flat_map(|e| e.policies().into_iter().map(move |p| (e, p))).collect();
        let (next, costs) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        thread::scope(|s| {
            for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
                s.spawn(|| {
                    while let Some(&(entry, policy)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let found = both(&ptxas, entry, policy, target);
                        costs.lock().unwrap_or_else(PoisonError::into_inner).push(found);
                    }
                });
            }
        });
        let costs = costs.into_inner().unwrap_or_else(PoisonError::into_inner);
        let sum = |i: usize| costs.iter().map(|c| c[i].instructions).sum::<usize>();
        let change = |c: &[Cost; 2]| i64::from(c[1].used.registers) - i64::from(c[0].used.registers);
        let count = |holds: fn(i64) -> bool| costs.iter().filter(|c| holds(change(c))).count();
        let spills = |i: usize| costs.iter().map(|c| c[i].used.spill_stores + c[i].used.spill_loads).sum::<u32>();
        println!(
            "| {target} | {} to {} | {} / {} / {} | {}, {} | {} to {} bytes |",
            sum(0),
            sum(1),
            count(|c| c < 0),
            count(|c| c == 0),
            count(|c| c > 0),
            costs.iter().map(change).min().unwrap_or(0),
            costs.iter().map(change).max().unwrap_or(0),
            spills(0),
            spills(1),
        );
    }
}
