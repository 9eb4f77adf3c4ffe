//! Tests that mutation testing showed to be missing: each notices a change of one token in the verifier, the
//! analyses or the interpreter that no other test saw.

use ptxgen_builder::analysis::precision::{Accumulator, PolicyRule, Products, Requirements, Role, check};
use ptxgen_builder::interp::{Arg, FindingKind, Launch, Memory, MemoryError, Options, Report};
use ptxgen_builder::parse::parse;
use ptxgen_builder::verify::{Rule, Validated, VerifyErrors, verify};

mod policy;

use policy::{ACTIVATIONS, FACTORS, INTEGERS, WEIGHTS};

const REGS: &str =
    ".reg .pred %p<9>; .reg .b16 %h<9>; .reg .b32 %r<20>; .reg .b64 %rd<20>; .reg .f32 %f<20>; .reg .f64 %fd<20>;";

/// A kernel `k`; `head` stands between the parameters and the body, `top` before the kernel.
fn verified(top: &str, params: &str, head: &str, body: &str) -> Result<Validated, VerifyErrors> {
    let text = format!(
        ".version 8.7\n.target sm_90\n.address_size 64\n{top}\n.visible .entry k({params}) {head} {{ {REGS}\n{body}\n}}\n"
    );
    verify(parse("k.ptx", &text).unwrap_or_else(|e| panic!("{e}\n{text}")))
}

#[track_caller]
fn sound(params: &str, head: &str, body: &str) -> Validated {
    verified("", params, head, body).unwrap_or_else(|e| panic!("{e}"))
}

#[track_caller]
fn breaks(rule: Rule, params: &str, head: &str, body: &str) {
    let errors = verified("", params, head, body).expect_err("a rule is broken");
    assert!(errors.iter().any(|e| e.rule == rule), "{errors}");
}

/// The last byte of an array is in bounds, the next is not, whatever part of the access it is.
#[test]
fn static_bounds_to_the_byte() {
    let one = |array: u32, access: &str| format!(".shared .align 16 .b8 s[{array}];\nmov.b32 %r1, 0;\n{access} ret;");
    for (bytes, load) in
        [(1, "ld.shared.u8 %r0, [s+AT];"), (2, "ld.shared.u16 %h0, [s+AT];"), (4, "ld.shared.u32 %r0, [s+AT];")]
    {
        for size in bytes..=2 * bytes + 1 {
            for at in (0..2 * size).step_by(bytes as usize) {
                let body = one(size, &load.replace("AT", &at.to_string()));
                if at + bytes <= size { drop(sound("", "", &body)) } else { breaks(Rule::OutOfBounds, "", "", &body) }
            }
        }
    }
    breaks(Rule::OutOfBounds, "", "", &one(7, "st.shared.b32 [s+4], %r1;"));
    breaks(Rule::OutOfBounds, "", "", &one(15, "st.shared.v4.b32 [s], {%r1, %r1, %r1, %r1};"));
    breaks(Rule::OutOfBounds, "", "", &one(16, "ld.shared.u8 %r0, [s+-1];"));
    breaks(Rule::OutOfBounds, "", "", &one(7, "atom.shared.add.u32 %r0, [s+4], %r1;"));
    sound("", "", &one(16, "st.shared.v4.b32 [s], {%r1, %r1, %r1, %r1};"));
}

/// A copy's both ends are accesses of as many bytes as it copies.
#[test]
fn static_bounds_of_copies() {
    let copy = |array: u32, offset: u32, size: u32| {
        format!(
            ".shared .align 16 .b8 s[{array}];\nld.param.u64 %rd0, [x]; cvta.to.global.u64 %rd0, %rd0;\n\
             cp.async.ca.shared.global [s+{offset}], [%rd0], {size}; cp.async.wait_all; ret;"
        )
    };
    let params = ".param .u64 .ptr .global .align 16 x";
    sound(params, "", &copy(16, 0, 16));
    sound(params, "", &copy(16, 12, 4));
    breaks(Rule::OutOfBounds, params, "", &copy(15, 0, 16));
    breaks(Rule::OutOfBounds, params, "", &copy(16, 16, 4));
    breaks(Rule::Misaligned, params, "", &copy(32, 4, 8));
    breaks(Rule::Misaligned, ".param .u64 .ptr .global .align 16 x", "", &copy(64, 8, 16));
}

