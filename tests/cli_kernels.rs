//! `ptxgen list`, `dump`, `check`, `stats` and `diff`: what they print, and their exit codes.

use expect_test::{Expect, expect};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn ptxgen_in(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ptxgen")).args(args).current_dir(dir).output().unwrap()
}

/// Runs a command that prints only to standard output, and ends with `code`.
#[track_caller]
fn prints(args: &[&str], code: i32) -> String {
    let dir = tempfile::tempdir().unwrap();
    let output = ptxgen_in(dir.path(), args);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
    assert_eq!(output.status.code(), Some(code), "{args:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains('\u{1b}'), "no colours in a pipe: {args:?}");
    text
}

/// Runs a command that was called wrongly.
#[track_caller]
fn refuses(args: &[&str], message: Expect) {
    let dir = tempfile::tempdir().unwrap();
    let output = ptxgen_in(dir.path(), args);
    message.assert_eq(&String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(2), "{args:?}");
    assert!(output.stdout.is_empty(), "{args:?}");
}

/// That a kernel of this name is unknown, with a suggestion, and which there are.
fn refuses_name(args: &[&str], name: &str, suggestion: Option<&str>) {
    let dir = tempfile::tempdir().unwrap();
    let output = ptxgen_in(dir.path(), args);
    let did_you_mean = suggestion.map_or(String::new(), |s| format!(", did you mean '{s}'?"));
    let known = ptxgen::dsl::catalogue::TYPICAL.iter().map(|e| e.name).collect::<Vec<_>>().join(", ");
    let message = format!(
        "error: unknown kernel '{name}'{did_you_mean}; known kernels: {known}, and those of other tensor types, \
         q5k-gemv for example\n"
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), message);
    assert_eq!(output.status.code(), Some(2), "{args:?}");
}

/// The text with positions in Rust files as `.rs:LINE`, so that an edit there changes nothing here.
fn without_lines(text: &str) -> String {
    let mut parts = text.split(".rs:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':').trim_start();
        format!("{all}.rs:LINE: {rest}")
    })
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn list() {
    let text = prints(&["list"], 0);
    let (typical, all) = (ptxgen::dsl::catalogue::TYPICAL.len(), ptxgen::dsl::catalogue::CATALOGUE.len());
    let others = format!("and {} of other tensor types, q5k-gemv for example: ptxgen list --every-type", all - typical);
    assert_eq!((text.lines().count(), text.lines().last()), (typical + 1, Some(&*others)));
    assert_eq!(prints(&["list", "--every-type"], 0).lines().count(), all);
    let first = text.lines().next().unwrap();
    expect!["q4k-gemv                  Q4_K matrix times vector; --act f32|q8k --acc f32|f64 --rows 768 --cols 2048 --tokens 1"]
        .assert_eq(first);
    let all = json(&prints(&["list", "--json"], 0));
    assert_eq!(all[0]["name"], "q4k-gemv");
    assert_eq!(all[0]["act"], serde_json::json!(["f32", "q8k"]));
    assert_eq!(all[0]["math"], serde_json::json!([]));
    assert_eq!(all[0]["sizes"], serde_json::json!({"rows": 768, "cols": 2048, "tokens": 1}));
}

