//! Errors through matrix instructions.

use half::f16;

use crate::paths::{LANES, run, same};

/// a (16 x 16) b (16 x 8) + c, of f16 that were rounded from thirds: through ldmatrix, plain and transposed.
#[test]
fn matrices() {
    // Row-major a in s; each lane stores 8 halves of it, then loads its fragments. b is the same matrix's left half,
    // transposed or not; only whose error goes where matters.
    let third = |i: usize| (1.0 + i as f32 / 7.0) / 3.0;
    let real = |i: usize| f64::from(1.0 + i as f32 / 7.0) / 3.0;
    for trans in [false, true] {
        let t = if trans { ".trans" } else { "" };
        let [y, z] = run(&format!(
            "cvt.rn.f16.f32 %h0, %f0; mov.b32 %r10, {{%h0, %h0}}; st.shared.v4.b32 [%r1], {{%r10, %r10, %r10, %r10}}; bar.sync 0;
             mov.u32 %r5, s; and.b32 %r6, %r0, 15; mad.lo.u32 %r7, %r6, 32, %r5; and.b32 %r8, %r0, 16; add.u32 %r7, %r7, %r8;
             ldmatrix.sync.aligned.m8n8.x4.shared.b16 {{%r11, %r12, %r13, %r14}}, [%r7];
             mad.lo.u32 %r7, %r6, 32, %r5;
             ldmatrix.sync.aligned.m8n8.x2{t}.shared.b16 {{%r15, %r16}}, [%r7];
             mov.f32 %f1, %f0;
             mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {{%f1, %f2, %f3, %f4}}, {{%r11, %r12, %r13, %r14}}, {{%r15, %r16}}, {{%f1, %f1, %f0, %f0}};
             st.global.f32 [%rd2], %f2; st.global.f32 [%rd3], %f3"
        ));
        // Lane l stores elements 8 l to 8 l + 7 of a: row l / 2, columns from 8 (l % 2) on.
        let a = |row: usize, col: usize| row * 2 + col / 8;
        // The x2 matrices are rows 0 to 7 and 8 to 15 of the left half.
        let b = |k: usize, n: usize| if trans { a(k, n) } else { a(n + k / 8 * 8, k % 8) };
        for (found, i) in [(&y, 1), (&z, 2)] {
            for lane in 0..LANES {
                let (row, col) = (lane / 4 + if i >= 2 { 8 } else { 0 }, lane % 4 * 2 + (i & 1));
                let want: f64 = (0..16).map(|k| real(a(row, k)) * real(b(k, col))).sum::<f64>() + real(lane);
                let got = &found[&(lane as u64)];
                assert!((got.real() - want).abs() < 1e-12, "{trans} lane {lane}, {i}: {got:?}, {want}");
                let rounded = |i: usize| f16::from_f32(third(i)).to_f64();
                let value: f64 =
                    (0..16).map(|k| rounded(a(row, k)) * rounded(b(k, col))).sum::<f64>() + f64::from(third(lane));
                assert!((got.value - value).abs() < 1e-5, "{got:?}, {value}");
                assert!(got.error.abs() > 1e-6, "{got:?}");
            }
        }
    }
}

/// c in f16, two to a register.
#[test]
fn matrices_that_accumulate_in_halves() {
    let [y, _] = run(
        "cvt.rn.f16.f32 %h0, %f0; mov.b32 %r10, {%h0, %h0}; mov.u32 %r11, 0;
         mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%r12, %r13}, {%r11, %r11, %r11, %r11}, {%r11, %r11}, {%r10, %r10};
         st.global.b16 [%rd2], %h0; mov.b32 {%h1, %h2}, %r13; st.global.b16 [%rd3], %h2",
    );
    assert!(y.len() > 20);
    same(
        "cvt.rn.f16.f32 %h0, %f0; mov.b32 %r10, {%h0, %h0}; mov.u32 %r11, 0;
         mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%r12, %r13}, {%r11, %r11, %r11, %r11}, {%r11, %r11}, {%r10, %r10};
         st.global.b16 [%rd2], %h0; mov.b32 {%h1, %h2}, %r13; st.global.b16 [%rd3], %h2",
    );
}

/// Each lane has x / 3 and x / 9 of its own x in the halves of %r10, and the same the other way round in %r11.
const HALVES: &str = "div.rn.f32 %f1, %f0, 0f40400000; cvt.rn.f16.f32 %h0, %f0; cvt.rn.f16.f32 %h1, %f1;
    mov.b32 %r10, {%h0, %h1}; mov.b32 %r11, {%h1, %h0};";

/// The real number in the 8 x 8 matrix whose rows of pairs are the lanes' %r10 (or %r11, if `swapped`).
fn element(swapped: bool, row: usize, column: usize) -> f64 {
    let third = f64::from(1.0 + (row * 4 + column / 2) as f32 / 7.0) / 3.0;
    if (column % 2 == 1) == swapped { third } else { third / 3.0 }
}

#[test]
fn matrices_that_are_stored_and_transposed() {
    let store = |n: usize, trans: &str, registers: &str| {
        format!(
            "mov.u32 %r5, s; mad.lo.u32 %r6, %r0, 16, %r5; stmatrix.sync.aligned.m8n8.x{n}{trans}.shared.b16 [%r6], {{{registers}}}; bar.sync 0;"
        )
    };
    let plain = |n: usize| format!("mad.lo.u32 %r7, %r0, 4, %r5; ld.shared.b32 %r12, [%r7+{}];", 128 * (n - 1));
    let cases = [
        (store(1, "", "%r10") + &plain(1), false, false),
        (store(1, ".trans", "%r10") + &plain(1), false, true),
        (store(2, "", "%r10, %r11") + &plain(2), true, false),
        (store(2, ".trans", "%r10, %r11") + &plain(2), true, true),
        (store(4, ".trans", "%r10, %r10, %r10, %r11") + &plain(4), true, true),
        ("movmatrix.sync.aligned.m8n8.trans.b16 %r12, %r10;".to_owned(), false, true),
        (
            "movmatrix.sync.aligned.m8n8.trans.b16 %r12, %r11; movmatrix.sync.aligned.m8n8.trans.b16 %r12, %r12;"
                .to_owned(),
            true,
            false,
        ),
    ];
    for (way, swapped, trans) in cases {
        let [y, z] = run(&format!(
            "{HALVES} {way} mov.b32 {{%h2, %h3}}, %r12; st.global.b16 [%rd2], %h2; st.global.b16 [%rd3], %h3"
        ));
        for (found, i) in [(&y, 0), (&z, 1)] {
            for lane in 0..LANES {
                let (row, column) = (lane / 4, lane % 4 * 2 + i);
                let want = if trans { element(swapped, column, row) } else { element(swapped, row, column) };
                match found.get(&(lane as u64)) {
                    Some(got) => assert!((got.real() - want).abs() < 1e-12, "lane {lane}, {i}: {got:?}, {want}: {way}"),
                    None => assert_eq!(f16::from_f64(want).to_f64(), want, "lane {lane}, {i} is exact: {way}"),
                }
            }
        }
    }
}

/// An f32 whose halves lie side by side stays one.
#[test]
fn floats_go_through_matrices_of_halves() {
    same(
        "st.global.f32 [%rd2], %f0; mov.b32 %r10, %f0; mov.u32 %r5, s; mad.lo.u32 %r6, %r0, 16, %r5;
         stmatrix.sync.aligned.m8n8.x1.shared.b16 [%r6], {%r10}; bar.sync 0;
         ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r11}, [%r6]; mov.b32 %f1, %r11; st.global.f32 [%rd3], %f1",
    );
}