/// In a block with fewer threads than a warp, the mask names those that are there.
#[test]
fn lane_masks_of_small_blocks() {
    let body = |mask: u32| format!("mov.u32 %r0, %tid.x; shfl.sync.bfly.b32 %r1, %r0, 1, 31, {mask:#x}; ret;");
    let cases = [
        (".reqntid 16, 1, 1", 0xffff, true),
        (".reqntid 16, 1, 1", 0x7fff, false),
        (".reqntid 16, 1, 1", 0xff, false),
        (".reqntid 4, 2, 2", 0xffff, true),
        (".reqntid 4, 2, 2", 0xfff, false),
        (".reqntid 31, 1, 1", 0x7fff_ffff, true),
        (".reqntid 31, 1, 1", 0x3fff_ffff, false),
        (".reqntid 1, 1, 1", 1, true),
        (".reqntid 32, 1, 1", 0xffff_ffff, true),
        (".reqntid 32, 1, 1", 0x7fff_ffff, false),
        (".reqntid 64, 1, 1", 0xffff, false),
        (".maxntid 16, 1, 1", 0xffff_ffff, true),
    ];
    for (head, mask, right) in cases {
        if right { drop(sound("", head, &body(mask))) } else { breaks(Rule::LaneMask, "", head, &body(mask)) }
    }
}

/// A guarded definition leaves the value before it alive: with the two terms, three registers are
/// live where they are added.
#[test]
fn liveness_across_guarded_definitions() {
    let start = "ld.param.u32 %r0, [n]; setp.eq.u32 %p0, %r0, 0; mov.u32 %r1, 1;";
    let terms = "mov.u32 %r2, 5; mov.u32 %r3, 6; add.u32 %r4, %r2, %r3;";
    let end = "add.u32 %r5, %r1, %r4; ret;";
    let peak = |body: &str| sound(".param .u32 n", "", body).pressure(0).registers;
    // Within a block, and from one block to the next.
    assert_eq!(peak(&format!("{start} {terms} @%p0 mov.u32 %r1, 2; {end}")), 3);
    assert_eq!(peak(&format!("{start} {terms} mov.u32 %r1, 2; {end}")), 2);
    let branch = "@%p0 bra $M; mov.u32 %r9, 1; $M:";
    assert_eq!(peak(&format!("{start} {terms} {branch} @%p0 mov.u32 %r1, 2; {end}")), 3);
    assert_eq!(peak(&format!("{start} {terms} {branch} mov.u32 %r1, 2; {end}")), 2);
}

fn requirements(acc: Accumulator, products: Option<Products>) -> Requirements {
    Requirements {
        accumulator: Some(acc),
        factors: FACTORS,
        products,
        roles: vec![WEIGHTS, ACTIVATIONS, Role::Output],
        ..Requirements::default()
    }
}

/// The rules that a kernel of weights `w`, activations `x` and output `y` breaks.
fn broken(body: &str, wanted: &Requirements) -> Vec<PolicyRule> {
    let start = "ld.param.u64 %rd0, [w]; ld.param.u64 %rd1, [x]; ld.param.u64 %rd2, [y];";
    let v = sound(".param .u64 w, .param .u64 x, .param .u64 y", "", &format!("{start}\n{body}\nret;"));
    let mut rules: Vec<_> = check(&v, 0, wanted).err().unwrap_or_default().iter().map(|v| v.rule).collect();
    rules.dedup();
    rules
}

