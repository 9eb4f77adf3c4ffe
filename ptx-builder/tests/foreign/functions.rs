//! Functions, calls, indirect jumps, printing and assertions.

use ptxgen_builder::interp::FindingKind;
use ptxgen_builder::parse::parse;

use super::{body, each, module_of, run};

const SQUARE: &str = ".visible .func (.param .b32 r) square(.param .b32 x)\n{\n.reg .b32 %r<3>;\n\
     ld.param.u32 %r1, [x];\nmul.lo.s32 %r2, %r1, %r1;\nst.param.b32 [r+0], %r2;\nret;\n}\n";

fn call(function: &str) -> String {
    format!(
        "{{ .param .b32 p; st.param.b32 [p+0], %v; .param .b32 q;\ncall.uni (q), {function}, (p);\n\
         ld.param.b32 %v, [q+0]; }}"
    )
}

#[test]
fn a_function_computes_where_it_is_called() {
    assert_eq!(body("sm_80", SQUARE, &call("square")), each(|x| x * x));
    // Twice, and under a guard.
    let twice = format!("{}\n{}", call("square"), call("square"));
    assert_eq!(body("sm_80", SQUARE, &twice), each(|x| (x * x) * (x * x)));
    let guarded = ".reg .pred %p; setp.gt.u32 %p, %v, 9;\n{ .param .b32 p; st.param.b32 [p], %v; .param .b32 q;\n\
         @%p call (q), square, (p);\n@%p ld.param.b32 %v, [q]; }";
    assert_eq!(body("sm_80", SQUARE, guarded), each(|x| if x > 9 { x * x } else { x }));
}

#[test]
fn functions_call_each_other_and_return_early() {
    let text = format!(
        ".func (.param .b32 r) outer(.param .b32 x);\n{SQUARE}\
         .func (.param .b32 r) outer(.param .b32 x)\n{{\n.reg .b32 %r<3>; .reg .pred %p;\nld.param.b32 %r1, [x];\n\
         setp.lt.u32 %p, %r1, 5;\n@%p bra Small;\n\
         {{ .param .b32 p; st.param.b32 [p], %r1; .param .b32 q; call (q), square, (p); ld.param.b32 %r1, [q]; }}\n\
         add.u32 %r1, %r1, 1;\nst.param.b32 [r], %r1;\nret;\nSmall:\nst.param.b32 [r], 7;\nret;\n}}\n"
    );
    assert_eq!(body("sm_80", &text, &call("outer")), each(|x| if x < 5 { 7 } else { x * x + 1 }));
}

/// Structures by value, in arrays of bytes.
#[test]
fn arrays_are_passed_in_local_memory() {
    let text = ".func (.param .align 8 .b8 r[8]) swap(.param .align 8 .b8 x[8])\n{\n.reg .b32 %r<3>;\n\
         ld.param.v2.b32 {%r1, %r2}, [x];\nst.param.v2.b32 [r], {%r2, %r1};\nret;\n}\n";
    let call = ".reg .b32 %w, %z;\nadd.u32 %w, %v, 100;\n\
         { .param .align 8 .b8 p[8]; st.param.b32 [p], %v; st.param.b32 [p+4], %w; .param .align 8 .b8 q[8];\n\
         call (q), swap, (p);\nld.param.b32 %v, [q]; ld.param.b32 %z, [q+4]; }\nsub.u32 %v, %v, %z;";
    assert_eq!(body("sm_80", text, call), each(|_| 100));
}

/// Parameters of types that their registers are wider than.
#[test]
fn narrow_values_are_extended() {
    let text = ".func (.param .b32 r) f(.param .b8 x)\n{\n.reg .b32 %r; .reg .b16 %h;\nld.param.s8 %h, [x];\n\
         cvt.s32.s16 %r, %h;\nst.param.b32 [r], %r;\nret;\n}\n";
    let call = "shl.b32 %v, %v, 3;\n{ .param .b8 p; st.param.b8 [p], %v; .param .b32 q; call (q), f, (p);\nld.param.b32 %v, [q]; }";
    assert_eq!(body("sm_80", text, call), each(|x| (x * 8) as u8 as i8 as u32));
}

