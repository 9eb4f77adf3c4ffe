//! A fault refuses its entry, not the file.

use ptxgen_builder::parse::{ParseErrors, parse, read};
use ptxgen_builder::verify::{Doubts, verify_each};

const HEAD: &str = ".version 8.0\n.target sm_80\n.address_size 64\n";

fn entry(name: &str, body: &str) -> String {
    format!(".visible .entry {name}(.param .u64 a)\n{{\n.reg .b64 %a; .reg .b32 %r;\n{body}\nret;\n}}\n")
}

#[test]
fn entries_are_read_and_verified_by_themselves() {
    let text = [
        HEAD.to_owned(),
        entry("good", "mov.u32 %r, 1;"),
        entry("unread", "frobnicate %r;"),
        ".func f()\n{\nfoo;\nret;\n}\n".to_owned(),
        entry("calls", "call f;"),
        entry("wrong", "add.s64 %a, %r, 1;"),
        entry("last", "mov.u32 %r, 2;"),
    ]
    .concat();
    let reading = read("t", &text);
    let refused: Vec<(&str, bool)> = reading.refused.iter().map(|(name, entry)| (&**name, *entry)).collect();
    assert_eq!(refused, [("unread", true), ("f", false), ("calls", true)]);
    let within: Vec<Option<&str>> = reading.errors.iter().map(|e| e.within.as_deref()).collect();
    assert_eq!(within, [Some("unread"), Some("f"), Some("calls")], "{:?}", reading.errors);
    let judged = verify_each(reading.module, Doubts::Warn);
    let names: Vec<&str> = judged.validated.module().kernels.iter().map(|k| k.name.as_str()).collect();
    assert_eq!(names, ["good", "last"]);
    assert_eq!(judged.refused.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["wrong"]);
    // The whole is refused all the same.
    assert!(parse("t", &text).is_err());
}

/// What is wrong with a kernel's declaration is wrong with that kernel; with a variable of the module, with all.
#[test]
fn kernels_are_refused_by_name_and_modules_whole() {
    let text = [HEAD.to_owned(), entry("a", "mov.u32 %r, 1;"), entry("b", ""), entry("c", "mov.u32 %r, 1;")].concat();
    let names = |all: &[(String, ptxgen_builder::verify::VerifyErrors)]| {
        all.iter().map(|(name, errors)| (name.clone(), errors.len())).collect::<Vec<_>>()
    };
    let mut twice = read("t", &text).module;
    twice.kernels[1].name = "a".to_owned();
    let judged = verify_each(twice.clone(), Doubts::Warn);
    assert_eq!(names(&judged.refused), [("a".to_owned(), 1), ("a".to_owned(), 1)]);
    assert_eq!((judged.module.len(), judged.validated.module().kernels.len()), (0, 1));
    assert_eq!(judged.validated.module().kernels[0].name, "c");
    assert_eq!(judged.validated.pressure(0).registers, 0);
    let mut wrong = read("t", &text).module;
    wrong.externs = vec![ptxgen_builder::ir::Extern { name: "1".to_owned(), results: vec![], params: vec![] }];
    let judged = verify_each(wrong, Doubts::Warn);
    assert_eq!((names(&judged.refused), judged.module.len()), (vec![], 1));
    assert_eq!(judged.validated.module().kernels.len(), 0);
}

#[test]
fn errors_of_a_part_are_capped_and_the_next_is_read() {
    let many = entry("many", &"foo;\n".repeat(1000));
    let reading = read("t", &format!("{HEAD}{many}{}", entry("next", "")));
    assert_eq!(reading.errors.len(), ParseErrors::MOST);
    assert_eq!(reading.module.kernels.len(), 1);
    assert_eq!(reading.module.kernels[0].name, "next");
}

#[test]
fn functions_alone_are_no_kernels() {
    let reading = read("t", &format!("{HEAD}.func f()\n{{\nret;\n}}\n"));
    assert!(reading.errors.is_empty() && reading.module.kernels.is_empty());
    assert_eq!(reading.functions, 1);
}
