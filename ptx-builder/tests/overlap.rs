//! Programmatic dependent launch: what a kernel does before it waits, and launches that overlap.

use ptxgen_builder::analysis::{Overlap, Uses};
use ptxgen_builder::build::{Body, In, InOut, Kernel, Out, kernel};
use ptxgen_builder::interp::{
    Arg, Buffer, FindingKind, Launch, Memory, Options, Overlapping, Report, WarpOrder, run_overlapping,
};
use ptxgen_builder::parse::parse;
use ptxgen_builder::target::Target;
use ptxgen_builder::verify::{Validated, verify};

const THREADS: u32 = 64;

/// y = 2 x + w. The weights are read early; `early` reads x early, too.
fn scale(name: &str, early: bool) -> Kernel<(In<f32>, In<f32>, Out<f32>)> {
    kernel::<(In<f32>, In<f32>, Out<f32>)>(name, ["w", "x", "y"], |k, (w, x, y)| {
        let i = k.global_thread_id();
        let w = w.at(i).load(k);
        let soon = early.then(|| x.at(i).load(k));
        k.grid_dependency_wait();
        k.launch_dependents();
        let x = soon.unwrap_or_else(|| x.at(i).load(k));
        y.at(i).store(k, x.fma(2.0f32, w));
    })
}

fn overlap<A>(kernel: &Kernel<A>) -> Overlap {
    kernel.verify(Target::SM_90).unwrap().overlap(0)
}

fn uses(all: &[Uses]) -> String {
    let one = |u: &Uses| match (u.reads, u.writes) {
        (false, false) => '-',
        (true, false) => 'r',
        (false, true) => 'w',
        (true, true) => 'b',
    };
    all.iter().map(one).collect()
}

#[test]
fn what_is_done_before_and_after_the_wait_is_told_by_parameter() {
    let found = overlap(&scale("scale", false));
    assert_eq!((uses(&found.early), uses(&found.later)), ("r--".into(), "-rw".into()), "{found:?}");
    assert!(found.waits && found.always_waits && !found.is_eager && found.releases_before_writes);
    assert_eq!(uses(&found.ever()), "rrw");
    let found = overlap(&scale("scale", true));
    assert_eq!((uses(&found.early), uses(&found.later)), ("rr-".into(), "--w".into()), "{found:?}");
}

#[test]
fn a_way_around_the_wait_counts_as_no_wait() {
    let maybe = |wait: fn(&Body)| {
        kernel::<(In<f32>, InOut<f32>)>("maybe", ["x", "y"], move |k, (x, y)| {
            let i = k.global_thread_id();
            k.if_(i.lt(8), wait);
            let v = x.at(i).load(k);
            y.at(i).store(k, v + y.at(i).load(k));
        })
    };
    let found = overlap(&maybe(Body::grid_dependency_wait));
    assert!(found.waits && !found.always_waits);
    assert_eq!((uses(&found.early), uses(&found.later)), ("rb".into(), "rb".into()));
    // The release is before the wait of those that come to it at all.
    let found = overlap(&maybe(Body::launch_dependents));
    assert!(!found.waits && found.is_eager && found.releases_before_writes);
    assert_eq!((uses(&found.early), uses(&found.later)), ("rb".into(), "--".into()));
}

#[test]
fn a_kernel_in_which_the_release_comes_first_is_eager() {
    let found = overlap(&scale("scale", false).eager());
    assert!(found.waits && found.is_eager, "{found:?}");
}

#[test]
fn a_release_after_the_last_write_comes_before_none() {
    let last = kernel::<(Out<u32>,)>("last", ["y"], |k, (y,)| {
        k.grid_dependency_wait();
        y.at(k.thread_x()).store(k, 1u32);
        k.launch_dependents();
    });
    let found = overlap(&last);
    assert!(found.waits && !found.is_eager && !found.releases_before_writes, "{found:?}");
}

