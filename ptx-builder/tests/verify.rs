//! The verifier's flow and memory rules on PTX files: every offending line of
//! `tests/verify/*.ptx` says which rule it breaks, as `//~ rule`, or as
//! `//~ rule? (when it does not)` where only a run can tell, and nothing else may be reported. The PTX that nvcc writes breaks none.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ptxgen_builder::parse::parse;
use ptxgen_builder::verify::{Doubts, Rule, VerifyError, verify, verify_with};

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

fn place(error: &VerifyError) -> (u32, &'static str) {
    (error.loc.as_ref().map_or(0, |l| l.line), error.rule.id())
}

/// A rule's name as the files have it where only a run can tell.
fn doubtful(rule: &str) -> &'static str {
    let with_mark = Rule::ALL.iter().map(|r| (r.id(), format!("{r}?")));
    let (_, marked) = with_mark.into_iter().find(|(id, _)| *id == rule).expect("a rule");
    marked.leak()
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
            .flat_map(|(n, rules)| {
                let (rules, why) = rules.split_once('(').map_or((rules, None), |(rules, why)| (rules, Some(why)));
                let reason = why.is_some_and(|why| why.trim_end().len() > 9 && why.trim_end().ends_with(')'));
                assert_eq!(
                    reason,
                    rules.contains('?'),
                    "{name}:{n}: a doubt has its reason, in brackets, and only a doubt"
                );
                rules.split_whitespace().map(move |rule| (n, rule))
            })
            .collect();
        let certain: BTreeSet<_> =
            verify(module.clone()).err().map(|e| e.iter().map(place).collect()).unwrap_or_default();
        let errors = verify_with(module, Doubts::Refuse).err();
        let errors = errors.as_deref().unwrap_or_default();
        let found: BTreeSet<(u32, &str)> = errors
            .iter()
            .map(place)
            .map(|(line, rule)| (line, if certain.contains(&(line, rule)) { rule } else { doubtful(rule) }))
            .collect();
        for (line, rule) in expected.difference(&found) {
            faults += &format!("{name}:{line}: {rule} was expected\n");
        }
        for (line, rule) in found.difference(&expected) {
            let messages = errors.iter().filter(|e| rule.starts_with(e.rule.id())).map(|e| format!("    {e}\n"));
            faults += &format!("{name}:{line}: {rule} was not expected\n{}", messages.collect::<String>());
        }
        seen.extend(expected.iter().map(|(_, rule)| rule.trim_end_matches('?').to_owned()));
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
