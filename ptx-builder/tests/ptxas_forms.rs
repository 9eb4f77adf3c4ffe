//! Every form of the instruction table through `ptxas`: accepted on each target and from each PTX
//! version that the table allows, refused on those that it forbids.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use ptxgen_builder::ptxas::{Ptxas, PtxasError, Severity};
use ptxgen_builder::table::{Access, Form, Shape, Slot, table};
use ptxgen_builder::target::{PtxVersion, Target};
use ptxgen_builder::types::{Kind, RegClass, ScalarType, Space};
use rayon::prelude::*;

/// How the operands that may be left out, or be constants, are written.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Style {
    Registers,
    /// Optional operands left out.
    Short,
    /// Constants wherever the table takes them.
    Constants,
}

/// A constant that ptxas finds no fault with: a `b` may be a number of threads, a size one of bytes.
fn constant(ty: ScalarType, name: &str) -> Option<&'static str> {
    Some(match ty {
        ScalarType::F32 => "0f3F800000",
        ScalarType::F64 => "0d3FF0000000000000",
        ScalarType::Pred => return None,
        ty if ty.kind() == Kind::Float => return None,
        _ => {
            if matches!(name, "b" | "size") {
                "32"
            } else {
                "1"
            }
        }
    })
}

fn operand(slot: &Slot, style: Style, registers: &mut u32) -> String {
    let mut register = |ty: ScalarType| {
        let class = RegClass::of(ty).expect("a register class");
        *registers = (*registers + 1) % 8;
        format!("{}{registers}", class.prefix())
    };
    match slot.shape {
        Shape::Value(ty) | Shape::Wide(ty) | Shape::Move(ty) | Shape::Small { ty, .. } => match constant(ty, slot.name)
        {
            Some(constant) if style == Style::Constants && slot.access == Access::Read => constant.to_owned(),
            _ => register(ty),
        },
        Shape::Register(ty) => register(ty),
        Shape::Predicate(_) => register(ScalarType::Pred),
        Shape::Vector { ty, len, .. } => {
            format!("{{{}}}", (0..len).map(|_| register(ty)).collect::<Vec<_>>().join(", "))
        }
        Shape::Const { least, .. } => least.to_string(),
        Shape::OneOf(_, values) => values[0].to_string(),
        Shape::Address(space) => match space {
            Space::Generic | Space::Global => "[%rd0]".to_owned(),
            Space::Shared => "[shared_bytes]".to_owned(),
            Space::Local => "[local_bytes]".to_owned(),
            Space::Const => "[const_bytes]".to_owned(),
            Space::Param => "[param]".to_owned(),
        },
        Shape::Label => "END".to_owned(),
    }
}

/// The instruction as one line.
fn line(form: &Form, style: Style) -> String {
    let mut text = form.name.clone();
    let mut registers = 0;
    for (i, slot) in form.slots.iter().enumerate() {
        let bar = i > 0 && slot.access == Access::Write;
        let operand = match slot.optional && style == Style::Short {
            true if i == 0 => "_".to_owned(),
            true => continue,
            false => operand(slot, style, &mut registers),
        };
        let separator = if i == 0 {
            " "
        } else if bar {
            "|"
        } else {
            ", "
        };
        write!(text, "{separator}{operand}").expect("writes to a string");
    }
    text.push(';');
    text
}

/// The instruction in every style in which it differs.
fn lines(form: &Form) -> Vec<String> {
    let mut lines: Vec<_> = [Style::Registers, Style::Short, Style::Constants].map(|style| line(form, style)).into();
    lines.dedup();
    lines
}

/// A module with one kernel that has all these lines, and the number of the first.
fn module(version: PtxVersion, target: Target, lines: &[String]) -> (String, usize) {
    let mut text = format!(".version {version}\n.target {target}\n.address_size 64\n");
    text.push_str(".const .align 16 .b8 const_bytes[64];\n.visible .entry k(.param .align 16 .b8 param[64])\n{\n");
    text.push_str(".shared .align 16 .b8 shared_bytes[64];\n.local .align 16 .b8 local_bytes[64];\n");
    for class in RegClass::ALL {
        writeln!(text, ".reg .{} {}<8>;", class.declared(), class.prefix()).expect("writes to a string");
    }
    let first = text.lines().count() + 1;
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text.push_str("END:\nret;\n}\n");
    (text, first)
}

