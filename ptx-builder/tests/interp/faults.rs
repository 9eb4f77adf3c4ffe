//! Mistakes other than races, each at its line.

use ptxgen_builder::interp::{FindingKind, Launch, LaunchError, Memory, Options};

use crate::common::*;

fn run(block: u32, body: &str) -> ptxgen_builder::interp::Report {
    let m = module(".param .u64 x", body);
    let mut mem = Memory::new();
    let x = mem.alloc(&[0; 256], 16).unwrap();
    launch(&m, 1, block, &[x.into()], &mut mem, &Options { max_steps: 100_000, ..Options::default() })
}

#[test]
fn a_store_past_the_buffer() {
    let report = run(
        96,
        "mov.u32 %r0, %tid.x; ld.param.u64 %rd0, [x];
         mul.wide.u32 %rd1, %r0, 4; add.s64 %rd2, %rd0, %rd1;
         st.global.u32 [%rd2], %r0; ret;",
    );
    let f = only(&report, FindingKind::OutOfBounds, 3);
    assert_eq!((f.warp, f.lanes), (2, u32::MAX));
    assert!(f.message.contains("byte 256 of the buffer of 256 bytes"), "{f}");
    assert!(f.site.text.starts_with("st.global.u32"), "{f}");
}

/// What `vprintf` is given is read as the lane that gives it reads it.
#[test]
fn a_bad_pointer_of_one_lane_to_print() {
    let text = ".version 8.0\n.target sm_80\n.address_size 64\n\
        .extern .func (.param .b32 d0) vprintf(.param .b64 a0, .param .b64 a1);\n\
        .global .align 1 .b8 text[4] = {37, 100, 10, 0};\n\
        .visible .entry k() { .reg .pred %p; .reg .b32 %r; .reg .b64 %a, %b; .local .align 16 .b8 values[8];\n\
        mov.u32 %r, %laneid; st.local.u32 [values], %r; mov.u64 %b, values; cvta.local.u64 %b, %b; mov.u64 %a, text;\n\
        cvta.global.u64 %a, %a; setp.eq.u32 %p, %r, 5; @%p mov.u64 %NULL, 0;\n\
        { .param .b64 p0; .param .b64 p1; .param .b32 r0; st.param.b64 [p0], %a; st.param.b64 [p1], %b;\n\
        call (r0), vprintf, (p0, p1); }\nret; }\n";
    for null in ["a", "b"] {
        let m = source(&text.replace("%NULL", &format!("%{null}")));
        let report = launch(&m, 1, 32, &[], &mut Memory::new(), &Options::default());
        let f = only(&report, FindingKind::OutOfBounds, 6);
        assert_eq!((f.lanes, f.message.contains("0x0")), (1 << 5, true), "{f}");
        assert_eq!(report.printed, "0\n1\n2\n3\n4\n", "{null}");
    }
}

#[test]
fn a_null_pointer_and_a_shared_overrun() {
    only(&run(1, "mov.u64 %rd0, 0;\nld.global.u32 %r0, [%rd0]; ret;"), FindingKind::OutOfBounds, 2);
    let report = run(
        64,
        ".shared .align 4 .b8 s[128]; mov.u32 %r0, %tid.x; shl.b32 %r1, %r0, 2; mov.u32 %r2, s; add.u32 %r1, %r1, %r2;
         st.shared.u32 [%r1], %r0; ret;",
    );
    only(&report, FindingKind::OutOfBounds, 2);
}

#[test]
fn a_misaligned_vector() {
    let report = run(
        1,
        "ld.param.u64 %rd0, [x];
         add.s64 %rd0, %rd0, 8;
         ld.global.v4.u32 {%r0, %r1, %r2, %r3}, [%rd0]; ret;",
    );
    only(&report, FindingKind::Misaligned, 3);
}

#[test]
fn shared_memory_that_nobody_wrote() {
    let report = run(
        64,
        ".shared .align 4 .b8 s[256]; mov.u32 %r0, %tid.x; shl.b32 %r1, %r0, 2; mov.u32 %r2, s; add.u32 %r1, %r1, %r2;
         setp.lt.u32 %p0, %r0, 40; @%p0 st.shared.u32 [%r1], %r0;
         ld.shared.u32 %r3, [%r1]; ret;",
    );
    let f = only(&report, FindingKind::Uninitialized, 3);
    assert_eq!((f.warp, f.lanes), (1, 0xffff_ff00));
}

#[test]
fn an_endless_loop() {
    only(&run(32, "mov.u32 %r0, 0;\n$l: add.u32 %r0, %r0, 1; bra $l;"), FindingKind::StepLimit, 2);
}

