//! Forms of text that an assembler reads.

use ptxgen_builder::parse::parse;
use ptxgen_builder::ptxas::Ptxas;
use ptxgen_builder::target::Target;

use super::{body, each};

#[test]
fn constant_expressions() {
    assert_eq!(body("sm_80", "", "add.u32 %v, %v, (3+4)*2-WARP_SZ/8;"), each(|x| x + 10));
    assert_eq!(
        body(
            "sm_80",
            ".global .u32 g[2*2] = {1+1, 2, 3, 1<<4};",
            ".reg .b32 %w; ld.global.u32 %w, [g+4*3]; add.u32 %v, %v, %w;"
        ),
        each(|x| x + 16)
    );
}

#[test]
fn vectors_of_one_sinks_and_constant_predicates() {
    assert_eq!(
        body("sm_80", "", ".reg .b16 %h; .reg .b32 %w; mov.b32 {%h, _}, %v; cvt.u32.u16 %w, %h; mov.b32 {%v}, %w;"),
        each(|x| x)
    );
    assert_eq!(body("sm_80", "", ".reg .pred %p; mov.pred %p, -1; @%p add.u32 %v, %v, 1;"), each(|x| x + 1));
}

#[test]
fn registers_of_vectors_and_of_128_bits() {
    let vector = ".reg .v2 .b32 %w; mov.u32 %w.x, %v; mov.u32 %w.y, 7; .reg .b64 %d; mov.b64 %d, %w; cvt.u32.u64 %v, %d; add.u32 %v, %v, %w.g;";
    assert_eq!(body("sm_80", "", vector), each(|x| x + 7));
    let wide = ".reg .b128 %q<2>; .reg .b64 %x<3>; cvt.u64.u32 %x0, %v; mov.b128 %q0, {%x0, 5}; mov.b128 %q1, %q0; mov.b128 {%x1, %x2}, %q1; \
         add.u64 %x1, %x1, %x2; cvt.u32.u64 %v, %x1;";
    let two = wide.replace("{%x0, 5}", "{%x0, %x1}").replace("cvt.u64.u32 %x0", "mov.u64 %x1, 5; cvt.u64.u32 %x0");
    assert_eq!(body("sm_90", "", &two), each(|x| x + 5));
}

#[test]
fn carries_go_from_word_to_word() {
    let carry = ".reg .b32 %w; sub.cc.u32 %w, %v, 5; subc.u32 %v, 0, 0;";
    assert_eq!(body("sm_80", "", carry), each(|x| if x < 5 { u32::MAX } else { 0 }));
}

#[test]
fn atomics_of_vectors_are_one_each() {
    let text = ".reg .f32 %f<4>; mov.b64 %i, %a; mov.f32 %f0, 0f3F800000; mov.f32 %f1, %f0; \
         atom.global.v2.f32.add {%f0, %f1}, [sum], {%f0, %f1}; cvt.rzi.u32.f32 %v, %f0;";
    let mut words = body("sm_90", ".global .align 8 .b8 sum[8];", text);
    words.sort_unstable();
    assert_eq!(words, each(|x| x));
}

#[test]
fn addresses_among_initial_values() {
    let globals = ".global .align 4 .u32 g = 7;\n.global .align 8 .u64 p[2] = {g, generic(g)};\n\
         .const .align 8 .b8 parts[8] = {0xFF(g), 0xFF00(g), 0xFF0000(g), 0xFF000000(g), 0xFF00000000(g), 0xFF0000000000(g), 0xFF000000000000(g), 0xFF00000000000000(g)};";
    let load = ".reg .b64 %x; .reg .b32 %w; ld.global.u64 %x, [p+8]; ld.u32 %w, [%x]; add.u32 %v, %v, %w; ld.const.u64 %x, [parts]; ld.global.u32 %w, [%x]; add.u32 %v, %v, %w;";
    assert_eq!(body("sm_80", globals, load), each(|x| x + 14));
}