fn text(body: &str) -> Validated {
    let text = format!(
        ".version 8.0\n.target sm_90\n.address_size 64\n\
         .visible .entry e(.param .u64 a, .param .u64 b, .param .u32 n)\n{{\n{body}\n}}\n"
    );
    verify(parse("e.ptx", &text).unwrap_or_else(|e| panic!("{e}\n{text}"))).unwrap()
}

/// Threads that leave before the wait do not come to it, unless no thread can.
#[test]
fn a_way_out_before_the_wait_counts_unless_copies_rule_it_out() {
    let leaves = |how: &str| {
        let found = text(&format!(
            ".reg .u64 %rd<4>; .reg .u32 %r<4>; .reg .pred %p<3>;\n\
             ld.param.u64 %rd1, [a]; cvta.to.global.u64 %rd1, %rd1; ld.param.u32 %r1, [n];\n\
             setp.lt.u32 %p0, %r1, 5; @%p0 mov.u32 %r1, 7;\n\
             {how}\n\
             griddepcontrol.wait; st.global.u32 [%rd1], %r1;\nEND: ret;"
        ))
        .overlap(0);
        assert!(found.waits);
        !found.always_waits
    };
    assert!(!leaves(""));
    assert!(leaves("@%p0 ret;") && leaves("@%p0 exit;") && leaves("@%p0 bra END;"));
    // A copy of what has no name yet, and what differs from it.
    assert!(!leaves("mov.u32 %r2, %r1; setp.ne.u32 %p1, %r2, %r1; @%p1 bra END;"));
    assert!(leaves("mov.u32 %r2, %r1; setp.eq.u32 %p1, %r2, %r1; @%p1 bra END;"));
    assert!(leaves("mov.u32 %r2, %r1; add.u32 %r1, %r1, 1; setp.ne.u32 %p1, %r2, %r1; @%p1 bra END;"));
}

/// A pointer that comes from memory may point anywhere; one of two parameters, into both.
#[test]
fn an_address_of_unknown_origin_counts_as_every_parameters() {
    let chosen = text(
        ".reg .u64 %rd<4>; .reg .u32 %r<4>; .reg .pred %p;\n\
         ld.param.u64 %rd1, [a]; ld.param.u64 %rd2, [b]; ld.param.u32 %r1, [n];\n\
         cvta.to.global.u64 %rd1, %rd1; cvta.to.global.u64 %rd2, %rd2;\n\
         setp.eq.u32 %p, %r1, 0; selp.b64 %rd3, %rd1, %rd2, %p;\n\
         ld.global.u32 %r2, [%rd3]; griddepcontrol.wait; st.global.u32 [%rd1], %r2; ret;",
    );
    let found = chosen.overlap(0);
    assert_eq!((uses(&found.early), uses(&found.later)), ("rr-".into(), "w--".into()), "{found:?}");
    let loaded = text(
        ".reg .u64 %rd<4>; .reg .u32 %r<4>;\n\
         ld.param.u64 %rd1, [a]; cvta.to.global.u64 %rd1, %rd1; ld.global.u64 %rd2, [%rd1];\n\
         st.global.u32 [%rd2], 1; griddepcontrol.wait; ret;",
    );
    assert_eq!(uses(&loaded.overlap(0).early), "bww");
}

/// A wait in a loop's first turn is before what later turns do, though no way through the text says so.
#[test]
fn a_wait_in_the_first_turn_of_a_loop_is_before_the_later_turns() {
    let sums = |in_first: bool| {
        kernel::<(In<f32>, In<f32>, Out<f32>)>("sums", ["w", "x", "y"], move |k, (w, x, y)| {
            let first = k.block_x();
            k.for_(first, first + 8, 4, |k, turn, _| {
                let w = w.at(turn).load(k);
                let waits = if in_first { turn.eq(first) } else { turn.eq(first + 4) };
                k.if_(waits, Body::grid_dependency_wait);
                y.at(turn).store(k, w + x.at(turn).load(k));
            });
        })
    };
    let found = overlap(&sums(true));
    assert_eq!((uses(&found.early), uses(&found.later)), ("r--".into(), "rrw".into()), "{found:?}");
    let found = overlap(&sums(false));
    assert_eq!((uses(&found.early), uses(&found.later)), ("rrw".into(), "rrw".into()), "{found:?}");
}

