//! Clusters and the asynchronous proxy: planted faults are found at their lines in every schedule, correct kernels are
//! clean and have the right results.

mod clean;
mod planted;

use ptxgen_builder::interp::{Arg, Blocks, Launch, Memory, Options, Report, WarpOrder};
use ptxgen_builder::parse::parse;
use ptxgen_builder::verify::verify;

/// Every schedule that a case runs in.
const ORDERS: [WarpOrder; 5] =
    [WarpOrder::RoundRobin, WarpOrder::Adversarial, WarpOrder::Seeded(1), WarpOrder::Seeded(2), WarpOrder::Seeded(77)];

/// The blocks of the cluster meet.
pub const MEET: &str = "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;";

/// Thread 0 makes the block's mbarrier for one arrival, and the cluster meets.
pub const INIT: &str = "@%p0 mbarrier.init.shared.b64 [%bar], 1; fence.mbarrier_init.release.cluster; \
                        barrier.cluster.arrive.relaxed; barrier.cluster.wait;";

/// Copies from global to shared memory.
pub const LOAD: &str = "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes";
/// Copies from shared to global memory.
pub const STORE: &str = "cp.async.bulk.global.shared::cta.bulk_group";

/// An arrival at the block's mbarrier that expects bytes, whose number follows.
pub const EXPECT: &str = "mbarrier.arrive.expect_tx.shared.b64 _, [%bar],";

/// Waits for the phase of a parity, at the block's mbarrier.
pub fn wait(label: &str, parity: u32) -> String {
    format!("{label}: mbarrier.try_wait.parity.acquire.cluster.shared.b64 %p2, [%bar], {parity}; @!%p2 bra {label};")
}

/// A kernel of clusters of `blocks` blocks of 32 threads; the line that starts with a body's first has number 1.
///
/// Its registers: `%t` is the thread and `%p0` whether it is 0; `%rank`, and `%peer` of the next block; `%sb`, `%me` and
/// `%bar` are the addresses of the shared array, the thread's word of it and the mbarrier; `%ps`, `%pme` and `%pbar` the
/// same in the peer; `%in` is the input, `%o` the thread's word of the output and `%ob` the block's first.
fn text(blocks: u32, body: &str) -> String {
    format!(
        ".version 9.0 .target sm_90 .address_size 64 .visible .entry k(.param .u64 in, .param .u64 out) \
         .reqnctapercluster {blocks} {{ .reg .pred %p<5>; .reg .b32 %r<9>, %t, %rank, %peer, %n, %sb, %me, %bar, %ps, %pme, \
         %pbar, %v; .reg .b64 %rd<9>, %in, %o, %ob, %st; .shared .align 128 .b8 s[1024]; .shared .align 8 .b8 bar[16]; \
         ld.param.u64 %in, [in]; ld.param.u64 %ob, [out]; mov.u32 %t, %tid.x; mov.u32 %rank, %cluster_ctarank; \
         mov.u32 %n, %cluster_nctarank; add.u32 %peer, %rank, 1; setp.eq.u32 %p1, %peer, %n; @%p1 mov.u32 %peer, 0; \
         setp.eq.u32 %p1, %rank, 0; mov.u32 %sb, s; mov.u32 %bar, bar; shl.b32 %r0, %t, 2; add.u32 %me, %sb, %r0; \
         mapa.shared::cluster.u32 %ps, %sb, %peer; mapa.shared::cluster.u32 %pme, %me, %peer; \
         mapa.shared::cluster.u32 %pbar, %bar, %peer; mov.u32 %r1, %ctaid.x; mul.wide.u32 %rd0, %r1, 128; \
         add.u64 %ob, %ob, %rd0; mul.wide.u32 %rd0, %t, 4; add.u64 %o, %ob, %rd0; setp.eq.u32 %p0, %t, 0;\n{body}\nret; }}"
    )
}

/// Runs a body for two clusters in one schedule; the report, and the output.
fn run(blocks: u32, body: &str, order: WarpOrder, schedule: Blocks) -> (Report, Vec<u32>) {
    let text = text(blocks, body);
    let module = parse("test.ptx", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let module = verify(module).unwrap_or_else(|e| panic!("{e:#?}\n{text}"));
    let mut memory = Memory::new();
    let input: Vec<u8> = (0..256u32).flat_map(|i| (1000 + i).to_le_bytes()).collect();
    let input = memory.alloc(&input, 128).expect("room");
    let words = u64::from(2 * blocks * 32);
    let out = memory.alloc(&vec![0; 4 * words as usize], 128).expect("room");
    let launch = Launch {
        module: &module,
        kernel: "k",
        grid: [2 * blocks, 1, 1],
        block: [32, 1, 1],
        dynamic_shared: 0,
        args: &[Arg::from(input), Arg::from(out)],
        globals: None,
        options: &Options { order, schedule, max_steps: 1_000_000, ..Options::default() },
    };
    let report = launch.run(&mut memory).unwrap_or_else(|e| panic!("{e}"));
    let bytes = memory.read(out).expect("the output");
    (report, bytes.chunks(4).map(|b| u32::from_le_bytes(b.try_into().expect("a word"))).collect())
}

/// Every schedule of a body.
fn all(blocks: u32, body: &str) -> impl Iterator<Item = (String, Report, Vec<u32>)> {
    let schedules = ORDERS.into_iter().flat_map(|order| [(order, Blocks::Parallel), (order, Blocks::Interleaved)]);
    schedules.map(move |(order, schedule)| {
        let (report, out) = run(blocks, body, order, schedule);
        (format!("{order:?}, {schedule:?}"), report, out)
    })
}
