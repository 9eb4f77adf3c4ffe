//! Properties of random well-typed modules: they verify, round-trip through
//! text, and assemble.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use ptxgen_builder::ir::Module;
use ptxgen_builder::parse::parse;
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::ptxas::{Ptxas, PtxasError};
use ptxgen_builder::random_modules::{Plan, can_generate, plans, plans_of_rows};
use ptxgen_builder::table::{Row, table};
use ptxgen_builder::target::Target;
use ptxgen_builder::verify::verify;

/// The module's text, after the checks that every module must pass.
fn checked(module: Module, options: PrintOptions) -> Result<String, TestCaseError> {
    let valid = match verify(module.clone()) {
        Ok(valid) => valid,
        Err(errors) => return Err(TestCaseError::fail(format!("{errors}"))),
    };
    let text = print(&valid, &options);
    prop_assert_eq!(&text, &print(&valid, &options));
    let again = parse("generated.ptx", &text);
    prop_assert_eq!(again.as_ref(), Ok(&module), "{}", text);
    Ok(text)
}

/// Plans with the same choices in every run.
fn fixed(strategy: impl Strategy<Value = Plan>, count: usize) -> Vec<Plan> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).expect("a plan").current()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn modules_verify_and_round_trip(plan in plans(), lineinfo: bool, comments: bool) {
        checked(plan.module(), PrintOptions { lineinfo, comments })?;
    }

    #[test]
    fn any_bytes_parse_or_fail_with_a_place(plan in plans(), edits in prop::collection::vec((any::<u32>(), any::<u8>(), 0..3u8), 1..8)) {
        let mut bytes = checked(plan.module(), PrintOptions { lineinfo: true, comments: true })?.into_bytes();
        for (at, byte, edit) in edits {
            let at = at as usize % bytes.len();
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.drain(at..(at + usize::from(byte) % 16).min(bytes.len() - 1))),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Err(errors) = parse("mutated.ptx", &text) {
            prop_assert!(!errors.is_empty());
            let lines = text.lines().count() as u32 + 1;
            for error in errors.iter() {
                prop_assert!((1..=lines).contains(&error.at.line) && error.at.column >= 1, "{}", error);
                prop_assert!(error.to_string().starts_with("mutated.ptx:"), "{}", error);
            }
        }
    }
}

/// Every row that can be generated appears in some module on some target.
#[test]
fn generated_modules_reach_every_row() {
    let rows = table().rows();
    let mut seen = vec![false; rows.len()];
    for first in (0..rows.len()).step_by(12) {
        let strategy = plans_of_rows(first..(first + 12).min(rows.len()));
        for mut plan in fixed(strategy, 6) {
            plan.target = Target::SM_120;
            let module = plan.module();
            for (_, _, inst) in module.kernels[0].insts() {
                seen[inst.form().row.index()] = true;
            }
            checked(module, PrintOptions::default()).unwrap_or_else(|e| panic!("{e}\n{plan:?}"));
        }
    }
    // What only targets with features of their own have (`sm_100a`) is not among the targets here.
    let here = |row: &Row| row.forms().iter().any(|form| form.is_legal_on(Target::SM_120));
    let missing: Vec<_> = rows.iter().zip(seen).filter(|(row, seen)| can_generate(row) && here(row) && !seen).collect();
    let missing: Vec<_> = missing.iter().map(|(row, _)| (row.op, row.doc)).collect();
    assert!(missing.is_empty(), "never generated: {missing:#?}");
}

#[test]
fn generated_modules_assemble() {
    let Some(ptxas) = Ptxas::for_tests() else { return };
    let rows = table().rows().len();
    let mut faults = Vec::new();
    for (i, target) in Target::TESTED.into_iter().enumerate() {
        let strategy = plans_of_rows(0..rows);
        for mut plan in
            fixed(strategy, i + 1).into_iter().skip(i).chain(fixed(plans(), 2 * i + 2).into_iter().skip(2 * i))
        {
            plan.target = target;
            let text = checked(plan.module(), PrintOptions::default()).unwrap_or_else(|e| panic!("{e}\n{plan:?}"));
            match ptxas.assemble(&text, target) {
                Ok(_) => {}
                // It ended by a signal: that says nothing of the text.
                Err(PtxasError::Failed { status, .. }) if status.code().is_none() => {
                    println!("skipped: ptxas crashed ({status}) at a module for {target}");
                }
                Err(error) => faults.push(format!("{target}: {error}")),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
