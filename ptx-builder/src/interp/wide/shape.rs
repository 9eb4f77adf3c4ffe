//! Which 16 bits of a register belong to which value.

use crate::types::ScalarType;

/// A number's format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::interp) enum Format {
    F64 = 1,
    F32,
    F16,
    Bf16,
    /// An integer that represents the float from which it was converted.
    Int,
}

impl Format {
    /// The format of a type's numbers, and how many it packs in a register.
    pub fn of(ty: ScalarType) -> (Format, usize) {
        match ty {
            ScalarType::F64 => (Format::F64, 1),
            // An f32 whose low bits are zeros.
            ScalarType::F32 | ScalarType::Tf32 => (Format::F32, 1),
            ScalarType::F32x2 => (Format::F32, 2),
            ScalarType::F16 => (Format::F16, 1),
            ScalarType::F16x2 => (Format::F16, 2),
            ScalarType::Bf16 => (Format::Bf16, 1),
            ScalarType::Bf16x2 => (Format::Bf16, 2),
            ScalarType::Pred
            | ScalarType::B8
            | ScalarType::B16
            | ScalarType::B32
            | ScalarType::B64
            | ScalarType::B128
            | ScalarType::U8
            | ScalarType::U16
            | ScalarType::U32
            | ScalarType::U64
            | ScalarType::S8
            | ScalarType::S16
            | ScalarType::S32
            | ScalarType::S64
            | ScalarType::E4m3x2
            | ScalarType::E5m2x2
            | ScalarType::E2m3x2
            | ScalarType::E3m2x2
            | ScalarType::Ue8m0x2
            | ScalarType::E4m3x4
            | ScalarType::E5m2x4
            | ScalarType::E2m3x4
            | ScalarType::E3m2x4
            | ScalarType::E2m1x4
            | ScalarType::U16x2
            | ScalarType::S16x2 => (Format::Int, 1),
        }
    }

    /// The type with this format; none for integers.
    pub fn ty(self) -> Option<ScalarType> {
        match self {
            Format::F64 => Some(ScalarType::F64),
            Format::F32 => Some(ScalarType::F32),
            Format::F16 => Some(ScalarType::F16),
            Format::Bf16 => Some(ScalarType::Bf16),
            Format::Int => None,
        }
    }

    /// How many times 16 bits a value has; an integer has at least one.
    pub fn granules(self) -> usize {
        match self {
            Format::F64 => 4,
            Format::F32 => 2,
            Format::F16 | Format::Bf16 | Format::Int => 1,
        }
    }

    fn from_bits(bits: u8) -> Option<Format> {
        Some(match bits {
            1 => Format::F64,
            2 => Format::F32,
            3 => Format::F16,
            4 => Format::Bf16,
            5 => Format::Int,
            _ => return None,
        })
    }
}

/// 16 bits of a register: those of which value, and which of its bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::interp) struct Granule {
    pub format: Format,
    /// From the value's bit 16 `at` on.
    pub at: u8,
    /// Which of the register's planes has the value's error.
    pub plane: u8,
}

impl Granule {
    /// Whether `next` is the following 16 bits of the same value.
    pub fn leads_to(self, next: Option<Granule>) -> bool {
        next == Some(Granule { at: self.at + 1, ..self })
    }
}

/// The granules of a register, the lowest first; all bits of an exact register are nobody's.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(in crate::interp) struct Shape([u8; 4]);

impl Shape {
    pub const NONE: Shape = Shape([0; 4]);

    /// The granule in a place; none where nobody's bits are, and beyond the register.
    pub fn get(self, i: usize) -> Option<Granule> {
        let bits = *self.0.get(i)?;
        Some(Granule { format: Format::from_bits(bits & 7)?, at: bits >> 3 & 3, plane: bits >> 5 & 3 })
    }

    pub fn set(&mut self, i: usize, granule: Option<Granule>) {
        self.0[i] = granule.map_or(0, |g| g.format as u8 | (g.at & 3) << 3 | (g.plane & 3) << 5);
    }

    /// `count` values side by side. The plane of a value is that of its first granule, in any register.
    pub fn of(format: Format, count: usize) -> Shape {
        let mut shape = Shape::NONE;
        let size = format.granules();
        for i in 0..shape.0.len().min(size * count) {
            shape.set(i, Some(Granule { format, at: (i % size) as u8, plane: (i - i % size) as u8 }));
        }
        shape
    }

    pub fn is_none(self) -> bool {
        self == Shape::NONE
    }

    /// The plane of the whole value in this format at granule `first`. An integer may have any width, but nothing of
    /// another value may lie in it.
    pub fn plane_of(self, format: Format, first: usize, granules: usize) -> Option<usize> {
        let begin = self.get(first).filter(|g| g.format == format && g.at == 0)?;
        let whole = |i: usize| match self.get(first + i) {
            Some(g) => g == Granule { at: i as u8, ..begin },
            None => format == Format::Int,
        };
        (1..granules).all(whole).then_some(usize::from(begin.plane))
    }

    /// Both shapes in one, where they do not contradict each other.
    pub fn and(self, other: Shape) -> Option<Shape> {
        let mut both = self;
        for i in 0..4 {
            match (self.0[i], other.0[i]) {
                (a, b) if a == b || b == 0 => {}
                (0, b) => both.0[i] = b,
                _ => return None,
            }
        }
        Some(both)
    }

    /// One more than the highest plane used.
    pub fn planes(self) -> usize {
        (0..4).filter_map(|i| self.get(i)).map(|g| usize::from(g.plane) + 1).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_values_only() {
        let wide = Shape::of(Format::F64, 1);
        assert_eq!(wide.plane_of(Format::F64, 0, 4), Some(0));
        assert_eq!(wide.plane_of(Format::F32, 0, 2), None);
        let pair = Shape::of(Format::F32, 2);
        assert_eq!((pair.plane_of(Format::F32, 0, 2), pair.plane_of(Format::F32, 2, 2)), (Some(0), Some(2)));
        assert_eq!((pair.plane_of(Format::F32, 1, 2), pair.planes()), (None, 3));
        assert_eq!(pair.and(Shape::of(Format::F32, 1)), Some(pair));
        assert_eq!(Shape::of(Format::F32, 1).and(pair), Some(pair));
        assert_eq!(pair.and(wide), None);
        let mut halves = Shape::of(Format::F16, 4);
        assert_eq!((halves.plane_of(Format::F16, 3, 1), halves.planes()), (Some(3), 4));
        halves.set(3, None);
        assert_eq!((halves.plane_of(Format::F16, 3, 1), halves.planes()), (None, 3));
        let mut int = Shape::of(Format::Int, 1);
        assert_eq!(int.plane_of(Format::Int, 0, 4), Some(0));
        int.set(1, Some(Granule { format: Format::Int, at: 0, plane: 1 }));
        assert_eq!(int.plane_of(Format::Int, 0, 2), None);
        assert_eq!((Shape::NONE.plane_of(Format::Int, 0, 1), Shape::NONE.planes()), (None, 0));
    }
}
