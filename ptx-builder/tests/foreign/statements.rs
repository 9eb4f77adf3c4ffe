//! Statements that stand for several instructions: parts of words, vectors, hints that the table has not with every space.

use ptxgen_builder::parse::parse;
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::ptxas::Ptxas;
use ptxgen_builder::target::Target;

use super::{body, each, module_of, refusal};

/// A word of each lane, with bytes of all kinds.
const WORD: &str =
    ".reg .b32 %w, %x; mad.lo.u32 %w, %v, 0x01030507, 0x80FF7F01; mad.lo.u32 %x, %v, 0x11, 0x7F80FE03;\n";

fn word(lane: u32) -> u32 {
    lane.wrapping_mul(0x0103_0507).wrapping_add(0x80FF_7F01)
}

fn other(lane: u32) -> u32 {
    lane.wrapping_mul(0x11).wrapping_add(0x7F80_FE03)
}

fn half(word: u32, i: u32) -> u32 {
    word >> (16 * i) & 0xffff
}

fn byte(word: u32, i: u32) -> u32 {
    word >> (8 * i) & 0xff
}

/// PTX ISA 9.7.19.1: a byte or half of a source by its type's sign, and a part of the result in c.
#[test]
fn parts_of_words_in_scalar_video_instructions() {
    let run = |text: &str| body("sm_90", "", &format!("{WORD}{text}"));
    let signed = |x: u32| x as u8 as i8 as i32 as u32;
    assert_eq!(
        run("vadd.s32.s32.u32 %v, %w.b3, %x.h0;"),
        each(|l| signed(byte(word(l), 3)).wrapping_add(half(other(l), 0)))
    );
    assert_eq!(
        run("vsub.u32.u32.u32.add %v, %w.h1, %x.b2, %w;"),
        each(|l| half(word(l), 1).wrapping_sub(byte(other(l), 2)).wrapping_add(word(l)))
    );
    // Clamped to the part, which takes its place in c.
    assert_eq!(
        run("vadd.u32.u32.u32.sat %v.b2, %w.h1, %x.b0, %x;"),
        each(|l| (half(word(l), 1) + byte(other(l), 0)).min(255) << 16 | other(l) & !0xff_0000)
    );
    assert_eq!(
        run("vsub.s32.u32.u32.sat %v.h0, %w.b1, %x.h1, %w;"),
        each(|l| {
            let difference = byte(word(l), 1) as i32 - half(other(l), 1) as i32;
            difference.clamp(-0x8000, 0x7fff) as u32 & 0xffff | word(l) & 0xffff_0000
        })
    );
    // Not clamped, it is cut.
    assert_eq!(
        run("vadd.u32.u32.u32 %v.b0, %w, %x, %w;"),
        each(|l| word(l).wrapping_add(other(l)) & 0xff | word(l) & 0xffff_ff00)
    );
    assert_eq!(
        run("vset.u32.u32.lt %v.h1, %w.b0, %x.b1, %w;"),
        each(|l| u32::from(byte(word(l), 0) < byte(other(l), 1)) << 16 | word(l) & 0xffff)
    );
    assert_eq!(
        run("vmad.u32.u32.u32 %v, %w.b1, %x.h0, %w;"),
        each(|l| (byte(word(l), 1) * half(other(l), 0)).wrapping_add(word(l)))
    );
}

/// PTX ISA 9.7.19.2: halves and bytes out of both sources, and a mask of the parts that are computed.
#[test]
fn parts_of_words_in_simd_video_instructions() {
    let run = |text: &str| body("sm_90", "", &format!("{WORD}{text}"));
    let halves = |l: u32| [half(word(l), 0), half(word(l), 1), half(other(l), 0), half(other(l), 1)];
    let bytes = |l: u32, i: u32| if i < 4 { byte(word(l), i) } else { byte(other(l), i - 4) };
    assert_eq!(
        run("vadd2.u32.u32.u32 %v, %w.h13, %x.h22, %w;"),
        each(|l| {
            let [_, h1, h2, h3] = halves(l);
            (h3.wrapping_add(h2) & 0xffff) | (h1.wrapping_add(h2) & 0xffff) << 16
        })
    );
    assert_eq!(
        run("vmax4.u32.u32.u32 %v.b31, %w.b7012, %x, %w;"),
        each(|l| {
            let max = |i: u32, a: u32| bytes(l, a).max(byte(other(l), i)) << (8 * i);
            max(3, 7) | max(1, 1) | word(l) & 0x00ff_00ff
        })
    );
    // What the mask leaves out is not added, whatever the comparison says of it.
    type Holds = fn(u32, u32) -> bool;
    let comparisons: [(&str, Holds); 6] = [
        ("eq", |a, b| a == b),
        ("ne", |a, b| a != b),
        ("lt", |a, b| a < b),
        ("le", |a, b| a <= b),
        ("gt", |a, b| a > b),
        ("ge", |a, b| a >= b),
    ];
    for (name, holds) in comparisons {
        assert_eq!(
            run(&format!("vset4.u32.u32.{name}.add %v.b20, %w, %x, %w;")),
            each(|l| {
                let count = [0, 2].into_iter().filter(|&i| holds(byte(word(l), i), byte(other(l), i))).count();
                word(l).wrapping_add(count as u32)
            }),
            "{name}"
        );
    }
    assert_eq!(
        run("vadd2.s32.s32.s32.add %v.h1, %w, %x, %w;"),
        each(|l| {
            let sum = half(word(l), 1) as i16 as i32 + half(other(l), 1) as i16 as i32;
            word(l).wrapping_add(sum as u32)
        })
    );
}

