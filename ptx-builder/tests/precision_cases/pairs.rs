//! Two cases one after the other: what the first leaves in registers, memory and names is what the second finds.
//! `BLESS=1` regenerates the table of answers.

use std::fmt::Write;

use super::*;

/// The body with names of its own for what it declares, from the sum to the sum.
fn part(case: &Case) -> String {
    let ty = if case.acc == F32 { "f32" } else { "f64" };
    format!("{{\n{}\nmov.{ty} %s, %z;\n}}", case.body)
}

/// Some pairs of cases with one accumulator; none that stores the result itself.
fn pairs(acc: Acc) -> Vec<(&'static Case, &'static Case)> {
    let stores = |c: &Case| ["[%y]", "[%y,", "[%yb]"].iter().any(|place| c.body.contains(place));
    let cases: Vec<&Case> = all().filter(|c| c.acc == acc && !stores(c)).collect();
    let n = cases.len();
    // Each case is the first and the second of some pairs.
    let second = |i: usize, round: usize| (7 * i + 13 * round + 3) % n;
    (0..n).flat_map(|i| (0..2).map(move |round| (i, round))).map(|(i, r)| (cases[i], cases[second(i, r)])).collect()
}

#[test]
fn two_ways_one_after_the_other() {
    let mut text = String::new();
    let (mut kept, mut refused) = (0, 0);
    for acc in [F32, F64] {
        let plain = Case { name: "plain", acc, right: Keeps, stages: Some(1), approximate: false, body: "" };
        let store = if acc == F32 { "mov.f32 %z, %s;" } else { "mov.f64 %z, %s;" };
        let whole = plain.run(store);
        for (a, b) in pairs(acc) {
            let body = format!("{}\n{}\n{store}", part(a), part(b));
            let found = plain.check(&body).err().unwrap_or_default();
            write!(text, "{}, {} ({acc:?}):", a.name, b.name).expect("text");
            for v in &found {
                write!(text, " {:?} {}", v.rule, v.inst.map_or(0, |i| i.0)).expect("text");
            }
            writeln!(text, "{}", if found.is_empty() { " holds" } else { "" }).expect("text");
            if (a.right, b.right) == (Keeps, Keeps) {
                assert_eq!(plain.results(&body).0, whole, "{}, {}: the sum's bits", a.name, b.name);
                kept += u32::from(found.is_empty());
            }
            let loses = |c: &Case| matches!(c.right, Loses(_)) && c.stages == plain.stages && !c.approximate;
            // Where all bits of the sum are gone, a constant is left, which has lost none: the high half cut off, then the low.
            let is_constant = || plain.results(&body).0.iter().all(|bits| *bits == 0);
            if loses(a) && !(found.is_empty() && is_constant()) {
                assert!(!found.is_empty(), "{}, {}: the first loses bits", a.name, b.name);
                refused += 1;
            }
        }
    }
    assert!(kept > 9 && refused > 50, "{kept} keep the sum's bits, {refused} lose some");
    ptxgen_builder::assert_golden!("tests/precision_cases/told/pairs.txt", text);
}
