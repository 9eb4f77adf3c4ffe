//! Interpreter speed in lane-instructions a second (divan's item is one), on
//! one thread, with and without race checks.

use divan::Bencher;
use divan::counter::ItemsCount;
use ptxgen_builder::interp::{Arg, Blocks, Buffer, Checks, Launch, Memory, Options};
use ptxgen_builder::parse::parse;
use ptxgen_builder::verify::{Validated, verify};

fn main() {
    divan::main();
}

fn kernel(body: &str) -> Validated {
    let text = format!(
        ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 x, .param .u64 y) {{
         .reg .pred %p<4>; .reg .b32 %r<24>; .reg .b64 %rd<12>; .reg .f32 %f<12>;
         mov.u32 %r0, %tid.x; mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mad.lo.s32 %r3, %r1, %r2, %r0;
         ld.param.u64 %rd0, [x]; ld.param.u64 %rd1, [y];
         mul.wide.u32 %rd2, %r3, 4; add.s64 %rd3, %rd0, %rd2; add.s64 %rd4, %rd1, %rd2;
         {body}\n}}\n"
    );
    let module = parse("bench.ptx", &text).unwrap_or_else(|e| panic!("{e}"));
    verify(module).unwrap_or_else(|e| panic!("{e:#?}"))
}

/// Runs 4 blocks of 256 threads.
fn bench(bencher: Bencher, body: &str, races: bool) {
    let module = kernel(body);
    let mut mem = Memory::new();
    let [x, y]: [Buffer; 2] = [0, 1].map(|_| mem.alloc(&[0; 1 << 20], 256).expect("room"));
    let args = [Arg::from(x), Arg::from(y)];
    let mut options = Options { schedule: Blocks::Interleaved, count: true, ..Options::default() };
    options.check = Checks { races, uninit: races };
    let launch = |options: &Options, mem: &mut Memory| {
        let (grid, block) = ([4, 1, 1], [256, 1, 1]);
        let launch = Launch {
            module: &module,
            kernel: "k",
            grid,
            block,
            dynamic_shared: 0,
            args: &args,
            globals: None,
            options,
        };
        let report = launch.run(mem).unwrap_or_else(|e| panic!("{e}"));
        assert!(report.is_clean(), "{report}");
        report
    };
    let lanes = launch(&options, &mut mem).counters.total.lanes;
    options.count = false;
    bencher.counter(ItemsCount::new(lanes)).bench_local(|| launch(&options, &mut mem));
}

/// Address arithmetic, products and sums in registers.
#[divan::bench(args = [false, true])]
fn arithmetic(bencher: Bencher, races: bool) {
    let body = "mov.u32 %r4, 0; mov.f32 %f0, 0f3F800000; mov.f32 %f1, 0f3F000000;
        $l: mad.lo.u32 %r5, %r4, 7, %r3; xor.b32 %r6, %r5, %r4; shr.u32 %r7, %r6, 3; fma.rn.f32 %f0, %f0, %f1, %f1;
        mul.rn.f32 %f2, %f0, %f1; add.rn.f32 %f0, %f2, %f0; and.b32 %r8, %r7, 255; add.u32 %r3, %r3, %r8;
        add.u32 %r4, %r4, 1; setp.lt.u32 %p0, %r4, 200; @%p0 bra $l;
        st.global.f32 [%rd4], %f0; ret;";
    bench(bencher, body, races);
}

/// Streams through global memory.
#[divan::bench(args = [false, true])]
fn streaming(bencher: Bencher, races: bool) {
    let body = "mov.u32 %r4, 0;
        $l: ld.global.f32 %f0, [%rd3]; ld.global.f32 %f1, [%rd4]; fma.rn.f32 %f1, %f0, %f1, %f0; st.global.f32 [%rd4], %f1;
        add.s64 %rd3, %rd3, 4096; add.s64 %rd4, %rd4, 4096; add.u32 %r4, %r4, 1; setp.lt.u32 %p0, %r4, 200; @%p0 bra $l; ret;";
    bench(bencher, body, races);
}

/// A dot product of 16-byte loads, dp4a and a warp reduction: a quantized gemv's inner loop.
#[divan::bench(args = [false, true])]
fn quantized_dot(bencher: Bencher, races: bool) {
    let body = "mul.wide.u32 %rd5, %r3, 16; add.s64 %rd6, %rd0, %rd5; add.s64 %rd7, %rd1, %rd5; mov.u32 %r4, 0; mov.u32 %r5, 0;
        $l: ld.global.nc.v4.u32 {%r8, %r9, %r10, %r11}, [%rd6]; ld.global.nc.v4.u32 {%r12, %r13, %r14, %r15}, [%rd7];
        dp4a.s32.s32 %r5, %r8, %r12, %r5; dp4a.s32.s32 %r5, %r9, %r13, %r5;
        dp4a.s32.s32 %r5, %r10, %r14, %r5; dp4a.s32.s32 %r5, %r11, %r15, %r5;
        and.b32 %r16, %r8, 0x0f0f0f0f; shr.u32 %r17, %r8, 4; dp4a.s32.s32 %r5, %r16, %r12, %r5; dp4a.s32.s32 %r5, %r17, %r13, %r5;
        add.s64 %rd6, %rd6, 16384; add.s64 %rd7, %rd7, 16384; add.u32 %r4, %r4, 1; setp.lt.u32 %p0, %r4, 60; @%p0 bra $l;
        shfl.sync.bfly.b32 %r6, %r5, 16, 31, -1; add.s32 %r5, %r5, %r6; shfl.sync.bfly.b32 %r6, %r5, 8, 31, -1; add.s32 %r5, %r5, %r6;
        shfl.sync.bfly.b32 %r6, %r5, 4, 31, -1; add.s32 %r5, %r5, %r6; shfl.sync.bfly.b32 %r6, %r5, 2, 31, -1; add.s32 %r5, %r5, %r6;
        ret;";
    bench(bencher, body, races);
}

/// A tile in shared memory, written, synchronized and read by all warps.
#[divan::bench(args = [false, true])]
fn shared_tiles(bencher: Bencher, races: bool) {
    let body = ".shared .align 4 .b8 tile[1024]; mov.u32 %r10, tile; shl.b32 %r11, %r0, 2; add.u32 %r11, %r11, %r10;
        mov.u32 %r4, 0; mov.f32 %f3, 0f00000000; mov.f32 %f1, 0f3F000000;
        $l: ld.global.f32 %f0, [%rd3]; st.shared.f32 [%r11], %f0; bar.sync 0; mov.u32 %r12, 0;
        $m: add.u32 %r13, %r10, %r12; ld.shared.f32 %f2, [%r13]; fma.rn.f32 %f3, %f2, %f1, %f3; add.u32 %r12, %r12, 4;
        setp.lt.u32 %p1, %r12, 128; @%p1 bra $m;
        bar.sync 0; add.u32 %r4, %r4, 1; setp.lt.u32 %p0, %r4, 20; @%p0 bra $l;
        st.global.f32 [%rd4], %f3; ret;";
    bench(bencher, body, races);
}
