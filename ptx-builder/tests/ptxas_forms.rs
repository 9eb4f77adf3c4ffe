//! Every form of the instruction table through `ptxas`: accepted on each target and from each PTX
//! version that the table allows, refused on those that it forbids.

mod ptxas_text;

use std::collections::{BTreeMap, HashSet};

use ptxas_text::{complaints, lines};
use ptxgen_builder::ptxas::Ptxas;
use ptxgen_builder::table::{Form, table};
use ptxgen_builder::target::{PtxVersion, Target};
use rayon::prelude::*;

/// The targets that releases are assembled for, and older ones at which instructions came.
fn targets() -> Vec<Target> {
    let older = [20, 30, 32, 50, 53, 60, 61, 70].map(|sm| Target::new(sm).expect("a known target"));
    older.into_iter().chain(Target::TESTED).collect()
}

/// Of some targets, the oldest version that the assembler takes with `.address_size`.
const FIRST: PtxVersion = PtxVersion(23);

/// Lines to a kernel: the assembler's time grows faster than a kernel does.
const LONGEST: usize = 500;

/// The forms by the PTX version they are tested with.
fn by_version<'f>(
    forms: impl Iterator<Item = &'f Form>,
    version: impl Fn(&Form) -> PtxVersion,
) -> BTreeMap<PtxVersion, Vec<&'f Form>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for form in forms {
        groups.entry(version(form)).or_default().push(form);
    }
    groups
}

fn report(mut wrong: Vec<String>, what: &str) {
    wrong.sort();
    assert!(wrong.is_empty(), "{} forms {what}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn legal_forms_assemble() {
    let Some(ptxas) = Ptxas::for_tests() else { return };
    let texts: Vec<_> = targets().into_iter().flat_map(legal_lines).collect();
    let wrong = texts.into_par_iter().flat_map_iter(|(target, version, lines)| {
        let found = unless_it_crashes(&ptxas, version, target, &lines);
        found.into_iter().map(move |(i, message)| format!("{target} {version} `{}`: {message}", lines[i]))
    });
    report(wrong.collect(), "are legal in the table, but not for ptxas");
}

/// The legal statements of a target, in kernels of at most [`LONGEST`] lines.
fn legal_lines(target: Target) -> Vec<(Target, PtxVersion, Vec<String>)> {
    let forms = table().forms().iter().filter(|f| f.is_legal_on(target));
    let groups = by_version(forms, |f| f.least_ptx.max(target.least_ptx()).max(FIRST));
    let pieces = |(version, forms): (PtxVersion, Vec<&Form>)| {
        let lines: Vec<String> = forms.iter().flat_map(|f| lines(f)).collect();
        lines.chunks(LONGEST).map(|piece| (target, version, piece.to_vec())).collect::<Vec<_>>()
    };
    groups.into_iter().flat_map(pieces).collect()
}

/// [`complaints`] of lines. Where the assembler itself fails ("Internal compiler error"), that says nothing of the line,
/// and is told.
fn unless_it_crashes(ptxas: &Ptxas, version: PtxVersion, target: Target, lines: &[String]) -> BTreeMap<usize, String> {
    let crashed = match ptxas_text::complaints_or_error(ptxas, version, target, lines) {
        Ok(found) => return found,
        Err(error) => error.to_string(),
    };
    assert!(crashed.contains("Internal compiler error"), "{target}, PTX {version}: {crashed}");
    if let [line] = lines {
        println!("skipped: ptxas fails in itself at `{line}` for {target}, PTX {version}");
        return BTreeMap::new();
    }
    let (low, high) = lines.split_at(lines.len() / 2);
    let mut found = unless_it_crashes(ptxas, version, target, low);
    let after = unless_it_crashes(ptxas, version, target, high);
    found.extend(after.into_iter().map(|(i, message)| (low.len() + i, message)));
    found
}

/// Those of `forms` that `ptxas` accepts in every style: first all at once, then each alone that it
/// has nothing against, since an error elsewhere can end its work early.
fn accepted<'f>(ptxas: &Ptxas, version: PtxVersion, target: Target, forms: &[&'f Form]) -> Vec<&'f Form> {
    let lines: Vec<_> = forms.iter().enumerate().flat_map(|(i, f)| lines(f).into_iter().map(move |l| (i, l))).collect();
    let all: Vec<_> = lines.iter().map(|(_, line)| line.clone()).collect();
    let refused: HashSet<usize> = complaints(ptxas, version, target, &all).into_keys().map(|l| lines[l].0).collect();
    let alone = |f: &&&Form| complaints(ptxas, version, target, &ptxas_text::lines(f)).is_empty();
    forms.iter().enumerate().filter(|(i, _)| !refused.contains(i)).map(|(_, f)| f).filter(alone).copied().collect()
}

#[test]
fn illegal_targets_are_refused() {
    let Some(ptxas) = Ptxas::for_tests() else { return };
    let wrong = targets().into_par_iter().flat_map_iter(|target| {
        let forms = table().forms().iter().filter(|f| !f.is_legal_on(target));
        let groups = by_version(forms, |f| f.least_ptx.max(target.least_ptx()).max(FIRST));
        let mut wrong = Vec::new();
        for (version, forms) in groups {
            for form in accepted(&ptxas, version, target, &forms) {
                wrong.push(format!("{target} {version} {} (table: sm_{})", form.name, form.least_sm));
            }
        }
        wrong
    });
    report(wrong.collect(), "are illegal in the table, but not for ptxas");
}

#[test]
fn older_versions_are_refused() {
    let Some(ptxas) = Ptxas::for_tests() else { return };
    // The version before the form's own, on the oldest target that has the form.
    let before = |v: PtxVersion| match v.0 {
        70 => PtxVersion(65),
        80 => PtxVersion(78),
        90 => PtxVersion(88),
        v => PtxVersion(v - 1),
    };
    let target = |f: &Form| Target::TESTED.into_iter().find(|t| f.is_legal_on(*t));
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    // `arrive_drop` is in PTX 7.0; the table's forms also take `_` for the state, which 7.1 brought.
    let is_asked = |f: &&Form| f.least_ptx.0 > 63 && !f.name.starts_with("mbarrier.arrive_drop");
    for form in table().forms().iter().filter(is_asked) {
        // What none of these targets has is not asked about.
        if let Some(target) = target(form).filter(|t| before(form.least_ptx) >= t.least_ptx()) {
            groups.entry((before(form.least_ptx), target)).or_default().push(form);
        }
    }
    assert!(!groups.is_empty());
    let wrong = groups.into_par_iter().flat_map_iter(|((version, target), forms)| {
        let accepted = accepted(&ptxas, version, target, &forms);
        accepted.into_iter().map(move |f| format!("{target} {version} {} (table: {})", f.name, f.least_ptx))
    });
    report(wrong.collect(), "are older in ptxas than in the table");
}
