//! Every way by which a value can go: its error arrives with it.

use std::collections::BTreeMap;

use ptxgen_builder::interp::{Arg, Buffer, ElementError, Launch, Measured, Memory, Options};
use ptxgen_builder::parse::parse;
use ptxgen_builder::types::ScalarType;
use ptxgen_builder::verify::{Doubts, verify_with};

pub const LANES: usize = 32;

/// Runs 32 threads of a kernel with parameters x (f32 a thread), y and z (8 bytes a thread) with this body, in which %f0 is
/// x / 3, and %fd0 the same in f64, and the global addresses of the thread's elements are %rd1, %rd2, %rd3. Gives the
/// inexact elements of y and of z, by thread.
pub fn run(body: &str) -> [BTreeMap<u64, ElementError>; 2] {
    let (measured, buffers) = measure("sm_90", body);
    buffers.map(|b| measured.elements.iter().filter(|e| e.buffer == b).map(|e| (e.at / 8, e.clone())).collect())
}

/// What is measured of the same for a target, and y and z.
fn measure(target: &str, body: &str) -> (Measured, [Buffer; 2]) {
    let end = if body.ends_with([';', ':']) { "" } else { ";" };
    let text = format!(
        ".version 9.0\n.target {target}\n.address_size 64\n.visible .entry k(.param .u64 x, .param .u64 y, .param .u64 z) {{ \
         .reg .pred %p<9>; .reg .b16 %h<9>; .reg .b32 %r<40>; .reg .b64 %rd<20>; .reg .f32 %f<20>; .reg .f64 %fd<9>;
         .shared .align 16 .b8 s[1024]; .local .align 8 .b8 l[32];
         mov.u32 %r0, %tid.x; mul.wide.u32 %rd0, %r0, 8;
         ld.param.u64 %rd1, [x]; ld.param.u64 %rd2, [y]; ld.param.u64 %rd3, [z];
         add.s64 %rd1, %rd1, %rd0; add.s64 %rd2, %rd2, %rd0; add.s64 %rd3, %rd3, %rd0;
         ld.global.f32 %f0, [%rd1]; div.rn.f32 %f0, %f0, 0f40400000;
         cvt.f64.f32 %fd0, %f0; div.rn.f64 %fd0, %fd0, 0d4008000000000000;
         mov.f32 %f9, 0f3f800000; mov.u32 %r1, s; mad.lo.u32 %r1, %r0, 16, %r1; mov.u32 %r2, l; xor.b32 %r3, %r0, 1;
         {body}{end}\n ret; }}\n"
    );
    let module = parse("test.ptx", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let module = verify_with(module, Doubts::Warn).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let mut memory = Memory::new();
    let x: Vec<u8> =
        (0..LANES).flat_map(|i| (1.0 + i as f32 / 7.0).to_bits().to_le_bytes().into_iter().chain([0; 4])).collect();
    let x = memory.alloc(&x, 256).unwrap();
    let [y, z] = [0; 2].map(|_| memory.alloc(&[0; 8 * LANES], 256).unwrap());
    let args = [Arg::from(x), Arg::from(y), Arg::from(z)];
    let launch = Launch {
        module: &module,
        kernel: "k",
        grid: [1; 3],
        block: [LANES as u32, 1, 1],
        dynamic_shared: 0,
        args: &args,
        globals: None,
        options: &Options::default(),
    };
    let (report, measured): (_, Measured) = launch.measure(&mut memory).unwrap();
    assert!(report.is_clean(), "{report}\n{body}");
    (measured, [y, z])
}

/// Both floats of a pair have a shadow.
#[test]
fn pairs_of_f32() {
    let body = "mov.b64 %rd5, {%f0, %f0}; add.rn.f32x2 %rd6, %rd5, %rd5; mov.b64 {%f1, %f2}, %rd6; \
                st.global.f32 [%rd2], %f1; st.global.f32 [%rd3], %f2";
    let (measured, [y, z]) = measure("sm_100", body);
    let of = |buffer: Buffer| {
        let all = measured.elements.iter().filter(|e| e.buffer == buffer);
        all.map(|e| (e.at, e.error.to_bits())).collect::<Vec<_>>()
    };
    assert_eq!(of(y), of(z));
    assert!(of(y).len() > 20);
}

