//! Loads, stores and prefetches (PTX ISA 9.7.9.8 to 9.7.9.15).
//!
//! Weak and volatile accesses take every type. To keep the number of forms in
//! bounds, ordered accesses and hints take the types that kernels use them
//! with (bit types represent the rest: their operands may be of any class),
//! cache operators and hints stand on global space only, and an L1 priority
//! together with an L2 prefetch only as `.L1::no_allocate`.

use super::precision::{always, nothing};
use super::{Alternatives, Builder, Spec, any, one, opt, spec, ty, types};
use crate::table::Precision;
use crate::table::slot::{address, dst_wide, src_wide, vector};
use crate::table::{Access, Meaning, Memory, Mod, Op, Order, Scope};
use crate::types::ScalarType::{self, B8, B16, B32, B64, F32, F64, S8, S16, S32, S64, U8, U16, U32, U64};
use crate::types::Space;

const LOADABLE: &[ScalarType] = &[B8, B16, B32, B64, U8, U16, U32, U64, S8, S16, S32, S64, F32, F64];
const ORDERED: &[ScalarType] = &[B8, B16, B32, B64, U32, U64, S32, F32, F64];
const HINTED: &[ScalarType] = &[B8, B16, B32, B64, U32, S32, F32];

const L1: &[Mod] = &[Mod::L1EvictNormal, Mod::L1EvictUnchanged, Mod::L1EvictFirst, Mod::L1EvictLast, Mod::L1NoAllocate];
const L2: &[Mod] = &[Mod::L2P64, Mod::L2P128, Mod::L2P256];

/// The state space among the modifiers; generic where none is written.
pub(super) fn space(mods: &[Mod]) -> Space {
    mods.iter()
        .find_map(|m| match m {
            Mod::Param => Some(Space::Param),
            Mod::Global => Some(Space::Global),
            Mod::Shared | Mod::SharedCta | Mod::SharedCluster => Some(Space::Shared),
            Mod::Local => Some(Space::Local),
            Mod::Const => Some(Space::Const),
            _ => None,
        })
        .unwrap_or(Space::Generic)
}

/// The ordering among the modifiers; weak where none is written.
pub(super) fn order(mods: &[Mod]) -> Order {
    mods.iter()
        .find_map(|m| match m {
            Mod::Volatile => Some(Order::Volatile),
            Mod::Relaxed => Some(Order::Relaxed),
            Mod::Acquire => Some(Order::Acquire),
            Mod::Release => Some(Order::Release),
            Mod::AcqRel => Some(Order::AcqRel),
            _ => None,
        })
        .unwrap_or(Order::Weak)
}

/// The scope among the modifiers.
pub(super) fn scope(mods: &[Mod]) -> Option<Scope> {
    mods.iter().find_map(|m| match m {
        Mod::ScopeCta => Some(Scope::Cta),
        Mod::ScopeCluster => Some(Scope::Cluster),
        Mod::ScopeGpu => Some(Scope::Gpu),
        Mod::ScopeSys => Some(Scope::Sys),
        _ => None,
    })
}

/// The scopes that an ordered access may name.
pub(super) fn scopes() -> Alternatives {
    any(&[Mod::ScopeCta, Mod::ScopeCluster, Mod::ScopeGpu, Mod::ScopeSys])
}

fn vectors() -> Alternatives {
    opt(&[Mod::V2, Mod::V4])
}

/// The access that the modifiers describe; none for vectors beyond 16 bytes.
fn memory(mods: &[Mod]) -> Option<Memory> {
    let ty = ty(mods, 0);
    let len = if mods.contains(&Mod::V4) {
        4
    } else if mods.contains(&Mod::V2) {
        2
    } else {
        1
    };
    let order = order(mods);
    let scope = scope(mods).unwrap_or(if order == Order::Volatile { Scope::Sys } else { Scope::Cta });
    let memory = Memory { space: space(mods), ty, len, order, scope, read_only: mods.contains(&Mod::Nc) };
    (memory.bytes() <= 16).then_some(memory)
}

/// The first PTX version and target with these modifiers on a load or store.
fn since(spec: Spec, mods: &[Mod]) -> Spec {
    mods.iter().fold(spec, |spec, m| match m {
        m if L1.contains(m) => spec.since(74, 70),
        Mod::L2P64 | Mod::L2P128 => spec.since(74, 75),
        Mod::L2P256 => spec.since(74, 80),
        Mod::ScopeCluster | Mod::SharedCluster => spec.since(78, 90),
        Mod::Relaxed | Mod::Acquire | Mod::Release => spec.since(51, 70),
        Mod::Nc => spec.since(31, 32),
        _ => spec,
    })
}

fn load(mods: &[Mod]) -> Option<Spec> {
    let memory = memory(mods)?;
    let d = match memory.len {
        1 => dst_wide(memory.ty),
        len => vector("d", Access::Write, memory.ty, len, true),
    };
    Some(since(spec([d, address("a", memory.space)], Meaning::Load(memory)), mods))
}

fn store(mods: &[Mod]) -> Option<Spec> {
    let memory = memory(mods)?;
    let b = match memory.len {
        1 => src_wide("b", memory.ty),
        len => vector("b", Access::Read, memory.ty, len, true),
    };
    Some(since(spec([address("a", memory.space), b], Meaning::Store(memory)), mods))
}

