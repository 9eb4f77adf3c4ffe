//! Kernels that compute the right thing.

use ptxgen_builder::interp::{Arg, Blocks, Memory, Options, WarpOrder};

use crate::common::*;

fn orders() -> Vec<Options> {
    let mut all = Vec::new();
    for order in [WarpOrder::RoundRobin, WarpOrder::Seeded(1), WarpOrder::Seeded(77), WarpOrder::Adversarial] {
        for schedule in [Blocks::Parallel, Blocks::Interleaved] {
            all.push(Options { order, schedule, count: true, ..Options::default() });
        }
    }
    all
}

#[test]
fn saxpy_with_a_ragged_end() {
    let m = module(
        ".param .u32 n, .param .f32 a, .param .u64 x, .param .u64 y",
        &format!(
            "{GID}
             ld.param.u32 %r4, [n]; ld.param.f32 %f0, [a]; ld.param.u64 %rd0, [x]; ld.param.u64 %rd1, [y];
             setp.ge.u32 %p0, %r3, %r4; @%p0 bra $end;
             mul.wide.u32 %rd2, %r3, 4; add.s64 %rd3, %rd0, %rd2; add.s64 %rd4, %rd1, %rd2;
             ld.global.f32 %f1, [%rd3]; ld.global.f32 %f2, [%rd4]; fma.rn.f32 %f3, %f0, %f1, %f2;
             st.global.f32 [%rd4], %f3;
             $end: ret;"
        ),
    );
    let n = 1000;
    let x: Vec<f32> = (0..n).map(|i| i as f32 * 0.5).collect();
    let y: Vec<f32> = (0..n).map(|i| 3.0 - i as f32).collect();
    for options in orders() {
        let mut mem = Memory::new();
        let bx = mem.alloc(&bytes_of(&x, f32::to_le_bytes), 4).unwrap();
        let by = mem.alloc(&bytes_of(&y, f32::to_le_bytes), 4).unwrap();
        let args = [Arg::from(n as u32), 2.5f32.into(), bx.into(), by.into()];
        let report = launch(&m, 8, 128, &args, &mut mem, &options);
        assert!(report.is_clean(), "{report}");
        let got = f32s(&mem.read(by).unwrap());
        let want: Vec<f32> = (0..n as usize).map(|i| 2.5f32.mul_add(x[i], y[i])).collect();
        assert_eq!(got, want);
        // 31 whole warps and one of 8 lanes; buffers are 4-byte aligned, so a warp's 128 bytes touch 5 sectors.
        let stores = report.counters.sum(|f| f.get().name == "st.global.f32");
        assert_eq!((stores.warps, stores.lanes, stores.sector_bytes), (32, 1000, 4000));
        assert_eq!(stores.sectors, 31 * 5 + 2);
    }
}

/// A block sums 256 values through shared memory and shuffles.
#[test]
fn block_reduction() {
    let m = module(
        ".param .u64 x, .param .u64 y",
        &format!(
            ".shared .align 4 .b8 part[32]; {GID}
             ld.param.u64 %rd0, [x]; ld.param.u64 %rd1, [y];
             mul.wide.u32 %rd2, %r3, 4; add.s64 %rd3, %rd0, %rd2; ld.global.u32 %r5, [%rd3];
             shfl.sync.down.b32 %r6, %r5, 16, 31, 0xffffffff; add.u32 %r5, %r5, %r6;
             shfl.sync.down.b32 %r6, %r5, 8, 31, 0xffffffff; add.u32 %r5, %r5, %r6;
             shfl.sync.down.b32 %r6, %r5, 4, 31, 0xffffffff; add.u32 %r5, %r5, %r6;
             shfl.sync.down.b32 %r6, %r5, 2, 31, 0xffffffff; add.u32 %r5, %r5, %r6;
             shfl.sync.down.b32 %r6, %r5, 1, 31, 0xffffffff; add.u32 %r5, %r5, %r6;
             and.b32 %r7, %r0, 31; shr.u32 %r8, %r0, 5; shl.b32 %r9, %r8, 2; mov.u32 %r10, part; add.u32 %r9, %r9, %r10;
             setp.eq.u32 %p0, %r7, 0; @%p0 st.shared.u32 [%r9], %r5;
             bar.sync 0;
             setp.ne.u32 %p1, %r0, 0; @%p1 bra $end;
             mov.u32 %r11, 0; mov.u32 %r12, 0;
             $loop: shl.b32 %r13, %r12, 2; add.u32 %r13, %r13, %r10; ld.shared.u32 %r14, [%r13];
             add.u32 %r11, %r11, %r14; add.u32 %r12, %r12, 1; setp.lt.u32 %p2, %r12, 8; @%p2 bra $loop;
             mul.wide.u32 %rd4, %r1, 4; add.s64 %rd5, %rd1, %rd4; st.global.u32 [%rd5], %r11;
             $end: ret;"
        ),
    );
    for options in orders() {
        let mut mem = Memory::new();
        let x: Vec<u32> = (0..1024).map(|i| i * i).collect();
        let bx = mem.alloc(&bytes_of(&x, u32::to_le_bytes), 256).unwrap();
        let by = mem.alloc_uninit(16, 4).unwrap();
        let report = launch(&m, 4, 256, &[bx.into(), by.into()], &mut mem, &options);
        assert!(report.is_clean(), "{report}");
        let want: Vec<u32> = x.chunks(256).map(|c| c.iter().sum()).collect();
        assert_eq!(u32s(&mem.read(by).unwrap()), want);
    }
}