/// An f16 that stands in the weights is a scale, and scales times scales are no term of the sum:
/// a weight that is decoded and multiplied with them is a decoded product.
#[test]
fn scales_are_no_terms() {
    let loads = "ld.global.b32 %r0, [%rd0]; ld.global.b32 %r1, [%rd0+4]; ld.global.b32 %r2, [%rd1]; ld.global.f32 %f0, [%rd1+4];
        mov.b32 {%h0, %h1}, %r1; cvt.f32.f16 %f1, %h0; mul.rn.f32 %f2, %f1, %f0;
        and.b32 %r3, %r0, 0x0f0f0f0f; dp4a.s32.s32 %r4, %r3, %r2, 0; cvt.rn.f32.s32 %f3, %r4;
        mul.rn.f32 %f4, %f2, %f3;";
    let integers = requirements(Accumulator::F32, Some(INTEGERS));
    assert_eq!(broken(&format!("{loads} st.global.f32 [%rd2], %f4;"), &integers), []);
    let decoded =
        "and.b32 %r5, %r0, 15; cvt.rn.f32.s32 %f5, %r5; fma.rn.f32 %f6, %f2, %f5, %f4; st.global.f32 [%rd2], %f6;";
    assert_eq!(broken(&format!("{loads} {decoded}"), &integers), [PolicyRule::DecodedProduct]);
    // Its bits changed, an f16 is a decoded weight like any other.
    let changed = loads.replace("mov.b32 {%h0, %h1}, %r1;", "xor.b32 %r6, %r1, 1; mov.b32 {%h0, %h1}, %r6;");
    let rules = broken(&format!("{changed} st.global.f32 [%rd2], %f4;"), &integers);
    assert!(rules.contains(&PolicyRule::DecodedProduct), "{rules:?}");
}

/// `math = approx` allows `.ftz` on what is approximate, and on nothing else.
#[test]
fn flushes_under_approximate_math() {
    let body = |sum: &str, exp: &str| {
        format!(
            "ld.global.f32 %f0, [%rd1]; ld.global.f32 %f1, [%rd1+4]; {sum} %f2, %f0, %f1; {exp} %f3, %f2; st.global.f32 [%rd2], %f3;"
        )
    };
    let approximate = Requirements { allow_approximate: true, ..requirements(Accumulator::F32, None) };
    assert_eq!(broken(&body("add.rn.f32", "ex2.approx.f32"), &approximate), []);
    assert_eq!(broken(&body("add.rn.f32", "ex2.approx.ftz.f32"), &approximate), []);
    assert_eq!(broken(&body("add.rn.ftz.f32", "ex2.approx.f32"), &approximate), [PolicyRule::Flush]);
    let exact = requirements(Accumulator::F32, None);
    assert_eq!(broken(&body("add.rn.f32", "ex2.approx.f32"), &exact), [PolicyRule::Approximate]);
    assert!(broken(&body("add.rn.f32", "ex2.approx.ftz.f32"), &exact).contains(&PolicyRule::Flush));
}

fn run(v: &Validated, block: u32, args: &[Arg], memory: &mut Memory) -> Report {
    let options = Options::default();
    let (grid, block) = ([1; 3], [block, 1, 1]);
    let launch =
        Launch { module: v, kernel: "k", grid, block, dynamic_shared: 0, args, globals: None, options: &options };
    launch.run(memory).unwrap_or_else(|e| panic!("{e}"))
}

/// Findings of a kernel whose only argument is a buffer of `len` bytes at `x`, loaded into `%rd0`.
fn findings(len: u64, body: &str) -> Vec<FindingKind> {
    let v = sound(".param .u64 x", "", &format!("ld.param.u64 %rd0, [x]; mov.u32 %r0, 7;\n{body}\nret;"));
    let mut memory = Memory::new();
    let x = memory.alloc(&vec![0; len as usize], 16).expect("room");
    run(&v, 1, &[x.into()], &mut memory).findings.iter().map(|f| f.kind).collect()
}

