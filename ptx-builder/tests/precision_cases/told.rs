//! What the proof tells of each case: its messages whole, its sums, and the rules that are broken where
//! something else is requested. `BLESS=1` regenerates the tables.

use std::fmt::Write;
use std::ops::Range;

use ptxgen_builder::analysis::InstId;
use ptxgen_builder::analysis::precision::{Input, Inputs, facts};
use ptxgen_builder::types::ScalarType;

use super::lacking::{changed, digest, statements};
use super::policy::{ACTIVATIONS, APART, FACTORS, FLOATS, INTEGERS, WEIGHTS, of_weights};
use super::*;

fn told(case: &Case, change: impl FnOnce(&mut Requirements)) -> Vec<PolicyViolation> {
    let mut wanted = case.wanted();
    change(&mut wanted);
    check(&case.module(case.body), 0, &wanted).err().unwrap_or_default()
}

/// What a kernel does, in the lists that are not empty.
fn facts_of(module: &Validated, roles: &[Role]) -> String {
    let f = facts(module, 0, roles, &FACTORS);
    let computed_of = |which: &dyn Fn(Inputs) -> bool| -> Vec<InstId> {
        (0..).map(InstId).zip(&f.computed_of).filter(|(_, of)| which(**of)).map(|(id, _)| id).collect()
    };
    let numbers = |all: &[InstId]| all.iter().map(|i| i.0.to_string()).collect::<Vec<_>>().join(" ");
    let pairs =
        |all: &[(InstId, u32)]| all.iter().map(|(i, n)| format!("{} {n} times", i.0)).collect::<Vec<_>>().join(", ");
    let typed =
        |all: &[(InstId, ScalarType)]| all.iter().map(|(i, t)| format!("{} {t}", i.0)).collect::<Vec<_>>().join(", ");
    let sums = f.accumulations.iter().map(|s| format!("{} {} {:?}", s.inst.0, s.ty, s.reduction)).collect::<Vec<_>>();
    let lists = [
        ("outputs", numbers(&f.outputs)),
        ("sums", sums.join(", ")),
        ("arithmetic", typed(&f.arithmetic)),
        ("narrowings", numbers(&f.narrowings)),
        ("in loops", numbers(&f.looped_narrowings)),
        ("rounded", pairs(&f.rounded)),
        ("choosing", numbers(&computed_of(&|i| i.only(Input::Apart)))),
        ("weighted", numbers(&computed_of(&|i| i.has(Input::Left)))),
        ("integer products", numbers(&f.integer_products)),
        ("decoded products", numbers(&f.decoded_products)),
        ("quantizations", numbers(&f.quantizations)),
        ("quantizing", numbers(&f.quantizing)),
        ("approximate", numbers(&f.approximate)),
        ("unwritten", numbers(&f.unwritten_roundings)),
        ("flushing", numbers(&f.flushing)),
        ("atomics", numbers(&f.float_atomics)),
        ("read back", numbers(&f.read_back)),
        ("matrices", numbers(&f.float_matrices)),
    ];
    let mut text = format!("stages {} {}", f.stages, f.resumed);
    for (name, list) in lists.iter().filter(|(_, list)| !list.is_empty()) {
        write!(text, "; {name} {list}").expect("text");
    }
    text
}

/// The messages of a group of cases, and what their kernels do.
fn messages(cases: &[Case]) -> String {
    let mut text = String::new();
    for case in cases {
        writeln!(text, "{} ({:?})", case.name, case.acc).expect("text");
        writeln!(text, "  {}", facts_of(&case.module(case.body), &case.wanted().roles)).expect("text");
        told(case, |_| {}).iter().for_each(|v| writeln!(text, "  {v}").expect("text"));
    }
    text
}

#[test]
fn of_each_case() {
    for (name, cases) in [
        ("conversions", conversions::CASES),
        ("bits", bits::CASES),
        ("choices", choices::CASES),
        ("shared", shared::CASES),
        ("memory", memory::CASES),
    ] {
        ptxgen_builder::assert_golden!(format!("tests/precision_cases/told/{name}.txt"), messages(cases));
    }
}

/// The rules that a group of cases breaks where something else is requested.
fn otherwise(name: &str, cases: &[Case]) {
    let mut text = String::new();
    for case in cases {
        let rules = |change: &dyn Fn(&mut Requirements)| {
            let mut rules: Vec<_> = told(case, change).iter().map(|v| format!("{:?}", v.rule)).collect();
            rules.dedup();
            if rules.is_empty() { "holds".to_owned() } else { rules.join(" ") }
        };
        let other = if case.acc == F32 { Accumulator::F64 } else { Accumulator::F32 };
        let weights = vec![WEIGHTS, ACTIVATIONS, Role::Output, Role::Other, Role::Other];
        writeln!(
            text,
            "{} ({:?}): stages unknown: {}; 0: {}; 3: {}; approximate {}: {}; {other:?}: {}; of weights: {}; q8k: {}; every store: {}",
            case.name,
            case.acc,
            rules(&|r| r.stages = None),
            rules(&|r| r.stages = Some(0)),
            rules(&|r| r.stages = Some(3)),
            !case.approximate,
            rules(&|r| r.allow_approximate = !r.allow_approximate),
            rules(&|r| r.accumulator = Some(other)),
            rules(&|r| {
                r.own_types = vec![of_weights(other)];
                r.roles.clone_from(&weights);
            }),
            rules(&|r| {
                r.products = Some(INTEGERS);
                r.roles.clone_from(&weights);
            }),
            rules(&|r| r.roles.clear()),
        )
        .expect("text");
    }
    ptxgen_builder::assert_golden!(format!("tests/precision_cases/told/{name}-otherwise.txt"), text);
}