/// A guarded wait may be passed by.
#[test]
fn a_guarded_wait_is_none() {
    let guarded = text(
        ".reg .u64 %rd<4>; .reg .u32 %r<4>; .reg .pred %p;\n\
         ld.param.u64 %rd1, [a]; cvta.to.global.u64 %rd1, %rd1; ld.param.u32 %r1, [n];\n\
         setp.eq.u32 %p, %r1, 0; @%p griddepcontrol.wait; st.global.u32 [%rd1], 1; ret;",
    );
    let found = guarded.overlap(0);
    assert!(found.waits && !found.always_waits);
    assert_eq!((uses(&found.early), uses(&found.later)), ("w--".into(), "w--".into()));
}

/// Three buffers, and launches of kernels that each take weights, a source and a destination.
struct Bench {
    memory: Memory,
    weights: Buffer,
    buffers: Vec<Buffer>,
}

impl Bench {
    fn new() -> Bench {
        let mut memory = Memory::new();
        let bytes: Vec<u8> = (0..2 * THREADS).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let weights = memory.alloc(&bytes, 256).unwrap();
        let buffers = (0..4).map(|_| memory.alloc(&bytes, 256).unwrap()).collect();
        Bench { memory, weights, buffers }
    }

    /// Runs kernels that go from a buffer to another.
    fn run(&mut self, order: WarpOrder, kernels: &[(&Validated, usize, usize, bool)]) -> Vec<Report> {
        let options = Options { order, ..Options::default() };
        let args: Vec<[Arg; 3]> = kernels
            .iter()
            .map(|&(_, from, to, _)| [self.weights, self.buffers[from], self.buffers[to]].map(Arg::from))
            .collect();
        let launches = kernels.iter().zip(&args).map(|(&(module, .., is_early), args)| Overlapping {
            launch: Launch {
                module,
                kernel: &module.module().kernels[0].name,
                grid: [2, 1, 1],
                block: [THREADS, 1, 1],
                dynamic_shared: 0,
                args,
                globals: None,
                options: &options,
            },
            is_early,
        });
        run_overlapping(&launches.collect::<Vec<_>>(), &mut self.memory).unwrap()
    }

    fn value(&self, buffer: usize, i: usize) -> f32 {
        let bytes = self.memory.read(self.buffers[buffer]).unwrap();
        f32::from_le_bytes(bytes[4 * i..][..4].try_into().unwrap())
    }
}

const ORDERS: [WarpOrder; 2] = [WarpOrder::RoundRobin, WarpOrder::Adversarial];

#[test]
fn launches_that_wait_give_what_they_give_one_by_one() {
    let [a, b, c] = ["a", "b", "c"].map(|name| scale(name, false).verify(Target::SM_90).unwrap());
    for order in ORDERS {
        let mut bench = Bench::new();
        let reports = bench.run(order, &[(&a, 0, 1, true), (&b, 1, 2, true), (&c, 2, 3, true)]);
        assert_eq!(reports.len(), 3);
        assert!(reports.iter().all(Report::is_clean), "{reports:?}");
        // From 5: 15, 35, 75.
        assert_eq!(bench.value(3, 5), 75.0);
    }
}