/// An access that begins in a buffer and ends beyond it is out of bounds; one that ends with it is not.
#[test]
fn accesses_partly_beyond_a_buffer() {
    let accesses = [
        (4, "ld.global.u32 %r1, [%rd0+AT];"),
        (2, "ld.global.u16 %h0, [%rd0+AT];"),
        (8, "ld.global.u64 %rd1, [%rd0+AT];"),
        (16, "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd0+AT];"),
        (4, "st.global.u32 [%rd0+AT], %r0;"),
        (8, "st.global.v2.u32 [%rd0+AT], {%r0, %r0};"),
        (4, "atom.global.add.u32 %r1, [%rd0+AT], %r0;"),
        (4, "ld.u32 %r1, [%rd0+AT];"),
        (4, "st.u32 [%rd0+AT], %r0;"),
    ];
    for (bytes, access) in accesses {
        let access = access.replace("AT", &bytes.to_string());
        assert_eq!(findings(2 * bytes, &access), [], "{access}");
        for missing in 1..=bytes {
            let found = findings(2 * bytes - missing, &access);
            assert_eq!(found, [FindingKind::OutOfBounds], "{access} of {} bytes", 2 * bytes - missing);
        }
    }
}

/// The same where the memory is the block's or the thread's, at addresses that are known only as it runs.
#[test]
fn accesses_beyond_an_array() {
    for (space, width) in [("shared", "32"), ("local", "64")] {
        let store = |offset: u32| {
            let (r, start) = if space == "shared" { ("%r2", "%r3") } else { ("%rd2", "%rd3") };
            format!(
                ".{space} .align 16 .b8 s[32]; ld.global.u32 %r2, [%rd0]; cvt.u64.u32 %rd2, %r2; mov.u{width} {start}, s;\n\
                 add.u{width} {r}, {r}, {start}; st.{space}.u32 [{r}+{offset}], %r0;"
            )
        };
        assert_eq!(findings(4, &store(0)), [], "{space}");
        assert_eq!(findings(4, &store(28)), [], "{space}");
        assert_eq!(findings(4, &store(32)), [FindingKind::OutOfBounds], "{space}");
    }
}

/// Shared memory that the launch sizes may end anywhere.
#[test]
fn accesses_partly_beyond_dynamic_shared_memory() {
    let top = ".extern .shared .align 16 .b8 dynamic[];";
    for (bytes, access) in [(4, "st.shared.u32 [dynamic+4], %r0;"), (8, "st.shared.v2.u32 [dynamic+8], {%r0, %r0};")] {
        let body = format!("mov.u32 %r0, 1; {access} ret;");
        let v = verified(top, "", "", &body).unwrap_or_else(|e| panic!("{e}"));
        for len in bytes..=2 * bytes {
            let options = Options::default();
            let (grid, block) = ([1; 3], [1; 3]);
            let kernel = "k";
            let launch = Launch {
                module: &v,
                kernel,
                grid,
                block,
                dynamic_shared: len,
                args: &[],
                globals: None,
                options: &options,
            };
            let report = launch.run(&mut Memory::new()).unwrap_or_else(|e| panic!("{e}"));
            let found: Vec<_> = report.findings.iter().map(|f| f.kind).collect();
            let expected: &[FindingKind] = if len < 2 * bytes { &[FindingKind::OutOfBounds] } else { &[] };
            assert_eq!(found, expected, "{access} of {len} bytes");
        }
    }
}

/// The host's own accesses to buffers, at their ends.
#[test]
fn the_ends_of_buffers() {
    let mut memory = Memory::new();
    let buffer = memory.alloc_uninit(7, 4).expect("room");
    assert!(memory.write(buffer, 3, &[1, 2, 3, 4]).is_ok());
    assert!(matches!(memory.write(buffer, 4, &[1, 2, 3, 4]), Err(MemoryError::Size { at: 4, got: 4, .. })));
    assert!(memory.write(buffer, 7, &[]).is_ok());
    assert!(memory.write(buffer, 8, &[]).is_err());
    assert!(memory.write(buffer, u64::MAX, &[1]).is_err());
    let mut four = [0; 4];
    assert!(memory.read_at(buffer, 3, &mut four).is_ok());
    assert_eq!(four, [1, 2, 3, 4]);
    assert!(memory.read_at(buffer, 4, &mut four).is_err());
    assert_eq!(memory.is_written(buffer, 3, 4), Ok(true));
    assert_eq!(memory.is_written(buffer, 2, 4), Ok(false));
    assert!(memory.is_written(buffer, 4, 4).is_err());
    assert_eq!(memory.read(buffer).expect("its bytes"), [0xaa, 0xaa, 0xaa, 1, 2, 3, 4]);
    // What is written as a whole is written everywhere.
    memory.write(buffer, 0, &[9; 7]).expect("all of it");
    assert_eq!(memory.is_written(buffer, 0, 7), Ok(true));
    memory.free(buffer).expect("a buffer");
    assert!(memory.free(buffer).is_err());
    assert!(memory.read(buffer).is_err());
    // The place is used again, and what is there is another buffer.
    let next = memory.alloc(&[5; 3], 4).expect("room");
    assert_eq!(next.address, buffer.address);
    assert!(memory.read(buffer).is_err());
    assert_eq!(memory.read(next).expect("its bytes"), [5; 3]);
}