/// What is only a hint is no error, and the assembler takes it, too.
#[test]
fn hints() {
    let text = ".version 8.0\n.target sm_80\n.address_size 64\n.common .global .u32 c;\n.global .align 4 .b8 s[] = {1, 2, 3};\n\
         .visible .entry k(.param .u64 a)\n{\n.loc 9 1 1\n.pragma \"anything at all\";\n.reg .b64 %a; .reg .b32 %r;\n\
         ld.param.u64 %a, [a];\nld.global.L1::evict_last.u32 %r, [%a];\nst.weak.global.u32 [%a], %r;\nret;\n}\n";
    parse("t", text).unwrap_or_else(|e| panic!("{e}"));
    let Some(ptxas) = Ptxas::for_tests() else { return };
    ptxas.assemble(text, Target::SM_80).unwrap_or_else(|e| panic!("{e}"));
}

/// Written scopes beyond the block are the block's in its own shared memory; every order of every operation is read.
#[test]
fn orders_and_scopes_of_atomics() {
    let text = ".shared .align 4 .b8 s[4]; .reg .b32 %w; st.shared.u32 [s], 0; bar.sync 0;\n\
         atom.relaxed.sys.shared.add.u32 %w, [s], 1; atom.acq_rel.gpu.shared.max.u32 %w, [s], 40; bar.sync 0;\n\
         ld.shared.u32 %w, [s]; add.u32 %v, %v, %w;";
    assert_eq!(body("sm_80", "", text), each(|x| x + 40));
    let text = ".reg .f32 %f; .reg .b32 %w<2>; atom.global.gpu.acq_rel.add.f32 %f, [g], 0f3F800000;\n\
         ld.relaxed.gpu.global.v2.u32 {%w0, %w1}, [g]; add.u32 %v, %v, %w1;";
    assert_eq!(body("sm_80", ".global .align 8 .u32 g[2] = {0, 3};", text), each(|x| x + 3));
}

/// What the driver would set is 0, and a launch without clusters is one of its own.
#[test]
fn registers_of_environments_and_clusters() {
    let text = ".reg .b32 %w; mov.u32 %w, %envreg3; add.u32 %v, %v, %w; mov.b32 %w, %cluster_nctaid.y; add.u32 %v, %v, %w;\n\
         mov.u32 %w, %clusterid.z; add.u32 %v, %v, %w;";
    assert_eq!(body("sm_90", "", text), each(|x| x + 1));
}

/// Sparse and scaled products are read, verified and printed, and refused by name where they would run.
#[test]
fn products_that_do_not_run_are_refused_by_name() {
    let products = [
        (
            "sm_80",
            "mma.sp.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%r0, %r1}, {%r2, %r3}, {%r4, %r5}, {%r0, %r1}, %r6, 0;",
        ),
        (
            "sm_120a",
            "mma.sync.aligned.m16n8k32.row.col.kind::f8f6f4.f16.e2m1.e3m2.f16 {%r0, %r1}, {%r2, %r3, %r4, %r5}, {%r6, %r7}, {%r0, %r1};",
        ),
    ];
    for (target, product) in products {
        let zeros = (0..8).map(|i| format!("mov.b32 %r{i}, 0;")).collect::<String>();
        let text = format!(".visible .entry k(.param .u64 a) {{ .reg .b32 %r<8>; {zeros} {product} ret; }}\n");
        let module = super::module_of(target, &text);
        let refused = super::refusal(&module);
        let name = product.split(' ').next().unwrap_or_default();
        assert!(refused.contains(&format!("`{name}`, which the interpreter does not compute")), "{refused}");
    }
}

/// The assembler refuses them, too.
#[test]
fn modifiers_that_do_not_go_together() {
    for wrong in [
        "ld.volatile.global.L2::cache_hint.u32 %r, [%a], %a;",
        "st.volatile.global.L2::cache_hint.u32 [%a], %r, %a;",
        "cvt.rni.sat.u16.bf16 %h, %h;",
    ] {
        let text = format!(
            ".version 9.0\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 a)\n{{\n.reg .b64 %a; .reg .b32 %r; .reg .b16 %h;\n\
             ld.param.u64 %a, [a];\nmov.b32 %r, 0;\nmov.b16 %h, 0;\n{wrong}\nret;\n}}\n"
        );
        let refused = parse("t", &text).expect_err(wrong).to_string();
        assert!(refused.contains("unknown instruction"), "{refused}");
        let Some(ptxas) = Ptxas::for_tests() else { continue };
        ptxas.assemble(&text, Target::SM_90).expect_err(wrong);
    }
}
