//! Barriers, fences and waiting (PTX ISA 9.7.13.1 to 9.7.13.4, 9.7.13.13, 9.7.19.2).

use super::precision::{compares, nothing};
use super::{Alternatives, Builder, Spec, any, one, opt, spec, types};
use crate::table::slot::{dst, dst_pred, small, src, src_pred};
use crate::table::{Barrier, BarrierReduce, Fence, Meaning, Mod, Op, Scope};
use crate::types::ScalarType::{Pred, U32};

pub(super) fn rows(t: &mut Builder) {
    let aligned = |m: &[Mod]| m.contains(&Mod::Aligned);
    let maybe = || -> Vec<Alternatives> { vec![opt(&[Mod::Aligned])] };
    let wait =
        |aligned| spec([small("a", U32, 15), src("b", U32).optional()], Meaning::Barrier(Barrier::Sync { aligned }));
    t.row(Op::BarSync, "9.7.13.1", "Waits for the block, or for b threads, at barrier a.", nothing, &[], |_| {
        Some(wait(true))
    });
    t.row(
        Op::BarrierSync,
        "9.7.13.1",
        "Waits for the block, or for b threads, at barrier a; unless aligned, also in divergent code.",
        nothing,
        &maybe(),
        |m| Some(wait(aligned(m)).since(51, 30)),
    );
    let arrive = |aligned| spec([small("a", U32, 15), src("b", U32)], Meaning::Barrier(Barrier::Arrive { aligned }));
    t.row(Op::BarArrive, "9.7.13.1", "Arrives at barrier a of b threads without waiting.", nothing, &[], |_| {
        Some(arrive(true))
    });
    t.row(
        Op::BarrierArrive,
        "9.7.13.1",
        "Arrives at barrier a of b threads without waiting; unless aligned, also in divergent code.",
        nothing,
        &maybe(),
        |m| Some(arrive(aligned(m)).since(51, 30)),
    );
    for (all, counted, may_diverge) in
        [(Op::BarRed, Op::BarRedCount, false), (Op::BarrierRed, Op::BarrierRedCount, true)]
    {
        let mut places = vec![any(&[Mod::Popc, Mod::And, Mod::Or])];
        if may_diverge {
            places.extend(maybe());
        }
        places.push(types(&[U32, Pred]));
        t.row(all, "9.7.13.1", "Waits at barrier a and combines predicate c over the block.", compares, &places, |m| {
            reduce(m, false, may_diverge)
        });
        t.row(
            counted,
            "9.7.13.1",
            "Waits at barrier a and combines predicate c over b threads.",
            compares,
            &places,
            |m| reduce(m, true, may_diverge),
        );
    }
    t.row(
        Op::BarWarpSync,
        "9.7.13.2",
        "Waits for the lanes of the mask, and orders their memory accesses.",
        nothing,
        &[],
        |_| Some(spec([src("membermask", U32)], Meaning::Barrier(Barrier::Warp)).since(51, 30)),
    );
    t.row(
        Op::BarrierClusterArrive,
        "9.7.13.3",
        "Arrives at the cluster's barrier (without ordering memory, if relaxed).",
        nothing,
        &[opt(&[Mod::Release, Mod::Relaxed]), opt(&[Mod::Aligned])],
        |m| {
            let spec = spec([], Meaning::Barrier(Barrier::ClusterArrive)).since(78, 90);
            Some(if m.iter().any(|m| *m != Mod::Aligned) { spec.since(80, 90) } else { spec })
        },
    );
    t.row(
        Op::BarrierClusterWait,
        "9.7.13.3",
        "Waits until the cluster has arrived.",
        nothing,
        &[opt(&[Mod::Acquire]), opt(&[Mod::Aligned])],
        |m| {
            let spec = spec([], Meaning::Barrier(Barrier::ClusterWait)).since(78, 90);
            Some(if m.contains(&Mod::Acquire) { spec.since(80, 90) } else { spec })
        },
    );
    fences(t);
    t.row(
        Op::Griddepcontrol,
        "9.7.13.13",
        "Lets the next grid start, or waits for the memory of the one before.",
        nothing,
        &[any(&[Mod::LaunchDependents, Mod::Wait])],
        |_| Some(spec([], Meaning::Pause).since(78, 90)),
    );
    t.row(
        Op::Nanosleep,
        "9.7.19.2",
        "Sleeps for about t nanoseconds, at most twice that.",
        nothing,
        &[types(&[U32])],
        |_| Some(spec([src("t", U32)], Meaning::Pause).since(62, 70)),
    );
}

