//! Sizes of errors on a logarithmic scale that has a place for zero.

/// Powers of ten, from the one at or below the smallest value other than 0 to the one at or above the
/// largest. Zero is placed one power below them, and infinite values at the top.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    /// Exponent of the lowest power: the place of zero.
    pub(super) least: i32,
    /// Exponent of the highest power.
    pub(super) most: i32,
}

impl Scale {
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let (mut least, mut most) = (i32::MAX, i32::MIN);
        for value in values.filter(|v| v.is_finite() && *v > 0.0) {
            least = least.min(value.log10().floor() as i32);
            most = most.max(value.log10().ceil() as i32);
        }
        if least > most {
            return Self { least: -9, most: 0 };
        }
        Self { least: least - 1, most: most.max(least + 1) }
    }

    /// The place of a value, in powers of ten.
    pub(super) fn place(self, value: f64) -> f64 {
        let (least, most) = (f64::from(self.least), f64::from(self.most));
        match value {
            v if v.is_nan() => most,
            v if v <= 0.0 => least,
            v => v.log10().clamp(least, most),
        }
    }

    /// The label at a power.
    pub(super) fn word(self, exponent: i32) -> String {
        if exponent == self.least { "0".into() } else { format!("1e{exponent}") }
    }

    /// Some of the powers, at most about `n`, among them both ends.
    pub(super) fn ticks(self, n: i32) -> Vec<i32> {
        let step = ((self.most - self.least) / n.max(1)).max(1);
        let mut ticks: Vec<i32> = (self.least..=self.most).rev().step_by(step as usize).collect();
        if ticks.last() != Some(&self.least) {
            // Too close to the label of zero.
            ticks.pop_if(|last| *last < self.least + step);
            ticks.push(self.least);
        }
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_infinity_have_a_place() {
        let scale = Scale::of([3e-7, 0.0, 2e-2, f64::INFINITY, f64::NAN].into_iter());
        assert_eq!(scale, Scale { least: -8, most: -1 });
        assert_eq!((scale.place(0.0), scale.place(f64::INFINITY), scale.place(1e-3)), (-8.0, -1.0, -3.0));
        assert_eq!((scale.word(-8), scale.word(-3)), ("0".to_owned(), "1e-3".to_owned()));
        assert_eq!(scale.ticks(4), [-1, -2, -3, -4, -5, -6, -7, -8]);
        assert_eq!(Scale { least: -17, most: -1 }.ticks(4), [-1, -5, -9, -13, -17]);
        assert_eq!(Scale { least: -18, most: -1 }.ticks(4), [-1, -5, -9, -13, -18]);
        let none = Scale::of([0.0].into_iter());
        assert_eq!(none.place(0.0), f64::from(none.least));
        let one = Scale::of([1e-3].into_iter());
        assert!(one.least < -3 && one.most > one.least);
    }
}
