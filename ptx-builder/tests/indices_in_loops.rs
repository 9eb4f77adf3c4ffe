//! What the verifier is certain of in loops and branches, a run finds.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use proptest::prelude::*;
use ptxgen_builder::build::*;
use ptxgen_builder::interp::FindingKind;
use ptxgen_builder::target::Target;
use ptxgen_builder::testing::Harness;
use ptxgen_builder::verify::{Rule, verify};

/// What is compared with a constant.
#[derive(Clone, Copy, Debug)]
enum Of {
    Thread,
    Outer,
    Inner,
    Parameter,
}

/// A condition, and what it does.
#[derive(Clone, Copy, Debug)]
enum Way {
    Always,
    If(Of, bool, u32),
    Continue(Of, bool, u32),
    Break(Of, bool, u32),
    Guard(Of, bool, u32),
}

#[derive(Clone, Debug)]
struct Plan {
    /// First, end and step of the outer and the inner loop; none where there is none.
    loops: (Option<[u32; 3]>, Option<[u32; 3]>),
    ways: (Way, Way),
    /// Factors of the thread and both rounds, and what is added and taken away.
    index: [u32; 5],
    shared: bool,
    block: Option<u32>,
}

fn ways() -> impl Strategy<Value = Way> {
    let of = prop_oneof![Just(Of::Thread), Just(Of::Outer), Just(Of::Inner), Just(Of::Parameter)];
    (0..5, of, any::<bool>(), 0u32..6).prop_map(|(way, of, less, than)| match way {
        0 => Way::Always,
        1 => Way::If(of, less, than),
        2 => Way::Continue(of, less, than),
        3 => Way::Break(of, less, than),
        _ => Way::Guard(of, less, than),
    })
}

fn plans() -> impl Strategy<Value = Plan> {
    let bounds = || proptest::option::of((0u32..4, 0u32..6, 1u32..3).prop_map(|(a, b, c)| [a, b, c]));
    let index = (0u32..3, 0u32..3, 0u32..3, prop_oneof![0u32..3, 55u32..65], prop_oneof![2 => 0u32..4, 1 => 0u32..70]);
    let block = proptest::option::of(prop_oneof![Just(8u32), Just(64)]);
    (bounds(), bounds(), ways(), ways(), index, any::<bool>(), block).prop_map(|(o, i, a, b, index, shared, block)| {
        let (a0, a1, a2, a3, a4) = index;
        Plan { loops: (o, i), ways: (a, b), index: [a0, a1, a2, a3, a4], shared, block }
    })
}