#[test]
fn a_trap() {
    only(
        &run(32, "mov.u32 %r0, %tid.x; setp.eq.u32 %p0, %r0, 7; @!%p0 bra $end;\ntrap;\n$end: ret;"),
        FindingKind::Trap,
        2,
    );
}

#[test]
fn a_barrier_that_half_of_the_block_misses() {
    let report = run(
        64,
        "mov.u32 %r0, %tid.x; setp.lt.u32 %p0, %r0, 32; @%p0 bra $a;
         barrier.sync 1; bra $end;
         $a:
         barrier.sync 2;
         $end: ret;",
    );
    let f = only(&report, FindingKind::Deadlock, 4);
    assert!(f.message.contains("test.ptx:6") && f.message.contains("test.ptx:8"), "{f}");
}

#[test]
fn a_barrier_after_an_early_exit() {
    let report = run(
        64,
        "mov.u32 %r0, %tid.x; setp.ge.u32 %p0, %r0, 32; @%p0 bra $end;
         barrier.sync 0;
         $end: ret;",
    );
    only(&report, FindingKind::BarrierExited, 2);
}

#[test]
fn a_shuffle_mask_with_an_absent_lane() {
    let report = run(
        32,
        "mov.u32 %r0, %tid.x; ld.param.u64 %rd0, [x]; ld.global.u32 %r4, [%rd0]; not.b32 %r4, %r4;
         setp.ge.u32 %p0, %r0, 16; @%p0 bra $b;
         shfl.sync.idx.b32 %r1, %r0, 20, 31, %r4; bra $end;
         $b: barrier.sync 0;
         $end: ret;",
    );
    let f = only(&report, FindingKind::WarpMask, 3);
    assert!(f.message.contains("lane 16, which is at") && f.message.contains("test.ptx:8"), "{f}");
}

/// Each lane names itself and its neighbour; lane 5's neighbour names others.
#[test]
fn member_masks_that_differ() {
    let body = |odd: u32| {
        format!(
            "mov.u32 %r0, %laneid; and.b32 %r1, %r0, -2; mov.u32 %r2, 3; shl.b32 %r2, %r2, %r1;
             setp.eq.u32 %p0, %r0, 4; selp.b32 %r2, {odd:#x}, %r2, %p0;
             redux.sync.add.u32 %r3, %r0, %r2; ret;"
        )
    };
    let report = run(32, &body(0x30));
    assert!(report.is_clean(), "{report}");
    let f = only(&run(32, &body(0x70)), FindingKind::WarpMask, 3);
    assert_eq!(f.lanes, 0x30, "{f}");
    let wanted = "lane 4 names lane 5 in its member mask 0x00000070, which has another, 0x00000030";
    assert_eq!(f.message, wanted);
}

#[test]
fn a_shuffle_from_an_exited_lane() {
    let report = run(
        32,
        "mov.u32 %r0, %tid.x; ld.param.u64 %rd0, [x]; ld.global.u32 %r4, [%rd0]; not.b32 %r4, %r4;
         setp.ge.u32 %p0, %r0, 16; @%p0 bra $end;
         shfl.sync.idx.b32 %r1, %r0, 20, 31, %r4;
         $end: ret;",
    );
    only(&report, FindingKind::InactiveLane, 3);
}

#[test]
fn launches_that_do_not_start() {
    let m = module(".param .u32 n, .param .u64 x", "ret;");
    let mut mem = Memory::new();
    let options = Options::default();
    let ok = [1u32.into(), 1u64.into()];
    let launch = Launch {
        module: &m,
        kernel: "k",
        grid: [1, 1, 1],
        block: [32, 1, 1],
        dynamic_shared: 0,
        args: &ok,
        globals: None,
        options: &options,
    };
    assert!(launch.run(&mut mem).is_ok());
    let wrong = [1u64.into(), 1u64.into()];
    let cases: Vec<(Launch, &str)> = vec![
        (Launch { kernel: "q", ..launch }, "no kernel `q`; it has k"),
        (Launch { args: &ok[..1], ..launch }, "takes 2 arguments, and got 1"),
        (Launch { args: &wrong, ..launch }, "argument 0 of kernel `k` (`n`) has 4 bytes, and got 8"),
        (Launch { block: [32, 33, 1], ..launch }, "1 to 1024 threads"),
        (Launch { block: [0, 1, 1], ..launch }, "1 to 1024 threads"),
        (Launch { grid: [1, 0, 1], ..launch }, "a grid has"),
        (Launch { dynamic_shared: 1 << 20, ..launch }, "bytes of shared memory"),
    ];
    for (launch, want) in cases {
        let error: LaunchError = launch.run(&mut mem).unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
    }
}
