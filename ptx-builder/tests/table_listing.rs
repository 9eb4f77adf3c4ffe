//! `docs/instructions.md` lists the instruction table. `BLESS=1` regenerates it.

use std::fmt::Write;

use ptxgen_builder::table::{Access, Form, Meaning, Row, Shape, table};
use ptxgen_builder::testing::assert_golden;

const HEAD: &str = "\
# Instructions

Everything that `ptxgen-builder` can build, read, check and interpret, by section of the PTX ISA. The
list is generated from the instruction table (`ptx-builder/src/table/`); after a change there, regenerate it
with `BLESS=1 cargo test -p ptxgen-builder --test table_listing`.

Each entry has the operands, with a bar before a predicate result that follows another result and
brackets around optional ones; then the spellings, by the first PTX version and the first
`sm_` that have them, with braces around alternatives. Older versions are listed as PTX 2.0 and sm_20.
(The kernels of this library are generated for PTX 6.3, sm_75 and later.)
";

fn operands(form: &Form) -> String {
    let mut text = String::new();
    for (i, slot) in form.slots.iter().enumerate() {
        let before = match (i, slot.access) {
            (0, _) => "",
            (_, Access::Write) => "|",
            _ => ", ",
        };
        let name = match slot.shape {
            Shape::Vector { len, .. } => {
                let parts: Vec<_> = (0..len).map(|j| format!("{}{j}", slot.name)).collect();
                format!("{{{}}}", parts.join(", "))
            }
            Shape::Address(_) => format!("[{}]", slot.name),
            _ => slot.name.to_owned(),
        };
        let operand = format!("{before}{name}");
        let operand = if slot.optional { format!("[{operand}]") } else { operand };
        text.push_str(&operand);
    }
    text
}

/// The forms' names, those that differ in one modifier only written as one: `add.{rn, rz}.f32`.
fn spellings<'f>(forms: impl Iterator<Item = &'f Form>) -> Vec<String> {
    // For each name the alternatives at each place, starting with one at each.
    let mut names: Vec<Vec<Vec<&str>>> = forms
        .map(|f| std::iter::once(f.op.text()).chain(f.mods.iter().map(|m| m.text())).map(|text| vec![text]).collect())
        .collect();
    let most = names.iter().map(Vec::len).max().unwrap_or(0);
    for place in (0..most).rev() {
        let mut merged: Vec<Vec<Vec<&str>>> = Vec::new();
        for mut name in names {
            let alike = |other: &&mut Vec<Vec<&str>>| {
                other.len() == name.len() && (0..name.len()).all(|i| i == place || other[i] == name[i])
            };
            match merged.iter_mut().find(alike).filter(|_| place < name.len()) {
                Some(other) => other[place].append(&mut name[place]),
                None => merged.push(name),
            }
        }
        names = merged;
    }
    let written =
        |texts: &Vec<&str>| if texts.len() == 1 { texts[0].to_owned() } else { format!("{{{}}}", texts.join(", ")) };
    names.iter().map(|name| format!("`{}`", name.iter().map(written).collect::<Vec<_>>().join("."))).collect()
}

fn entry(row: &Row) -> String {
    let mut text = format!("\n### {} `{}`\n\n{}", row.section, row.op, row.doc);
    let forms = row.forms();
    let operands = operands(&forms[0]);
    if !operands.is_empty() {
        write!(text, " Operands: `{operands}`.").expect("writes to a string");
    }
    let mut tolerances: Vec<_> = forms
        .iter()
        .filter_map(|f| if let Meaning::Approx(_, tolerance) = f.meaning { Some(tolerance.doc) } else { None })
        .collect();
    tolerances.dedup();
    if !tolerances.is_empty() {
        write!(text, " Approximate: {}.", tolerances.join(", or ")).expect("writes to a string");
    }
    text.push('\n');
    let mut versions: Vec<_> = forms.iter().map(|f| (f.least_ptx, f.least_sm)).collect();
    versions.sort_unstable();
    versions.dedup();
    for (ptx, sm) in versions {
        let names = spellings(forms.iter().filter(|f| (f.least_ptx, f.least_sm) == (ptx, sm)));
        writeln!(text, "- PTX {ptx}, sm_{sm}: {}", names.join(", ")).expect("writes to a string");
    }
    text
}

fn listing() -> String {
    let mut rows: Vec<_> = table().rows().iter().collect();
    let number = |row: &Row| row.section.split('.').map(|n| n.parse::<u32>().unwrap_or(0)).collect::<Vec<_>>();
    // A stable sort: rows of one section keep the table's order.
    rows.sort_by_key(|row| number(row));
    let mut text = HEAD.to_owned();
    write!(text, "\n{} rows, {} forms.\n", rows.len(), table().forms().len()).expect("writes to a string");
    text.extend(rows.into_iter().map(entry));
    text
}

#[test]
fn instructions_are_listed() {
    assert_golden!("../docs/instructions.md", listing());
}
