//! Barriers at random places of random kernels: where the verifier, asked to be strict, takes one, a run finds
//! nothing wrong with it, in any order of warps.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use ptxgen_builder::interp::{Arg, FindingKind, Launch, Memory, Options, Report, WarpOrder};
use ptxgen_builder::ir::{Inst, Module, Operand};
use ptxgen_builder::print;
use ptxgen_builder::random_modules::{Plan, Shape, plans};
use ptxgen_builder::table::{Op, table};
use ptxgen_builder::testing::Random;
use ptxgen_builder::verify::{Doubts, Validated, verify_with};

/// The plan's kernel with one more instruction that threads execute together; nothing where there is no place.
fn with_meeting(plan: &Plan, random: &mut Random) -> Option<Module> {
    let mut module = plan.module();
    let kernel = module.kernels.first_mut()?;
    // Any block, so that few are in the long one at the start.
    let blocks: Vec<usize> = (0..kernel.blocks.len()).filter(|&b| !kernel.blocks[b].insts.is_empty()).collect();
    let b = blocks[random.below(blocks.len() as u64) as usize];
    let i = random.below(kernel.blocks[b].insts.len() as u64) as usize;
    let (op, operands) = match random.below(2) {
        0 => (Op::BarSync, vec![Operand::Imm(15), Operand::None]),
        _ => (Op::BarWarpSync, vec![Operand::Imm(0xffff_ffff)]),
    };
    let form = table().find(op, &[])?;
    let inst = Inst { form, guard: None, operands: operands.into(), loc: None };
    kernel.blocks[b].insts.insert(i, inst);
    Some(module)
}

fn run(module: &Validated, order: WarpOrder) -> Report {
    let mut memory = Memory::new();
    let mut random = Random::new(3);
    let input: Vec<u8> = (0..Shape::INPUT).map(|_| random.bits() as u8).collect();
    let input = memory.alloc(&input, 16).expect("a buffer");
    let output = memory.alloc(&vec![0; Shape::OUTPUT as usize], 16).expect("a buffer");
    let launch = Launch {
        module,
        kernel: Shape::KERNEL,
        grid: [Shape::GRID, 1, 1],
        block: [Shape::BLOCK, 1, 1],
        dynamic_shared: 0,
        args: &[input.into(), output.into(), Arg::bytes(&[9; Shape::OPTIONS as usize])],
        globals: None,
        options: &Options { order, ..Options::default() },
    };
    launch.run(&mut memory).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn what_is_taken_converges() {
    let mut runner = TestRunner::deterministic();
    let mut random = Random::new(31);
    let (mut taken, mut refused, mut found) = (0, 0, 0);
    for _ in 0..1500 {
        let plan = plans().new_tree(&mut runner).expect("a plan").current();
        let Some(module) = with_meeting(&plan, &mut random) else { continue };
        let strict = verify_with(module.clone(), Doubts::Refuse);
        let wrong = |report: &Report| {
            let kinds = [
                FindingKind::Deadlock,
                FindingKind::BarrierDivergence,
                FindingKind::BarrierExited,
                FindingKind::BarrierSites,
                FindingKind::WarpMask,
            ];
            kinds.into_iter().any(|kind| report.of(kind).count() > 0)
        };
        match strict {
            Ok(module) => {
                taken += 1;
                for order in [WarpOrder::RoundRobin, WarpOrder::Adversarial] {
                    let report = run(&module, order);
                    assert!(!wrong(&report), "{report}\n{}", print::ir(module.module()));
                }
            }
            Err(_) => {
                refused += 1;
                if let Ok(module) = verify_with(module, Doubts::Warn) {
                    found += u32::from(wrong(&run(&module, WarpOrder::RoundRobin)));
                }
            }
        }
    }
    assert!(taken > 200 && refused > 100 && found > 20, "{taken} taken, {refused} refused, {found} of these wrong");
}
