//! Moving data between registers, and addresses between spaces (PTX ISA 9.7.9).

use super::precision::{always, integer, of_bits};
use super::{Alternatives, Builder, Spec, any, one, opt, spec, ty, types};
use crate::table::lanes::lane;
use crate::table::slot::{dst, dst_pred, src, src_reg, vector};
use crate::table::{Access, LaneFn, Lanes, Meaning, Mod, Op, Shape, window};
use crate::table::{Parts, Precision};
use crate::types::ScalarType::{self, B16, B32, B64, F32, F64, Pred, S16, S32, S64, U16, U32, U64};
use crate::types::Space;

const MOVABLE: &[ScalarType] = &[Pred, B16, B32, B64, U16, U32, U64, S16, S32, S64, F32, F64];

pub(super) fn rows(t: &mut Builder) {
    t.row(
        Op::Mov,
        "9.7.9.3",
        "Copies a register, constant, special register or address.",
        always(Precision::Moves),
        &[types(MOVABLE)],
        |m| {
            let t = ty(m, 0);
            let mut a = src("a", t);
            a.shape = Shape::Move(t);
            Some(spec([dst(t), a], Meaning::Lane(lane!(|a: u64| -> u64 { a }))))
        },
    );
    let mut vectors = |pack, unpack, docs: [&'static str; 2], whole, part, len, evals: [LaneFn; 2]| {
        t.row(pack, "9.7.9.4", docs[0], of_bits(Parts::Pack), &[types(&[whole])], |_| {
            Some(spec([dst(whole), vector("a", Access::Read, part, len, false)], Meaning::Lane(evals[0])))
        });
        t.row(unpack, "9.7.9.4", docs[1], of_bits(Parts::Unpack), &[types(&[whole])], |_| {
            Some(spec([vector("d", Access::Write, part, len, false), src("a", whole)], Meaning::Lane(evals[1])))
        });
    };
    let two = ["Packs two registers into one, the first lowest.", "Unpacks a register into two, the lowest first."];
    vectors(Op::Pack, Op::Unpack, two, B32, B16, 2, [pack::<2, 16>, unpack::<2, 16>]);
    vectors(Op::Pack, Op::Unpack, two, B64, B32, 2, [pack::<2, 32>, unpack::<2, 32>]);
    let four = ["Packs four registers into one, the first lowest.", "Unpacks a register into four, the lowest first."];
    vectors(Op::Pack4, Op::Unpack4, four, B64, B16, 4, [pack::<4, 16>, unpack::<4, 16>]);
    permutation(t);
    addresses(t);
}

/// Joins `N` parts of `BITS` bits.
fn pack<const N: usize, const BITS: u32>(results: &mut [Lanes], sources: &[Lanes]) {
    let Some(d) = results.first_mut() else { return };
    for (lane, d) in d.iter_mut().enumerate() {
        *d = sources.iter().take(N).rev().fold(0, |all, part| all << BITS | part[lane] & ((1 << BITS) - 1));
    }
}

/// Splits into `N` parts of `BITS` bits.
fn unpack<const N: usize, const BITS: u32>(results: &mut [Lanes], sources: &[Lanes]) {
    let Some(a) = sources.first() else { return };
    for (i, part) in (0u32..).zip(results.iter_mut().take(N)) {
        for (d, a) in part.iter_mut().zip(a) {
            *d = a >> (i * BITS) & ((1 << BITS) - 1);
        }
    }
}

/// The bytes of b:a that `select` picks for each byte of the result.
macro_rules! bytes {
    (|$c:ident, $i:ident| $select:expr) => {
        lane!(|a: u32, b: u32, $c: u32| -> u32 {
            let bytes = (u64::from(b) << 32 | u64::from(a)).to_le_bytes();
            u32::from_le_bytes(std::array::from_fn(|i| {
                let $i = i as u32;
                let select: u32 = $select;
                let byte = bytes[select as usize & 7];
                if select & 8 == 0 { byte } else { ((byte as i8) >> 7) as u8 }
            }))
        })
    };
}