#[test]
fn vectors_are_moved_element_by_element() {
    let all = ".reg .b32 %q<4>; mov.v4.u32 {%q0, %q1, %q2, _}, %tid; mad.lo.u32 %v, %q0, 3, %q1; add.u32 %v, %v, %q2; mov.u32 %q3, %tid.w; add.u32 %v, %v, %q3;";
    assert_eq!(body("sm_90", "", all), each(|l| 3 * l));
    // Each is read before any is written.
    let swap = ".reg .b32 %q<2>; mov.u32 %q0, %v; mov.u32 %q1, 100; mov.v2.u32 {%q0, %q1}, {%q1, %q0}; mad.lo.u32 %v, %q0, 2, %q1;";
    assert_eq!(body("sm_90", "", swap), each(|l| 200 + l));
    let named = ".reg .v4 .u32 %q; mov.v4.u32 %q, %ntid; add.u32 %v, %v, %q.x;";
    assert_eq!(body("sm_90", "", named), each(|l| l + 32));
}

#[test]
fn accesses_of_32_bytes() {
    let text =
        ".reg .b32 %q<8>; .reg .b64 %b, %d<4>; .reg .b32 %n; sub.s64 %b, %a, %i; and.b32 %n, %v, 3; shl.b32 %n, %n, 5;
        cvt.u64.u32 %d0, %n; add.s64 %b, %b, %d0; bar.warp.sync -1;
        ld.global.v8.b32 {%q0, %q1, %q2, _, %q4, %q5, %q6, %q7}, [%b];
        ld.global.v4.u64 {%d0, %d1, %d2, %b}, [%b]; cvt.u32.u64 %n, %b;
        mad.lo.u32 %v, %q7, 100, %n; bar.warp.sync -1;";
    assert_eq!(body("sm_100", "", text), each(|l| (8 * (l & 3) + 7) * 100 + 8 * (l & 3) + 6));
    let whole = |target: &str| {
        format!(
            ".version 8.8\n.target {target}\n.address_size 64\n.visible .entry k(.param .u64 a)\n{{\n.reg .b64 %a; .reg .b32 %q<8>;\n\
             ld.param.u64 %a, [a];\nst.global.v8.b32 [%a], {{%q0, %q1, %q2, %q3, %q4, %q5, %q6, %q7}};\nret;\n}}\n"
        )
    };
    assert!(parse("t.ptx", &whole("sm_100")).is_ok());
    let refused = parse("t.ptx", &whole("sm_90")).expect_err("it has none").to_string();
    assert!(refused.contains("sm_100"), "{refused}");
}

/// What is said of caches is a hint; where it does not belong, it is refused.
#[test]
fn hints_of_caches() {
    let words = ".reg .b32 %w; .reg .b16 %h;\n";
    let local =
        ".local .align 4 .b8 room[4]; st.local.wt.u32 [room], %v; ld.local.cg.u32 %w, [room]; add.u32 %v, %v, %w;";
    assert_eq!(body("sm_90", "", &format!("{words}{local}")), each(|l| 2 * l));
    let global =
        "ld.global.L1::evict_last.L2::64B.u16 %h, [%a]; cvt.u32.u16 %w, %h; ld.cv.u32 %v, [%a]; add.u32 %v, %v, %w;";
    assert_eq!(body("sm_90", "", &format!("{words}{global}")), each(|l| 2 * l));
    let ptxas = Ptxas::for_tests();
    for wrong in [
        "ld.shared.L1::evict_last.u32 %v, [room];",
        "ld.shared.L2::64B.u32 %v, [room];",
        "st.global.L2::64B.u32 [%a], %v;",
        "ld.global.ca.L1::evict_last.u32 %v, [%a];",
        "ld.global.L2::evict_last.u32 %v, [%a];",
        "ld.global.wb.u32 %v, [%a];",
    ] {
        let text = format!(
            ".version 8.8\n.target sm_100\n.address_size 64\n.visible .entry k(.param .u64 a)\n{{\n.reg .b64 %a; .reg .b32 %v;\n\
             .shared .align 4 .b8 room[4];\nld.param.u64 %a, [a];\n{wrong}\nret;\n}}\n"
        );
        assert!(parse("t.ptx", &text).is_err(), "{wrong}");
        if let Some(ptxas) = &ptxas {
            assert!(ptxas.assemble(&text, Target::new(100).expect("a known target")).is_err(), "{wrong}");
        }
    }
}

