//! What numbers are made of: the two kinds of factors as they are loaded, what is made of them, their products.

use super::{Factor, Factors};
use crate::ir::Inst;
use crate::table::{Parts, Precision, Real};
use crate::types::{Kind, RegClass, ScalarType};

/// A set of ingredients. Of each kind of factors there are four.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Tags(u16);

impl Tags {
    pub(super) const NONE: Tags = Tags(0);
    /// Everything of the left factors.
    pub(super) const LEFT: Tags = Tags(0x0f);
    /// Everything of the right factors.
    pub(super) const RIGHT: Tags = Tags(0xf0);
    /// Bits as they were loaded, moved and cut but not changed.
    pub(super) const RAW: Tags = Tags(0x11);
    /// Integers made of them.
    pub(super) const INT: Tags = Tags(0x22);
    /// Floats that are numbers as they were loaded.
    pub(super) const PLAIN: Tags = Tags(0x44);
    /// Any other floats made of factors.
    pub(super) const DECODED: Tags = Tags(0x88);
    /// Integer products of both kinds.
    pub(super) const DOT: Tags = Tags(0x100);
    /// Float products of anything of both kinds.
    pub(super) const TERM: Tags = Tags(0x200);

    const FACTORS: Tags = Tags(0xff);
    const BITS: Tags = Tags(0x33);

    pub(super) const fn and(self, other: Tags) -> Tags {
        Tags(self.0 & other.0)
    }

    pub(super) fn or(self, other: Tags) -> Tags {
        Tags(self.0 | other.0)
    }

    pub(super) fn has(self, any: Tags) -> bool {
        self.0 & any.0 != 0
    }

    /// Whether there is something, and nothing but these.
    pub(super) fn only(self, these: Tags) -> bool {
        self.0 != 0 && self.0 & !these.0 == 0
    }

    fn without(self, these: Tags) -> Tags {
        Tags(self.0 & !these.0)
    }

    /// `these` of each kind of factors that `present` says it of.
    fn of_each(these: Tags, present: impl Fn(Tags) -> bool) -> Tags {
        let sides = [Tags::LEFT, Tags::RIGHT].into_iter().filter(|&side| present(side));
        sides.fold(Tags::NONE, |all, side| all.or(side.and(these)))
    }
}

/// The kinds of factors with what the policy says of them.
fn sides(factors: &Factors) -> [(Tags, &Factor); 2] {
    [(Tags::LEFT, &factors.left), (Tags::RIGHT, &factors.right)]
}

/// Which factors a result is made of, where it is of one kind alone.
pub(super) fn alone(factors: &Factors, t: Tags) -> Option<&Factor> {
    sides(factors).into_iter().find(|&(side, _)| t.only(side)).map(|(_, factor)| factor)
}

pub(super) fn is_float(ty: ScalarType) -> bool {
    ty.kind() == Kind::Float
}

/// The factors of a product: the first two sources (of matrices, a and b).
pub(super) fn is_factor(slot: &str) -> bool {
    matches!(slot, "a" | "b")
}

/// The ingredients of a result. `a` and `b` are those of the factors, or of
/// the first and second source; `all` those of every source.
pub(super) fn result(factors: &Factors, inst: &Inst, (a, b): (Tags, Tags), all: Tags, constants: bool) -> Tags {
    let form = inst.form();
    // Whatever is computed of an integer product is still one.
    let integers = |t: Tags| if all.has(Tags::DOT) { Tags::DOT } else { t };
    match form.precision {
        Precision::Converts { from, to, .. } => convert(factors, all, to, from),
        Precision::Moves | Precision::Bits(Parts::Pack | Parts::Unpack) => reinterpret(factors, inst, all),
        Precision::Selects | Precision::Exact { .. } | Precision::MatrixProduct { .. } => all,
        Precision::Rounds { real, .. } | Precision::Approximates { real, .. } => {
            let both = |x: Tags, y: Tags| x.has(Tags::LEFT) && y.has(Tags::RIGHT.or(Tags::DOT));
            let product = real.multiplies() || real == Real::Div;
            let meet = product && (both(a, b) || both(b, a) || a.or(b).has(Tags::DOT));
            if meet && !a.or(b).only(Tags::PLAIN) { all.or(Tags::TERM) } else { all }
        }
        Precision::IntegerProduct if meets(a, b) || a.or(b).has(Tags::DOT) => Tags::DOT,
        // Cutting out bits leaves them as they are; joining whole pieces too.
        Precision::Bits(Parts::Cut) => integers(all),
        Precision::Bits(Parts::Merge) if !constants => integers(all),
        Precision::Bits(Parts::Merge | Parts::Mix)
        | Precision::IntegerProduct
        | Precision::Integer
        | Precision::Compares
        | Precision::Nothing
        | Precision::Loads
        | Precision::Stores
        | Precision::Updates { .. }
        | Precision::Copies
        | Precision::Lanes
        | Precision::Opaque => integers(made(all)),
    }
}

/// Whether both kinds of factors meet here, as they were loaded or as integers.
pub(super) fn meets(a: Tags, b: Tags) -> bool {
    let bits = |t: Tags, side: Tags| t.has(side.and(Tags::BITS));
    bits(a, Tags::LEFT) && bits(b, Tags::RIGHT) || bits(b, Tags::LEFT) && bits(a, Tags::RIGHT)
}

/// Integers that are no longer the bits that were loaded.
fn made(t: Tags) -> Tags {
    t.without(Tags::RAW).or(Tags::of_each(Tags::INT, |side| t.has(side.and(Tags::RAW))))
}

/// Bits moved; into a float register, they become a float.
pub(super) fn reinterpret(factors: &Factors, inst: &Inst, t: Tags) -> Tags {
    let bits = inst.defs().find_map(|r| match r.class {
        RegClass::F32 => Some(32),
        RegClass::F64 => Some(64),
        RegClass::Pred | RegClass::B16 | RegClass::B32 | RegClass::B64 => None,
    });
    bits.map_or(t, |bits| as_float(factors, t, bits))
}

/// Bits taken as a float of a size in bits.
pub(super) fn as_float(factors: &Factors, t: Tags, bits: u32) -> Tags {
    let mut out = t.without(Tags::BITS);
    for (side, factor) in sides(factors) {
        let (raw, int) = (t.has(side.and(Tags::RAW)), t.has(side.and(Tags::INT)));
        let plain = factor.floats.contains(&bits);
        if raw && plain {
            out = out.or(side.and(Tags::PLAIN));
        }
        if int || raw && !plain {
            out = out.or(side.and(Tags::DECODED));
        }
    }
    out
}

fn convert(factors: &Factors, t: Tags, to: ScalarType, from: ScalarType) -> Tags {
    match (is_float(to), is_float(from)) {
        (false, false) => t,
        // Of a float: an integer made of the same.
        (false, true) => t.without(Tags::FACTORS).or(Tags::of_each(Tags::INT, |side| t.has(side))),
        (true, true) => as_float(factors, t, from.bits()),
        (true, false) if t.has(Tags::DOT) => t.without(Tags::BITS),
        (true, false) => t.without(Tags::BITS).or(Tags::of_each(Tags::DECODED, |side| t.has(side.and(Tags::BITS)))),
    }
}
