//! Matrix instructions, compared with plain products.

use half::{bf16, f16};
use ptxgen_builder::interp::{FindingKind, Memory, Options};

use crate::common::*;

/// Runs one `mma` whose fragments are loaded with the ISA's formulas, written
/// here from element coordinates to byte addresses.
fn int_mma(k: usize, name: &str, a: &[u8], b: &[u8], c: &[i32]) -> Vec<i32> {
    let (na, nb) = (k / 8, k / 16);
    let regs = |first: usize, n: usize| (first..first + n).map(|r| format!("%r{r}")).collect::<Vec<_>>().join(", ");
    let mut loads = String::new();
    // a is row-major 16 x k, b column-major k x 8 (each column contiguous).
    for r in 0..na {
        let (row, col) = (if r % 2 == 1 { 8 } else { 0 }, if r >= 2 { 16 } else { 0 });
        loads += &format!(
            "add.u32 %r30, %r21, {row}; mad.lo.u32 %r30, %r30, {k}, {col}; mad.lo.u32 %r30, %r22, 4, %r30; cvt.u64.u32 %rd8, %r30; add.s64 %rd8, %rd8, %rd0; ld.global.u32 %r{r}, [%rd8];\n"
        );
    }
    for r in 0..nb {
        loads += &format!(
            "mad.lo.u32 %r30, %r21, {k}, {}; mad.lo.u32 %r30, %r22, 4, %r30; cvt.u64.u32 %rd8, %r30; add.s64 %rd8, %rd8, %rd1; ld.global.u32 %r{}, [%rd8];\n",
            16 * r,
            4 + r
        );
    }
    let body = format!(
        "mov.u32 %r20, %tid.x; shr.u32 %r21, %r20, 2; and.b32 %r22, %r20, 3;
         ld.param.u64 %rd0, [a]; ld.param.u64 %rd1, [b]; ld.param.u64 %rd2, [c];
         mad.lo.u32 %r31, %r21, 8, 0; mad.lo.u32 %r31, %r22, 2, %r31; mul.wide.u32 %rd3, %r31, 4; add.s64 %rd4, %rd2, %rd3;
         {loads}
         ld.global.v2.u32 {{%r8, %r9}}, [%rd4]; ld.global.v2.u32 {{%r10, %r11}}, [%rd4+256];
         {name} {{%r12, %r13, %r14, %r15}}, {{{}}}, {{{}}}, {{%r8, %r9, %r10, %r11}};
         st.global.v2.u32 [%rd4], {{%r12, %r13}}; st.global.v2.u32 [%rd4+256], {{%r14, %r15}}; ret;",
        regs(0, na),
        regs(4, nb)
    );
    let m = module(".param .u64 a, .param .u64 b, .param .u64 c", &body);
    let mut mem = Memory::new();
    let (pa, pb) = (mem.alloc(a, 16).unwrap(), mem.alloc(b, 16).unwrap());
    let pc = mem.alloc(&bytes_of(c, i32::to_le_bytes), 16).unwrap();
    let report = launch(&m, 1, 32, &[pa.into(), pb.into(), pc.into()], &mut mem, &Options::default());
    assert!(report.is_clean(), "{report}");
    u32s(&mem.read(pc).unwrap()).into_iter().map(|x| x as i32).collect()
}

fn noise(n: usize, seed: u32) -> Vec<u8> {
    let mut x = seed;
    (0..n)
        .map(|_| {
            x = x.wrapping_mul(1664525).wrapping_add(1013904223);
            (x >> 24) as u8
        })
        .collect()
}

#[test]
fn integer_products() {
    for k in [16, 32] {
        let (a, b) = (noise(16 * k, 1), noise(8 * k, 2));
        let c: Vec<i32> = (0..128).map(|i| i * 1000 - 5).collect();
        for (ta, tb) in [("s8", "s8"), ("u8", "s8"), ("u8", "u8")] {
            let value = |t: &str, x: u8| if t == "s8" { i32::from(x as i8) } else { i32::from(x) };
            let got = int_mma(k, &format!("mma.sync.aligned.m16n8k{k}.row.col.s32.{ta}.{tb}.s32"), &a, &b, &c);
            for (i, got) in got.into_iter().enumerate() {
                let (row, col) = (i / 8, i % 8);
                let want: i32 = (0..k).map(|j| value(ta, a[row * k + j]) * value(tb, b[col * k + j])).sum();
                assert_eq!(got, want + c[i], "k {k} {ta} {tb} row {row} col {col}");
            }
        }
    }
    let top = vec![i32::MAX; 128];
    let ones = (vec![1; 16 * 32], vec![1; 8 * 32]);
    let name = "mma.sync.aligned.m16n8k32.row.col.satfinite.s32.s8.s8.s32";
    assert_eq!(int_mma(32, name, &ones.0, &ones.1, &top), top);
}

