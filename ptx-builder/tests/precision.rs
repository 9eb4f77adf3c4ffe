//! The precision analysis on two small kernels that keep their policies, and
//! on changed ones that break each rule once.

use ptxgen_builder::analysis::precision::{
    Accumulator, Facts, PolicyRule, PolicyViolation, Products, Reduction, Requirements, Role, check, facts,
};
use ptxgen_builder::parse::parse;
use ptxgen_builder::types::ScalarType;
use ptxgen_builder::verify::{Validated, verify};

mod policy;

use policy::{ACTIVATIONS, APART, CHOICE_IN_F64, FACTORS, FLOATS, INTEGERS, WEIGHTS, of_weights};

const Q8K_F64: &str = include_str!("precision/q8k_f64.ptx");
const F32_F32: &str = include_str!("precision/f32_f32.ptx");

const CHOICE: &str = include_str!("precision/choice.ptx");

const ROLES: [Role; 3] = [WEIGHTS, ACTIVATIONS, Role::Output];

fn requirements(acc: Accumulator, products: Products) -> Requirements {
    Requirements {
        accumulator: Some(acc),
        own_types: Vec::new(),
        factors: FACTORS,
        products: Some(products),
        allow_approximate: false,
        stages: Some(1),
        stages_of: Vec::new(),
        roles: ROLES.to_vec(),
    }
}

fn integers_f64() -> Requirements {
    requirements(Accumulator::F64, INTEGERS)
}

fn f32_f32() -> Requirements {
    requirements(Accumulator::F32, FLOATS)
}

fn load(text: &str) -> Validated {
    verify(parse("gemv.ptx", text).unwrap_or_else(|e| panic!("{e}"))).unwrap_or_else(|e| panic!("{e}"))
}

fn hold(text: &str, wanted: &Requirements) -> Result<Facts, Vec<PolicyViolation>> {
    let v = load(text);
    check(&v, 0, wanted)
}

/// The text with the line `from` replaced by `to`, lines apart by semicolons.
fn changed(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "'{from}' stands once in the kernel");
    text.replace(from, &to.replace("; ", ";\n\t"))
}

/// The changed kernel breaks exactly these rules, at lines that contain these texts.
#[track_caller]
fn breaks(text: &str, wanted: &Requirements, expected: &[(PolicyRule, &str)]) {
    let violations = hold(text, wanted).expect_err("the policy is broken");
    let lines: Vec<&str> = text.lines().collect();
    let found: Vec<(PolicyRule, &str)> = violations
        .iter()
        .map(|v| (v.rule, v.loc.as_ref().filter(|_| v.inst.is_some()).map_or("", |l| lines[l.line as usize - 1])))
        .collect();
    let messages: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expected.len(), "{}", messages.join("\n"));
    for ((rule, line), (want, part)) in found.iter().zip(expected) {
        assert!(rule == want && line.contains(part), "{}", messages.join("\n"));
    }
}

#[test]
fn sound_kernels_keep_their_policies() {
    let facts = hold(Q8K_F64, &integers_f64()).unwrap_or_else(|v| panic!("{}", v[0]));
    assert_eq!(facts.stages, 1);
    assert_eq!(facts.integer_products.len(), 1);
    let sums: Vec<_> = facts.accumulations.iter().map(|a| (a.ty, a.reduction)).collect();
    use Reduction::{Lanes, Loop, Shared};
    assert_eq!(sums, [(ScalarType::F64, Loop), (ScalarType::F64, Lanes), (ScalarType::F64, Shared)]);
    let facts = hold(F32_F32, &f32_f32()).unwrap_or_else(|v| panic!("{}", v[0]));
    assert_eq!(facts.stages, 0);
    assert_eq!(facts.decoded_products.len(), 2);
}

#[test]
fn policies_are_told_apart() {
    let f64_under_f32 = hold(Q8K_F64, &requirements(Accumulator::F32, INTEGERS)).expect_err("f64 sums");
    assert!(f64_under_f32.iter().all(|v| v.rule == PolicyRule::WideArithmetic));
    assert!(f64_under_f32.iter().any(|v| v.instruction.as_deref().is_some_and(|i| i.starts_with("fma.rn.f64"))));
    let f32_under_f64 = hold(F32_F32, &requirements(Accumulator::F64, FLOATS)).expect_err("f32 sums");
    let rules: Vec<_> = f32_under_f64.iter().map(|v| v.rule).collect();
    use PolicyRule::{NarrowArithmetic, RoundingCount};
    assert_eq!(rules, [NarrowArithmetic, NarrowArithmetic, RoundingCount]);
    let integers = requirements(Accumulator::F64, FLOATS);
    breaks(Q8K_F64, &integers, &[(PolicyRule::IntegerProduct, "dp4a")]);
    let floats = requirements(Accumulator::F32, INTEGERS);
    use PolicyRule::{DecodedProduct, NoIntegerProduct};
    breaks(F32_F32, &floats, &[(DecodedProduct, "mul.rn"), (DecodedProduct, "fma.rn"), (NoIntegerProduct, "")]);
}

