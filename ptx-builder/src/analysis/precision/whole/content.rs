//! What a register holds, as far as bits of computed floats are concerned.

use crate::types::{RegClass, ScalarType};

/// The name of a value: registers with the same name hold the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) struct Id(pub u32);

impl Id {
    /// Of nothing that was computed in floats.
    pub(super) const NONE: Id = Id(0);
}

/// A computed float.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Float {
    pub ty: ScalarType,
    /// Whether it was rounded from f64 and nothing was computed of it since.
    pub narrowed: bool,
}

impl Float {
    pub(super) fn bytes(self) -> usize {
        self.ty.bytes() as usize
    }
}

/// A byte of a register that bits of computed floats may be in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Byte {
    /// Nothing that was computed in floats.
    Plain,
    /// A constant.
    Const(u8),
    /// Byte `at` of the float with this name, its bits in `flip` inverted.
    Of { id: Id, at: u8, flip: u8 },
    /// Less than was computed, or bits of several.
    Lost,
}

impl Byte {
    pub(super) fn is_computed(self) -> bool {
        matches!(self, Byte::Of { .. } | Byte::Lost)
    }
}

/// The number of an arrangement of eight bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Arrangement(pub u32);

/// What a register holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Content {
    /// Nothing that was computed in floats.
    Plain,
    /// All bits of a computed float.
    Whole(Float),
    /// Bytes of computed floats in another arrangement.
    Bytes(Arrangement),
    /// One rounded to 16 bits, to be stored.
    Half,
    /// An integer that was made of a float, or may have been.
    Quant,
    /// The exponent of a power of two that is to be a factor.
    Exponent,
    /// Its bits as a float's, or the high half of them.
    Power,
    /// Less than was computed.
    Lost,
}

impl Content {
    /// Whether bits of a computed float are in it.
    pub(super) fn is_computed(self) -> bool {
        match self {
            Content::Whole(_) | Content::Bytes(_) | Content::Half | Content::Lost => true,
            Content::Plain | Content::Quant | Content::Exponent | Content::Power => false,
        }
    }

    /// What either may be, where it is not told by bytes.
    pub(super) fn join(self, other: Content) -> Content {
        use Content::{Exponent, Half, Lost, Plain, Power, Quant, Whole};
        match (self, other) {
            (a, b) if a == b => a,
            (Whole(a), Whole(b)) if a.ty == b.ty => Whole(Float { ty: a.ty, narrowed: a.narrowed || b.narrowed }),
            (Plain, x @ (Whole(_) | Half | Quant | Exponent)) | (x @ (Whole(_) | Half | Quant | Exponent), Plain) => x,
            (Quant | Exponent | Power, Quant | Exponent | Power) => Quant,
            _ => Lost,
        }
    }
}

/// A register's content and the name of its bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Value {
    pub content: Content,
    pub id: Id,
}

impl Value {
    pub(super) const UNSET: Value = Value { content: Content::Plain, id: Id::NONE };
}

/// The float type of registers of a class.
pub(super) fn type_of_class(class: RegClass) -> Option<ScalarType> {
    match class {
        RegClass::F32 => Some(ScalarType::F32),
        RegClass::F64 => Some(ScalarType::F64),
        RegClass::Pred | RegClass::B16 | RegClass::B32 | RegClass::B64 => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_either_may_be() {
        use Content::{Bytes, Exponent, Half, Lost, Plain, Power, Quant, Whole};
        let whole = |ty, narrowed| Whole(Float { ty, narrowed });
        let (f32, f64) = (ScalarType::F32, ScalarType::F64);
        let all = [
            Plain,
            whole(f32, false),
            whole(f32, true),
            whole(f64, false),
            Bytes(Arrangement(0)),
            Bytes(Arrangement(1)),
            Half,
            Quant,
            Exponent,
            Power,
            Lost,
        ];
        // Of a pair, in the order above; what is not here is lost.
        let known = [
            (0, 1, 1),
            (0, 2, 2),
            (0, 3, 3),
            (0, 6, 6),
            (0, 7, 7),
            (0, 8, 8),
            (1, 2, 2),
            (7, 8, 7),
            (7, 9, 7),
            (8, 9, 7),
        ];
        for (i, a) in all.into_iter().enumerate() {
            for (j, b) in all.into_iter().enumerate() {
                let pair = (i.min(j), i.max(j));
                let found = known.iter().find(|(x, y, _)| (*x, *y) == pair);
                let expected = if i == j { a } else { found.map_or(Lost, |(_, _, to)| all[*to]) };
                assert_eq!(a.join(b), expected, "{a:?} {b:?}");
            }
        }
    }
}