/// A product through `ldmatrix` (plain for a, transposed for a row-major b).
#[test]
fn float_products_through_ldmatrix() {
    for (ty, trans) in [("f16", false), ("bf16", false), ("f16", true)] {
        let to =
            |x: i32| if ty == "f16" { f16::from_f32(x as f32).to_bits() } else { bf16::from_f32(x as f32).to_bits() };
        let a: Vec<i32> = noise(256, 3).into_iter().map(|x| i32::from(x % 17) - 8).collect();
        // b[k][n]
        let b: Vec<i32> = noise(128, 4).into_iter().map(|x| i32::from(x % 13) - 6).collect();
        let stored_b: Vec<i32> = if trans { b.clone() } else { (0..128).map(|i| b[i % 16 * 8 + i / 16]).collect() };
        let bytes: Vec<u8> = a.iter().chain(&stored_b).flat_map(|&x| to(x).to_le_bytes()).collect();
        // Rows of b's matrices: transposed, k rows of 8; plain, n rows of 16 in two halves.
        let b_rows = if trans {
            "and.b32 %r5, %r0, 15; shl.b32 %r5, %r5, 4;"
        } else {
            "and.b32 %r5, %r0, 7; shl.b32 %r5, %r5, 5; and.b32 %r6, %r0, 8; shl.b32 %r6, %r6, 1; add.u32 %r5, %r5, %r6;"
        };
        let t = if trans { ".trans" } else { "" };
        let body = format!(
            ".shared .align 16 .b8 s[768]; mov.u32 %r0, %tid.x; mov.u32 %r1, s; ld.param.u64 %rd0, [x]; ld.param.u64 %rd1, [y];
             shl.b32 %r2, %r0, 4; cvt.u64.u32 %rd2, %r2; add.s64 %rd2, %rd0, %rd2; add.u32 %r2, %r2, %r1;
             ld.global.v4.u32 {{%r10, %r11, %r12, %r13}}, [%rd2]; st.shared.v4.u32 [%r2], {{%r10, %r11, %r12, %r13}};
             setp.lt.u32 %p0, %r0, 16; @!%p0 bra $rest;
             ld.global.v4.u32 {{%r10, %r11, %r12, %r13}}, [%rd2+512]; st.shared.v4.u32 [%r2+512], {{%r10, %r11, %r12, %r13}};
             $rest: bar.sync 0;
             and.b32 %r3, %r0, 15; shl.b32 %r3, %r3, 5; and.b32 %r4, %r0, 16; add.u32 %r3, %r3, %r4; add.u32 %r3, %r3, %r1;
             ldmatrix.sync.aligned.m8n8.x4.shared.b16 {{%r10, %r11, %r12, %r13}}, [%r3];
             {b_rows} add.u32 %r5, %r5, %r1;
             ldmatrix.sync.aligned.m8n8.x2{t}.shared.b16 {{%r14, %r15}}, [%r5+512];
             mov.f32 %f0, 0f3F800000;
             mma.sync.aligned.m16n8k16.row.col.f32.{ty}.{ty}.f32 {{%f1, %f2, %f3, %f4}}, {{%r10, %r11, %r12, %r13}}, {{%r14, %r15}}, {{%f0, %f0, %f0, %f0}};
             shr.u32 %r20, %r0, 2; and.b32 %r21, %r0, 3; shl.b32 %r20, %r20, 3; mad.lo.u32 %r20, %r21, 2, %r20;
             mul.wide.u32 %rd3, %r20, 4; add.s64 %rd3, %rd1, %rd3;
             st.global.v2.f32 [%rd3], {{%f1, %f2}}; st.global.v2.f32 [%rd3+256], {{%f3, %f4}}; ret;"
        );
        let m = module(".param .u64 x, .param .u64 y", &body);
        let mut mem = Memory::new();
        let x = mem.alloc(&bytes, 16).unwrap();
        let y = mem.alloc_uninit(512, 16).unwrap();
        let options = Options { count: true, ..Options::default() };
        let report = launch(&m, 1, 32, &[x.into(), y.into()], &mut mem, &options);
        assert!(report.is_clean(), "{report}");
        let want: Vec<f32> =
            (0..128).map(|i| 1.0 + (0..16).map(|k| a[i / 8 * 16 + k] * b[k * 8 + i % 8]).sum::<i32>() as f32).collect();
        assert_eq!(f32s(&mem.read(y).unwrap()), want, "{ty} {trans}");
        let x4 = report.counters.sum(|f| f.get().name.contains(".x4"));
        // Rows 32 bytes apart: every two rows of eight share banks.
        assert_eq!((x4.shared_passes, x4.bank_conflicts), (8, 4));
    }
}

#[test]
fn half_precision_accumulators_round_once() {
    let m = module(
        ".param .u64 y",
        "mov.u32 %r0, %tid.x; ld.param.u64 %rd0, [y]; mul.wide.u32 %rd1, %r0, 8; add.s64 %rd1, %rd0, %rd1;
         mov.u32 %r1, 0x3c003c00; mov.u32 %r2, 0x68006800;
         mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%r4, %r5}, {%r1, %r1, %r1, %r1}, {%r1, %r1}, {%r2, %r2};
         st.global.v2.u32 [%rd1], {%r4, %r5}; ret;",
    );
    let mut mem = Memory::new();
    let y = mem.alloc_uninit(256, 8).unwrap();
    let report = launch(&m, 1, 32, &[y.into()], &mut mem, &Options::default());
    assert!(report.is_clean(), "{report}");
    // 2048 + 16 in f16.
    assert!(u32s(&mem.read(y).unwrap()).iter().all(|&x| x == 0x6808_6808));
}

#[test]
fn a_matrix_instruction_needs_the_whole_warp() {
    let m = module(
        ".param .u64 y",
        "ld.param.u64 %rd0, [y]; mov.u32 %r1, 0;
         mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%r4, %r5}, {%r1, %r1, %r1, %r1}, {%r1, %r1}, {%r1, %r1}; ret;",
    );
    let mut mem = Memory::new();
    let y = mem.alloc(&[0; 4], 8).unwrap();
    let report = launch(&m, 1, 16, &[y.into()], &mut mem, &Options::default());
    only(&report, FindingKind::WarpMask, 2);
}