/// What numbers apart alone give is in f64, what weights take part in too, and the rest in the accumulator.
#[test]
fn a_choice_and_products_with_weights() {
    let roles = vec![WEIGHTS, ACTIVATIONS, APART, Role::Output];
    let f32 =
        Requirements { own_types: vec![CHOICE_IN_F64, of_weights(Accumulator::F64)], stages: None, roles, ..f32_f32() };
    let facts = hold(CHOICE, &f32).unwrap_or_else(|v| panic!("{}", v[0]));
    assert_eq!((facts.accumulations.len(), facts.narrowings.len()), (2, 1));
    use PolicyRule::{NarrowArithmetic, WideArithmetic};
    let f64 = Requirements { accumulator: Some(Accumulator::F64), ..f32.clone() };
    breaks(CHOICE, &f64, &[(NarrowArithmetic, "add.rn.f32"), (NarrowArithmetic, "mul.rn.f32")]);
    let weights = Requirements { own_types: vec![CHOICE_IN_F64], ..f32.clone() };
    let wide = ["mul.rn.f64", "cvt.f64.f32 %fd4", "cvt.f64.f32 %fd5"].map(|line| (WideArithmetic, line));
    let found = hold(CHOICE, &weights).expect_err("a product in f64");
    assert_eq!(found.len(), wide.len());
    let narrow = changed(
        CHOICE,
        "div.rn.f64 %fd3, %fd0, %fd2;",
        "cvt.rn.f32.f64 %f6, %fd2; cvt.rn.f32.f64 %f7, %fd0; div.rn.f32 %f6, %f7, %f6; cvt.f64.f32 %fd3, %f6;",
    );
    breaks(&narrow, &f32, &[(NarrowArithmetic, "div.rn.f32")]);
    let product = changed(CHOICE, "mul.rn.f64 %fd6, %fd4, %fd5;", "mul.rn.f32 %f6, %f1, %f4; cvt.f64.f32 %fd6, %f6;");
    breaks(&product, &f32, &[(NarrowArithmetic, "mul.rn.f32 %f6")]);
    // Something else takes part, so it is no choice.
    let mixed =
        changed(CHOICE, "div.rn.f64 %fd3, %fd0, %fd2;", "ld.global.f64 %fd7, [%rd1]; div.rn.f64 %fd3, %fd7, %fd2;");
    assert!(hold(&mixed, &f32).is_err());
}

#[test]
fn a_sum_in_f32() {
    let text = changed(
        Q8K_F64,
        "add.rn.f64 %fd6, %fd0, %fd5;",
        "cvt.rn.f32.f64 %f3, %fd0; cvt.rn.f32.f64 %f4, %fd5; add.rn.f32 %f5, %f3, %f4; cvt.f64.f32 %fd6, %f5;",
    );
    let rules = [(PolicyRule::NarrowArithmetic, "add.rn.f32"), (PolicyRule::RoundingCount, "cvt.rn.f32.f64 %f2")];
    breaks(&text, &integers_f64(), &rules);
}

#[test]
fn an_integer_sum_rounded_to_f32() {
    let text = changed(Q8K_F64, "cvt.rn.f64.s32 %fd4, %r4;", "cvt.rn.f32.s32 %f3, %r4; cvt.f64.f32 %fd4, %f3;");
    breaks(&text, &integers_f64(), &[(PolicyRule::NarrowArithmetic, "cvt.rn.f32.s32")]);
}

#[test]
fn a_product_of_scales_in_f32() {
    let text = changed(Q8K_F64, "mul.rn.f64 %fd3, %fd1, %fd2;", "mul.rn.f32 %f3, %f1, %f0; cvt.f64.f32 %fd3, %f3;");
    breaks(&text, &integers_f64(), &[(PolicyRule::NarrowArithmetic, "mul.rn.f32")]);
}

#[test]
fn a_rounding_in_the_loop() {
    let fma = "fma.rn.f64 %fd0, %fd3, %fd4, %fd0;";
    let text = changed(Q8K_F64, fma, &format!("{fma} cvt.rn.f32.f64 %f3, %fd0; cvt.f64.f32 %fd0, %f3;"));
    let rules = [(PolicyRule::RoundingInLoop, "cvt.rn.f32.f64 %f3"), (PolicyRule::RoundingCount, "cvt.rn.f32.f64 %f2")];
    breaks(&text, &integers_f64(), &rules);
}

