//! Accumulates the differences of one stage of one layer from pairs of values.

use super::{Difference, Place};
use crate::trace::{Stage, Tensor, Values};

/// The sums over the pairs of values of one stage of one layer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    values: u64,
    differing: u64,
    not_finite: u64,
    product: f64,
    left: f64,
    right: f64,
    difference: f64,
    largest: f64,
    ulp: u64,
    first: Option<Place>,
}

impl Sums {
    /// Adds a pair; `place` is its position.
    pub(crate) fn add(&mut self, left: Element, right: Element, place: impl FnOnce() -> Place) {
        self.values += 1;
        let (l, r) = (left.value(), right.value());
        // NaN or infinity makes the other measures meaningless, even if both sides have it.
        let finite = l.is_finite() && r.is_finite();
        if !finite || !left.is(right) {
            self.differing += 1;
            self.first.get_or_insert_with(place);
            if !finite {
                self.not_finite += 1;
                return;
            }
            let difference = (l - r).abs();
            self.difference += difference * difference;
            self.largest = self.largest.max(difference);
            self.ulp = self.ulp.max(ulps(l as f32, r as f32));
        }
        self.product += l * r;
        self.left += l * l;
        self.right += r * r;
    }

    pub(crate) fn finish(self, stage: Stage, layer: Option<usize>) -> Difference {
        let ratio = |a: f64, b: f64| if a == 0.0 { 0.0 } else { a / b };
        let cosine = match self.left * self.right {
            _ if self.differing == 0 => 1.0,
            // Both are zero, or one is.
            0.0 => f64::from(u8::from(self.left == self.right)),
            _ => (self.product / (self.left.sqrt() * self.right.sqrt())).clamp(-1.0, 1.0),
        };
        let number = stage.is_number();
        Difference {
            stage,
            layer,
            values: self.values,
            differing: self.differing,
            not_finite: self.not_finite,
            cosine: number.then_some(cosine),
            relative: number.then(|| ratio(self.difference.sqrt(), self.left.sqrt())),
            largest: number.then_some(self.largest),
            largest_ulp: number.then_some(self.ulp),
            first: self.first,
        }
    }
}

/// A value of a tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Element {
    F32(f32),
    F64(f64),
    U32(u32),
}

impl Element {
    pub(crate) fn of(tensor: &Tensor, i: usize) -> Self {
        match &tensor.values {
            Values::F32(v) => Self::F32(v[i]),
            Values::F64(v) => Self::F64(v[i]),
            Values::U32(v) => Self::U32(v[i]),
        }
    }

    pub(crate) fn value(self) -> f64 {
        match self {
            Self::F32(v) => f64::from(v),
            Self::F64(v) => v,
            Self::U32(v) => f64::from(v),
        }
    }

    /// Whether two numbers of one type have the same bits, or two of different types are equal.
    fn is(self, other: Self) -> bool {
        match (self, other) {
            (Self::F32(a), Self::F32(b)) => a.to_bits() == b.to_bits(),
            (Self::F64(a), Self::F64(b)) => a.to_bits() == b.to_bits(),
            (a, b) => a.value() == b.value(),
        }
    }
}

/// The number of f32 values between two.
fn ulps(a: f32, b: f32) -> u64 {
    let ordered = |x: f32| {
        let magnitude = i64::from(x.to_bits() & 0x7fff_ffff);
        if x.is_sign_negative() { -magnitude } else { magnitude }
    };
    ordered(a).abs_diff(ordered(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(pairs: &[(f32, f32)]) -> Difference {
        let mut sums = Sums::default();
        for (i, &(l, r)) in pairs.iter().enumerate() {
            let place = || Place { stage: Stage::Q, layer: Some(1), prompt: 0, position: 0, index: i };
            sums.add(Element::F32(l), Element::F32(r), place);
        }
        sums.finish(Stage::Q, Some(1))
    }

    #[test]
    fn measures_of_a_difference() {
        let d = sums(&[(3.0, 3.0), (4.0, 4.5), (0.0, 0.0)]);
        assert_eq!((d.values, d.differing, d.largest, d.first.map(|p| p.index)), (3, 1, Some(0.5), Some(1)));
        assert_eq!(d.relative, Some(0.1));
        assert!((d.cosine.unwrap() - 27.0 / (5.0 * 29.25f64.sqrt())).abs() < 1e-15);
        assert_eq!(d.largest_ulp, Some(1 << 20));
    }

    #[test]
    fn zeros_signs_and_what_is_not_finite() {
        let lost = sums(&[(f32::NAN, -f32::NAN), (f32::INFINITY, f32::INFINITY), (0.0, 0.0)]);
        assert_eq!((lost.differing, lost.not_finite, lost.relative), (2, 2, Some(0.0)));
        assert_eq!(lost.first.map(|p| p.index), Some(0));
        let signs = sums(&[(0.0, -0.0)]);
        assert_eq!(
            (signs.differing, signs.cosine, signs.relative, signs.largest_ulp),
            (1, Some(1.0), Some(0.0), Some(0))
        );
        let one = sums(&[(1.0, 2.0), (f32::NAN, 1.0), (1.0, f32::INFINITY)]);
        assert_eq!((one.differing, one.not_finite, one.relative), (3, 2, Some(1.0)));
        let zero = sums(&[(0.0, 1.0)]);
        assert_eq!((zero.cosine, zero.relative), (Some(0.0), Some(f64::INFINITY)));
        assert_eq!(ulps(f32::MIN_POSITIVE, -f32::MIN_POSITIVE), 2 << 23);
        assert_eq!(ulps(1.0, 1.0 + f32::EPSILON), 1);
    }
}