/// Where an instruction has no shadow for its result, that is told, with the lanes whose sources were inexact.
#[test]
fn shadows_end_in_the_open() {
    let least = |sources: &str| {
        let body = format!(
            "min.f32 %f1, {sources}; setp.lt.u32 %p0, %r0, 5; @%p0 min.f32 %f2, {sources}; st.global.f32 [%rd2], %f1"
        );
        let (measured, _) = measure("sm_100", &body);
        assert!(measured.elements.is_empty());
        measured.ends.iter().map(|e| (e.site.text.clone(), e.count)).collect::<Vec<_>>()
    };
    assert_eq!(least("%f9, %f9, %f9"), []);
    let inexact = run("st.global.f32 [%rd2], %f0")[0].len() as u64;
    for sources in ["%f0, %f9, %f9", "%f9, %f9, %f0", "%f0, %f0, %f0"] {
        let ends = least(sources);
        let counts: u64 = ends.iter().map(|(_, count)| count).sum();
        assert!(ends.iter().all(|(text, _)| text.contains("min.f32")), "{ends:?}");
        assert!(counts > inexact && counts <= inexact + 5, "{ends:?} of {inexact}");
    }
}

fn errors(of: &BTreeMap<u64, ElementError>) -> Vec<(u64, ScalarType, u64, u64)> {
    of.iter().map(|(&i, e)| (i, e.ty, e.value.to_bits(), e.error.to_bits())).collect()
}

/// The value that is stored to z after the way has the errors of the one stored to y before it.
#[track_caller]
pub fn same(body: &str) {
    let [y, z] = run(body);
    assert!(y.len() > 20, "{} of {LANES} are inexact before: {body}", y.len());
    assert_eq!(errors(&y), errors(&z), "{body}");
}

/// An f32 goes its way from %f0 to %f1.
#[track_caller]
fn f32_goes(body: &str) {
    same(&format!("st.global.f32 [%rd2], %f0; {body}; st.global.f32 [%rd3], %f1"));
}

/// An f64 goes its way from %fd0 to %fd1.
#[track_caller]
fn f64_goes(body: &str) {
    same(&format!("st.global.f64 [%rd2], %fd0; {body}; st.global.f64 [%rd3], %fd1"));
}

#[test]
fn registers_of_every_class() {
    for body in [
        "mov.f32 %f1, %f0",
        "mov.b32 %r10, %f0; mov.b32 %f1, %r10",
        "mov.b32 %r10, %f0; mov.b64 %rd10, {%r10, %r0}; mov.b64 {%r11, %r12}, %rd10; mov.b32 %f1, %r11",
        "mov.b32 %r10, %f0; mov.b64 %rd10, {%r0, %r10}; mov.b64 {%r11, %r12}, %rd10; mov.b32 %f1, %r12",
        "mov.b32 %r10, %f0; mov.b32 {%h0, %h1}, %r10; mov.b32 %r11, {%h0, %h1}; mov.b32 %f1, %r11",
        "mov.b32 %r10, %f0; mov.u32 %r11, 77; prmt.b32 %r12, %r11, %r10, 0x7654; mov.b32 %f1, %r12",
        "mov.b32 %r10, %f0; cvt.u64.u32 %rd10, %r10; shl.b64 %rd10, %rd10, 32; shr.u64 %rd10, %rd10, 32; cvt.u32.u64 %r11, %rd10; mov.b32 %f1, %r11",
        "mov.b32 %r10, %f0; or.b32 %r11, %r10, 0; mov.b32 %f1, %r11",
        "setp.eq.u32 %p0, %r0, 99; selp.f32 %f1, 0f00000000, %f0, %p0",
        "slct.f32.s32 %f1, %f0, 0f00000000, %r0",
        "mov.f32 %f1, 0f00000000; setp.lt.u32 %p0, %r0, 32; @%p0 mov.f32 %f1, %f0",
        "max.f32 %f1, %f0, 0f3dcccccd; max.f32 %f1, %f1, 0fbf800000",
        "neg.f32 %f2, %f0; abs.f32 %f1, %f2",
        "neg.f32 %f2, %f0; mov.f32 %f3, 0f3f800000; copysign.f32 %f1, %f3, %f2",
        "cvt.f64.f32 %fd1, %f0; cvt.rn.f32.f64 %f1, %fd1",
    ] {
        f32_goes(body);
    }
    for body in [
        "mov.f64 %fd1, %fd0",
        "mov.b64 %rd10, %fd0; mov.b64 %fd1, %rd10",
        "mov.b64 {%r10, %r11}, %fd0; mov.b64 %fd1, {%r10, %r11}",
        "mov.b64 %rd10, %fd0; mov.b64 {%h0, %h1, %h2, %h3}, %rd10; mov.b64 %rd11, {%h0, %h1, %h2, %h3}; mov.b64 %fd1, %rd11",
        "neg.f64 %fd2, %fd0; neg.f64 %fd1, %fd2",
    ] {
        f64_goes(body);
    }
}

