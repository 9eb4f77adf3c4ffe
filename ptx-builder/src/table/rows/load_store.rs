//! Loads and stores (PTX ISA 9.7.9.8 to 9.7.9.12).

use super::{Alternatives, Builder, Spec, one, opt, spec, ty, types};
use crate::table::slot::{address, dst_wide, src_wide, vector};
use crate::table::{Access, Meaning, Memory, Mod, Op, Order, Scope};
use crate::types::ScalarType::{self, B8, B16, B32, B64, F32, F64, S8, S16, S32, S64, U8, U16, U32, U64};
use crate::types::Space;

const LOADABLE: &[ScalarType] = &[B8, B16, B32, B64, U8, U16, U32, U64, S8, S16, S32, S64, F32, F64];

/// Generic (no modifier) and the given spaces.
fn spaces() -> Alternatives {
    opt(&[Mod::Param, Mod::Global, Mod::Shared, Mod::Local, Mod::Const])
}

fn space(mods: &[Mod]) -> Space {
    mods.iter()
        .find_map(|m| match m {
            Mod::Param => Some(Space::Param),
            Mod::Global => Some(Space::Global),
            Mod::Shared => Some(Space::Shared),
            Mod::Local => Some(Space::Local),
            Mod::Const => Some(Space::Const),
            _ => None,
        })
        .unwrap_or(Space::Generic)
}

/// Elements of a vector access of type `ty`; none beyond 16 bytes.
fn len(mods: &[Mod], ty: ScalarType) -> Option<u8> {
    let len = if mods.contains(&Mod::V4) {
        4
    } else if mods.contains(&Mod::V2) {
        2
    } else {
        1
    };
    (u32::from(len) * ty.bytes() <= 16).then_some(len)
}

fn weak(mods: &[Mod]) -> Option<Memory> {
    let ty = ty(mods, 0);
    let len = len(mods, ty)?;
    let read_only = mods.contains(&Mod::Nc);
    Some(Memory { space: space(mods), ty, len, order: Order::Weak, scope: Scope::Cta, read_only })
}

fn load(memory: Memory) -> Spec {
    let d = match memory.len {
        1 => dst_wide(memory.ty),
        len => vector("d", Access::Write, memory.ty, len, true),
    };
    spec([d, address("a", memory.space)], Meaning::Load(memory))
}

fn store(memory: Memory) -> Spec {
    let b = match memory.len {
        1 => src_wide("b", memory.ty),
        len => vector("b", Access::Read, memory.ty, len, true),
    };
    spec([address("a", memory.space), b], Meaning::Store(memory))
}

pub(super) fn rows(t: &mut Builder) {
    let vectors = || opt(&[Mod::V2, Mod::V4]);
    t.row(Op::Ld, "9.7.9.8", "Loads.", &[spaces(), vectors(), types(LOADABLE)], |m| weak(m).map(load));
    t.row(
        Op::LdNc,
        "9.7.9.9",
        "Loads global data that does not change during the kernel, through the read-only path.",
        &[one(Mod::Global), one(Mod::Nc), vectors(), types(LOADABLE)],
        |m| weak(m).map(load),
    );
    t.row(
        Op::St,
        "9.7.9.12",
        "Stores.",
        &[opt(&[Mod::Global, Mod::Shared, Mod::Local]), vectors(), types(LOADABLE)],
        |m| weak(m).map(store),
    );
}