/// Alignments that can be had, and that a buffer has exactly that one.
#[test]
fn alignments_of_buffers() {
    let mut memory = Memory::new();
    for align in [1, 2, 4, 256, 1 << 20] {
        let buffer = memory.alloc(&[0; 8], align).expect("room");
        assert_eq!(buffer.address % align, 0);
        assert_ne!(buffer.address % (2 * align), 0);
    }
    for align in [0, 3, 12, 1 << 21] {
        assert_eq!(memory.alloc(&[0; 8], align), Err(MemoryError::Align(align)));
    }
}

/// The special registers that tell a lane of its place in the warp.
#[test]
fn masks_of_lanes() {
    let body = "ld.param.u64 %rd0, [y]; cvta.to.global.u64 %rd0, %rd0; mov.u32 %r0, %laneid; mul.wide.u32 %rd1, %r0, 24;\n\
         add.u64 %rd0, %rd0, %rd1; mov.u32 %r1, %lanemask_eq; mov.u32 %r2, %lanemask_lt; mov.u32 %r3, %lanemask_le;\n\
         mov.u32 %r4, %lanemask_gt; mov.u32 %r5, %lanemask_ge; st.global.u32 [%rd0], %r0; st.global.u32 [%rd0+4], %r1;\n\
         st.global.u32 [%rd0+8], %r2; st.global.u32 [%rd0+12], %r3; st.global.u32 [%rd0+16], %r4;\n\
         st.global.u32 [%rd0+20], %r5; ret;";
    let module = sound(".param .u64 y", ".reqntid 32", body);
    let mut memory = Memory::new();
    let y = memory.alloc(&[0; 32 * 24], 8).expect("room");
    assert!(run(&module, 32, &[y.into()], &mut memory).findings.is_empty());
    let words = memory.read(y).expect("its bytes");
    let words: Vec<u32> =
        words.chunks(4).map(|b| b.iter().rev().fold(0, |all, b| (all << 8) | u32::from(*b))).collect();
    for (lane, found) in (0u32..).zip(words.chunks(6)) {
        let of = |test: fn(u32, u32) -> bool| {
            (0..32).filter(|other| test(*other, lane)).map(|other| 1u32 << other).sum::<u32>()
        };
        let expected =
            [lane, of(|a, b| a == b), of(|a, b| a < b), of(|a, b| a <= b), of(|a, b| a > b), of(|a, b| a >= b)];
        assert_eq!(found, expected, "lane {lane}");
    }
}

/// A buffer of no bytes has a name, too.
#[test]
fn nothing_is_in_an_empty_buffer() {
    let body = "ld.param.u64 %rd0, [y]; cvta.to.global.u64 %rd0, %rd0; ld.global.u32 %r0, [%rd0]; st.global.u32 [%rd0], %r0; ret;";
    let module = sound(".param .u64 y", ".reqntid 32", body);
    let mut memory = Memory::new();
    let y = memory.alloc(&[], 8).expect("room");
    let report = run(&module, 32, &[y.into()], &mut memory);
    assert_eq!(report.findings[0].kind, FindingKind::OutOfBounds);
    assert!(report.findings[0].message.contains("y[0] of 0"), "{}", report.findings[0].message);
}
