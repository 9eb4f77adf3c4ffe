//! Values of a forward that are NaN or infinite.

use crate::trace::Stage;
use std::fmt;

/// A value of a forward that is NaN or infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFinite {
    /// The stage that contains it.
    pub stage: Stage,
    /// Its layer.
    pub layer: Option<usize>,
    /// The position in the sequence.
    pub position: usize,
    /// The index of the value at that position.
    pub index: usize,
    /// Whether it is NaN, and not an infinity.
    pub nan: bool,
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, position, index, .. } = self;
        match self.layer {
            Some(layer) => write!(f, "layer {layer}, stage {stage}")?,
            None => write!(f, "stage {stage}")?,
        }
        let what = if self.nan { "NaN" } else { "infinite" };
        write!(f, ": value {index} is {what} at position {position}")
    }
}

/// Values that are looked at together.
const PIECE: usize = 1024;

/// The first value that is NaN or infinite.
pub(crate) fn first(values: &[f32]) -> Option<usize> {
    // No early exit inside a piece, so that the loop can be vectorized.
    let any = |piece: &[f32]| piece.iter().fold(false, |any, v| any | !v.is_finite());
    let piece = values.chunks(PIECE).position(any)? * PIECE;
    values[piece..].iter().position(|v| !v.is_finite()).map(|i| piece + i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_values_that_are_none_is_found_wherever_it_is() {
        for len in [1, 7, 1023, 1024, 1025, 3000] {
            assert_eq!(first(&vec![f32::MAX; len]), None);
            for at in [0, len / 2, len - 1] {
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut values = vec![1.0; len];
                    values[at] = bad;
                    values[len - 1] = bad;
                    assert_eq!(first(&values), Some(at));
                }
            }
        }
    }
}
