//! Barriers as objects in shared memory (PTX ISA 9.7.13.15).

use super::load_store::space;
use super::precision::{compares, integer};
use super::{Alternatives, Builder, Spec, one, opt, spec, types};
use crate::table::lanes::lane;
use crate::table::slot::{Slot, address, dst, dst_pred, sink, src, src_reg};
use crate::table::{Access, Async, Meaning, Mod, Op, PENDING_BITS, Shape};
use crate::types::ScalarType::{B64, U32, U64};

/// The state that an arrival gives; it may be left out, as `_` (PTX 7.1).
fn state() -> Slot {
    Slot { name: "state", access: Access::Write, shape: Shape::Register(U64), optional: true }
}

/// No semantics written (release or acquire at the block's scope), or written.
fn semantics(order: Mod) -> [Alternatives; 2] {
    [opt(&[order, Mod::Relaxed]), opt(&[Mod::ScopeCta, Mod::ScopeCluster])]
}

/// Checks that semantics and scope stand together, and dates them.
fn dated(spec: Spec, mods: &[Mod]) -> Option<Spec> {
    let relaxed = mods.contains(&Mod::Relaxed);
    let ordered = relaxed || mods.contains(&Mod::Release) || mods.contains(&Mod::Acquire);
    let cluster = mods.contains(&Mod::ScopeCluster);
    let scoped = cluster || mods.contains(&Mod::ScopeCta);
    match (ordered, scoped) {
        (false, false) => Some(spec),
        (true, true) if relaxed => Some(spec.since(86, 90)),
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
    for (op, section, doc, meaning) in [
        (
            Op::MbarrierExpectTx,
            "9.7.13.15.11",
            "Adds bytes to what an mbarrier's phase waits for.",
            Async::MbarrierExpectTx,
        ),
        (
            Op::MbarrierCompleteTx,
            "9.7.13.15.12",
            "Takes bytes off what an mbarrier's phase waits for, as if a copy had come.",
            Async::MbarrierCompleteTx,
        ),
    ] {
        let scopes = opt(&[Mod::ScopeCta, Mod::ScopeCluster]);
        let spaces = opt(&[Mod::Shared, Mod::SharedCluster]);
        t.row(op, section, doc, integer, &[opt(&[Mod::Relaxed]), scopes, spaces, b64()], |m| {
            let scoped = m.contains(&Mod::ScopeCta) || m.contains(&Mod::ScopeCluster);
            let slots = [address("addr", space(m)), src("txCount", U32)];
            (scoped == m.contains(&Mod::Relaxed)).then(|| spec(slots, Meaning::Async(meaning)).since(80, 90))
        });
    }
    t.row(
        Op::MbarrierPendingCount,
        "9.7.13.15.17",
        "How many arrivals were missing in the state that an arrival gave.",
        integer,
        &[b64()],
        |_| {
            let eval = lane!(|state: u64| -> u32 { (state & ((1 << PENDING_BITS) - 1)) as u32 });
            Some(spec([dst(U32), src_reg("state", U64)], Meaning::Lane(eval)).since(70, 80))
        },
    );
    arrivals(t);
    waits(t);
}

fn arrivals(t: &mut Builder) {
    for drops in [false, true] {
        let (plain, count, bytes, section) = if drops {
            (Op::MbarrierArriveDrop, Op::MbarrierArriveDropCount, Op::MbarrierArriveDropExpectTx, "9.7.13.15.14")
        } else {
            (Op::MbarrierArrive, Op::MbarrierArriveCount, Op::MbarrierArriveExpectTx, "9.7.13.15.13")
        };
        let doc = |arrives: &'static str, leaves: &'static str| if drops { leaves } else { arrives };
        let meaning = |expect_tx| Meaning::Async(Async::MbarrierArrive { expect_tx, drops });
        let [release, scopes] = semantics(Mod::Release);
        let places = [release, scopes, opt(&[Mod::Shared, Mod::SharedCluster]), types(&[B64])];
        // Another block's barrier tells nothing of its state.
        let form = |m: &[Mod], slots: &[Slot], meaning| {
            let remote = m.contains(&Mod::SharedCluster);
            let state = if remote { sink() } else { state() };
            let all: Vec<_> = std::iter::once(state).chain([address("addr", space(m))]).chain(slots.to_vec()).collect();
            let form = spec(all, meaning);
            if remote { form.since(80, 90) } else { form }
        };
        let text = doc("Arrives once at an mbarrier.", "Arrives once at an mbarrier, and in no later phase.");
        t.row(plain, section, text, integer, &places, |m| dated(form(m, &[], meaning(false)).since(71, 80), m));
        let text = doc("Arrives count times at an mbarrier.", "Arrives count times, which later phases do not expect.");
        t.row(count, section, text, integer, &places, |m| {
            dated(form(m, &[src("count", U32)], meaning(false)).since(78, 90), m)
        });
        let text = doc(
            "Arrives count times at an mbarrier, which must not complete its phase.",
            "Arrives count times, which must not complete the phase, and later ones do not expect.",
        );
        let places_of_part = [one(Mod::NoComplete), opt(&[Mod::Shared]), types(&[B64])];
        t.row(count, section, text, integer, &places_of_part, |m| {
            Some(form(m, &[src("count", U32)], meaning(false)).since(71, 80))
        });
        let text = doc(
            "Adds bytes to what an mbarrier's phase waits for, then arrives once.",
            "Adds bytes to what an mbarrier's phase waits for, then arrives once, and in no later phase.",
        );
        t.row(bytes, section, text, integer, &places, |m| {
            dated(form(m, &[src("txCount", U32)], meaning(true)).since(80, 90), m)
        });
    }
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
