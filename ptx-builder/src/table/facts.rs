//! The effect of a form on the precision of numbers, as its row states it.
//!
//! Every row states this, so that no analysis depends on the opcode, and a new instruction is known to all of them or
//! does not compile.

use super::Rounding;
use crate::types::ScalarType;

/// A function of real numbers, which an instruction computes or approximates.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Real {
    /// a + b.
    Add,
    /// a - b.
    Sub,
    /// a b.
    Mul,
    /// a b + c.
    Fma,
    /// a / b.
    Div,
    /// 1 / a.
    Rcp,
    /// The square root.
    Sqrt,
    /// 1 / sqrt(a).
    Rsqrt,
    /// The sine.
    Sin,
    /// The cosine.
    Cos,
    /// The logarithm to base 2.
    Lg2,
    /// 2 to the power of a.
    Ex2,
    /// The hyperbolic tangent.
    Tanh,
    /// -a.
    Neg,
    /// The absolute value.
    Abs,
    /// The minimum.
    Min,
    /// The maximum.
    Max,
    /// The maximum or minimum of the magnitudes, with the sign of the product.
    Magnitude,
    /// b with the sign of a.
    Copysign,
}

impl Real {
    /// Whether it adds: its result may be smaller than its terms, so that their errors weigh more.
    pub const fn adds(self) -> bool {
        matches!(self, Real::Add | Real::Sub | Real::Fma)
    }

    /// Whether it multiplies its first two sources.
    pub const fn multiplies(self) -> bool {
        matches!(self, Real::Mul | Real::Fma)
    }
}

/// How a result is clamped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Clamp {
    /// To [0, 1] (`.sat` of a float).
    Unit,
    /// To what is not negative (`.relu`).
    Positive,
}

/// The source bits that are in the result.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Parts {
    /// Several registers concatenated in one, the first lowest.
    Pack,
    /// One register's parts in several, the lowest first.
    Unpack,
    /// Some of the bits, possibly moved; the others are zeros or signs.
    Cut,
    /// Bits of several sources in one word.
    Merge,
    /// Bits computed from bits.
    Mix,
}

/// The effect on precision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Precision {
    /// No number results: control, barriers, fences, hints.
    Nothing,
    /// Integers, predicates or addresses computed from such; never from a float's value.
    Integer,
    /// A sum of products of integers.
    IntegerProduct,
    /// A predicate, mask or flag computed from numbers, on which a choice depends.
    Compares,
    /// The bits of a source, whole.
    Moves,
    /// Bits rearranged, cut or mixed, whatever number they represent.
    Bits(Parts),
    /// One of the sources, unchanged.
    Selects,
    /// A float computed without error.
    Exact {
        /// The function.
        real: Real,
        /// The type of sources and result.
        ty: ScalarType,
    },
    /// A float rounded once.
    Rounds {
        /// The function.
        real: Real,
        /// The type rounded to.
        ty: ScalarType,
        /// The explicit rounding. Without one it is to nearest, but an assembler may contract it.
        mode: Option<Rounding>,
        /// How it is clamped, if at all.
        clamp: Option<Clamp>,
    },
    /// A float within a tolerance only.
    Approximates {
        /// The function.
        real: Real,
        /// The type of sources and result.
        ty: ScalarType,
    },
    /// A number converted to another type, or a float rounded to an integral value.
    Converts {
        /// The source's type.
        from: ScalarType,
        /// The result's type.
        to: ScalarType,
        /// The rounding, to a value of `to` or to an integral one; none where every value of `from` is one of `to`, and to
        /// tf32 under `.rna`, which rounds ties away from zero.
        mode: Option<Rounding>,
        /// Whether the result is integral: always for integers.
        integral: bool,
        /// How it is clamped, if at all.
        clamp: Option<Clamp>,
    },
    /// A value loaded from memory.
    Loads,
    /// The source is stored to memory.
    Stores,
    /// Memory is changed in place, and its old value may be a result.
    Updates {
        /// The type in memory.
        ty: ScalarType,
        /// Whether it adds.
        adds: bool,
    },
    /// Memory is copied to other memory, byte by byte.
    Copies,
    /// The bits of a source of another lane, whole.
    Lanes,
    /// Sums of products whose order and roundings PTX leaves unspecified.
    MatrixProduct {
        /// The type of the factors.
        input: ScalarType,
        /// The type of the sums.
        acc: ScalarType,
    },
    /// Unknown: rejected wherever a number goes through it.
    Opaque,
}

impl Precision {
    /// The type of arithmetic that rounds: sums, products, quotients, roots, functions.
    pub fn arithmetic(&self) -> Option<ScalarType> {
        match *self {
            Precision::Rounds { ty, .. } | Precision::Approximates { ty, .. } => Some(ty),
            Precision::Nothing
            | Precision::Integer
            | Precision::IntegerProduct
            | Precision::Compares
            | Precision::Moves
            | Precision::Bits(_)
            | Precision::Selects
            | Precision::Exact { .. }
            | Precision::Converts { .. }
            | Precision::Loads
            | Precision::Stores
            | Precision::Updates { .. }
            | Precision::Copies
            | Precision::Lanes
            | Precision::MatrixProduct { .. }
            | Precision::Opaque => None,
        }
    }

    /// The function of real numbers that it computes, if it is one.
    pub fn real(&self) -> Option<Real> {
        match *self {
            Precision::Rounds { real, .. } | Precision::Approximates { real, .. } | Precision::Exact { real, .. } => {
                Some(real)
            }
            Precision::Nothing
            | Precision::Integer
            | Precision::IntegerProduct
            | Precision::Compares
            | Precision::Moves
            | Precision::Bits(_)
            | Precision::Selects
            | Precision::Converts { .. }
            | Precision::Loads
            | Precision::Stores
            | Precision::Updates { .. }
            | Precision::Copies
            | Precision::Lanes
            | Precision::MatrixProduct { .. }
            | Precision::Opaque => None,
        }
    }

    /// Whether it adds floats and rounds the sum.
    pub fn sums(&self) -> bool {
        self.arithmetic().is_some() && self.real().is_some_and(Real::adds)
    }

    /// For a conversion, the types to and from.
    pub fn conversion(&self) -> Option<(ScalarType, ScalarType)> {
        if let Precision::Converts { from, to, .. } = *self { Some((to, from)) } else { None }
    }
}
