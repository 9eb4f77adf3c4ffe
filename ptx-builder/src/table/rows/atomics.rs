//! Atomic operations (PTX ISA 9.7.13.5, 9.7.13.6).
//!
//! Unwritten semantics are relaxed at the GPU's scope. In shared space the
//! block's scope is the widest that concerns anybody, so the wider ones are
//! other spellings of it.

use crate::table::Precision;
use half::{bf16, f16};

use super::load_store::{order, scope, scopes, space};
use super::{Alternatives, Builder, Spec, one, opt, spec, ty, types};
use crate::table::slot::{Slot, address, dst, src};
use crate::table::{Atomic, Meaning, Memory, Mod, Mods, Op, Order, Scope};
use crate::types::ScalarType::{self, B16, B32, B64, Bf16, Bf16x2, F16, F16x2, F32, F64, S32, S64, U32, U64};
use crate::types::Space;

type Update = fn(u64, u64, u64) -> u64;

/// Adds each half of a packed pair.
fn pairs(a: u64, b: u64, add: fn(u16, u16) -> u16) -> u64 {
    let at = |i: u32| u64::from(add((a >> i) as u16, (b >> i) as u16)) << i;
    at(0) | at(16)
}

fn add_f16(a: u16, b: u16) -> u16 {
    let sum = f16::from_bits(a) + f16::from_bits(b);
    if sum.is_nan() { 0x7fff } else { sum.to_bits() }
}

fn add_bf16(a: u16, b: u16) -> u16 {
    let sum = bf16::from_bits(a) + bf16::from_bits(b);
    if sum.is_nan() { 0x7fff } else { sum.to_bits() }
}

fn add_f32(a: u64, b: u64, _: u64) -> u64 {
    let sum = f32::from_bits(a as u32) + f32::from_bits(b as u32);
    u64::from(if sum.is_nan() { 0x7fff_ffff } else { sum.to_bits() })
}

/// Global memory's unit flushes subnormals to zero (PTX ISA 9.7.13.5).
fn add_f32_flushing(a: u64, b: u64, _: u64) -> u64 {
    let flush = |bits: u64| if bits & 0x7f80_0000 == 0 { bits & 0x8000_0000 } else { bits };
    flush(add_f32(flush(a), flush(b), 0))
}

fn add_f64(a: u64, b: u64, _: u64) -> u64 {
    let sum = f64::from_bits(a) + f64::from_bits(b);
    if sum.is_nan() { 0x7ff8_0000_0000_0000 } else { sum.to_bits() }
}

/// What an operation makes of the old value, `b` and `c`; none where it does
/// not exist for the type.
fn update(mods: &[Mod]) -> Option<Update> {
    let ty = ty(mods, 0);
    let op = *mods.iter().find(|m| OPERATIONS.contains(m))?;
    Some(match (op, ty) {
        (Mod::AtomAdd, U32 | S32) => |a, b, _| u64::from((a as u32).wrapping_add(b as u32)),
        (Mod::AtomAdd, U64) => |a, b, _| a.wrapping_add(b),
        (Mod::AtomAdd, F32) if space(mods) == Space::Shared => add_f32,
        (Mod::AtomAdd, F32) => add_f32_flushing,
        (Mod::AtomAdd, F64) => add_f64,
        (Mod::AtomAdd, F16) => |a, b, _| u64::from(add_f16(a as u16, b as u16)),
        (Mod::AtomAdd, Bf16) => |a, b, _| u64::from(add_bf16(a as u16, b as u16)),
        (Mod::AtomAdd, F16x2) => |a, b, _| pairs(a, b, add_f16),
        (Mod::AtomAdd, Bf16x2) => |a, b, _| pairs(a, b, add_bf16),
        (Mod::AtomMin, U32 | U64) => |a, b, _| a.min(b),
        (Mod::AtomMax, U32 | U64) => |a, b, _| a.max(b),
        (Mod::AtomMin, S32) => |a, b, _| u64::from((a as i32).min(b as i32) as u32),
        (Mod::AtomMax, S32) => |a, b, _| u64::from((a as i32).max(b as i32) as u32),
        (Mod::AtomMin, S64) => |a, b, _| (a as i64).min(b as i64) as u64,
        (Mod::AtomMax, S64) => |a, b, _| (a as i64).max(b as i64) as u64,
        (Mod::Inc, U32) => |a, b, _| if a >= b { 0 } else { a + 1 },
        (Mod::Dec, U32) => |a, b, _| if a == 0 || a > b { b } else { a - 1 },
        (Mod::And, B32 | B64) => |a, b, _| a & b,
        (Mod::Or, B32 | B64) => |a, b, _| a | b,
        (Mod::Xor, B32 | B64) => |a, b, _| a ^ b,
        (Mod::Exch, B32 | B64) => |_, b, _| b,
        (Mod::Cas, B16 | B32 | B64) => |a, b, c| if a == b { c } else { a },
        _ => return None,
    })
}

fn order_is_written(mods: &[Mod]) -> bool {
    order(mods) != Order::Weak
}

const OPERATIONS: &[Mod] =
    &[Mod::AtomAdd, Mod::AtomMin, Mod::AtomMax, Mod::Inc, Mod::Dec, Mod::And, Mod::Or, Mod::Xor, Mod::Exch, Mod::Cas];