#[test]
fn other_lanes() {
    for body in [
        // To the neighbour and back, in place.
        "mov.b32 %r10, %f0; shfl.sync.bfly.b32 %r10, %r10, 1, 31, -1; shfl.sync.bfly.b32 %r10, %r10, 1, 31, -1; mov.b32 %f1, %r10",
        "mov.b32 %r10, %f0; shfl.sync.idx.b32 %r11, %r10, %r3, 31, -1; shfl.sync.idx.b32 %r12, %r11, %r3, 31, -1; mov.b32 %f1, %r12",
    ] {
        f32_goes(body);
    }
    f64_goes(
        "mov.b64 {%r10, %r11}, %fd0; shfl.sync.bfly.b32 %r12, %r10, 3, 31, -1; shfl.sync.bfly.b32 %r13, %r11, 3, 31, -1;
         shfl.sync.bfly.b32 %r12, %r12, 3, 31, -1; shfl.sync.bfly.b32 %r13, %r13, 3, 31, -1; mov.b64 %fd1, {%r12, %r13}",
    );
}

#[test]
fn memory_of_every_space() {
    for body in [
        "st.shared.f32 [%r1], %f0; ld.shared.f32 %f1, [%r1]",
        "st.shared.f32 [%r1+4], %f0; ld.shared.b32 %r10, [%r1+4]; mov.b32 %f1, %r10",
        "st.shared.v2.f32 [%r1], {%f9, %f0}; st.shared.v2.f32 [%r1+8], {%f0, %f9}; ld.shared.v4.f32 {%f2, %f1, %f3, %f4}, [%r1]",
        "st.shared.v2.f32 [%r1], {%f0, %f0}; ld.shared.b64 %rd10, [%r1]; mov.b64 {%r10, %r11}, %rd10; mov.b32 %f1, %r11",
        "mov.b32 %r10, %f0; mov.b32 {%h0, %h1}, %r10; st.shared.b16 [%r1], %h0; st.shared.b16 [%r1+2], %h1; ld.shared.f32 %f1, [%r1]",
        "st.local.f32 [l+8], %f0; ld.local.f32 %f1, [%r2+8]",
        "st.global.f32 [%rd3+4], %f0; ld.global.f32 %f1, [%rd3+4]; st.global.u32 [%rd3+4], %r0",
        "cvt.u64.u32 %rd9, %r1; cvta.shared.u64 %rd10, %rd9; st.f32 [%rd10], %f0; ld.f32 %f1, [%rd10]",
        "cvt.u64.u32 %rd9, %r2; cvta.local.u64 %rd10, %rd9; st.f32 [%rd10], %f0; ld.local.f32 %f1, [%r2]",
    ] {
        f32_goes(body);
    }
    for body in [
        "st.shared.f64 [%r1], %fd0; ld.shared.f64 %fd1, [%r1]",
        "st.local.f64 [l], %fd0; ld.local.v2.b32 {%r10, %r11}, [l]; mov.b64 %fd1, {%r10, %r11}",
        "mov.b64 {%r10, %r11}, %fd0; st.shared.b32 [%r1], %r10; st.shared.b32 [%r1+4], %r11; ld.shared.f64 %fd1, [%r1]",
        "st.shared.f64 [%r1+8], %fd0; ld.shared.b32 %r10, [%r1+8]; ld.shared.b32 %r11, [%r1+12]; mov.b64 %fd1, {%r10, %r11}",
    ] {
        f64_goes(body);
    }
}

