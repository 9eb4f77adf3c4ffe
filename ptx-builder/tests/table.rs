//! The instruction table as a whole.

use std::collections::HashSet;

use ptxgen_builder::table::{Form, Mod, Op, Rounding, table};
use ptxgen_builder::types::ScalarType::{F32, S32};

/// Every form can be found again by its key and by its spelling.
#[test]
fn forms_are_found() {
    for form in table().forms() {
        assert_eq!(table().find(form.op, &form.mods), Some(form.id), "{}", form.name);
        assert!(table().named(&form.name).contains(&form.id), "{}", form.name);
        assert!(form.row.get().forms().iter().any(|f| f.id == form.id), "{}", form.name);
    }
    let names: HashSet<_> = table().names().collect();
    assert!(names.contains("mad.wide.s32") && names.contains("fma.rn.f32") && !names.contains("fma.f32"));
}

#[test]
fn rows_have_a_section_and_forms() {
    for row in table().rows() {
        assert!(row.len > 0, "{} has no form", row.op);
        assert!(row.section.starts_with("9.7."), "{}: {}", row.op, row.section);
        assert!(row.doc.ends_with('.'), "{}: {}", row.op, row.doc);
    }
}

#[test]
fn roundings_are_known() {
    let form = |op, mods: &[Mod]| -> &Form { table().find(op, mods).expect("a form of the table").get() };
    let cases = [
        (form(Op::Add, &[Mod::Ty(F32)]), None, true),
        (form(Op::Add, &[Mod::Rz, Mod::Ty(F32)]), Some(Rounding::Zero), false),
        (form(Op::Add, &[Mod::Ty(S32)]), None, false),
        (form(Op::Neg, &[Mod::Ty(F32)]), None, false),
    ];
    for (form, rounding, open) in cases {
        assert_eq!((form.rounding(), form.leaves_rounding_open()), (rounding, open), "{}", form.name);
    }
}