pub(super) fn rows(t: &mut Builder) {
    let global = || one(Mod::Global);
    let spaces = || opt(&[Mod::Global, Mod::Shared]);

    let readable = || opt(&[Mod::Param, Mod::Global, Mod::Shared, Mod::SharedCluster, Mod::Local, Mod::Const]);
    t.row(Op::Ld, "9.7.9.8", "Loads.", always(Precision::Loads), &[readable(), vectors(), types(LOADABLE)], load);
    t.row(
        Op::Ld,
        "9.7.9.8",
        "Loads global data with a cache operator: at all levels, in L2, streaming, last use, or not cached.",
        always(Precision::Loads),
        &[global(), any(&[Mod::Ca, Mod::Cg, Mod::Cs, Mod::Lu, Mod::Cv]), vectors(), types(LOADABLE)],
        load,
    );
    t.row(
        Op::Ld,
        "9.7.9.8",
        "Loads global data with an eviction priority in L1.",
        always(Precision::Loads),
        &[global(), any(L1), vectors(), types(HINTED)],
        load,
    );
    t.row(
        Op::Ld,
        "9.7.9.8",
        "Loads global data and asks for more of it in L2.",
        always(Precision::Loads),
        &[global(), opt(&[Mod::L1NoAllocate]), any(L2), vectors(), types(HINTED)],
        load,
    );
    t.row(
        Op::Ld,
        "9.7.9.8",
        "Loads what other threads may change meanwhile, each time anew.",
        always(Precision::Loads),
        &[one(Mod::Volatile), spaces(), vectors(), types(LOADABLE)],
        load,
    );
    t.row(
        Op::Ld,
        "9.7.9.8",
        "Loads atomically; with acquire, also what the releasing thread wrote before is visible afterwards.",
        always(Precision::Loads),
        &[any(&[Mod::Relaxed, Mod::Acquire]), scopes(), spaces(), vectors(), types(ORDERED)],
        load,
    );

    t.row(
        Op::Ldu,
        "9.7.9.10",
        "Loads read-only data whose address is the same for all threads of a warp.",
        always(Precision::Loads),
        &[opt(&[Mod::Global]), vectors(), types(LOADABLE)],
        load,
    );
    t.row(
        Op::Ld,
        "9.7.9.8",
        "Loads once and as it is written from memory that a device maps.",
        always(Precision::Loads),
        &[one(Mod::Mmio), one(Mod::Relaxed), one(Mod::ScopeSys), opt(&[Mod::Global]), types(ORDERED)],
        |m| Some(load(m)?.since(82, 70)),
    );
    t.row(
        Op::LdNc,
        "9.7.9.9",
        "Loads global data that does not change during the kernel, through the read-only path.",
        always(Precision::Loads),
        &[global(), opt(&[Mod::Ca, Mod::Cg, Mod::Cs]), one(Mod::Nc), vectors(), types(LOADABLE)],
        load,
    );
    t.row(
        Op::LdNc,
        "9.7.9.9",
        "Loads read-only global data with an eviction priority in L1.",
        always(Precision::Loads),
        &[global(), one(Mod::Nc), any(L1), vectors(), types(HINTED)],
        load,
    );
    t.row(
        Op::LdNc,
        "9.7.9.9",
        "Loads read-only global data and asks for more of it in L2.",
        always(Precision::Loads),
        &[global(), one(Mod::Nc), opt(&[Mod::L1NoAllocate]), any(L2), vectors(), types(HINTED)],
        load,
    );

    let writable = || opt(&[Mod::Global, Mod::Shared, Mod::SharedCluster, Mod::Local]);
    t.row(Op::St, "9.7.9.11", "Stores.", always(Precision::Stores), &[writable(), vectors(), types(LOADABLE)], store);
    t.row(
        Op::St,
        "9.7.9.11",
        "Stores global data with a cache operator: write back, in L2, streaming, or write through.",
        always(Precision::Stores),
        &[global(), any(&[Mod::Wb, Mod::Cg, Mod::Cs, Mod::Wt]), vectors(), types(LOADABLE)],
        store,
    );
    t.row(
        Op::St,
        "9.7.9.11",
        "Stores global data with an eviction priority in L1.",
        always(Precision::Stores),
        &[global(), any(L1), vectors(), types(HINTED)],
        store,
    );
    t.row(
        Op::St,
        "9.7.9.11",
        "Stores what other threads may read meanwhile, each time.",
        always(Precision::Stores),
        &[one(Mod::Volatile), spaces(), vectors(), types(LOADABLE)],
        store,
    );
    t.row(
        Op::St,
        "9.7.9.11",
        "Stores atomically; with release, whoever acquires it sees what this thread wrote before.",
        always(Precision::Stores),
        &[any(&[Mod::Relaxed, Mod::Release]), scopes(), spaces(), vectors(), types(ORDERED)],
        store,
    );

    t.row(
        Op::St,
        "9.7.9.11",
        "Stores once and as it is written to memory that a device maps.",
        always(Precision::Stores),
        &[one(Mod::Mmio), one(Mod::Relaxed), one(Mod::ScopeSys), opt(&[Mod::Global]), types(ORDERED)],
        |m| Some(store(m)?.since(82, 70)),
    );

    t.row(
        Op::Prefetch,
        "9.7.9.15",
        "Brings the line of an address into a cache.",
        nothing,
        &[opt(&[Mod::Global, Mod::Local]), any(&[Mod::L1, Mod::L2])],
        |m| Some(spec([address("a", space(m))], Meaning::Prefetch(space(m)))),
    );
    t.row(
        Op::Prefetch,
        "9.7.9.15",
        "Brings the line of an address into L2, with an eviction priority there.",
        nothing,
        &[one(Mod::Global), any(&[Mod::L2EvictLast, Mod::L2EvictNormal])],
        |m| Some(spec([address("a", space(m))], Meaning::Prefetch(space(m))).since(74, 80)),
    );
    t.row(
        Op::Prefetchu,
        "9.7.9.15",
        "Brings the line of a generic address into the uniform cache.",
        nothing,
        &[one(Mod::L1)],
        |_| Some(spec([address("a", Space::Generic)], Meaning::Prefetch(Space::Generic))),
    );
}
