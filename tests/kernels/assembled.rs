//! Every kernel in every variant, in the shape that is run, through NVIDIA's assembler.

use ptxgen::{
    builder::{
        print::{PrintOptions, print},
        ptxas::Ptxas,
        target::Target,
    },
    dsl::catalogue::{Request, TYPICAL},
};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

#[test]
fn on_every_target_without_spills() {
    let Some(ptxas) = Ptxas::for_tests() else { return };
    let work: Vec<_> = Target::TESTED
        .into_iter()
        .flat_map(|t| TYPICAL.iter().flat_map(move |e| e.policies().into_iter().map(move |p| (e, p, t))))
        .collect();
    let next = AtomicUsize::new(0);
    let assemble = || {
        while let Some(&(entry, policy, target)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            let built = entry.build(&Request { pdl: true, ..Request::new(policy, target) }).unwrap();
            let text = print(&built.finish().unwrap(), &PrintOptions::default());
            let title = built.title();
            let report = ptxas.assemble(&text, target).unwrap_or_else(|e| panic!("{title}: {e}"));
            assert!(report.warnings.is_empty(), "{title} {target}: {:?}", report.warnings);
            let used = report.kernel(built.kernel().name()).expect("the kernel is in the report");
            let local = (used.stack_frame, used.spill_stores, used.spill_loads);
            // Attention of a prompt keeps the scores of its first chunks in local memory, and spills what f64 does not
            // leave room for; tiles of experts' products spill some registers, which costs what docs/results.md says.
            let tiles = entry.name.starts_with("experts-") && policy.to_string().contains("q8k");
            if !entry.name.starts_with("attention-prompt") && !tiles {
                assert_eq!(local, (0, 0, 0), "{title} {target}: {used:?}");
            }
        }
    };
    thread::scope(|s| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            s.spawn(assemble);
        }
    });
}
