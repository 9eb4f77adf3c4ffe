//! Inside of bounds a guarded kernel computes what the kernel computes.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use ptxgen_builder::guard::{GuardError, Guarded, GuardedKernel, guard};
use ptxgen_builder::random_modules::{Plan, Shape, plans};
use ptxgen_builder::verify::{Validated, verify};

use crate::support::{Pass, assembles, run};

/// A module without guards, as one with none to pass.
fn unguarded(module: &Validated, like: &GuardedKernel) -> Guarded {
    let mut kernel = like.clone();
    kernel.extras.clear();
    Guarded { module: module.clone(), kernels: vec![kernel] }
}

fn args(input: usize, output: usize) -> [Pass; 3] {
    let bytes = |n: usize| (0..n).map(|i| (i * 31 % 251) as u8).collect::<Vec<u8>>();
    [Pass::Bytes(bytes(input)), Pass::Bytes(vec![0; output]), Pass::Value(bytes(Shape::OPTIONS as usize))]
}

fn plan_at(n: usize) -> Vec<Plan> {
    let mut runner = TestRunner::deterministic();
    (0..n).map(|_| plans().new_tree(&mut runner).expect("a plan").current()).collect()
}

/// Random kernels with buffers that are long enough, and with ones that are not: the support checks that
/// nothing outside is touched, and that the interpreter faults nowhere.
#[test]
fn random_kernels() {
    let (mut ran, mut refused, mut caught) = (0, 0, 0);
    for plan in plan_at(300) {
        let module = verify(plan.module()).expect("a plan verifies");
        let guarded = match guard(&module, |_, _| true) {
            Ok(guarded) => guarded,
            Err(GuardError::Unknown { .. } | GuardError::Unbounded { .. }) => {
                refused += 1;
                continue;
            }
            Err(e) => panic!("{e}"),
        };
        if ran < 12 {
            assembles(&guarded.module);
        }
        ran += 1;
        let whole = args(Shape::INPUT as usize, Shape::OUTPUT as usize);
        let expected = run(&unguarded(&module, &guarded.kernels[0]), Shape::GRID, Shape::BLOCK, 0, &whole);
        let got = run(&guarded, Shape::GRID, Shape::BLOCK, 0, &whole);
        assert!(got.violation.is_none(), "{:?}", got.violation);
        assert_eq!(got.buffers, expected.buffers);
        let cut = args(Shape::INPUT as usize / 64, Shape::OUTPUT as usize / 3 + 4);
        caught += usize::from(run(&guarded, Shape::GRID, Shape::BLOCK, 0, &cut).violation.is_some());
    }
    assert!(ran >= 250 && caught >= 250, "{ran} ran, {refused} were refused, {caught} were caught");
}
