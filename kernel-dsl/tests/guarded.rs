//! Every kernel of the catalogue with its accesses checked: it computes the same bits, and its accesses,
//! with buffers of exactly the lengths that it states, are inside.

use ptxgen_builder::build::ArgInfo;
use ptxgen_builder::guard::{Object, RECORD_BYTES, Record, guard};
use ptxgen_builder::interp::{Arg, Buffer, Launch, Memory, Options};
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::ptxas::Ptxas;
use ptxgen_builder::verify::Validated;
use ptxgen_dsl::catalogue::{Built, Request, TYPICAL};
use ptxgen_dsl::precision::Policy;

/// What a launch left in its buffers, and what it told.
type Outcome = (Vec<Vec<u8>>, Option<String>);

fn run(
    built: &Built,
    module: &Validated,
    inputs: &[Vec<u8>],
    extras: impl Fn(u64, &dyn Fn(Object) -> u64) -> Vec<Arg>,
    explain: impl Fn(&Record, &dyn Fn(Object) -> u64) -> String,
) -> Outcome {
    let mut memory = Memory::new();
    let buffers: Vec<Buffer> = inputs.iter().map(|b| memory.alloc(b, 256).expect("room")).collect();
    let record = memory.alloc(&[0; RECORD_BYTES], 16).expect("room");
    let dynamic = u64::from(built.launch.dynamic_shared);
    let len = |object: Object| match object {
        Object::Buffer(i) => inputs[i as usize].len() as u64,
        _ => dynamic,
    };
    let mut args: Vec<Arg> = buffers.iter().map(|b| Arg::from(b.address)).collect();
    args.extend(extras(record.address, &len));
    let options = Options::default();
    let launch = Launch {
        module,
        kernel: built.kernel().name(),
        grid: built.launch.grid,
        block: [built.launch.block, 1, 1],
        dynamic_shared: built.launch.dynamic_shared,
        args: &args,
        globals: None,
        options: &options,
    };
    let report = launch.run(&mut memory).expect("it starts");
    assert!(report.is_clean(), "{}: {report}", built.title());
    let words = memory.read(record).expect("it is there");
    let words: Vec<u32> = words.as_chunks().0.iter().map(|w| u32::from_le_bytes(*w)).collect();
    let told = Record::read(words.as_slice().try_into().expect("as many")).map(|r| explain(&r, &len));
    (buffers.iter().map(|b| memory.read(*b).expect("it is there")).collect(), told)
}

/// A policy of each entry; which one differs from entry to entry.
fn some_policy(n: usize, mut policies: impl Iterator<Item = Policy> + Clone) -> Option<Policy> {
    let count = policies.clone().count();
    policies.nth(n % count.max(1))
}

#[test]
fn the_catalogue_stays_inside() {
    let ptxas = Ptxas::for_tests();
    let mut table = String::new();
    for (n, entry) in TYPICAL.iter().enumerate() {
        let Some(policy) = some_policy(n, entry.policies().into_iter()) else { continue };
        let target = ptxgen_builder::target::Target::SM_90;
        let built = entry.build(&Request::for_trial(entry, policy, target)).expect("it builds");
        let module = built.finish().expect("it verifies");
        let writes = |_, p: usize| matches!(built.kernel().args()[p], ArgInfo::Buffer { writes: true, .. });
        let guarded = guard(&module, writes).unwrap_or_else(|e| panic!("{}: {e}", built.title()));
        let kernel = &guarded.kernels[0];
        let before = module.module().kernels[0].insts().count();
        let after = guarded.module.module().kernels[0].insts().count();
        let (checks, proved, limits) = (kernel.checks, kernel.proved, kernel.extras.len());
        table +=
            &format!("{}: {before} to {after}, {checks} checks, {proved} proved, {limits} limits\n", built.title());
        let inputs = built.sample_inputs(7);
        let expected = run(&built, &module, &inputs, |_, _| Vec::new(), |_, _| String::new());
        let extras = |record: u64, len: &dyn Fn(Object) -> u64| {
            let arg = |value: u64, bytes| if bytes == 8 { Arg::from(value) } else { Arg::from(value as u32) };
            kernel.extras.iter().map(|e| arg(e.value(record, len), e.bytes())).collect()
        };
        let explain = |r: &Record, len: &dyn Fn(Object) -> u64| format!("{:?}", kernel.explain(r, len));
        let got = run(&built, &guarded.module, &inputs, extras, explain);
        assert_eq!(got.1, None, "{}", built.title());
        assert!(got.0 == expected.0, "{}: other bits", built.title());
        if let Some(ptxas) = &ptxas {
            let text = print(&guarded.module, &PrintOptions::default());
            ptxas.assemble(&text, target).unwrap_or_else(|e| panic!("{}: {e}", built.title()));
        }
    }
    println!("{table}");
}