/// The second reads early what the first writes: it finds the values from before, and both lines are told.
#[test]
fn an_early_read_of_what_the_launch_before_writes_is_found() {
    let first = scale("first", false).verify(Target::SM_90).unwrap();
    let second = scale("second", true).verify(Target::SM_90).unwrap();
    for order in ORDERS {
        let mut bench = Bench::new();
        let reports = bench.run(order, &[(&first, 0, 1, true), (&second, 1, 2, true)]);
        assert!(reports[0].is_clean());
        let [finding] = &reports[1].findings[..] else { panic!("{:?}", reports[1].findings) };
        assert_eq!((finding.kind, finding.kernel.as_str()), (FindingKind::EarlyAccess, "second"));
        // The first to read.
        assert_eq!((finding.warp, finding.lanes), (0, 1), "{finding}");
        assert!(finding.message.starts_with("before it waits it reads x["), "{finding}");
        assert!(finding.message.contains("which 'first' writes"), "{finding}");
        let lines = [&finding.site, &finding.other.as_ref().unwrap().site].map(|s| s.loc.as_ref().unwrap().line);
        assert!(lines[0] < lines[1] && finding.site.text.starts_with("ld.global"), "{finding}");
        // It has read 5 where it should have read 15.
        assert_eq!(bench.value(2, 5), 15.0);

        // An ordinary launch waits for the one before.
        let mut bench = Bench::new();
        let reports = bench.run(order, &[(&first, 0, 1, true), (&second, 1, 2, false)]);
        assert!(reports.iter().all(Report::is_clean), "{reports:?}");
        assert_eq!(bench.value(2, 5), 35.0);
    }
}

/// With an eager launch between, what the one before that writes is too new, too.
#[test]
fn an_eager_launch_lets_the_next_overlap_with_the_one_before_it() {
    let first = scale("first", false).verify(Target::SM_90).unwrap();
    let second = scale("second", true).verify(Target::SM_90).unwrap();
    let plain = scale("between", false);
    for order in ORDERS {
        for (between, expected) in [(plain.clone(), 0), (plain.clone().eager(), 1)] {
            let between = between.verify(Target::SM_90).unwrap();
            let mut bench = Bench::new();
            // From 0 to 1; elsewhere; from 1 to 2.
            let reports = bench.run(order, &[(&first, 0, 1, true), (&between, 0, 3, true), (&second, 1, 2, true)]);
            assert!(reports[0].is_clean() && reports[1].is_clean());
            assert_eq!(reports[2].findings.len(), expected, "{:?}", reports[2].findings);
            assert_eq!(bench.value(2, 5), if expected == 0 { 35.0 } else { 15.0 });
        }
    }
}

/// A launch that ends without having waited may end before those before it: then nobody after it waits for them.
#[test]
fn a_launch_in_which_no_thread_waits_is_found() {
    let first = scale("first", false).verify(Target::SM_90).unwrap();
    let never = kernel::<(In<f32>, In<f32>, Out<f32>)>("never", ["w", "x", "y"], |k, (_, _, y)| {
        let i = k.global_thread_id();
        k.if_(i.gt(1 << 20), Body::grid_dependency_wait);
        y.at(i).store(k, 1.0f32);
    });
    let never = never.verify(Target::SM_90).unwrap();
    let reports = Bench::new().run(WarpOrder::RoundRobin, &[(&first, 0, 1, true), (&never, 2, 3, true)]);
    let [finding] = &reports[1].findings[..] else { panic!("{:?}", reports[1].findings) };
    assert!(finding.message.starts_with("no thread of it has come to its wait"), "{finding}");
    let reports = Bench::new().run(WarpOrder::RoundRobin, &[(&first, 0, 1, true), (&never, 2, 3, false)]);
    assert!(reports[1].is_clean());
}

/// What a launch writes early must not be read by the one before.
#[test]
fn an_early_write_of_what_the_launch_before_reads_is_found() {
    let first = scale("first", false).verify(Target::SM_90).unwrap();
    let early = kernel::<(In<f32>, In<f32>, Out<f32>)>("early", ["w", "x", "y"], |k, (_, _, y)| {
        y.at(k.global_thread_id()).store(k, 1.0f32);
        k.grid_dependency_wait();
    });
    let early = early.verify(Target::SM_90).unwrap();
    for order in ORDERS {
        let reports = Bench::new().run(order, &[(&first, 0, 1, true), (&early, 2, 0, true)]);
        let [finding] = &reports[1].findings[..] else { panic!("{:?}", reports[1].findings) };
        assert!(finding.message.starts_with("before it waits it writes y["), "{finding}");
        assert!(finding.message.contains("which 'first' reads"), "{finding}");
        assert!(Bench::new().run(order, &[(&first, 0, 1, true), (&early, 0, 3, true)])[1].is_clean());
    }
}