#[test]
fn indirect_calls_find_their_function() {
    let text = format!(
        "{SQUARE}.func (.param .b32 r) twice(.param .b32 x)\n{{\n.reg .b32 %r;\nld.param.b32 %r, [x];\n\
         shl.b32 %r, %r, 1;\nst.param.b32 [r], %r;\nret;\n}}\n\
         .global .align 8 .u64 table[2] = {{square, twice}};\n"
    );
    let call = ".reg .b64 %f, %g; .reg .b32 %o;\nand.b32 %o, %v, 1;\nmul.wide.u32 %f, %o, 8;\nmov.u64 %g, table;\n\
         add.s64 %f, %f, %g;\nld.global.u64 %f, [%f];\n\
         P: .callprototype (.param .b32 _) _ (.param .b32 _);\n\
         { .param .b32 p; st.param.b32 [p], %v; .param .b32 q; call (q), %f, (p), P;\nld.param.b32 %v, [q]; }";
    assert_eq!(body("sm_80", &text, call), each(|x| if x % 2 == 0 { x * x } else { 2 * x }));
}

#[test]
fn what_calls_itself_is_refused_by_its_name() {
    let text = ".version 8.0\n.target sm_80\n.address_size 64\n.func f()\n{\ncall f;\nret;\n}\n.entry k()\n{\ncall f;\nret;\n}\n";
    let errors = parse("t", text).expect_err("a recursion").to_string();
    assert!(errors.contains("function 'f', which calls itself"), "{errors}");
}

#[test]
fn jumps_by_index() {
    let jump = "rem.u32 %t, %v, 3;\nbrx.idx %t, T;\nT: .branchtargets A, B, C;\n\
         A: add.u32 %v, %v, 10; bra E;\nB: add.u32 %v, %v, 20; bra E;\nC: add.u32 %v, %v, 30;\nE:";
    assert_eq!(body("sm_80", "", jump), each(|x| x + 10 * (x % 3 + 1)));
}

const PRINTS: &str = ".extern .func (.param .b32 r) vprintf(.param .b64 f, .param .b64 a);\n\
     .global .align 1 .b8 text[9] = {37, 100, 32, 37, 46, 49, 102, 10, 0};\n\
     .visible .entry k(.param .u64 a)\n{\n.local .align 8 .b8 args[16];\n.reg .b64 %f, %g; .reg .b32 %t, %n; \
     .reg .f64 %d; .reg .pred %p;\nmov.u32 %t, %tid.x;\nsetp.gt.u32 %p, %t, 2;\n@%p bra E;\n\
     cvt.rn.f64.u32 %d, %t;\nst.local.u32 [args], %t;\nst.local.f64 [args+8], %d;\n\
     mov.u64 %g, args;\ncvta.local.u64 %g, %g;\nmov.u64 %f, text;\ncvta.global.u64 %f, %f;\n\
     { .param .b64 p0; st.param.b64 [p0], %f; .param .b64 p1; st.param.b64 [p1], %g; .param .b32 q;\n\
     call.uni (q), vprintf, (p0, p1);\nld.param.b32 %n, [q]; }\nE:\nret;\n}\n";

#[test]
fn kernels_print() {
    let (_, report) = run(&module_of("sm_80", PRINTS));
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.printed, "0 0.0\n1 1.0\n2 2.0\n");
}

/// What the first thread prints, of arguments that lie in memory as these bytes.
fn printed(format: &str, arguments: &[u8]) -> String {
    let bytes = |all: &[u8]| all.iter().map(|b| b.to_string()).collect::<Vec<_>>().join(", ");
    let zero = [format.as_bytes(), &[0]].concat();
    let ptx = format!(
        ".extern .func (.param .b32 r) vprintf(.param .b64 f, .param .b64 a);\n\
         .global .b8 text[{}] = {{{}}};\n.global .align 8 .b8 args[{}] = {{{}}};\n.global .b8 word[4] = {{97, 98, 99, 0}};\n\
         .visible .entry k(.param .u64 a)\n{{\n.reg .b64 %f, %g; .reg .b32 %t, %n; .reg .pred %p;\nmov.u32 %t, %tid.x;\n\
         setp.gt.u32 %p, %t, 0;\n@%p bra E;\nmov.u64 %g, args;\ncvta.global.u64 %g, %g;\nmov.u64 %f, word;\n\
         cvta.global.u64 %f, %f;\nst.global.u64 [args], %f;\nmov.u64 %f, text;\ncvta.global.u64 %f, %f;\n\
         {{ .param .b64 p0; st.param.b64 [p0], %f; .param .b64 p1; st.param.b64 [p1], %g; .param .b32 q;\n\
         call.uni (q), vprintf, (p0, p1);\nld.param.b32 %n, [q]; }}\nE:\nret;\n}}\n",
        zero.len(),
        bytes(&zero),
        arguments.len(),
        bytes(arguments)
    );
    let (_, report) = run(&module_of("sm_80", &ptx));
    assert!(report.is_clean(), "{report}");
    report.printed.to_string()
}

