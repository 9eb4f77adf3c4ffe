//! A wait that is missing is found.

use ptxgen_builder::interp::{Blocks, FindingKind, Options};
use ptxgen_builder::ir::{Module, Operand};
use ptxgen_builder::table::{Mod, Op};
use ptxgen_builder::verify::verify;
use ptxgen_dsl::catalogue::{AnyLaunchable, Norm, Sequence, rms_norm, swiglu};
use ptxgen_dsl::precision::{AccF32, Math};

use crate::support::{Rng, to_bytes};
use crate::together::{Buffers, TARGET, orders, run};

const COLS: u32 = 1024;

/// A stage of four blocks, and one whose only block reads what all of them have written.
fn swiglu_and_norm() -> AnyLaunchable {
    let norm = rms_norm::<AccF32>("rmsnorm", Norm { cols: COLS, tokens: 1, eps: 1e-6, pdl: false }).unwrap();
    Sequence::new("swiglu_norm", 3)
        .then(&swiglu::<AccF32>("swiglu", COLS, Math::Exact).unwrap(), ["gate", "up", "h"])
        .then(&norm, ["h", "norm", "normed"])
        .launch(TARGET)
        .unwrap()
}

/// The kinds of findings of the kernel after a change.
fn findings(change: impl Fn(&mut Module), options: &Options) -> Vec<FindingKind> {
    let mut rng = Rng::new(1);
    let launch = swiglu_and_norm();
    let mut module = launch.kernel.module(TARGET);
    change(&mut module);
    let module = verify(module).unwrap();
    let mut buffers = Buffers::from([
        ("gate", to_bytes(&rng.vector(COLS as usize))),
        ("up", to_bytes(&rng.vector(COLS as usize))),
        ("h", vec![0; COLS as usize * 4]),
        ("norm", to_bytes(&rng.vector(COLS as usize))),
        ("normed", vec![0; COLS as usize * 4]),
        ("grid_waits", vec![0; 4]),
    ]);
    let report = run(&launch, &module, launch.kernel.param_names(), &mut buffers, options);
    report.findings.iter().map(|f| f.kind).collect()
}

/// Blocks that run in turn: in parallel, a block that happens to come late reads what is complete.
#[test]
fn a_kernel_without_the_wait_has_a_race() {
    for options in orders().filter(|o| o.schedule == Blocks::Interleaved) {
        assert_eq!(findings(|_| (), &options), [], "{options:?}");
        // No difference of the word is below 0: the loop that waits ends at once.
        let without = |module: &mut Module| {
            let blocks = &mut module.kernels[0].blocks;
            let polls = |op: Op, mods: &[Mod]| op == Op::Ld && mods.contains(&Mod::Acquire);
            let wait = blocks.iter().position(|b| b.insts.iter().any(|i| polls(i.form().op, &i.form().mods)));
            let test = blocks[wait.unwrap()].insts.iter_mut().find(|i| i.form().op == Op::Setp).unwrap();
            let limit = test.operands.iter_mut().find(|o| matches!(o, Operand::Imm(_))).unwrap();
            *limit = Operand::Imm(0);
        };
        let found = findings(without, &options);
        assert!(found.contains(&FindingKind::Race), "{options:?}: {found:?}");
    }
}

/// Blocks that wait for each other, but not for what they wrote.
#[test]
fn a_wait_that_orders_nothing_has_a_race() {
    let unordered = |module: &mut Module| {
        let table = ptxgen_builder::table::table();
        for inst in module.kernels[0].blocks.iter_mut().flat_map(|b| &mut b.insts) {
            let form = inst.form();
            if form.op == Op::Atom && form.mods.contains(&Mod::AcqRel) {
                let mods: Vec<Mod> = form.mods.iter().copied().filter(|m| *m != Mod::AcqRel).collect();
                let relaxed: Vec<Mod> = [Mod::Relaxed].into_iter().chain(mods).collect();
                inst.form = table.find(Op::Atom, &relaxed).unwrap();
            }
        }
    };
    for options in orders() {
        let found = findings(unordered, &options);
        assert!(found.contains(&FindingKind::Race), "{options:?}: {found:?}");
    }
}
