//! The verifier's flow and memory rules on PTX files: every offending line of
//! `tests/verify/*.ptx` says which rule it breaks, as `//~ rule`, and nothing
//! else may be reported. The PTX that nvcc writes breaks none.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ptxgen_builder::parse::parse;
use ptxgen_builder::verify::{Rule, verify};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut all: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the folder of test data")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "ptx"))
        .collect();
    all.sort();
    all
}

#[test]
fn offending_lines() {
    let mut seen = BTreeSet::new();
    let mut faults = String::new();
    for path in files("verify") {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("readable");
        let module = parse(&name, &text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let expected: BTreeSet<(u32, &str)> = text
            .lines()
            .zip(1..)
            .filter_map(|(line, n)| line.split_once("//~").map(|(_, rules)| (n, rules)))
            .flat_map(|(n, rules)| rules.split_whitespace().map(move |rule| (n, rule)))
            .collect();
        let errors = verify(module).err();
        let errors = errors.as_deref().unwrap_or_default();
        let found: BTreeSet<(u32, &str)> =
            errors.iter().map(|e| (e.loc.as_ref().map_or(0, |l| l.line), e.rule.id())).collect();
        for (line, rule) in expected.difference(&found) {
            faults += &format!("{name}:{line}: {rule} was expected\n");
        }
        for (line, rule) in found.difference(&expected) {
            let messages = errors.iter().filter(|e| e.rule.id() == *rule).map(|e| format!("    {e}\n"));
            faults += &format!("{name}:{line}: {rule} was not expected\n{}", messages.collect::<String>());
        }
        seen.extend(expected.iter().map(|(_, rule)| (*rule).to_owned()));
    }
    assert!(faults.is_empty(), "{faults}");
    let flow = [
        Rule::UseBeforeDefinition,
        Rule::DivergentBarrier,
        Rule::LaneMask,
        Rule::DivergentMatrix,
        Rule::AsyncGroup,
        Rule::Mbarrier,
        Rule::OutOfBounds,
        Rule::Misaligned,
        Rule::ReadOnlyData,
        Rule::ReadOnlySpace,
        Rule::Space,
        Rule::TargetInstruction,
    ];
    let untested: Vec<&str> = flow.iter().map(|r| r.id()).filter(|id| !seen.contains(*id)).collect();
    assert!(untested.is_empty(), "no file breaks {untested:?}");
}

#[test]
fn what_nvcc_writes_is_sound() {
    let all = files("nvcc");
    assert!(all.len() > 10, "nvcc's modules are missing");
    for path in all {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("readable");
        let module = parse(&name, &text).unwrap_or_else(|e| panic!("{name}: {e}"));
        if let Err(errors) = verify(module) {
            panic!("{name}:\n{errors}");
        }
    }
}