#[test]
fn wrong_use() {
    refuses_name(&["dump", "q4k-gemw"], "q4k-gemw", Some("q4k-gemv"));
    refuses(
        &["dump", "swiglu", "--act", "q8k"],
        expect![[r#"
        error: swiglu has no variant with act=q8k; it has no such choice
    "#]],
    );
    refuses(
        &["dump", "swiglu", "--cols", "256"],
        expect![[r#"
        error: swiglu has no size 'cols'; it has rows
    "#]],
    );
    refuses(
        &["dump", "q4k-gemv", "--cols", "100"],
        expect![[r#"
        error: q4k-gemv: cols is 100, expected a multiple of 256, from 256 to 32,768
    "#]],
    );
    refuses(
        &["dump", "q4k-gemv", "--sm", "60"],
        expect![[r#"
        error: invalid value '60' for '--sm <SM>': the kernels are written for sm_75 and later, and sm_60 is older

        For more information, try '--help'.
    "#]],
    );
    // Options that would change nothing.
    refuses(
        &["dump", "q4k-gemv", "--pdl"],
        expect![[r#"
        error: --pdl needs --sm 90 or later, and the target is sm_75
    "#]],
    );
    refuses(
        &["check", "q4k-gemv", "--roles", "weights"],
        expect![[r#"
        error: --roles says what a file's parameters are; the catalogue's kernels say it themselves
    "#]],
    );
    for option in [&["--rows", "5"][..], &["--sm", "90"], &["--pdl"], &["--optimize", "off"]] {
        refuses(
            &[&["check", "k.ptx"], option].concat(),
            expect![[r#"
            error: sizes, --sm, --pdl and --optimize are for kernels of the catalogue; a file is checked unchanged
        "#]],
        );
    }
    // Sizes whose bytes do not fit a number.
    refuses(
        &["dump", "q4k-gemv", "--cols", "4294967040", "--tokens", "4294967295"],
        expect![[r#"
            error: q4k-gemv: tokens is 4294967295, expected 1 to 65,536
        "#]],
    );
    refuses(
        &["dump", "norm-gate-up-swiglu", "--used", "0"],
        expect![[r#"
            error: norm-gate-up-swiglu: used is 0, expected 1 to 16, and no more than there are experts
        "#]],
    );
    refuses(
        &["dump", "q4k-gemv", "--acc", "f16"],
        expect![[r#"
        error: invalid value 'f16' for '--acc <ACC>': unknown acc `f16`: expected f32 or f64

        For more information, try '--help'.
    "#]],
    );
    refuses_name(&["check", "xyzzy"], "xyzzy", None);
    refuses(
        &["check", "moe-down", "--math", "approx"],
        expect![[r#"
        error: moe-down has no variant with math=approx; it has no such choice
    "#]],
    );
    refuses_name(&["stats", "q4k-gemv", "quantise-q8k"], "quantise-q8k", Some("quantize-q8k"));
    refuses(
        &["diff", "q4k-gemv", "--left", "acc=f32", "--right", "acc=f65"],
        expect![[r#"
        error: invalid value 'acc=f65' for '--right <RIGHT>': unknown acc `f65`: expected f32 or f64

        For more information, try '--help'.
    "#]],
    );
}

#[test]
fn dump_of_one_kernel() {
    let small = ["--rows", "8", "--cols", "256", "--act", "q8k", "--acc", "f64"];
    let with = |more: &[&str]| prints(&[&["dump", "q4k-gemv"], &small[..], more].concat(), 0);
    let ptx = with(&[]);
    assert!(ptx.contains(".visible .entry q4k_gemv_q8k_f64_8x256("), "{ptx}");
    assert!(ptx.contains(".target sm_75\n") && with(&["--sm", "90"]).contains(".target sm_90\n"));
    ptxgen::builder::parse::parse("dump", &ptx).unwrap();
    assert!(!ptx.contains(".loc") && with(&["--lineinfo"]).contains("kernel-dsl/src/catalogue/gemv.rs"));
    assert!(with(&["--optimize", "off"]).len() > ptx.len());
    assert!(with(&["--format", "ir"]).contains("block $L"));
    assert_eq!(json(&with(&["--format", "json"]))["target"], "sm_75");

    let dir = tempfile::tempdir().unwrap();
    let output = ptxgen_in(dir.path(), &[&["dump", "q4k-gemv", "-o", "k.ptx"], &small[..]].concat());
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    assert_eq!(fs::read_to_string(dir.path().join("k.ptx")).unwrap(), ptx);
    let output = ptxgen_in(dir.path(), &["dump", "q4k-gemv", "-o", "no/such/folder/k.ptx"]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("error: cannot write no/such/folder/k.ptx\n  caused by: "), "{message}");
}

#[test]
fn two_dumps_are_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["one", "two"] {
        let output = ptxgen_in(dir.path(), &["dump", "--all", "--sm", "90", "-o", folder]);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(output.status.code(), Some(0));
    }
    let files = |folder: &str| {
        let mut all: Vec<_> = fs::read_dir(dir.path().join(folder)).unwrap().map(|f| f.unwrap().file_name()).collect();
        all.sort();
        all
    };
    let (one, two) = (files("one"), files("two"));
    assert_eq!(one, two);
    let variants: usize = ptxgen::dsl::catalogue::TYPICAL.iter().map(|e| e.policies().len()).sum();
    assert_eq!(one.len(), variants + 1);
    for file in &one {
        let read = |folder: &str| fs::read(dir.path().join(folder).join(file)).unwrap();
        assert!(read("one") == read("two"), "{file:?}");
    }
    let index = json(&fs::read_to_string(dir.path().join("one/index.json")).unwrap());
    assert_eq!(index.as_array().unwrap().len(), variants);
    for kernel in index.as_array().unwrap() {
        let text = fs::read_to_string(dir.path().join("one").join(kernel["file"].as_str().unwrap())).unwrap();
        assert!(text.contains(&format!(".visible .entry {}(", kernel["entry"].as_str().unwrap())), "{kernel}");
    }
}

#[test]
fn check_of_kernels() {
    let text = prints(&["check", "--all", "--sm", "90"], 0);
    let n: usize = ptxgen::dsl::catalogue::TYPICAL.iter().map(|e| e.policies().len()).sum();
    assert!(text.ends_with(&format!("{n} of {n} kernels hold\n")) && !text.contains("fault"), "{text}");
    expect![[r#"
        ok    q4k-gemv act=q8k acc=f64: verified; 16 sums in f64 (12 across lanes); rounded to f32 once on the way to a result; 72 integer products, no float product of weights; nothing approximate
    "#]].assert_eq(&without_lines(&prints(&["check", "q4k-gemv", "--policy", "act=q8k,acc=f64,math=exact"], 0)));
    // A kernel compared with another policy.
    expect![[r#"
        fault q4k-gemv act=q8k acc=f32 does not hold act=q8k acc=f64
              kernel-dsl/src/catalogue/matrix.rs:LINE: acc=f64 and this computes in f32 on the way to an output; compute in f64
                in `fma.rn.f32 %f2, %f4, %f12, %f14;`
                in kernel 'q4k_gemv_q8k_f32_768x2048' [narrow-arithmetic] (and 35 more from this line)
              kernel-dsl/src/catalogue/gemv.rs:LINE: acc=f64 and a value is rounded from f64 to f32 0 times on the way to an output; this kernel's stages need 1
                in `@%p5 st.global.f32 [%rd18], %f81;`
                in kernel 'q4k_gemv_q8k_f32_768x2048' [rounding-count]
    "#]].assert_eq(&without_lines(&prints(&["check", "q4k-gemv", "--act", "q8k", "--acc", "f32", "--policy", "acc=f64"], 1)));
    expect![[r#"
        fault swiglu acc=f32 math=approx does not hold acc=f32 math=exact
              kernel-dsl/src/catalogue/swiglu.rs:LINE: math=exact and this instruction is approximate
                in `ex2.approx.f32 %f4, %f3;`
                in kernel 'swiglu_f32_approx_768' [approximate] (and 1 more from this line)
    "#]]
    .assert_eq(&without_lines(&prints(
        &["check", "swiglu", "--math", "approx", "--acc", "f32", "--policy", "math=exact"],
        1,
    )));
}

#[test]
fn check_of_files() {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str], code: i32| {
        let output = ptxgen_in(dir.path(), args);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["dump", "q6k-gemv", "--act", "q8k", "--acc", "f64", "-o", "k.ptx"], 0);
    expect![[r#"
        ok    k.ptx: q6k_gemv_q8k_f64_768x2048: verified; 12 sums in f64 (12 across lanes); nothing approximate
    "#]]
    .assert_eq(&run(&["check", "k.ptx"], 0));
    expect![[r#"
        ok    k.ptx: q6k_gemv_q8k_f64_768x2048: verified; 12 sums in f64 (12 across lanes); rounded to f32 once on the way to a result; nothing approximate
              act not checked: a file does not say which parameters are weights and activations; name them with --roles
    "#]].assert_eq(&run(&["check", "k.ptx", "--policy", "act=q8k,acc=f64"], 0));
    run(&["check", "k.ptx", "--policy", "acc=f64", "--stages", "1"], 0);
    let twice = run(&["check", "k.ptx", "--policy", "acc=f64", "--stages", "2"], 1);
    assert!(twice.contains("this kernel's stages need 2") && twice.contains("[rounding-count]"), "{twice}");
    let roles = ["--roles", "weights,activations,output"];
    expect![[r#"
        ok    k.ptx: q6k_gemv_q8k_f64_768x2048: verified; 64 integer products, no float product of weights; nothing approximate
    "#]].assert_eq(&run(&[&["check", "k.ptx", "--policy", "act=q8k"], &roles[..]].concat(), 0));
    let wrong = run(&[&["check", "k.ptx", "--policy", "act=f32"], &roles[..]].concat(), 1);
    assert!(wrong.contains("[integer-product]"), "{wrong}");

    let text = fs::read_to_string(dir.path().join("k.ptx")).unwrap();
    fs::write(dir.path().join("narrow.ptx"), text.replacen("add.rn.f64", "add.f64", 1)).unwrap();
    let wrong = run(&["check", "narrow.ptx", "--policy", "acc=f64"], 1);
    assert!(wrong.contains("no rounding is written") && wrong.contains("narrow.ptx:"), "{wrong}");
    fs::write(dir.path().join("broken.ptx"), text.replacen("add.rn.f64", "add.rn.f63", 1)).unwrap();
    let wrong = run(&["check", "broken.ptx"], 1);
    assert!(wrong.contains("unknown instruction 'add.rn.f63'"), "{wrong}");
    let missing = ptxgen_in(dir.path(), &["check", "nothing.ptx"]);
    assert!(String::from_utf8_lossy(&missing.stderr).starts_with("error: cannot read nothing.ptx\n"));
    fs::write(dir.path().join("k.txt"), "").unwrap();
    let other = ptxgen_in(dir.path(), &["check", "k.txt"]);
    assert_eq!(other.status.code(), Some(2));
    let message = "error: k.txt is there, but a file of PTX to check is named *.ptx, and no kernel is named so\n";
    assert_eq!(String::from_utf8_lossy(&other.stderr), message);
    assert_eq!(missing.status.code(), Some(1));
    let many = ptxgen_in(dir.path(), &["check", "k.ptx", "--roles", "weights,activations,output,other"]);
    assert_eq!(many.status.code(), Some(2));
}

#[test]
fn stats() {
    // What follows from ptxas is there only where it is installed.
    let text = prints(&["stats", "q4k-gemv", "--act", "q8k"], 0);
    let lines = text.lines().filter(|l| !l.starts_with("registers and spills not shown: "));
    let text: String = lines.map(|l| format!("{}\n", l.split("; ptxas: ").next().unwrap_or(l))).collect();
    expect![[r#"
        q4k-gemv act=q8k acc=f32 (q4k_gemv_q8k_f32_64x2048, sm_75, 131072 weights)
          executed   1.67 a weight: integer 1.07, f32 0.12, warp 0.11, compare 0.07, convert 0.07, load shared 0.06, load global 0.06, move 0.04, store shared 0.04, load param 0.01, barrier 0.01, control 0.01, store global 0.00
          written    455: integer 278, f32 32, warp 28, load global 24, convert 19, compare 18, store shared 18, load shared 16, move 11, control 5, load param 3, barrier 2, store global 1
          global     0.850 bytes and 0.0266 sectors a weight, 99.8% of the sectors used
          shared     1408 passes, 0 of them for bank conflicts
          registers  46 live at most
        q4k-gemv act=q8k acc=f64 (q4k_gemv_q8k_f64_64x2048, sm_75, 131072 weights)
          executed   1.82 a weight: integer 1.07, warp 0.16, move 0.14, f64 0.12, convert 0.08, compare 0.07, load shared 0.06, load global 0.06, store shared 0.04, load param 0.01, barrier 0.01, control 0.01, store global 0.00
          written    493: integer 278, warp 40, move 35, f64 32, load global 24, convert 21, compare 18, store shared 18, load shared 16, control 5, load param 3, barrier 2, store global 1
          global     0.850 bytes and 0.0266 sectors a weight, 99.8% of the sectors used
          shared     1408 passes, 0 of them for bank conflicts
          registers  50 live at most
    "#]].assert_eq(&text);
    let all = json(&prints(&["stats", "q4k-gemv", "swiglu", "--acc", "f64", "--json"], 0));
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 4, "two of q4k-gemv, two of swiglu");
    for stats in all {
        assert!(stats["total_executed_per_weight"].as_f64().unwrap() > 1.0, "{stats}");
        assert!(stats["ptxas"].is_null() || stats["ptxas"]["registers"].as_u64().unwrap() > 0, "{stats}");
    }
}

#[test]
fn diff() {
    let args = ["diff", "q4k-gemv", "--left", "act=q8k,acc=f32", "--right", "act=q8k,acc=f64"];
    expect![[r#"
        --- q4k-gemv act=q8k,acc=f32
        +++ q4k-gemv act=q8k,acc=f64
        @@ line 14 / line 14 @@
             .reg .b32 %r<498>;
             .reg .b64 %rd<32>;
             .reg .f32 %f<25>;
        +    .reg .f64 %fd<20>;
             .shared .align 16 .b8 shared0[4608];
             ld.param.u64        %rd0, [q4k_gemv_q8k_f32_32x512_w];
             cvta.to.global.u64  %rd1, %rd0;
        @@ line 180 / line 181 @@
             add.s32             %r95, %r112, %r248;
             ld.shared.u32       %r232, [%r101];
             mov.b32             {%h1, %h0}, %r232;
        -    cvt.f32.f16         %f1, %h1;
        -    mul.rn.f32          %f4, %f1, %f2;
        -    cvt.f32.f16         %f7, %h0;
        -    mul.rn.f32          %f5, %f7, %f2;
        -    cvt.rn.f32.s32      %f3, %r95;
        -    mul.rn.f32          %f0, %f5, %f3;
        -    neg.f32             %f14, %f0;
        -    cvt.rn.f32.s32      %f12, %r75;
        -    fma.rn.f32          %f11, %f4, %f12, %f14;
        -    shfl.sync.bfly.b32  %f24, %f11, 4, 31, 4294967295;
        -    add.rn.f32          %f10, %f11, %f24;
        +    cvt.f64.f32         %fd1, %f2;
        +    cvt.f64.f16         %fd3, %h1;
        +    mul.rn.f64          %fd5, %fd3, %fd1;
        +    cvt.f64.f16         %fd6, %h0;
        +    mul.rn.f64          %fd4, %fd6, %fd1;
        +    cvt.rn.f64.s32      %fd0, %r95;
        +    mul.rn.f64          %fd7, %fd4, %fd0;
        +    neg.f64             %fd2, %fd7;
        +    cvt.rn.f64.s32      %fd10, %r75;
        +    fma.rn.f64          %fd8, %fd5, %fd10, %fd2;
        +    mov.b64             {%r97, %r64}, %fd8;
        +    shfl.sync.bfly.b32  %r879, %r97, 4, 31, 4294967295;
        +    shfl.sync.bfly.b32  %r344, %r64, 4, 31, 4294967295;
        +    mov.b64             %fd15, {%r879, %r344};
        +    add.rn.f64          %fd19, %fd8, %fd15;
             and.b32             %r431, %r7, 7;
             shl.b32             %r220, %r89, 2;
             add.u32             %r159, %r220, %r28;
        @@ line 199 / line 204 @@
             mad.wide.u32        %rd18, %r170, 4, %rd6;
             setp.lt.u32         %p13, %r89, 8;
             and.pred            %p15, %p18, %p13;
        +    cvt.rn.f32.f64      %f0, %fd19;
             @%p15 st.global.f32 [%rd18], %f10;
             bar.warp.sync       4294967295;
             add.u32             %r97, %r89, 4;
        11 lines removed, 17 added; 231 and 237 lines in all
    "#]]
    .assert_eq(&prints(&args, 0));
    let same = prints(&["diff", "moe-down", "--left", "acc=f64", "--right", "acc=f64"], 0);
    assert!(same.contains("\n0 lines removed, 0 added;"), "{same}");
}

/// What only a run can decide is a warning, and with `--strict` a fault.
#[test]
fn check_warns_of_what_only_a_run_decides() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/ptx-builder/tests/cases/barrier_under_a_parameter.ptx");
    let lenient = prints(&["check", file], 0);
    assert!(lenient.starts_with("warn  ") && lenient.contains("[divergent-barrier]"), "{lenient}");
    assert!(lenient.contains("ok    "), "{lenient}");
    let strict = prints(&["check", file, "--strict"], 1);
    assert!(strict.starts_with("fault ") && strict.contains("[divergent-barrier]"), "{strict}");
}

/// The errors of what a kernel writes, for people and for programs.
#[test]
fn check_measures() {
    let swiglu = ["check", "swiglu", "--acc", "f64", "--math", "exact", "--rows", "64", "--measure"];
    let text = prints(&swiglu, 0);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("ok    swiglu acc=f64 math=exact: verified;"), "{text}");
    assert!(lines[1].starts_with("      h: 64 of 64 elements are inexact; largest error "), "{text}");
    let introduced = "        introduced 100.0%: `cvt.rn.f32.f64 %f0, %fd29;` at kernel-dsl/src/catalogue/swiglu.rs:";
    assert!(lines[2].starts_with(introduced), "{text}");
    assert!(
        lines[3].contains(" numbers rounded to integers, by 0.") && lines[3].contains("`cvt.rni.f64.f64 "),
        "{text}"
    );
    assert_eq!(lines.len(), 4, "{text}");

    let measured = json(&prints(&[&swiglu[..], &["--json"]].concat(), 0));
    let [one] = &measured.as_array().unwrap()[..] else { panic!("{measured}") };
    assert_eq!((&one["kernel"], &one["acc"], &one["holds"]), (&"swiglu".into(), &"f64".into(), &true.into()));
    let h = &one["outputs"][0];
    assert_eq!((&h["name"], &h["elements"], &h["inexact"]), (&"h".into(), &64.into(), &64.into()));
    // Rounded once, from f64.
    let ulps = h["ulps"]["size"].as_f64().unwrap();
    assert!(ulps > 0.3 && ulps <= 0.5 + 1e-6, "{h}");
    assert!(h["introduced"][0]["file"].as_str().unwrap().ends_with("swiglu.rs"), "{h}");
    assert_eq!((h["introduced"][0]["share"].as_f64(), &h["amplified"]), (Some(1.0), &serde_json::json!([])));
    assert!(one["integers"][0]["most"].as_f64().unwrap() <= 0.5, "{one}");

    let dir = tempfile::tempdir().unwrap();
    let file = ptxgen_in(dir.path(), &["check", "k.ptx", "--measure"]);
    assert_eq!(file.status.code(), Some(2));
    expect![[r#"
        error: --measure runs a kernel on inputs, and k.ptx does not say which it takes; give them in a test, `Harness::new(&module).input(..).output(..).shadow()` of ptxgen::testing, or name a kernel of the catalogue
    "#]]
    .assert_eq(&String::from_utf8_lossy(&file.stderr));
    let alone = ptxgen_in(dir.path(), &["check", "swiglu", "--json"]);
    assert!(String::from_utf8_lossy(&alone.stderr).contains("--measure"));
    assert_eq!(alone.status.code(), Some(2));
}