#[test]
fn a_rounding_through_shared_memory() {
    let text = changed(Q8K_F64, "st.shared.f64 [part], %fd6;", "cvt.rn.f32.f64 %f3, %fd6; st.shared.f32 [part], %f3;");
    let text = changed(&text, "ld.shared.f64 %fd7, [part+8];", "ld.shared.f32 %f4, [part+8]; cvt.f64.f32 %fd7, %f4;");
    breaks(&text, &integers_f64(), &[(PolicyRule::RoundingCount, "cvt.rn.f32.f64 %f2")]);
    // Two stages are what some kernels have.
    hold(&text, &Requirements { stages: Some(2), ..integers_f64() }).unwrap_or_else(|v| panic!("{}", v[0]));
}

#[test]
fn a_rounding_toward_zero() {
    let text = changed(Q8K_F64, "cvt.rn.f32.f64 %f2, %fd8;", "cvt.rz.f32.f64 %f2, %fd8;");
    breaks(&text, &integers_f64(), &[(PolicyRule::RoundingMode, "cvt.rz"), (PolicyRule::LostBits, "cvt.rz")]);
}

#[test]
fn no_rounding_at_all() {
    let text = changed(Q8K_F64, "st.global.f32 [%rd2], %f2;", "st.global.f64 [%rd2], %fd8;");
    breaks(&text, &integers_f64(), &[(PolicyRule::RoundingCount, "st.global.f64")]);
}

#[test]
fn decoded_weights_in_a_float_product() {
    let text = changed(
        Q8K_F64,
        "cvt.rn.f64.s32 %fd4, %r4;",
        "cvt.rn.f64.s32 %fd9, %r3; cvt.rn.f64.s32 %fd10, %r2; mul.rn.f64 %fd4, %fd9, %fd10;",
    );
    breaks(&text, &integers_f64(), &[(PolicyRule::DecodedProduct, "mul.rn.f64 %fd4")]);
}

#[test]
fn a_nibble_in_a_mantissa_is_a_decoded_weight() {
    let text = changed(
        Q8K_F64,
        "cvt.f64.f32 %fd1, %f1;",
        "or.b32 %r11, %r3, 0x40000000; mov.b32 %f3, %r11; mul.rn.f32 %f4, %f1, %f3; cvt.f64.f32 %fd1, %f4;",
    );
    let violations = hold(&text, &integers_f64()).expect_err("a decoded weight");
    let first = violations.iter().find(|v| v.rule == PolicyRule::DecodedProduct).expect("a decoded product");
    assert_eq!(first.instruction.as_deref(), Some("mul.rn.f32 %f4, %f1, %f3;"));
}

#[test]
fn no_integer_product() {
    let text = changed(Q8K_F64, "dp4a.s32.s32 %r4, %r3, %r2, 0;", "add.s32 %r4, %r2, 0;");
    let found = hold(&text, &integers_f64()).expect_err("no product");
    assert!(found.iter().any(|v| v.rule == PolicyRule::NoIntegerProduct && v.inst.is_none()));
}

#[test]
fn quantized_activations_under_f32() {
    let text =
        changed(F32_F32, "mov.b32 %f0, %r2;", "mov.b32 %f8, %r2; cvt.rni.s32.f32 %r7, %f8; cvt.rn.f32.s32 %f0, %r7;");
    breaks(&text, &f32_f32(), &[(PolicyRule::Quantization, "cvt.rni")]);
}

#[test]
fn approximate_and_unwritten_and_flushing() {
    let add = |line: &str| changed(F32_F32, "mov.f32 %f4, 0f00000000;", &format!("mov.f32 %f4, 0f00000000; {line}"));
    let approximate = add("ex2.approx.f32 %f9, %f1;");
    breaks(&approximate, &f32_f32(), &[(PolicyRule::Approximate, "ex2.approx")]);
    hold(&approximate, &Requirements { allow_approximate: true, ..f32_f32() }).unwrap_or_else(|v| panic!("{}", v[0]));
    breaks(&add("mul.f32 %f9, %f1, %f1;"), &f32_f32(), &[(PolicyRule::UnwrittenRounding, "mul.f32")]);
    breaks(&add("mul.rn.ftz.f32 %f9, %f1, %f1;"), &f32_f32(), &[(PolicyRule::Flush, "mul.rn.ftz")]);
}