/// As glibc's printf: what is no conversion is text, `%%` is a percent sign, and `*` takes an argument of 4 bytes.
/// The first argument is a string, "abc".
#[test]
fn formats_take_their_arguments() {
    let mut arguments = vec![0; 8];
    for number in [7u32, 3, 9] {
        arguments.extend(number.to_le_bytes());
    }
    // Aligned to its size.
    arguments.extend([0; 4]);
    arguments.extend(1.5f64.to_le_bytes());
    arguments.extend(5u32.to_le_bytes());
    for (format, text) in [
        ("100%% of %s", "100% of abc"),
        ("%s%y%", "abc%y%"),
        ("%", "%"),
        ("%.2s|", "ab|"),
        ("%5s|", "  abc|"),
        ("%-5s|", "abc  |"),
        ("%s %*d", "abc       3"),
        ("%s %*.*d", "abc     009"),
        ("%s %d %d %d %f %d", "abc 7 3 9 1.500000 5"),
        ("%s %5d%-3d|% d %f %+d", "abc     73  | 9 1.500000 +5"),
        ("%s %d %d %d % f %c", "abc 7 3 9  1.500000 \u{5}"),
        ("%s %d %d %d %a %u", "abc 7 3 9 0x1.8p+0 5"),
    ] {
        assert_eq!(printed(format, &arguments), text, "{format}");
    }
}

#[test]
fn a_failed_assertion_names_its_line() {
    let text = |s: &str| {
        let bytes: Vec<String> = s.bytes().chain([0]).map(|b| b.to_string()).collect();
        format!("[{}] = {{{}}};", bytes.len(), bytes.join(", "))
    };
    let ptx = format!(
        ".extern .func __assertfail(.param .b64 m, .param .b64 f, .param .b32 l, .param .b64 n, .param .b64 s);\n\
         .global .b8 m{}\n.global .b8 f{}\n.global .b8 n{}\n\
         .visible .entry k(.param .u64 a)\n{{\n.reg .b64 %r<4>; .reg .b32 %t; .reg .pred %p;\nmov.u32 %t, %tid.x;\n\
         setp.ne.u32 %p, %t, 5;\n@%p bra E;\nmov.u64 %r1, m;\ncvta.global.u64 %r1, %r1;\nmov.u64 %r2, f;\n\
         cvta.global.u64 %r2, %r2;\nmov.u64 %r3, n;\ncvta.global.u64 %r3, %r3;\n\
         {{ .param .b64 p0; st.param.b64 [p0], %r1; .param .b64 p1; st.param.b64 [p1], %r2; .param .b32 p2; \
         st.param.b32 [p2], 42; .param .b64 p3; st.param.b64 [p3], %r3; .param .b64 p4; st.param.b64 [p4], 1;\n\
         call.uni __assertfail, (p0, p1, p2, p3, p4); }}\nE:\nret;\n}}\n",
        text("x > 0"),
        text("a.cu"),
        text("work")
    );
    let (_, report) = run(&module_of("sm_80", &ptx));
    let fault = report.fault().expect("a failed assertion");
    assert_eq!(fault.kind, FindingKind::Assertion);
    assert!(fault.message.contains("a.cu:42: work: thread (5, 0, 0): assertion `x > 0` failed"), "{fault}");
}

#[test]
fn functions_that_are_not_here_are_refused_by_name() {
    let text = ".extern .func cudaMalloc(.param .b64 n);\n.visible .entry k(.param .u64 a)\n{\n\
         { .param .b64 p; st.param.b64 [p], 16; call cudaMalloc, (p); }\nret;\n}\n";
    let module = module_of("sm_80", text);
    let mut memory = ptxgen_builder::interp::Memory::new();
    let launch = ptxgen_builder::interp::Launch {
        module: &module,
        kernel: "k",
        grid: [1; 3],
        block: [1; 3],
        dynamic_shared: 0,
        args: &[ptxgen_builder::interp::Arg::from(0u64)],
        globals: None,
        options: &ptxgen_builder::interp::Options::default(),
    };
    let why = launch.run(&mut memory).expect_err("a function of another module").to_string();
    assert!(why.contains("it calls 'cudaMalloc'"), "{why}");
}
