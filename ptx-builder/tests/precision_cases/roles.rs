//! What is special about outputs that are updated in place, and about those that hold 16-bit floats.

use ptxgen_builder::analysis::precision::facts;

use super::policy::FACTORS;
use super::*;

/// A kernel of two pointers `%x` and `%y`.
fn module(body: &str) -> Validated {
    let text = format!(
        ".version 8.7\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 x, .param .u64 y) {{\n\
         .reg .pred %p<4>; .reg .b16 %h<8>; .reg .b32 %r<8>, %i; .reg .b64 %x, %y, %o, %a<4>; .reg .f32 %f<8>; .reg .f64 %d<8>;\n\
         ld.param.u64 %x, [x]; ld.param.u64 %y, [y];\n{body}\nret;\n}}\n"
    );
    let module = parse("k.ptx", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    verify(module).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

const LOAD: &str = "ld.global.f32 %f0, [%a0]; cvt.f64.f32 %d0, %f0; add.rn.f64 %d1, %d0, %d0; cvt.rn.f32.f64 %f1, %d1;";
const STORE: &str = "st.global.f32 [%a0], %f1;";
const PLACE: &str = "mul.wide.u32 %o, %i, 4; add.s64 %a0, %x, %o;";

/// In a loop over elements, each round may seem to read what the one before has written.
fn looped(body: &str) -> String {
    format!("mov.u32 %i, 0; L: {body} add.u32 %i, %i, 1; setp.lt.u32 %p0, %i, 8; @%p0 bra L;")
}

/// An element that is read and then written at one address is not taken for one that an earlier round has written.
#[test]
fn what_is_updated_in_place_is_not_read_back() {
    let whole = looped(&format!("{PLACE} {LOAD} {STORE}"));
    let fed_back =
        |body: &str, role| !facts(&module(body), 0, &[role, Role::Other], &FACTORS).looped_narrowings.is_empty();
    assert!(!fed_back(&whole, Role::InPlace));
    assert!(fed_back(&whole, Role::Output));
    for (what, body) in [
        ("another element", looped(&format!("{PLACE} {LOAD} st.global.f32 [%a0+4], %f1;"))),
        ("another register", looped(&format!("{PLACE} add.s64 %a1, %x, %o; {LOAD} st.global.f32 [%a1], %f1;"))),
        (
            "a pointer that goes on",
            format!("mov.u64 %a0, %x; {}", looped(&format!("{LOAD} {STORE} add.s64 %a0, %a0, 4;"))),
        ),
        (
            "only on one way",
            looped(&format!("{PLACE} setp.eq.u32 %p1, %i, 3; mov.f32 %f1, 0f00000000; @%p1 bra M; {LOAD} M: {STORE}")),
        ),
    ] {
        assert!(fed_back(&body, Role::InPlace), "{what}");
    }
    // On every way, through another block.
    let later = looped(&format!("{PLACE} {LOAD} setp.eq.u32 %p1, %i, 3; @%p1 bra M; {STORE} M:"));
    assert!(!fed_back(&later, Role::InPlace));
}

fn holds(body: &str, role: Role) -> bool {
    let wanted = Requirements {
        accumulator: Some(Accumulator::F32),
        stages: Some(0),
        roles: vec![Role::Other, role],
        ..Requirements::default()
    };
    check(&module(body), 0, &wanted).is_ok()
}

/// What a cache of f16 holds is rounded once, to nearest, just before it is stored, as single values or packed.
#[test]
fn a_cache_takes_its_last_rounding() {
    let sum = "ld.global.f32 %f0, [%x]; add.rn.f32 %f1, %f0, %f0; mul.rn.f32 %f2, %f0, %f1;";
    let rounded = format!("{sum} cvt.rn.f16.f32 %h0, %f1;");
    for (right, what, rest) in [
        (true, "stored", "st.global.b16 [%y], %h0;"),
        (true, "in a pair", "cvt.rn.f16.f32 %h1, %f2; mov.b32 %r0, {%h0, %h1}; st.global.b32 [%y], %r0;"),
        (true, "as an integer", "cvt.u32.u16 %r0, %h0; st.global.b32 [%y], %r0;"),
        (
            true,
            "packed by integers",
            "cvt.rn.f16.f32 %h1, %f2; cvt.u32.u16 %r0, %h0; cvt.u32.u16 %r1, %h1; shl.b32 %r1, %r1, 16; \
             or.b32 %r0, %r0, %r1; st.global.b32 [%y], %r0;",
        ),
        (false, "rounded again", "cvt.f32.f16 %f3, %h0; cvt.rz.f16.f32 %h1, %f3; st.global.b16 [%y], %h1;"),
        (false, "bits taken for a number", "cvt.u32.u16 %r0, %h0; cvt.rn.f16.u32 %h1, %r0; st.global.b16 [%y], %h1;"),
    ] {
        assert_eq!(holds(&format!("{rounded} {rest}"), Role::HalfOutput), right, "{what}");
    }
    assert!(!holds(&format!("{rounded} st.global.b16 [%y], %h0;"), Role::Output));
    // Another rounding is none that a cache takes.
    assert!(!holds(&format!("{sum} cvt.rz.f16.f32 %h0, %f1; st.global.b16 [%y], %h0;"), Role::HalfOutput));
}

/// A loop of two instructions feeds a rounding back into itself as one of a single one does.
#[test]
fn a_loop_of_two() {
    let body = "ld.global.f32 %f0, [%x]; mov.u32 %i, 0; L: cvt.f64.f32 %d0, %f0; cvt.rn.f32.f64 %f0, %d0; \
                add.u32 %i, %i, 1; setp.lt.u32 %p0, %i, 8; @%p0 bra L; st.global.f32 [%y], %f0;";
    let found = facts(&module(body), 0, &[Role::Other, Role::Output], &FACTORS);
    assert_eq!((found.narrowings.len(), found.looped_narrowings.len()), (1, 1));
    let once = "ld.global.f32 %f0, [%x]; cvt.f64.f32 %d0, %f0; cvt.rn.f32.f64 %f0, %d0; st.global.f32 [%y], %f0;";
    assert_eq!(facts(&module(once), 0, &[Role::Other, Role::Output], &FACTORS).looped_narrowings.len(), 0);
}

/// What addresses, masks of lanes and conditions are computed of is no part of a number, whatever registers they share.
#[test]
fn addresses_and_masks_are_no_numbers() {
    let start = "ld.global.f32 %f0, [%x]; mul.rn.f32 %f1, %f0, %f0;";
    for (what, body) in [
        (
            "an address",
            "cvt.rzi.u64.f32 %a0, %f1; add.u64 %a0, %a0, %x; ld.global.u64 %a0, [%a0]; st.global.u64 [%y], %a0;",
        ),
        (
            "a mask",
            "cvt.rzi.u32.f32 %r0, %f1; mov.u32 %r1, %laneid; redux.sync.add.u32 %r2, %r1, %r0; st.global.u32 [%y], %r2;",
        ),
        (
            "the mask of a shuffle",
            "cvt.rzi.u32.f32 %r0, %f1; mov.u32 %r1, %laneid; shfl.sync.idx.b32 %r2, %r1, 0, 31, %r0; st.global.u32 [%y], %r2;",
        ),
        (
            "the lane of a shuffle",
            "cvt.rzi.u32.f32 %r0, %f1; mov.u32 %r1, %laneid; shfl.sync.idx.b32 %r2, %r1, %r0, 31, -1; st.global.u32 [%y], %r2;",
        ),
        (
            "a condition",
            "setp.lt.f32 %p0, %f1, %f0; mov.u32 %r1, %laneid; selp.u32 %r2, %r1, 5, %p0; st.global.u32 [%y], %r2;",
        ),
    ] {
        let found = facts(&module(&format!("{start} {body}")), 0, &[Role::Other, Role::Output], &FACTORS);
        assert_eq!((found.outputs.len(), found.arithmetic.len()), (1, 0), "{what}");
    }
    let whole = format!("{start} st.global.f32 [%y], %f1;");
    assert_eq!(facts(&module(&whole), 0, &[Role::Other, Role::Output], &FACTORS).arithmetic.len(), 1);
}

/// An f32 that was rounded from f64 has lost what an f64 of it would lack; one that is made of an integer is what it is.
#[test]
fn only_a_rounded_sum_is_not_to_be_widened() {
    let accumulator = Some(Accumulator::F32);
    let wanted = Requirements { accumulator, roles: vec![Role::Other, Role::Output], ..Requirements::default() };
    let end = "cvt.f64.f32 %d2, %f1; cvt.rn.f32.f64 %f2, %d2; st.global.f32 [%y], %f2;";
    let lost = |body: &str| {
        let found = check(&module(&format!("{body} {end}")), 0, &wanted).expect_err("f64 under acc=f32");
        found.iter().any(|v| v.rule == LostBits)
    };
    assert!(!lost("mov.u32 %r1, %laneid; cvt.rn.f32.u32 %f1, %r1;"));
    assert!(lost("ld.global.f32 %f0, [%x]; cvt.f64.f32 %d0, %f0; add.rn.f64 %d1, %d0, %d0; cvt.rn.f32.f64 %f1, %d1;"));
}