/// Transposes a 32 x 32 tile by columns `pitch` words apart.
fn transpose(pitch: u32) -> (u64, u64) {
    let m = module(
        ".param .u64 x, .param .u64 y",
        &format!(
            ".shared .align 4 .b8 tile[{size}]; {GID}
             ld.param.u64 %rd0, [x]; ld.param.u64 %rd1, [y];
             mul.wide.u32 %rd2, %r0, 4; add.s64 %rd3, %rd0, %rd2; ld.global.u32 %r5, [%rd3];
             mov.u32 %r4, tile; and.b32 %r6, %r0, 31; shr.u32 %r7, %r0, 5;
             mad.lo.u32 %r8, %r7, {pitch}, %r6; shl.b32 %r8, %r8, 2; add.u32 %r8, %r8, %r4; st.shared.u32 [%r8], %r5;
             bar.sync 0;
             mad.lo.u32 %r9, %r6, {pitch}, %r7; shl.b32 %r9, %r9, 2; add.u32 %r9, %r9, %r4; ld.shared.u32 %r10, [%r9];
             add.s64 %rd4, %rd1, %rd2; st.global.u32 [%rd4], %r10;
             ret;",
            size = pitch * 32 * 4
        ),
    );
    let mut mem = Memory::new();
    let x: Vec<u32> = (0..1024).collect();
    let bx = mem.alloc(&bytes_of(&x, u32::to_le_bytes), 128).unwrap();
    let by = mem.alloc_uninit(4096, 128).unwrap();
    let options = Options { count: true, ..Options::default() };
    let report = launch(&m, 1, 1024, &[bx.into(), by.into()], &mut mem, &options);
    assert!(report.is_clean(), "{report}");
    let want: Vec<u32> = (0..1024).map(|i| i % 32 * 32 + i / 32).collect();
    assert_eq!(u32s(&mem.read(by).unwrap()), want);
    let loads = report.counters.sum(|f| f.get().name == "ld.shared.u32");
    (loads.shared_passes, loads.bank_conflicts)
}

#[test]
fn bank_conflicts_are_counted() {
    assert_eq!(transpose(32), (32 * 32, 32 * 31));
    assert_eq!(transpose(33), (32, 0));
    // Two lanes a bank.
    assert_eq!(transpose(34), (64, 32));
}

/// Lanes that leave a loop after different numbers of turns meet after it.
#[test]
fn divergent_loops_meet_again() {
    let m = module(
        ".param .u64 y",
        &format!(
            "{GID}
             ld.param.u64 %rd1, [y]; mov.u32 %r5, 0; mov.u32 %r6, 0;
             $loop: add.u32 %r6, %r6, %r5; add.u32 %r5, %r5, 1; setp.le.u32 %p0, %r5, %r0; @%p0 bra $loop;
             vote.sync.ballot.b32 %r7, %p0, 0xffffffff;
             activemask.b32 %r8; not.b32 %r8, %r8; or.b32 %r7, %r7, %r8; add.u32 %r6, %r6, %r7;
             mul.wide.u32 %rd4, %r3, 4; add.s64 %rd5, %rd1, %rd4; st.global.u32 [%rd5], %r6; ret;"
        ),
    );
    for options in orders() {
        let mut mem = Memory::new();
        let by = mem.alloc_uninit(64 * 4, 4).unwrap();
        let report = launch(&m, 1, 64, &[by.into()], &mut mem, &options);
        assert!(report.is_clean(), "{report}");
        let want: Vec<u32> = (0..64).map(|t| t * (t + 1) / 2).collect();
        assert_eq!(u32s(&mem.read(by).unwrap()), want);
    }
}

/// A lock taken by each lane of a warp in turn: lanes that spin must let the
/// holder go on.
#[test]
fn a_spin_lock_within_a_warp() {
    let m = module(
        ".param .u64 lock, .param .u64 y",
        "ld.param.u64 %rd0, [lock]; ld.param.u64 %rd1, [y];
         $spin: atom.acquire.gpu.global.cas.b32 %r0, [%rd0], 0, 1; setp.ne.u32 %p0, %r0, 0; @%p0 bra $spin;
         ld.global.u32 %r1, [%rd1]; add.u32 %r1, %r1, 1; st.global.u32 [%rd1], %r1;
         st.release.gpu.global.u32 [%rd0], 0; ret;",
    );
    for options in [Options::default(), Options { schedule: Blocks::Interleaved, ..Options::default() }] {
        let mut mem = Memory::new();
        let lock = mem.alloc(&[0; 4], 4).unwrap();
        let y = mem.alloc(&[0; 4], 4).unwrap();
        let report = launch(&m, 2, 64, &[lock.into(), y.into()], &mut mem, &options);
        assert!(report.fault().is_none(), "{report}");
        assert_eq!(u32s(&mem.read(y).unwrap()), [128]);
    }
}
