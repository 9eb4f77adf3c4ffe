//! What numbers are made of: weights, activations, their scales, their products.

use crate::ir::Inst;
use crate::table::{Form, Meaning, Mod, Op};
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

/// The type that an instruction computes in: its last written type.
pub(crate) fn type_of(form: &Form) -> Option<ScalarType> {
    form.mods.iter().rev().find_map(|m| if let Mod::Ty(t) = m { Some(*t) } else { None })
}

/// For a conversion, the types to and from.
pub(super) fn conversion(form: &Form) -> Option<(ScalarType, ScalarType)> {
    if form.op != Op::Cvt {
        return None;
    }
    let mut types = form.mods.iter().filter_map(|m| if let Mod::Ty(t) = m { Some(*t) } else { None });
    Some((types.next()?, types.next()?))
}

pub(super) fn is_float(ty: ScalarType) -> bool {
    ty.kind() == Kind::Float
}

/// Whether an instruction rounds a float result: sums, products, quotients, roots, functions.
pub(super) fn float_arithmetic(form: &Form) -> Option<ScalarType> {
    let ty = type_of(form).filter(|&t| is_float(t))?;
    let rounds = matches!(
        form.op,
        Op::Add
            | Op::Sub
            | Op::Mul
            | Op::Fma
            | Op::Mad
            | Op::Div
            | Op::Rcp
            | Op::Sqrt
            | Op::Rsqrt
            | Op::Sin
            | Op::Cos
            | Op::Lg2
            | Op::Ex2
            | Op::Tanh
    );
    rounds.then_some(ty)
}

/// Whether an instruction adds floats.
pub(super) fn float_sum(form: &Form) -> bool {
    matches!(form.op, Op::Add | Op::Sub | Op::Fma | Op::Mad) && float_arithmetic(form).is_some()
}

/// Whether an instruction multiplies integers.
pub(super) fn integer_product(form: &Form) -> bool {
    let matrix = matches!(form.meaning, Meaning::Matrix(crate::table::Matrix::IntMma { .. }));
    let multiplies = matches!(form.op, Op::Dp4a | Op::Dp2a | Op::Mul | Op::Mad | Op::Mul24 | Op::Mad24);
    matrix || multiplies && type_of(form).is_some_and(|t| !is_float(t))
}

/// The factors of a product: the first two sources (of matrices, a and b).
pub(super) fn is_factor(slot: &str) -> bool {
    matches!(slot, "a" | "b")
}

/// The ingredients of a result. `a` and `b` are those of the factors, or of
/// the first and second source; `all` those of every source.
pub(super) fn result(inst: &Inst, a: Tags, b: Tags, all: Tags, constants: bool) -> Tags {
    let form = inst.form();
    if let Some((to, from)) = conversion(form) {
        return convert(all, to, from);
    }
    let float = type_of(form).is_some_and(is_float);
    match form.op {
        Op::Mov | Op::Pack | Op::Unpack => reinterpret(inst, all),
        Op::Selp => all,
        _ if float_arithmetic(form).is_some() => {
            let product = matches!(form.op, Op::Mul | Op::Fma | Op::Mad | Op::Div);
            let both = |x: Tags, y: Tags| x.has(Tags::W) && y.has(Tags::A.or(Tags::DOT));
            let scales = Tags::W_SCALE.or(Tags::A_FLOAT);
            let meet = product && (both(a, b) || both(b, a) || a.or(b).has(Tags::DOT));
            if meet && !a.or(b).only(scales) { all.or(Tags::TERM) } else { all }
        }
        _ if float => all,
        _ if integer_product(form) && (meets(a, b) || a.or(b).has(Tags::DOT)) => Tags::DOT,
        _ if all.has(Tags::DOT) => Tags::DOT,
        // Cutting out bits leaves them as they are; joining whole pieces too.
        Op::Shr | Op::Shl | Op::And | Op::Bfe | Op::Shf | Op::Prmt => all,
        Op::Or | Op::Bfi | Op::Lop3 if !constants => all,
        _ => made(all),
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