/// Textures and surfaces are read, verified and printed as the assembler takes them, and refused by name by the interpreter.
#[test]
fn textures_and_surfaces() {
    let ptxas = Ptxas::for_tests();
    for statement in [
        "tex.2d.v4.f32.f32 {%f0, %f1, %f2, %f3}, [%rd1, {%f4, %f5}];",
        "tex.2d.v4.f32.f32 {%f0, %f1, %f2, %f3}|%p1, [%rd1, {%f4, %f5}];",
        "tex.1d.v4.s32.s32 {%r0, %r1, %r2, %r3}, [%rd1, {%r4}];",
        "tex.level.2d.v4.f32.f32 {%f0, %f1, %f2, %f3}, [%rd1, {%f4, %f5}], %f6;",
        "tex.grad.2d.v4.f32.f32 {%f0, %f1, %f2, %f3}, [%rd1, {%f4, %f5}], {%f6, %f7}, {%f6, %f7};",
        "tex.a2d.v4.f32.f32 {%f0, %f1, %f2, %f3}, [%rd1, {%r1, %f4, %f5, %f5}];",
        "tex.3d.v4.u32.f32 {%r0, %r1, %r2, %r3}, [%rd1, {%f4, %f5, %f6, %f7}];",
        "tex.cube.v4.f32.f32 {%f0, %f1, %f2, %f3}, [%rd1, {%f4, %f5, %f6, %f7}];",
        "tld4.r.2d.v4.f32.f32 {%f0, %f1, %f2, %f3}, [%rd1, {%f4, %f5}];",
        "txq.width.b32 %r1, [%rd1];",
        "suld.b.2d.v2.b32.trap {%r1, %r2}, [%rd1, {%r3, %r4}];",
        "suld.b.1d.b32.clamp {%r1}, [%rd1, {%r3}];",
        "suld.b.1d.b32.zero %r1, [%rd1, {%r3}];",
        "sust.b.1d.b32.clamp [%rd1, {%r1}], %r2;",
        "sust.b.2d.v4.b32.trap [%rd1, {%r1, %r2}], {%r3, %r4, %r5, %r6};",
        "sust.p.2d.v4.b32.trap [%rd1, {%r1, %r2}], {%r3, %r4, %r5, %r6};",
        "sured.b.add.2d.u32.clamp [%rd1, {%r1, %r2}], %r3;",
        "suq.width.b32 %r1, [%rd1];",
        "tex.2d.v4.f32.f32 {%f0, %f1, %f2, %f3}, [%rd1, %rd2, {%f4, %f5}];",
        "@!%p2 tex.2d.v4.f32.f32 {%f0, _, %f2, %f3}, [%rd1, {0f3F800000, %f5}];",
    ] {
        let text = format!(
            ".visible .entry k(.param .u64 a)\n{{\n.reg .b64 %rd<4>; .reg .b32 %r<8>; .reg .f32 %f<8>; .reg .pred %p<4>;\n\
             ld.param.u64 %rd1, [a]; mov.u64 %rd2, %rd1; setp.eq.u64 %p2, %rd1, 0;\n{}\n{statement}\nret;\n}}\n",
            (0..8).map(|i| format!("mov.u32 %r{i}, 1; mov.f32 %f{i}, 0f00000000;")).collect::<String>()
        );
        let module = module_of("sm_90", &text);
        let printed = print(&module, &PrintOptions::default());
        if let Some(ptxas) = &ptxas {
            ptxas.assemble(&printed, Target::SM_90).unwrap_or_else(|e| panic!("{statement}: {e}\n{printed}"));
        }
        let name = statement.split(' ').find(|w| w.contains('.')).expect("an opcode");
        let why = refusal(&module);
        assert!(why.contains(name), "{why}");
    }
    for wrong in
        ["tex.4d.v4.f32.f32 {%f0, %f1, %f2, %f3}, [%rd1, {%f4}];", "tex.2d.v4.f32.f32 {%f0}, [nothing, {%f4}];", "tex;"]
    {
        let text = format!(
            ".version 8.8\n.target sm_90\n.address_size 64\n.visible .entry k()\n{{\n.reg .b64 %rd<4>; .reg .f32 %f<8>;\n{wrong}\nret;\n}}\n"
        );
        assert!(parse("t.ptx", &text).is_err(), "{wrong}");
    }
}