#[test]
fn of_conversions_where_something_else_is_asked_for() {
    otherwise("conversions", conversions::CASES);
}

#[test]
fn of_bits_where_something_else_is_asked_for() {
    otherwise("bits", bits::CASES);
}

#[test]
fn of_choices_where_something_else_is_asked_for() {
    otherwise("choices", choices::CASES);
}

#[test]
fn of_shared_where_something_else_is_asked_for() {
    otherwise("shared", shared::CASES);
}

#[test]
fn of_memory_where_something_else_is_asked_for() {
    otherwise("memory", memory::CASES);
}

/// Kernels of weights `%w`, activations `%x` and an output `%y`: `// name`, then the body.
#[test]
fn of_weights_and_activations() {
    let mut text = String::new();
    for case in include_str!("told/weights.ptx").split("// ").skip(1) {
        let (name, body) = case.split_once('\n').expect("a name and a body");
        let source = format!(
            ".version 8.7\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 w, .param .u64 x, .param .u64 y) {{\n\
             .reg .pred %p<4>; .reg .b16 %h<8>; .reg .b32 %r<16>, %t; .reg .b64 %w, %x, %y; .reg .f32 %f<16>; .reg .f64 %q<8>;\n\
             ld.param.u64 %w, [w]; ld.param.u64 %x, [x]; ld.param.u64 %y, [y]; mov.u32 %t, %tid.x;\n{body}\nret;\n}}\n"
        );
        let module = parse("k.ptx", &source).unwrap_or_else(|e| panic!("{name}: {e}"));
        let module = verify(module).unwrap_or_else(|e| panic!("{name}: {e}"));
        let sides = [WEIGHTS, ACTIVATIONS, Role::Output];
        writeln!(text, "{name}\n  {}", facts_of(&module, &sides)).expect("text");
        writeln!(text, "  of logits: {}", facts_of(&module, &[WEIGHTS, APART, Role::Output])).expect("text");
        for (what, products, accumulator) in [
            ("q8k", INTEGERS, Accumulator::F32),
            ("q8k in f64", INTEGERS, Accumulator::F64),
            ("f32", FLOATS, Accumulator::F32),
            ("f32 in f64", FLOATS, Accumulator::F64),
        ] {
            let wanted = Requirements {
                accumulator: Some(accumulator),
                factors: FACTORS,
                products: Some(products),
                stages: Some(1),
                stages_of: vec![None, None, Some(1)],
                roles: sides.to_vec(),
                ..Requirements::default()
            };
            let found = check(&module, 0, &wanted).err().unwrap_or_default();
            let at = |v: &PolicyViolation| v.inst.map_or(String::new(), |i| format!(" at {}", i.0));
            let rules: Vec<_> = found.iter().map(|v| format!("{}{}", v.rule, at(v))).collect();
            writeln!(text, "  {what}: {}", if rules.is_empty() { "holds".to_owned() } else { rules.join(", ") })
                .expect("text");
        }
    }
    ptxgen_builder::assert_golden!("tests/precision_cases/told/weights.txt", text);
}

/// The rules that a case with another body breaks, and where, and what its kernel does as one number; none where there
/// is no such kernel.
fn in_short(case: &Case, body: &str) -> Option<String> {
    let module = verify(parse("case.ptx", &case.text(body)).ok()?).ok()?;
    let digest = digest(facts_of(&module, &case.wanted().roles).bytes());
    let found = check(&module, 0, &case.wanted()).err().unwrap_or_default();
    let at = |v: &PolicyViolation| format!("{:?} {}", v.rule, v.inst.map_or(0, |i| i.0));
    let rules: Vec<_> = found.iter().map(at).collect();
    let rules = if rules.is_empty() { "holds".to_owned() } else { rules.join(", ") };
    Some(format!("{rules}, {digest:08x}"))
}

/// The cases, each without one of its statements: the rules that are broken, and where, and what the kernel does as
/// one number.
#[test]
fn of_cases_that_lack_a_statement() {
    let mut text = String::new();
    for case in all() {
        writeln!(text, "{} ({:?})", case.name, case.acc).expect("text");
        for Range { start, end } in statements(case.body) {
            let body = format!("{}{}", &case.body[..start], &case.body[end..]);
            let lacking = case.body[start..end].trim();
            in_short(case, &body).into_iter().for_each(|said| writeln!(text, "  {lacking} {said}").expect("text"));
        }
    }
    ptxgen_builder::assert_golden!("tests/precision_cases/told/lacking.txt", text);
}

/// And with another number or guard.
#[test]
fn of_cases_with_another_number() {
    let mut text = String::new();
    for case in all() {
        writeln!(text, "{} ({:?})", case.name, case.acc).expect("text");
        for (what, body) in changed(case.body) {
            in_short(case, &body).into_iter().for_each(|said| writeln!(text, "  {what}: {said}").expect("text"));
        }
    }
    ptxgen_builder::assert_golden!("tests/precision_cases/told/changed.txt", text);
}
