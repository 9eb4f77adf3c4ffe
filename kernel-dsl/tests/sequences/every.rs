//! Every kernel of the catalogue is made of a stage: as a part of a larger kernel it gives the same bits.

use std::thread;

use ptxgen_builder::interp::{Blocks, Options, WarpOrder};
use ptxgen_dsl::catalogue::{CATALOGUE, Entry, Request, Sequence, swiglu};
use ptxgen_dsl::precision::{AccF32, Math};

use crate::together::{Buffers, TARGET, run};

/// Fewer blocks than its own, of more threads, with a stage after it.
fn check(entry: &'static Entry) {
    let policy = *entry.policies().last().unwrap();
    let request = Request { schedule: None, ..Request::for_reading(entry, policy, TARGET) };
    let built = entry.build(&request).unwrap();
    let inputs = built.sample_inputs(3);
    let options = Options { order: WarpOrder::Adversarial, schedule: Blocks::Interleaved, ..Options::default() };
    let names = built.kernel().param_names();
    let mut expected: Buffers = names.iter().copied().zip(inputs).collect();
    let mut buffers = expected.clone();
    let report = run(&built.launch, &built.finish().unwrap(), names, &mut expected, &options);
    assert!(report.is_clean(), "{}: {report}", built.title());

    let after = swiglu::<AccF32>("swiglu", 4, Math::Exact).unwrap();
    let sequence = Sequence::new("whole", 3).then_built(&built, names).then(&after, ["g", "u", "gu"]);
    let together = sequence.launch(TARGET).unwrap_or_else(|e| panic!("{}: {e}", built.title()));
    let module = together.kernel.verify(TARGET).unwrap_or_else(|e| panic!("{}: {e}", built.title()));
    buffers.extend([("g", vec![0; 16]), ("u", vec![0; 16]), ("gu", vec![0; 16]), ("grid_waits", vec![0; 4])]);
    let report = run(&together, &module, together.kernel.param_names(), &mut buffers, &options);
    assert!(report.is_clean(), "{}: {report}", built.title());
    for (name, expected) in expected {
        assert!(buffers[name] == expected, "{}: {name} differs", built.title());
    }
}

#[test]
fn every_kernel_is_a_part_of_another() {
    let halves = [0, 1].map(|half| CATALOGUE.iter().skip(half).step_by(2));
    thread::scope(|s| {
        for half in halves {
            s.spawn(move || half.for_each(check));
        }
    });
}
