//! What numbers are made of: weights, activations, their scales, their products.

use crate::ir::Inst;
use crate::table::{Parts, Precision, Real};
use crate::types::{Kind, ScalarType};

/// A set of ingredients.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Tags(u16);

impl Tags {
    pub(super) const NONE: Tags = Tags(0);
    /// Bits loaded through a weights pointer, moved and cut but not changed.
    pub(super) const W_RAW: Tags = Tags(1);
    /// Integers made of them.
    pub(super) const W_INT: Tags = Tags(2);
    /// Scales: f16 values in the weights.
    pub(super) const W_SCALE: Tags = Tags(4);
    /// Weights as floats.
    pub(super) const W_FLOAT: Tags = Tags(8);
    /// Bits loaded through an activations pointer.
    pub(super) const A_RAW: Tags = Tags(16);
    /// Integers made of them.
    pub(super) const A_INT: Tags = Tags(32);
    /// Floats among the activations: the activations themselves, or their scales.
    pub(super) const A_FLOAT: Tags = Tags(64);
    /// Quantized activations as floats.
    pub(super) const A_DECODED: Tags = Tags(128);
    /// Integer products of weights and activations.
    pub(super) const DOT: Tags = Tags(256);
    /// Float products of anything of both sides.
    pub(super) const TERM: Tags = Tags(512);

    pub(super) const W: Tags = Tags(1 | 2 | 4 | 8);
    pub(super) const A: Tags = Tags(16 | 32 | 64 | 128);
    const W_BITS: Tags = Tags(1 | 2);
    const A_BITS: Tags = Tags(16 | 32);

    pub(super) fn and(self, other: Tags) -> Tags {
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
pub(super) fn result(inst: &Inst, a: Tags, b: Tags, all: Tags, constants: bool) -> Tags {
    let form = inst.form();
    // Whatever is computed of an integer product is still one.
    let integers = |t: Tags| if all.has(Tags::DOT) { Tags::DOT } else { t };
    match form.precision {
        Precision::Converts { from, to, .. } => convert(all, to, from),
        Precision::Moves | Precision::Bits(Parts::Pack | Parts::Unpack) => reinterpret(inst, all),
        Precision::Selects | Precision::Exact { .. } | Precision::MatrixProduct { .. } => all,
        Precision::Rounds { real, .. } | Precision::Approximates { real, .. } => {
            let both = |x: Tags, y: Tags| x.has(Tags::W) && y.has(Tags::A.or(Tags::DOT));
            let scales = Tags::W_SCALE.or(Tags::A_FLOAT);
            let product = real.multiplies() || real == Real::Div;
            let meet = product && (both(a, b) || both(b, a) || a.or(b).has(Tags::DOT));
            if meet && !a.or(b).only(scales) { all.or(Tags::TERM) } else { all }
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

/// Whether weights meet activations in these factors.
pub(super) fn meets(a: Tags, b: Tags) -> bool {
    a.has(Tags::W_BITS) && b.has(Tags::A_BITS) || b.has(Tags::W_BITS) && a.has(Tags::A_BITS)
}

/// Integers that are no longer the bits that were loaded.
fn made(t: Tags) -> Tags {
    let mut out = t.and(Tags(!(Tags::W_RAW.0 | Tags::A_RAW.0)));
    if t.has(Tags::W_RAW) {
        out = out.or(Tags::W_INT);
    }
    if t.has(Tags::A_RAW) {
        out = out.or(Tags::A_INT);
    }
    out
}

/// Bits moved; into a float register, they become a float.
fn reinterpret(inst: &Inst, t: Tags) -> Tags {
    use crate::types::RegClass::{F32, F64};
    if inst.defs().any(|r| matches!(r.class, F32 | F64)) { as_float(t) } else { t }
}

/// Bits taken as a float.
pub(super) fn as_float(t: Tags) -> Tags {
    let mut out = t.and(Tags(!(Tags::W_BITS.0 | Tags::A_BITS.0)));
    if t.has(Tags::W_BITS) {
        out = out.or(Tags::W_FLOAT);
    }
    if t.has(Tags::A_RAW) {
        out = out.or(Tags::A_FLOAT);
    }
    if t.has(Tags::A_INT) {
        out = out.or(Tags::A_DECODED);
    }
    out
}

fn convert(t: Tags, to: ScalarType, from: ScalarType) -> Tags {
    match (is_float(to), is_float(from)) {
        (false, false) => t,
        (false, true) => {
            // Of a float: an integer made of the same.
            let mut out = t.and(Tags::DOT.or(Tags::TERM));
            if t.has(Tags::W) {
                out = out.or(Tags::W_INT);
            }
            if t.has(Tags::A) {
                out = out.or(Tags::A_INT);
            }
            out
        }
        (true, true) => {
            let half = from.bits() == 16;
            let mut out = t.and(Tags(!(Tags::W_BITS.0 | Tags::A_BITS.0)));
            if t.has(Tags::W_BITS) {
                let scale = half && !t.has(Tags::W_INT);
                out = out.or(if scale { Tags::W_SCALE } else { Tags::W_FLOAT });
            }
            if t.has(Tags::A_RAW) {
                out = out.or(Tags::A_FLOAT);
            }
            if t.has(Tags::A_INT) {
                out = out.or(Tags::A_DECODED);
            }
            out
        }
        (true, false) => {
            if t.has(Tags::DOT) {
                return t.and(Tags(!(Tags::W_BITS.0 | Tags::A_BITS.0)));
            }
            let mut out = t.and(Tags(!(Tags::W_BITS.0 | Tags::A_BITS.0)));
            if t.has(Tags::W_BITS) {
                out = out.or(Tags::W_FLOAT);
            }
            if t.has(Tags::A_BITS) {
                out = out.or(Tags::A_DECODED);
            }
            out
        }
    }
}
