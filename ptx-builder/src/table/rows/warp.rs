//! Instructions of a whole warp (PTX ISA 9.7.9.6, 9.7.13.9 to 9.7.13.14).

use super::precision::{always, compares, integer};
use super::{Builder, any, one, opt, spec, ty, types};
use crate::table::Precision;
use crate::table::lanes::with_bool;
use crate::table::slot::{dst, dst_pred, src, src_pred};
use crate::table::{Meaning, Mod, Op, Shuffle, Vote};
use crate::types::ScalarType::{B32, B64, F32, Pred, S32, U32};

pub(super) fn rows(t: &mut Builder) {
    t.row(
        Op::ShflSync,
        "9.7.9.6",
        "Reads a register of another lane; p tells whether that lane is in its segment.",
        always(Precision::Lanes),
        &[any(&[Mod::Up, Mod::Down, Mod::Bfly, Mod::Idx]), types(&[B32])],
        |m| {
            let mode = match m[0] {
                Mod::Up => Shuffle::Up,
                Mod::Down => Shuffle::Down,
                Mod::Bfly => Shuffle::Bfly,
                _ => Shuffle::Idx,
            };
            let slots =
                [dst(B32), dst_pred().optional(), src("a", B32), src("b", U32), src("c", U32), src("membermask", U32)];
            Some(spec(slots, Meaning::Shuffle(mode)).since(51, 30))
        },
    );
    t.row(
        Op::VoteSync,
        "9.7.13.9",
        "Whether a predicate holds in all lanes of the mask, in any, or is the same in all.",
        compares,
        &[any(&[Mod::All, Mod::Any, Mod::Uni]), types(&[Pred])],
        |m| {
            let vote = match m[0] {
                Mod::All => Vote::All,
                Mod::Any => Vote::Any,
                _ => Vote::Uni,
            };
            Some(
                spec([dst_pred().named("d"), src_pred("a"), src("membermask", U32)], Meaning::Vote(vote)).since(51, 30),
            )
        },
    );
    t.row(
        Op::VoteSync,
        "9.7.13.9",
        "The mask of the lanes where a predicate holds.",
        compares,
        &[one(Mod::Ballot), types(&[B32])],
        |_| Some(spec([dst(B32), src_pred("a"), src("membermask", U32)], Meaning::Vote(Vote::Ballot)).since(51, 30)),
    );
    t.row(
        Op::MatchSync,
        "9.7.13.10",
        "The mask of the lanes with this lane's value.",
        compares,
        &[one(Mod::Any), one(Mod::Sync), types(&[B32, B64])],
        |m| {
            Some(
                spec([dst(U32), src("a", ty(m, 0)), src("membermask", U32)], Meaning::Vote(Vote::MatchAny))
                    .since(51, 70),
            )
        },
    );
    t.row(
        Op::MatchSync,
        "9.7.13.10",
        "The mask if all of its lanes have one value, else 0; p tells which.",
        compares,
        &[one(Mod::All), one(Mod::Sync), types(&[B32, B64])],
        |m| {
            let slots = [dst(U32), dst_pred().optional(), src("a", ty(m, 0)), src("membermask", U32)];
            Some(spec(slots, Meaning::Vote(Vote::MatchAll)).since(51, 70))
        },
    );
    t.row(
        Op::Activemask,
        "9.7.13.11",
        "The mask of the lanes that run this together.",
        integer,
        &[types(&[B32])],
        |_| Some(spec([dst(B32)], Meaning::ActiveMask).since(62, 30)),
    );
    t.row(
        Op::ReduxSync,
        "9.7.13.12",
        "Reduces a value over the lanes of the mask.",
        integer,
        &[any(&[Mod::AtomAdd, Mod::AtomMin, Mod::AtomMax, Mod::And, Mod::Or, Mod::Xor]), types(&[U32, S32, B32])],
        |m| {
            let t = ty(m, 0);
            let reduce: fn(u64, u64) -> u64 = match (m[0], t) {
                (Mod::AtomAdd, U32 | S32) => |a, b| u64::from((a as u32).wrapping_add(b as u32)),
                (Mod::AtomMin, U32) => u64::min,
                (Mod::AtomMax, U32) => u64::max,
                (Mod::AtomMin, S32) => |a, b| u64::from((a as i32).min(b as i32) as u32),
                (Mod::AtomMax, S32) => |a, b| u64::from((a as i32).max(b as i32) as u32),
                (Mod::And, B32) => |a, b| a & b,
                (Mod::Or, B32) => |a, b| a | b,
                (Mod::Xor, B32) => |a, b| a ^ b,
                _ => return None,
            };
            // The assembler takes no float registers here.
            let t = if t == B32 { U32 } else { t };
            Some(spec([dst(t), src("a", t), src("membermask", U32)], Meaning::Vote(Vote::Redux(reduce))).since(70, 80))
        },
    );
    let doc = "The least or greatest f32 of the lanes of the mask, of magnitudes with abs; a NaN only if all are, or with NaN if any is.";
    let extremes = any(&[Mod::AtomMin, Mod::AtomMax]);
    let places = [extremes, opt(&[Mod::Abs]), opt(&[Mod::Nan]), types(&[F32])];
    t.row(Op::ReduxSync, "9.7.13.12", doc, always(Precision::Opaque), &places, |m| {
        use super::float::extreme;
        let reduce: fn(u64, u64) -> u64 = with_bool!(m[0] == Mod::AtomMax, MAX, {
            with_bool!(m.contains(&Mod::Abs), ABS, {
                with_bool!(m.contains(&Mod::Nan), NAN, {
                    |a: u64, b: u64| {
                        let of = |bits: u64| f32::from_bits(bits as u32 & if ABS { u32::MAX >> 1 } else { u32::MAX });
                        let d = extreme!(of(a), of(b), MAX, NAN);
                        u64::from(if d.is_nan() { 0x7fff_ffff } else { d.to_bits() })
                    }
                })
            })
        });
        let slots = [dst(F32), src("a", F32), src("membermask", U32)];
        Some(spec(slots, Meaning::Vote(Vote::Redux(reduce))).since(86, 100).specific().until(107))
    });
    t.row(Op::ElectSync, "9.7.13.14", "Elects one lane of the mask; p holds there.", compares, &[], |_| {
        let slots = [dst(U32).optional(), dst_pred(), src("membermask", U32)];
        Some(spec(slots, Meaning::Vote(Vote::Elect)).since(80, 90))
    });
}