#[test]
fn what_is_overwritten_is_exact() {
    for body in [
        "st.shared.f32 [%r1], %f0; st.shared.u32 [%r1], %r0; ld.shared.f32 %f1, [%r1]",
        "st.shared.f32 [%r1], %f0; cvt.u16.u32 %h0, %r0; st.shared.b16 [%r1+2], %h0; ld.shared.f32 %f1, [%r1]",
        "st.shared.f64 [%r1], %fd0; st.shared.u32 [%r1+4], %r0; ld.shared.f64 %fd1, [%r1]; cvt.rn.f32.f64 %f1, %fd1; cvt.rzi.s32.f32 %r9, %f1; mov.f32 %f1, 0f00000000",
        "mov.f32 %f1, %f0; mov.f32 %f1, 0f3f800000",
        "mov.b32 %r10, %f0; add.u32 %r10, %r10, 1; mov.b32 %f1, %r10",
        "mov.b32 %r10, %f0; xor.b32 %r10, %r10, 0x10001; mov.b32 %f1, %r10",
        "mov.b32 %r10, %f0; mov.b32 %r10, %r0; mov.b32 %f1, %r10",
        "sub.f32 %f1, %f0, %f0",
    ] {
        let [_, z] = run(&format!("{body}; st.global.f32 [%rd3], %f1"));
        assert!(z.is_empty(), "{body}: {:?}", errors(&z));
    }
}

#[test]
fn copies_between_spaces() {
    // A pair of neighbours at a time, as 16 bytes; stored by other lanes.
    let way = |copy: &str| {
        format!(
            "st.global.f32 [%rd2], %f0; st.global.u32 [%rd2+4], %r0; and.b32 %r4, %r0, 1; setp.eq.u32 %p0, %r4, 0;
             mov.u32 %r5, s; mad.lo.u32 %r5, %r0, 8, %r5; bar.sync 0; {copy}
             bar.sync 0; ld.shared.f32 %f1, [%r5]; st.global.f32 [%rd3], %f1"
        )
    };
    for copy in [
        "cp.async.ca.shared.global [%r5], [%rd2], 8; cp.async.wait_all;",
        "cp.async.ca.shared.global [%r5], [%rd2], 4; cp.async.wait_all;",
        "@%p0 cp.async.cg.shared.global [%r5], [%rd2], 16; cp.async.commit_group; cp.async.wait_group 0;",
    ] {
        same(&way(copy));
    }
    let [_, z] = run(&way("cp.async.ca.shared.global [%r5], [%rd2], 4, 0; cp.async.wait_all;"));
    assert!(z.is_empty(), "zeros are exact: {:?}", errors(&z));
    // Out of shared memory in bulk, 8 bytes a thread.
    same(
        "st.global.f64 [%rd2], %fd0; mov.u32 %r5, s; mad.lo.u32 %r6, %r0, 8, %r5; st.shared.f64 [%r6], %fd0;
         fence.proxy.async; bar.sync 0; setp.eq.u32 %p0, %r0, 0; @!%p0 bra $end;
         cp.async.bulk.global.shared::cta.bulk_group [%rd3], [%r5], 256;
         cp.async.bulk.commit_group; cp.async.bulk.wait_group 0; $end:",
    );
}