/// The kernel; one that is `harmless` only tells that the access is executed.
fn written(plan: &Plan, harmless: bool) -> Kernel<(u32, In<f32>, InOut<u32>)> {
    let k = kernel::<(u32, In<f32>, InOut<u32>)>("loops", ["n", "x", "hit"], |k, (n, x, hit)| {
        let tile = k.shared::<f32>(64);
        let thread = k.thread_x();
        k.for_(0, 64, 1, |k, i, _| tile.at(i).store(k, 1.0));
        k.barrier();
        let holds = |of, less, than, outer: Val<u32>, inner: Val<u32>| {
            let value = match of {
                Of::Thread => thread,
                Of::Outer => outer,
                Of::Inner => inner,
                Of::Parameter => n,
            };
            if less { value.lt(than) } else { value.gt(than) }
        };
        let access = |k: &Body, outer: Val<u32>, inner: Val<u32>, guards: [Option<Pred>; 2]| {
            let [a, b, c, plus, minus] = plan.index;
            let index = thread * a + outer * b + inner * c + plus - minus;
            let passes = match guards {
                [Some(one), Some(two)] => Some(one & two),
                [one, two] => one.or(two),
            };
            let at = if plan.shared { None } else { Some(x.at(if harmless { Val::from(0u32) } else { index })) };
            let tile = tile.at(if harmless { Val::from(0u32) } else { index });
            let value = match (passes, at) {
                (None, None) => tile.load(k),
                (None, Some(x)) => x.load(k),
                (Some(passes), None) => tile.load_or(k, passes, 0.0),
                (Some(passes), Some(x)) => x.load_or(k, passes, 0.0),
            };
            if harmless {
                let one = Val::from(1u32).copied();
                match passes {
                    None => _ = hit.atomic_max(k, one),
                    Some(passes) => _ = hit.atomic_max(k, one.select(passes, 0)),
                }
            } else {
                hit.plus(1).atomic_max(k, value.bitcast::<u32>());
            }
        };
        let way =
            |k: &Body, way: Way, c: Option<LoopControl>, outer, inner, then: &dyn Fn(&Body, Option<Pred>)| match way {
                Way::Always => then(k, None),
                Way::If(of, less, than) => k.if_(holds(of, less, than, outer, inner), |k| then(k, None)),
                Way::Guard(of, less, than) => then(k, Some(holds(of, less, than, outer, inner))),
                Way::Continue(of, less, than) | Way::Break(of, less, than) => {
                    let holds = holds(of, less, than, outer, inner);
                    match (way, c) {
                        (_, None) => k.if_(!holds, |k| then(k, None)),
                        (Way::Continue(..), Some(c)) => {
                            c.continue_if(k, holds);
                            then(k, None);
                        }
                        (_, Some(c)) => {
                            c.break_if(k, holds);
                            then(k, None);
                        }
                    }
                }
            };
        let inside = |k: &Body, outer: Val<u32>, guard: Option<Pred>| match plan.loops.1 {
            None => {
                way(k, plan.ways.1, None, outer, Val::from(0u32), &|k, g| access(k, outer, Val::from(0u32), [guard, g]))
            }
            Some([first, end, step]) => k.for_(first, end, step, |k, inner, c| {
                way(k, plan.ways.1, Some(c), outer, inner, &|k, g| access(k, outer, inner, [guard, g]));
            }),
        };
        match plan.loops.0 {
            None => way(k, plan.ways.0, None, Val::from(0u32), Val::from(0u32), &|k, g| inside(k, Val::from(0u32), g)),
            Some([first, end, step]) => k.for_(first, end, step, |k, outer, c| {
                way(k, plan.ways.0, Some(c), outer, Val::from(0u32), &|k, g| inside(k, outer, g));
            }),
        }
    });
    match plan.block {
        Some(block) => k.with_block(block),
        None => k,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    fn certain_is_found(plan in plans(), n in 0u32..6) {
        let k = written(&plan, false);
        let Err(errors) = k.verify(Target::SM_90) else { return Ok(()) };
        for error in errors.iter() {
            prop_assert!(matches!(error.rule, Rule::IndexWraps | Rule::OutOfBounds), "{}", error);
        }
        let run = |k: &Kernel<(u32, In<f32>, InOut<u32>)>| {
            let Ok(module) = verify(k.module(Target::SM_90)) else { return None };
            let harness = Harness::new(&module).scalar("n", n).input("x", &[1f32; 64]).inout("hit", &[0u32; 2]);
            Some(harness.block(plan.block.unwrap_or(1)).allow_findings().run().unwrap())
        };
        // A constant past an array is an error of any module; and what is not executed says nothing.
        let executed = run(&written(&plan, true)).unwrap().read::<u32>("hit").unwrap()[0] == 1;
        prop_assume!(executed);
        let Some(outcome) = run(&k) else { return Ok(()) };
        let kinds = [FindingKind::OutOfBounds, FindingKind::IndexWrapped];
        prop_assert!(outcome.report().findings.iter().any(|f| kinds.contains(&f.kind)), "{}", errors);
        CERTAIN.fetch_add(1, Relaxed);
    }
}

/// How many kernels the verifier was certain of.
static CERTAIN: AtomicU32 = AtomicU32::new(0);

#[test]
fn what_is_certain_is_found() {
    certain_is_found();
    assert!(CERTAIN.load(Relaxed) > 100, "of {} kernels only", CERTAIN.load(Relaxed));
}
