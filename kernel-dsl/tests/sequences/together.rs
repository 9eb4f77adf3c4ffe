//! The same stages in a kernel each, and in one.

use std::collections::BTreeMap;

use ptxgen_builder::build::Args;
use ptxgen_builder::interp::{Arg, Blocks, Launch, Memory, Options, Report, WarpOrder};
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::ptxas::Ptxas;
use ptxgen_builder::target::Target;
use ptxgen_builder::verify::Validated;
use ptxgen_dsl::catalogue::{AnyLaunchable, Sequence, Stage};

pub const TARGET: Target = Target::SM_90;

/// The contents of buffers by name.
pub type Buffers = BTreeMap<&'static str, Vec<u8>>;

/// Runs a module with the kernel of `launch` on the buffers of these names.
pub fn run(
    launch: &AnyLaunchable,
    module: &Validated,
    names: &[&'static str],
    buffers: &mut Buffers,
    options: &Options,
) -> Report {
    let mut memory = Memory::new();
    let each: Vec<_> = names.iter().map(|n| memory.alloc(&buffers[n], 256).unwrap()).collect();
    let args: Vec<Arg> = each.iter().map(|&b| b.into()).collect();
    let launch = Launch {
        module,
        kernel: launch.kernel.name(),
        grid: launch.grid,
        block: [launch.block, 1, 1],
        dynamic_shared: launch.dynamic_shared,
        args: &args,
        globals: None,
        options,
    };
    let report = launch.run(&mut memory).unwrap();
    for (&name, &buffer) in names.iter().zip(&each) {
        buffers.insert(name, memory.read(buffer).unwrap());
    }
    report
}

/// Orders of warps and blocks.
pub fn orders() -> impl Iterator<Item = Options> {
    let orders = [WarpOrder::RoundRobin, WarpOrder::Adversarial, WarpOrder::Seeded(7)];
    let of = |order| [Blocks::Interleaved, Blocks::Parallel].map(|schedule| (order, schedule));
    orders.into_iter().flat_map(of).map(|(order, schedule)| Options { order, schedule, ..Options::default() })
}

/// Stages with the names of their parameters, apart and together.
pub struct Chain {
    pub sequence: Sequence,
    each: Vec<(AnyLaunchable, Vec<&'static str>)>,
}

impl Chain {
    pub fn new(entry: &str, blocks: u32) -> Chain {
        Chain { sequence: Sequence::new(entry, blocks), each: Vec::new() }
    }

    pub fn then<A: Args + 'static>(mut self, stage: Stage<A>, names: A::Names) -> Chain {
        let list = names.as_ref().to_vec();
        self.sequence = self.sequence.then(&stage, names);
        self.each.push((stage.alone().erase(TARGET), list));
        self
    }

    /// Runs a kernel for each stage, then all in one in every order, twice with the same word for the waits. All buffers
    /// must be the same; returns them.
    pub fn check(&self, before: &Buffers) -> Buffers {
        let mut expected = before.clone();
        for (launch, names) in &self.each {
            let module = launch.kernel.verify(TARGET).unwrap();
            let report = run(launch, &module, names, &mut expected, &Options::default());
            assert!(report.is_clean(), "{}: {report}", launch.kernel.name());
        }
        let one = self.sequence.launch(TARGET).unwrap();
        let module = one.kernel.verify(TARGET).unwrap_or_else(|e| panic!("{e}"));
        if let Some(ptxas) = Ptxas::for_tests() {
            let text = print(&module, &PrintOptions::default());
            let report = ptxas.assemble(&text, TARGET).unwrap_or_else(|e| panic!("{}: {e}", one.kernel.name()));
            assert!(report.warnings.is_empty(), "{}: {:?}", one.kernel.name(), report.warnings);
        }
        for options in orders() {
            let mut waits = vec![0; 4];
            for _ in 0..2 {
                let mut found = before.clone();
                found.insert("grid_waits", waits);
                let report = run(&one, &module, one.kernel.param_names(), &mut found, &options);
                assert!(report.is_clean(), "{:?} {:?}: {report}", options.order, options.schedule);
                waits = found.remove("grid_waits").unwrap();
                assert_eq!(waits[..3], [0; 3], "nobody is left waiting");
                for (name, bytes) in &expected {
                    assert!(found[name] == *bytes, "{name} differs: {:?} {:?}", options.order, options.schedule);
                }
            }
        }
        expected
    }
}