#[test]
fn approximate_functions_behind_a_sum_in_f64() {
    let text = changed(
        Q8K_F64,
        "st.global.f32 [%rd2], %f2;",
        "cvt.f64.f32 %fd9, %f2; mul.rn.f64 %fd10, %fd9, 0d3FF0000000000000; cvt.rn.f32.f64 %f3, %fd10; \
         ex2.approx.f32 %f4, %f3; cvt.f64.f32 %fd11, %f4; add.rn.f64 %fd9, %fd11, 0d3FF0000000000000; \
         cvt.rn.f32.f64 %f5, %fd9; st.global.f32 [%rd2], %f5;",
    );
    // The sum and the function are a stage each; the function's argument is none.
    let approximate = Requirements { allow_approximate: true, stages: Some(2), ..integers_f64() };
    hold(&text, &approximate).unwrap_or_else(|v| panic!("{}", v[0]));
    use PolicyRule::{Approximate, NarrowArithmetic, RoundingCount};
    breaks(&text, &Requirements { stages: Some(3), ..approximate.clone() }, &[(RoundingCount, "cvt.rn.f32.f64 %f5")]);
    let exact = Requirements { stages: Some(2), ..integers_f64() };
    breaks(&text, &exact, &[(NarrowArithmetic, "ex2.approx"), (Approximate, "ex2.approx")]);
    // Nor are approximate functions an excuse for f32 around them.
    let around = changed(
        &text,
        "add.rn.f64 %fd9, %fd11, 0d3FF0000000000000;",
        "add.rn.f32 %f6, %f4, 0f3F800000; cvt.f64.f32 %fd9, %f6;",
    );
    breaks(&around, &approximate, &[(NarrowArithmetic, "add.rn.f32 %f6")]);
    // Approximate functions are no excuse for the sum before them.
    let sum = changed(
        &text,
        "add.rn.f64 %fd6, %fd0, %fd5;",
        "cvt.rn.f32.f64 %f6, %fd0; cvt.rn.f32.f64 %f7, %fd5; add.rn.f32 %f1, %f6, %f7; cvt.f64.f32 %fd6, %f1;",
    );
    let rules = [(NarrowArithmetic, "add.rn.f32 %f1"), (RoundingCount, "cvt.rn.f32.f64 %f5")];
    breaks(&sum, &approximate, &rules);
}

#[test]
fn weights_through_copies_and_rounded_addresses() {
    let load = "ld.global.b32 %r1, [%rd4];";
    let staged = "cp.async.ca.shared.global [stage], [%rd4], 16; cp.async.commit_group; cp.async.wait_all; ld.shared.b32 %r1, [stage];";
    let text = changed(Q8K_F64, load, staged);
    let floats = requirements(Accumulator::F64, FLOATS);
    hold(&text, &integers_f64()).unwrap_or_else(|v| panic!("{}", v[0]));
    breaks(&text, &floats, &[(PolicyRule::IntegerProduct, "dp4a")]);
    let text = changed(Q8K_F64, load, "and.b64 %rd6, %rd4, -4; ld.global.b32 %r1, [%rd6];");
    hold(&text, &integers_f64()).unwrap_or_else(|v| panic!("{}", v[0]));
    breaks(&text, &floats, &[(PolicyRule::IntegerProduct, "dp4a")]);
}

#[test]
fn float_atomics() {
    let text = changed(F32_F32, "st.global.f32 [%rd2], %f7;", "red.relaxed.gpu.global.add.f32 [%rd2], %f7;");
    breaks(&text, &f32_f32(), &[(PolicyRule::LostBits, "red.relaxed"), (PolicyRule::FloatAtomic, "red.relaxed")]);
}

#[test]
fn float_matrices() {
    let mma = "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f8, %f9, %f10, %f11}, {%r7, %r7, %r7, %r7}, {%r7, %r7}, {%f4, %f4, %f4, %f4};";
    let zero = "mov.f32 %f4, 0f00000000;";
    let text = changed(F32_F32, zero, &format!("{zero} mov.u32 %r7, 0; {mma}"));
    breaks(&text, &f32_f32(), &[(PolicyRule::FloatMatrix, "mma.sync")]);
}

#[test]
fn nothing_stored() {
    let text = changed(F32_F32, "\tst.global.f32 [%rd2], %f7;\n", "");
    breaks(&text, &f32_f32(), &[(PolicyRule::NoOutput, "")]);
}

#[test]
fn without_roles_every_global_store_is_an_output() {
    let v = load(Q8K_F64);
    let facts = facts(&v, 0, &[], &FACTORS);
    assert_eq!((facts.outputs.len(), facts.stages, facts.accumulations.len()), (1, 1, 3));
}