fn permutation(t: &mut Builder) {
    let modes = opt(&[Mod::F4e, Mod::B4e, Mod::Rc8, Mod::Ecl, Mod::Ecr, Mod::Rc16]);
    t.row(
        Op::Prmt,
        "9.7.9.7",
        "Picks four bytes of b:a, each by four bits of c (bit 3: the byte's sign), or in a pattern that c begins.",
        of_bits(Parts::Cut),
        &[one(Mod::Ty(B32)), modes],
        |m| {
            let eval = match m.get(1) {
                None => bytes!(|c, i| c >> (4 * i) & 15),
                Some(Mod::F4e) => bytes!(|c, i| ((c & 3) + i) & 7),
                Some(Mod::B4e) => bytes!(|c, i| (c & 3).wrapping_sub(i) & 7),
                Some(Mod::Rc8) => bytes!(|c, _i| c & 3),
                Some(Mod::Ecl) => bytes!(|c, i| (c & 3).max(i)),
                Some(Mod::Ecr) => bytes!(|c, i| (c & 3).min(i)),
                _ => bytes!(|c, i| (c & 1) * 2 + (i & 1)),
            };
            Some(spec([dst(B32), src("a", B32), src("b", B32), src("c", B32)], Meaning::Lane(eval)))
        },
    );
}

/// `f(address, base of the space's window)`.
macro_rules! windowed {
    ($space:expr, |$a:ident, $base:ident| $e:expr) => {
        match $space {
            Mod::Shared | Mod::SharedCluster => windowed!(@ Space::Shared, |$a, $base| $e),
            Mod::Local => windowed!(@ Space::Local, |$a, $base| $e),
            Mod::Const => windowed!(@ Space::Const, |$a, $base| $e),
            Mod::Param => windowed!(@ Space::Param, |$a, $base| $e),
            _ => windowed!(@ Space::Global, |$a, $base| $e),
        }
    };
    (@ $space:expr, |$a:ident, $base:ident| $e:expr) => {
        lane!(|$a: u64| -> u64 {
            let $base = window::base($space);
            $e
        })
    };
}

fn spaces() -> Alternatives {
    any(&[Mod::Global, Mod::Shared, Mod::SharedCluster, Mod::Local, Mod::Const, Mod::Param])
}

fn addresses(t: &mut Builder) {
    /// Constants have generic addresses since PTX 3.1, parameters since PTX 7.7 and sm_70.
    fn since(spec: Spec, space: Mod) -> Spec {
        match space {
            Mod::Param => spec.since(77, 70),
            Mod::Const => spec.since(31, 20),
            Mod::SharedCluster => spec.since(78, 90),
            _ => spec,
        }
    }
    t.row(Op::Isspacep, "9.7.9.19", "Whether a generic address lies in a space.", integer, &[spaces()], |m| {
        let eval = match m[0] {
            Mod::Shared | Mod::SharedCluster => lane!(|a: u64| -> bool { window::space_of(a) == Space::Shared }),
            Mod::Local => lane!(|a: u64| -> bool { window::space_of(a) == Space::Local }),
            Mod::Const => lane!(|a: u64| -> bool { window::space_of(a) == Space::Const }),
            Mod::Param => lane!(|a: u64| -> bool { window::space_of(a) == Space::Param }),
            _ => lane!(|a: u64| -> bool { window::space_of(a) == Space::Global }),
        };
        Some(since(spec([dst_pred(), src("a", U64)], Meaning::Lane(eval)), m[0]))
    });
    let doc = "Whether an address is that of a texture, a sampler or a surface.";
    let kinds = any(&[Mod::Texref, Mod::Samplerref, Mod::Surfref]);
    t.row(Op::Istypep, "9.7.11.5", doc, integer, &[kinds], |_| {
        Some(spec([dst_pred(), src_reg("a", U64)], Meaning::Foreign).since(40, 30))
    });
    t.row(
        Op::Cvta,
        "9.7.9.20",
        "The generic address of an address in a space.",
        integer,
        &[spaces(), types(&[U64])],
        |m| {
            let mut a = src("a", U64);
            a.shape = Shape::Move(U64);
            let eval = windowed!(m[0], |a, base| a.wrapping_add(base));
            Some(since(spec([dst(U64), a], Meaning::Lane(eval)), m[0]))
        },
    );
    let doc = "The address in a space of a generic address that lies there.";
    t.row(Op::Cvta, "9.7.9.20", doc, integer, &[one(Mod::To), spaces(), types(&[U64])], |m| {
        let eval = windowed!(m[1], |a, base| a.wrapping_sub(base));
        Some(since(spec([dst(U64), src("a", U64)], Meaning::Lane(eval)), m[1]))
    });
}
