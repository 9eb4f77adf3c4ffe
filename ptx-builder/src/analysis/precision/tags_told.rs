//! What each kind of instruction makes of two kinds of factors, as a table in `tests/known/tags.txt`. `BLESS=1`
//! writes it anew.

use std::fmt::Write;

use super::tags::{self, Tags, as_float, meets};
use super::{Factor, Factors};
use crate::parse::parse;

const NAMES: [(&str, Tags); 11] = [
    ("-", Tags::NONE),
    ("Lraw", Tags::LEFT.and(Tags::RAW)),
    ("Lint", Tags::LEFT.and(Tags::INT)),
    ("Lplain", Tags::LEFT.and(Tags::PLAIN)),
    ("Ldecoded", Tags::LEFT.and(Tags::DECODED)),
    ("Rraw", Tags::RIGHT.and(Tags::RAW)),
    ("Rint", Tags::RIGHT.and(Tags::INT)),
    ("Rplain", Tags::RIGHT.and(Tags::PLAIN)),
    ("Rdecoded", Tags::RIGHT.and(Tags::DECODED)),
    ("dot", Tags::DOT),
    ("term", Tags::TERM),
];

/// Floats of 16 bits are numbers as they stand on the left, and all are on the right.
const FACTORS: Factors = Factors {
    left: Factor { name: "left", floats: &[16], decoding: true, rounding: false },
    right: Factor { name: "right", floats: &[16, 32, 64], decoding: false, rounding: true },
};

fn named(t: Tags) -> String {
    let names: Vec<_> = NAMES[1..].iter().filter(|(_, one)| t.has(*one)).map(|(name, _)| *name).collect();
    if names.is_empty() { "-".to_owned() } else { names.join("+") }
}

const FORMS: [&str; 26] = [
    "cvt.s32.s16 %r0, %h0",
    "cvt.rni.s32.f32 %r0, %f0",
    "cvt.f32.f16 %f0, %h0",
    "cvt.f64.f32 %d0, %f0",
    "cvt.rn.f32.s32 %f0, %r0",
    "cvt.rn.f16.s32 %h0, %r0",
    "mov.b32 %r0, %r1",
    "mov.b32 %f0, %r1",
    "mov.b64 %d0, {%r0, %r1}",
    "mov.b64 {%r0, %r1}, %l0",
    "selp.b32 %r0, %r1, %r2, %p0",
    "neg.f32 %f0, %f1",
    "add.rn.f32 %f0, %f1, %f2",
    "mul.rn.f32 %f0, %f1, %f2",
    "fma.rn.f64 %d0, %d1, %d2, %d3",
    "div.rn.f32 %f0, %f1, %f2",
    "ex2.approx.f32 %f0, %f1",
    "dp4a.s32.s32 %r0, %r1, %r2, %r3",
    "mul.lo.s32 %r0, %r1, %r2",
    "shr.u32 %r0, %r1, 4",
    "and.b32 %r0, %r1, %r2",
    "xor.b32 %r0, %r1, %r2",
    "prmt.b32 %r0, %r1, %r2, 0x5410",
    "add.s32 %r0, %r1, %r2",
    "setp.lt.s32 %p0, %r0, %r1",
    "shfl.sync.idx.b32 %r0, %r1, 0, 31, -1",
];

/// A line for each form and first source: what results with each second source; where a constant among the sources
/// changes that, a second line.
#[test]
fn of_instructions() {
    let mut text = String::new();
    let decls =
        ".reg .b16 %h<4>; .reg .b32 %r<4>; .reg .b64 %l<4>; .reg .f32 %f<4>; .reg .f64 %d<4>; .reg .pred %p<4>;";
    for form in FORMS {
        let source = format!(".version 8.0 .target sm_80 .address_size 64 .entry k() {{ {decls} {form}; ret; }}");
        let module = parse("t", &source).unwrap_or_else(|e| panic!("{form}: {e}"));
        let inst = &module.kernels[0].blocks[0].insts[0];
        writeln!(text, "{form}: {:?}", inst.form().precision).expect("text");
        for (first, a) in NAMES {
            let results = |constants| -> Vec<_> {
                NAMES.iter().map(|(_, b)| named(tags::result(&FACTORS, inst, (a, *b), a.or(*b), constants))).collect()
            };
            for constants in [false, true] {
                let results = if constants && results(true) == results(false) { continue } else { results(constants) };
                let mut line = format!("  {first}{}:", if constants { " beside a constant" } else { "" });
                // Equal results once, with how often.
                for same in results.chunk_by(|x, y| x == y) {
                    write!(
                        line,
                        " {}{}",
                        same[0],
                        if same.len() > 1 { format!("*{}", same.len()) } else { String::new() }
                    )
                    .expect("text");
                }
                writeln!(text, "{line}").expect("text");
            }
        }
    }
    crate::assert_golden!("tests/known/tags.txt", &text);
}

#[test]
fn bits_become_floats_and_factors_meet() {
    let floats: Vec<_> = NAMES.iter().map(|(_, t)| named(as_float(&FACTORS, *t, 32))).collect();
    assert_eq!(
        floats,
        ["-", "Ldecoded", "Ldecoded", "Lplain", "Ldecoded", "Rplain", "Rdecoded", "Rplain", "Rdecoded", "dot", "term"]
    );
    let (w, a) = (
        [Tags::LEFT.and(Tags::RAW), Tags::LEFT.and(Tags::INT)],
        [Tags::RIGHT.and(Tags::RAW), Tags::RIGHT.and(Tags::INT)],
    );
    for (first, x) in NAMES {
        for (second, y) in NAMES {
            let expected = w.contains(&x) && a.contains(&y) || a.contains(&x) && w.contains(&y);
            assert_eq!(meets(x, y), expected, "{first} {second}");
        }
    }
    assert!(!Tags::NONE.only(Tags::LEFT) && w[0].only(Tags::LEFT) && !w[0].or(Tags::DOT).only(Tags::LEFT));
}