fn form(mods: &[Mod], returns: bool) -> Option<Spec> {
    let ty = ty(mods, 0);
    let space = space(mods);
    let has = |m| mods.contains(&m);
    let is_half = matches!(ty, F16 | F16x2 | Bf16 | Bf16x2);
    if is_half != has(Mod::Noftz) || !returns && (has(Mod::Exch) || has(Mod::Cas)) {
        return None;
    }
    let (order, scope) = match (order(mods), scope(mods)) {
        (Order::Weak, None) => (Order::Relaxed, Scope::Gpu),
        (Order::Weak, _) | (_, None) => return None,
        (order, Some(scope)) => {
            let kept = space != Space::Shared || scope == Scope::Cta;
            kept.then_some((order, scope))?
        }
    };
    let update = update(mods)?;
    let mut slots: Vec<Slot> = Vec::new();
    if returns {
        slots.push(dst(ty).optional());
    }
    slots.extend([address("a", space), src("b", ty)]);
    if has(Mod::Cas) {
        slots.push(src("c", ty));
    }
    let memory = Memory { space, ty, len: 1, order, scope, read_only: false };
    let mut spec = spec(slots, Meaning::Atomic(memory, Atomic { update, returns }));
    let bits_of_64 = ty == B64 && (has(Mod::And) || has(Mod::Or) || has(Mod::Xor));
    let extreme_of_64 = matches!(ty, U64 | S64) && (has(Mod::AtomMin) || has(Mod::AtomMax));
    spec = match ty {
        Bf16 | Bf16x2 => spec.since(78, 90),
        F16 => spec.since(63, 70),
        F16x2 => spec.since(62, 60),
        F64 => spec.since(50, 60),
        B16 => spec.since(63, 70),
        _ if bits_of_64 || extreme_of_64 => spec.since(31, 32),
        _ => spec,
    };
    if order_is_written(mods) {
        spec = spec.since(51, 70);
    }
    if scope == Scope::Cluster {
        spec = spec.since(78, 90);
    }
    Some(other_orders(spec, mods))
}

/// nvcc writes the scope alone, before or after the space, where the
/// semantics are relaxed, and libcu++ writes the operation first.
fn other_orders(spec: Spec, mods: &[Mod]) -> Spec {
    let is_order = |m: &Mod| order(&[*m]) != Order::Weak;
    let is_scope = |m: &Mod| scope(&[*m]).is_some();
    let is_space = |m: &Mod| space(&[*m]) != Space::Generic;
    let is_op = |m: &Mod| OPERATIONS.contains(m);
    if !mods.iter().any(is_order) {
        return spec;
    }
    let arranged = |parts: &[&dyn Fn(&Mod) -> bool]| -> Mods {
        let head = parts.iter().flat_map(|part| mods.iter().copied().filter(part));
        let tail = mods.iter().copied().filter(|m| !is_order(m) && !is_scope(m) && !is_space(m) && !is_op(m));
        head.chain(tail).collect()
    };
    let mut spec = spec.also_spelled(arranged(&[&is_space, &is_op, &is_order, &is_scope]));
    if mods.contains(&Mod::Shared) {
        for wider in [Mod::ScopeGpu, Mod::ScopeSys] {
            let widened = mods.iter().map(|m| if *m == Mod::ScopeCta { wider } else { *m }).collect();
            spec = spec.also_spelled(widened);
        }
    }
    if !mods.contains(&Mod::Relaxed) {
        return spec;
    }
    spec.also_spelled(arranged(&[&is_scope, &is_space, &is_op])).also_spelled(arranged(&[&is_space, &is_scope, &is_op]))
}

fn scopes_or_none() -> Alternatives {
    let mut scopes = scopes();
    scopes.insert(0, None);
    scopes
}

pub(super) fn rows(t: &mut Builder) {
    const TYPES: &[ScalarType] = &[B16, B32, B64, U32, U64, S32, S64, F32, F64, F16, F16x2, Bf16, Bf16x2];
    let orders = |orders: &[Mod]| opt(orders);
    let rows: &[(Mod, &'static str, &'static str)] = &[
        (Mod::AtomAdd, "Adds to memory and gives the old value.", "Adds to memory."),
        (Mod::AtomMin, "Takes the minimum in memory and gives the old value.", "Takes the minimum in memory."),
        (Mod::AtomMax, "Takes the maximum in memory and gives the old value.", "Takes the maximum in memory."),
        (Mod::Inc, "Counts up, to 0 after b, and gives the old value.", "Counts up, to 0 after b."),
        (Mod::Dec, "Counts down, to b after 0 or from above b, and gives the old value.", "Counts down, to b after 0."),
        (Mod::And, "Ands into memory and gives the old value.", "Ands into memory."),
        (Mod::Or, "Ors into memory and gives the old value.", "Ors into memory."),
        (Mod::Xor, "Xors into memory and gives the old value.", "Xors into memory."),
        (Mod::Exch, "Exchanges a value with memory.", ""),
        (Mod::Cas, "Writes c where memory holds b, and gives the old value.", ""),
    ];
    for &(op, atom, red) in rows {
        let places = |sems: &[Mod]| {
            let space = opt(&[Mod::Global, Mod::Shared]);
            [orders(sems), scopes_or_none(), space, one(op), opt(&[Mod::Noftz]), types(TYPES)]
        };
        let all = [Mod::Relaxed, Mod::Acquire, Mod::Release, Mod::AcqRel];
        t.row(
            Op::Atom,
            "9.7.13.5",
            atom,
            |m: &[Mod]| Precision::Updates { ty: ty(m, 0), adds: op == Mod::AtomAdd },
            &places(&all),
            |m| form(m, true),
        );
        if !red.is_empty() {
            t.row(
                Op::Red,
                "9.7.13.6",
                red,
                |m: &[Mod]| Precision::Updates { ty: ty(m, 0), adds: op == Mod::AtomAdd },
                &places(&[Mod::Relaxed, Mod::Release]),
                |m| form(m, false),
            );
        }
    }
}
