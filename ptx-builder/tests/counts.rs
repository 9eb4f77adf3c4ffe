//! What a kernel's instructions are counted as.

use std::collections::BTreeMap;
use std::fmt::Write;

use ptxgen_builder::analysis::{InstClass, InstCounts};
use ptxgen_builder::parse::parse;
use ptxgen_builder::table::table;
use ptxgen_builder::testing::assert_golden;

/// The class of every instruction's first word, with how many of its forms have it.
#[test]
fn of_every_form() {
    let mut classes: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
    for form in table().forms() {
        let word = form.name.split('.').next().unwrap_or_default().to_owned();
        *classes.entry(format!("{:?}", InstClass::of(form))).or_default().entry(word).or_default() += 1;
    }
    let mut text = String::new();
    for (class, words) in classes {
        let words: Vec<_> = words.iter().map(|(word, n)| format!("{word} {n}")).collect();
        writeln!(text, "{class}: {}", words.join(", ")).expect("text");
    }
    assert_golden!("tests/reports/classes.txt", text);
}

#[test]
fn of_a_kernel() {
    let text = ".version 8.7\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 x) {\n\
         .reg .pred %p; .reg .b32 %r<3>; .reg .b64 %d<3>; .reg .f32 %f; .reg .b16 %h<2>;\n\
         ld.param.u64 %d0, [x]; cvta.to.global.u64 %d1, %d0; ld.global.u32 %r0, [%d1]; add.u32 %r1, %r0, 1; add.u32 %r2, %r1, 1;\n\
         cvt.rn.f32.u32 %f, %r2; add.rn.f32 %f, %f, %f; st.global.f32 [%d1], %f; setp.eq.u32 %p, %r0, 0; @%p bra O; bar.sync 0;\nO: ret;\n}\n";
    let module = parse("k.ptx", text).unwrap_or_else(|e| panic!("{e}"));
    let counts = InstCounts::new(&module.kernels[0]);
    assert_eq!(counts.total(), 12);
    let same: Vec<_> = counts.by_class.iter().map(|(class, n)| format!("{class:?} {n}")).collect();
    assert_golden!("tests/reports/counts.txt", same.join("\n"));
}