fn reduce(m: &[Mod], counted: bool, may_diverge: bool) -> Option<Spec> {
    let aligned = !may_diverge || m.contains(&Mod::Aligned);
    let counts = m[0] == Mod::Popc;
    if counts != m.contains(&Mod::Ty(U32)) {
        return None;
    }
    let op = match m[0] {
        Mod::Popc => BarrierReduce::Popc,
        Mod::And => BarrierReduce::And,
        _ => BarrierReduce::Or,
    };
    let mut slots = vec![if counts { dst(U32) } else { dst_pred() }, small("a", U32, 15)];
    if counted {
        slots.push(src("b", U32));
    }
    slots.push(src_pred("c"));
    let spec = spec(slots, Meaning::Barrier(Barrier::Reduce { op, aligned }));
    Some(if may_diverge { spec.since(51, 30) } else { spec })
}

fn fences(t: &mut Builder) {
    let thread = |scope| spec([], Meaning::Fence(Fence::Thread(scope)));
    t.row(
        Op::Membar,
        "9.7.13.4",
        "Orders the thread's memory accesses, sequentially consistent: for the block, the GPU or everybody.",
        nothing,
        &[any(&[Mod::ScopeCta, Mod::Gl, Mod::ScopeSys])],
        |m| {
            Some(thread(match m[0] {
                Mod::ScopeCta => Scope::Cta,
                Mod::Gl => Scope::Gpu,
                _ => Scope::Sys,
            }))
        },
    );
    t.row(
        Op::Fence,
        "9.7.13.4",
        "Orders the thread's memory accesses at a scope; acquire and release where nothing is written.",
        nothing,
        &[opt(&[Mod::Sc, Mod::AcqRel, Mod::Acquire, Mod::Release]), super::load_store::scopes()],
        |m| {
            let scope = super::load_store::scope(m)?;
            let spec = thread(scope);
            let one_way = m.contains(&Mod::Acquire) || m.contains(&Mod::Release);
            let spec = if one_way { spec.since(86, 90) } else { spec };
            Some(if scope == Scope::Cluster { spec.since(78, 90) } else { spec.since(51, 70) })
        },
    );
    t.row(
        Op::Fence,
        "9.7.13.4",
        "Orders accesses of the thread against those of the asynchronous engines, in all or one space.",
        nothing,
        &[one(Mod::Proxy), one(Mod::Async), opt(&[Mod::Global, Mod::SharedCta, Mod::SharedCluster])],
        |_| Some(spec([], Meaning::Fence(Fence::Proxy)).since(80, 90)),
    );
    t.row(
        Op::Fence,
        "9.7.13.4",
        "Orders accesses of the thread to the same memory under several virtual addresses.",
        nothing,
        &[one(Mod::Proxy), one(Mod::Alias)],
        |_| Some(spec([], Meaning::Fence(Fence::Thread(Scope::Sys))).since(75, 70)),
    );
    t.row(
        Op::Membar,
        "9.7.13.4",
        "Orders accesses of the thread to the same memory under several virtual addresses.",
        nothing,
        &[one(Mod::Proxy), one(Mod::Alias)],
        |_| Some(spec([], Meaning::Fence(Fence::Thread(Scope::Sys))).since(75, 60)),
    );
    t.row(
        Op::Fence,
        "9.7.13.4",
        "Makes the thread's mbarrier.init visible to the cluster.",
        nothing,
        &[one(Mod::MbarrierInit), one(Mod::Release), one(Mod::ScopeCluster)],
        |_| Some(spec([], Meaning::Fence(Fence::MbarrierInit)).since(80, 90)),
    );
}