/// What `ptxas` says against each of the lines, by their index. (A fatal error hides later ones.)
fn complaints(ptxas: &Ptxas, version: PtxVersion, target: Target, lines: &[String]) -> BTreeMap<usize, String> {
    let (text, first) = module(version, target, lines);
    match ptxas.assemble(&text, target) {
        Ok(_) => BTreeMap::new(),
        Err(PtxasError::Rejected { diagnostics, .. }) => {
            let mut found = BTreeMap::new();
            for d in diagnostics.iter().filter(|d| d.severity != Severity::Warning) {
                // The last complaint, that assembly is aborted, has no line.
                let Some(line) = d.line else { continue };
                let line = line.checked_sub(first).filter(|&i| i < lines.len());
                let line = line.unwrap_or_else(|| panic!("{target}, PTX {version}: {d}"));
                found.entry(line).or_insert_with(|| d.message.clone());
            }
            assert!(!found.is_empty(), "{target}, PTX {version}: {diagnostics:?}");
            found
        }
        Err(error) => panic!("{target}, PTX {version}: {error}"),
    }
}

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
    let wrong = Target::TESTED.par_iter().flat_map_iter(|&target| {
        let forms = table().forms().iter().filter(|f| f.is_legal_on(target));
        let groups = by_version(forms, |f| f.least_ptx.max(target.least_ptx()));
        let mut wrong = Vec::new();
        for (version, forms) in groups {
            let lines: Vec<_> = forms.iter().flat_map(|f| lines(f)).collect();
            for (i, message) in complaints(&ptxas, version, target, &lines) {
                wrong.push(format!("{target} {version} `{}`: {message}", lines[i]));
            }
        }
        wrong
    });
    report(wrong.collect(), "are legal in the table, but not for ptxas");
}

/// Those of `forms` that `ptxas` accepts in every style: first all at once, then each alone that it
/// has nothing against, since an error elsewhere can end its work early.
fn accepted<'f>(ptxas: &Ptxas, version: PtxVersion, target: Target, forms: &[&'f Form]) -> Vec<&'f Form> {
    let lines: Vec<_> = forms.iter().enumerate().flat_map(|(i, f)| lines(f).into_iter().map(move |l| (i, l))).collect();
    let all: Vec<_> = lines.iter().map(|(_, line)| line.clone()).collect();
    let refused: HashSet<usize> = complaints(ptxas, version, target, &all).into_keys().map(|l| lines[l].0).collect();
    let alone = |f: &&&Form| complaints(ptxas, version, target, &self::lines(f)).is_empty();
    forms.iter().enumerate().filter(|(i, _)| !refused.contains(i)).map(|(_, f)| f).filter(alone).copied().collect()
}

#[test]
fn illegal_targets_are_refused() {
    let Some(ptxas) = Ptxas::for_tests() else { return };
    let wrong = Target::TESTED.par_iter().flat_map_iter(|&target| {
        let forms = table().forms().iter().filter(|f| !f.is_legal_on(target));
        let groups = by_version(forms, |f| f.least_ptx.max(target.least_ptx()));
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
    let target = |f: &Form| Target::TESTED.into_iter().find(|t| f.is_legal_on(*t)).expect("a tested target");
    let forms = table().forms().iter().filter(|f| f.least_ptx.0 > 63 && before(f.least_ptx) >= target(f).least_ptx());
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for form in forms {
        groups.entry((before(form.least_ptx), target(form))).or_default().push(form);
    }
    assert!(!groups.is_empty());
    let wrong = groups.into_par_iter().flat_map_iter(|((version, target), forms)| {
        let accepted = accepted(&ptxas, version, target, &forms);
        accepted.into_iter().map(move |f| format!("{target} {version} {} (table: {})", f.name, f.least_ptx))
    });
    report(wrong.collect(), "are older in ptxas than in the table");
}