#[test]
fn atomics_move_and_add() {
    for body in [
        "st.shared.u32 [%r1], %r0; mov.b32 %r10, %f0; atom.shared.exch.b32 %r11, [%r1], %r10; ld.shared.f32 %f1, [%r1]",
        "st.shared.f32 [%r1], %f0; atom.shared.exch.b32 %r11, [%r1], 7; mov.b32 %f1, %r11",
        "st.shared.u32 [%r1], 7; mov.b32 %r10, %f0; atom.shared.cas.b32 %r11, [%r1], 7, %r10; ld.shared.f32 %f1, [%r1]",
        "st.shared.f32 [%r1], %f0; atom.shared.cas.b32 %r11, [%r1], 7, 8; ld.shared.f32 %f1, [%r1]",
        "mov.u32 %r10, 0; st.global.u32 [%rd3], %r10; red.global.add.f32 [%rd3], %f0; ld.global.f32 %f1, [%rd3]",
    ] {
        f32_goes(body);
    }
    f64_goes(
        "mov.f64 %fd2, 0d0000000000000000; st.shared.f64 [%r1], %fd2; atom.shared.add.f64 %fd3, [%r1], %fd0; ld.shared.f64 %fd1, [%r1]",
    );
    // The sum of all lanes, in each way: a sum rounds too, so what is compared is the real number.
    let [y, z] = run("mov.f32 %f2, 0f00000000; mov.u32 %r5, s; st.shared.f32 [%r5], %f2; bar.sync 0;
         red.shared.add.f32 [%r5], %f0; bar.sync 0; ld.shared.f32 %f1, [%r5]; st.global.f32 [%rd3], %f1;
         mov.b32 %r10, %f0; cvt.f64.f32 %fd1, %f0;
         mov.u32 %r11, 16; $next: mov.b64 {%r12, %r13}, %fd1; shfl.sync.bfly.b32 %r12, %r12, %r11, 31, -1;
         shfl.sync.bfly.b32 %r13, %r13, %r11, 31, -1; mov.b64 %fd2, {%r12, %r13}; add.f64 %fd1, %fd1, %fd2;
         shr.u32 %r11, %r11, 1; setp.ne.u32 %p0, %r11, 0; @%p0 bra $next; st.global.f64 [%rd2], %fd1");
    assert_eq!((y.len(), z.len()), (LANES, LANES));
    for (y, z) in y.values().zip(z.values()) {
        assert!((y.real() - z.real()).abs() < 1e-13, "{y:?} {z:?}");
        assert!(y.error != z.error);
    }
}

#[test]
fn pairs_of_halves() {
    let way = |body: &str| {
        format!(
            "cvt.rn.f16.f32 %h0, %f0; add.f32 %f2, %f0, %f0; add.f32 %f2, %f2, 0f3dcccccd; cvt.rn.f16.f32 %h1, %f2;
             st.global.b16 [%rd2], %h1; {body}; st.global.b16 [%rd3], %h3"
        )
    };
    for body in [
        "mov.b32 %r10, {%h0, %h1}; mov.b32 {%h2, %h3}, %r10",
        "mov.b32 %r10, {%h0, %h1}; st.shared.b32 [%r1], %r10; ld.shared.b16 %h3, [%r1+2]",
        "st.shared.b16 [%r1], %h0; st.shared.b16 [%r1+2], %h1; ld.shared.b32 %r10, [%r1]; mov.b32 {%h2, %h3}, %r10",
        "mov.b32 %r10, {%h0, %h1}; prmt.b32 %r11, %r10, %r10, 0x1032; mov.b32 {%h3, %h2}, %r11",
        "mov.b32 %r10, {%h0, %h1}; shr.u32 %r10, %r10, 16; cvt.u16.u32 %h3, %r10",
        "mov.b32 %r10, {%h0, %h1}; shfl.sync.bfly.b32 %r10, %r10, 1, 31, -1; shfl.sync.bfly.b32 %r10, %r10, 1, 31, -1; mov.b32 {%h2, %h3}, %r10",
        "mov.b64 %rd10, {%h1, %h0, %h0, %h1}; mov.b64 {%r10, %r11}, %rd10; mov.b32 {%h2, %h3}, %r11",
        "mov.b32 %r10, {%h0, %h1}; mov.b32 %r11, 0x3c003c00; mul.f16x2 %r12, %r10, %r11; neg.f16x2 %r12, %r12; neg.f16x2 %r12, %r12; mov.b32 {%h2, %h3}, %r12",
        "cvt.f32.f16 %f3, %h1; cvt.rn.f16x2.f32 %r10, %f3, %f0; mov.b32 {%h2, %h3}, %r10",
    ] {
        same(&way(body));
    }
}

#[test]
fn integers_stand_for_their_floats() {
    let way = |body: &str| {
        format!(
            "mul.f32 %f2, %f0, 0f42c80000; cvt.rni.s32.f32 %r10, %f2; cvt.rn.f32.s32 %f3, %r10; st.global.f32 [%rd2], %f3;
             {body}; st.global.f32 [%rd3], %f1"
        )
    };
    for body in [
        "mov.u32 %r11, %r10; cvt.rn.f32.s32 %f1, %r11",
        "cvt.s64.s32 %rd10, %r10; cvt.rn.f32.s64 %f1, %rd10",
        "cvt.s16.s32 %h0, %r10; cvt.rn.f32.s16 %f1, %h0",
        "st.shared.u32 [%r1], %r10; ld.shared.u32 %r11, [%r1]; cvt.rn.f32.s32 %f1, %r11",
        "shfl.sync.bfly.b32 %r10, %r10, 1, 31, -1; shfl.sync.bfly.b32 %r10, %r10, 1, 31, -1; cvt.rn.f32.s32 %f1, %r10",
    ] {
        same(&way(body));
    }
    // One that is clamped represents its float still, so that the clamp's loss is seen.
    let [y, z] = run(
        "mul.f32 %f2, %f0, 0f447a0000; cvt.rni.s32.f32 %r10, %f2; cvt.rn.f32.s32 %f3, %r10; st.global.f32 [%rd2], %f3;
         cvt.sat.s8.s32 %r11, %r10; cvt.rn.f32.s8 %f1, %r11; st.global.f32 [%rd3], %f1",
    );
    for (lane, e) in &z {
        assert!(e.value == 127.0 && e.error > 100.0, "{e:?}");
        y.get(lane).iter().for_each(|y| assert!((y.real() - e.real()).abs() < 1e-9, "{y:?} {e:?}"));
    }
    assert_eq!(z.len(), LANES);
    // What an integer instruction computes is exact, and so is what wrapped.
    for body in [
        "add.s32 %r10, %r10, 0; cvt.rn.f32.s32 %f1, %r10",
        "or.b32 %r10, %r10, 256; cvt.s8.s32 %r10, %r10; cvt.rn.f32.s32 %f1, %r10",
    ] {
        let [_, z] = run(&way(body));
        assert!(z.is_empty(), "{body}: {:?}", errors(&z));
    }
    // A rounding to an integral float is a choice.
    let [_, z] = run("mul.f32 %f2, %f0, 0f42c80000; cvt.rni.f32.f32 %f1, %f2; st.global.f32 [%rd3], %f1");
    assert!(z.is_empty(), "{:?}", errors(&z));
}

#[test]
fn clamps_and_infinities() {
    // Beyond 1 the real number is clamped as well.
    let [y, z] = run(
        "add.sat.f32 %f1, %f0, 0f3f800000; st.global.f32 [%rd2], %f1; mul.f32 %f2, %f0, 0f7f000000; mul.f32 %f2, %f2, 0f41000000;
         st.global.f32 [%rd3], %f2",
    );
    assert!(y.is_empty(), "{:?}", errors(&y));
    assert!(z.values().all(|e| e.value.is_finite()), "{:?}", errors(&z));
    let [y, _] = run("fma.rn.sat.f32 %f1, %f0, 0f3dcccccd, 0f00000000; st.global.f32 [%rd2], %f1");
    assert!(y.len() > 20);
    // And below 0; where the real number is on the other side of a bound, it is the bound.
    let [y, z] = run("neg.f32 %f2, %f0; add.sat.f32 %f1, %f2, 0f00000000; st.global.f32 [%rd2], %f1;
         cvt.rn.relu.f16.f32 %h0, %f2; st.global.b16 [%rd3], %h0");
    assert!(y.is_empty() && z.is_empty(), "{:?} {:?}", errors(&y), errors(&z));
    let [y, z] = run("cvt.rn.f16.f32 %h0, %f0; cvt.f32.f16 %f1, %h0; div.rn.f32 %f2, %f1, %f1; sub.f32 %f3, %f1, %f0;
         add.f32 %f4, %f2, %f3; sub.f32 %f5, %f4, %f3; add.sat.f32 %f6, %f5, %f3; st.global.f32 [%rd2], %f6;
         cvt.sat.f32.f32 %f7, %f5; st.global.f32 [%rd3], %f7");
    for e in y.values().chain(z.values()) {
        assert!(e.value >= 0.0 && e.value <= 1.0 && e.real() >= 0.0 && e.real() <= 1.0, "{e:?}");
    }
}

/// Every block adds to one sum, in parallel: the value and its shadow change in one step.
#[test]
fn atomics_of_many_blocks() {
    let text = ".version 9.0\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 y, .param .u64 z) {
         .reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .f32 %f<9>; .reg .f64 %fd<9>;
         ld.param.u64 %rd1, [y]; ld.param.u64 %rd2, [z];
         mov.u32 %r0, %tid.x; mov.u32 %r1, %ctaid.x; mad.lo.u32 %r0, %r1, 48, %r0; add.u32 %r0, %r0, 1;
         cvt.rn.f32.u32 %f0, %r0; div.rn.f32 %f0, %f0, 0f40400000; red.global.add.f32 [%rd1], %f0;
         cvt.f64.f32 %fd0, %f0; red.global.add.f64 [%rd2], %fd0; ret; }";
    let module = verify_with(parse("test.ptx", text).unwrap(), Doubts::Warn).unwrap();
    // Threads 1 to 48 x 20, each a third of its number.
    let n = 48 * 20;
    let exact = f64::from(n * (n + 1) / 2) / 3.0;
    for _ in 0..5 {
        let mut memory = Memory::new();
        let [y, z] = [4, 8].map(|n| memory.alloc(&vec![0; n], 256).unwrap());
        let launch = Launch {
            module: &module,
            kernel: "k",
            grid: [20, 1, 1],
            block: [48, 1, 1],
            dynamic_shared: 0,
            args: &[y.into(), z.into()],
            globals: None,
            options: &Options::default(),
        };
        let (report, measured) = launch.measure(&mut memory).unwrap();
        assert!(report.is_clean(), "{report}");
        let [of_y, of_z] = &measured.elements[..] else { panic!("{measured:?}") };
        for (found, value, what) in [
            (of_y, f64::from(f32::from_le_bytes(memory.read(y).unwrap().try_into().unwrap())), "f32"),
            (of_z, f64::from_le_bytes(memory.read(z).unwrap().try_into().unwrap()), "f64"),
        ] {
            assert_eq!(found.value.to_bits(), value.to_bits());
            assert!((found.real() - exact).abs() < 1e-9, "{what}: {found:?}, {exact}");
        }
    }
}

/// Lanes that went apart keep what the others do not write.
#[test]
fn lanes_apart() {
    // Odd lanes round to f16, even ones divide again; a register of both.
    let [y, z] = run(
        "and.b32 %r4, %r0, 1; setp.eq.u32 %p0, %r4, 0; mov.f32 %f1, %f0; st.global.f32 [%rd2], %f1; @%p0 bra $even;
         cvt.rn.f16.f32 %h0, %f0; cvt.f32.f16 %f1, %h0; bra $join;
         $even: div.rn.f32 %f1, %f0, 0f40e00000;
         $join: st.global.f32 [%rd3], %f1",
    );
    let third = |lane: u64| 1.0 + lane as f32 / 7.0;
    for lane in 0..LANES as u64 {
        let real = f64::from(third(lane)) / 3.0;
        if let Some(e) = y.get(&lane) {
            assert!((e.real() - real).abs() < 1e-15, "{e:?}");
        }
        let real = if lane % 2 == 0 { real / 7.0 } else { real };
        if let Some(e) = z.get(&lane) {
            assert!((e.real() - real).abs() < 1e-15, "lane {lane}: {e:?}, {real}");
            assert!(lane % 2 == 0 || e.ulps() > 100.0 || e.error.abs() < 1e-7, "{e:?}");
        }
    }
    assert!(z.len() > 28, "{z:?}");
}
