//! Barriers as objects in shared memory (PTX ISA 9.7.13.15).

use super::load_store::space;
use super::precision::{compares, integer};
use super::{Alternatives, Builder, Spec, one, opt, spec, types};
use crate::table::slot::{Slot, address, dst_pred, src};
use crate::table::{Access, Async, Meaning, Mod, Op, Shape};
use crate::types::ScalarType::{B64, U32, U64};

/// The state that an arrival gives; it may be left out, as `_` (PTX 7.1).
fn state() -> Slot {
    Slot { name: "state", access: Access::Write, shape: Shape::Register(U64), optional: true }
}

/// No semantics written (release or acquire at the block's scope), or written.
fn semantics(order: Mod) -> [Alternatives; 2] {
    [opt(&[order]), opt(&[Mod::ScopeCta, Mod::ScopeCluster])]
}

/// Checks that semantics and scope stand together, and dates them.
fn dated(spec: Spec, mods: &[Mod]) -> Option<Spec> {
    let ordered = mods.contains(&Mod::Release) || mods.contains(&Mod::Acquire);
    let cluster = mods.contains(&Mod::ScopeCluster);
    let scoped = cluster || mods.contains(&Mod::ScopeCta);
    match (ordered, scoped) {
        (false, false) => Some(spec),
        (true, true) if cluster => Some(spec.since(80, 90)),
        (true, true) => Some(spec.since(80, 80)),
        _ => None,
    }
}

pub(super) fn rows(t: &mut Builder) {
    let spaces = || opt(&[Mod::Shared]);
    let b64 = || types(&[B64]);
    t.row(
        Op::MbarrierInit,
        "9.7.13.15.9",
        "Makes an mbarrier that expects count arrivals.",
        integer,
        &[spaces(), b64()],
        |m| {
            let slots = [address("addr", space(m)), src("count", U32)];
            Some(spec(slots, Meaning::Async(Async::MbarrierInit)).since(70, 80))
        },
    );
    t.row(Op::MbarrierInval, "9.7.13.15.10", "Ends an mbarrier's life.", integer, &[spaces(), b64()], |m| {
        Some(spec([address("addr", space(m))], Meaning::Async(Async::MbarrierInval)).since(70, 80))
    });
    t.row(
        Op::MbarrierExpectTx,
        "9.7.13.15.11",
        "Adds bytes to what an mbarrier's phase waits for.",
        integer,
        &[one(Mod::Relaxed), one(Mod::ScopeCta), one(Mod::Shared), b64()],
        |m| {
            let slots = [address("addr", space(m)), src("txCount", U32)];
            Some(spec(slots, Meaning::Async(Async::MbarrierExpectTx)).since(80, 90))
        },
    );
    arrivals(t);
    waits(t);
}

fn arrivals(t: &mut Builder) {
    let plain = Meaning::Async(Async::MbarrierArrive { expect_tx: false });
    let [release, scopes] = semantics(Mod::Release);
    let places = [release, scopes, opt(&[Mod::Shared]), types(&[B64])];
    t.row(Op::MbarrierArrive, "9.7.13.15.13", "Arrives once at an mbarrier.", integer, &places, |m| {
        dated(spec([state(), address("addr", space(m))], plain).since(71, 80), m)
    });
    t.row(Op::MbarrierArriveCount, "9.7.13.15.13", "Arrives count times at an mbarrier.", integer, &places, |m| {
        dated(spec([state(), address("addr", space(m)), src("count", U32)], plain).since(78, 90), m)
    });
    t.row(
        Op::MbarrierArriveCount,
        "9.7.13.15.13",
        "Arrives count times at an mbarrier, which must not complete its phase.",
        integer,
        &[one(Mod::NoComplete), opt(&[Mod::Shared]), types(&[B64])],
        |m| Some(spec([state(), address("addr", space(m)), src("count", U32)], plain).since(71, 80)),
    );
    t.row(
        Op::MbarrierArriveExpectTx,
        "9.7.13.15.13",
        "Adds bytes to what an mbarrier's phase waits for, then arrives once.",
        integer,
        &places,
        |m| {
            let meaning = Meaning::Async(Async::MbarrierArrive { expect_tx: true });
            dated(spec([state(), address("addr", space(m)), src("txCount", U32)], meaning).since(80, 90), m)
        },
    );
}

fn waits(t: &mut Builder) {
    let rows = [
        (Op::MbarrierTestWait, false, false, "Tells whether the phase of a state is complete."),
        (Op::MbarrierTestWaitParity, true, false, "Tells whether the phase of a parity is complete."),
        (Op::MbarrierTryWait, false, true, "Tells whether the phase of a state is complete, after some waiting."),
        (Op::MbarrierTryWaitParity, true, true, "Tells whether the phase of a parity is complete, after some waiting."),
    ];
    for (op, parity, may_suspend, doc) in rows {
        let [acquire, scopes] = semantics(Mod::Acquire);
        t.row(op, "9.7.13.15.16", doc, compares, &[acquire, scopes, opt(&[Mod::Shared]), types(&[B64])], |m| {
            let phase = if parity { src("phaseParity", U32) } else { src("state", U64) };
            let mut slots = vec![dst_pred().named("waitComplete"), address("addr", space(m)), phase];
            if may_suspend {
                slots.push(src("suspendTimeHint", U32).optional());
            }
            let spec = spec(slots, Meaning::Async(Async::MbarrierWait { parity, may_suspend }));
            let (ptx, sm) = match (may_suspend, parity) {
                (true, _) => (78, 90),
                (false, true) => (71, 80),
                (false, false) => (70, 80),
            };
            dated(spec.since(ptx, sm), m)
        });
    }
}
