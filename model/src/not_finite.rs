//! NaN and infinity in a forward: found in its logits, and where they come from.

use crate::{
    engine::{Engine, EngineError, LogitRows},
    trace::{Block, Slice, Stage, Tap},
};
use std::fmt;

/// A value of a forward that is no number to go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFinite {
    /// The stage that holds it.
    pub stage: Stage,
    /// Its layer.
    pub layer: Option<usize>,
    /// The position in the sequence.
    pub position: usize,
    /// Which of the position's values.
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

/// Rows of logits that are looked at where a NaN came from; of more tokens only the last.
const MOST_ROWS: usize = 64;

/// Values that are looked at together.
const PIECE: usize = 1024;

/// The first value that is NaN or infinite.
pub(crate) fn first(values: &[f32]) -> Option<usize> {
    // Without a way out inside a piece, so that it is done in lanes.
    let any = |piece: &[f32]| piece.iter().fold(false, |any, v| any | !v.is_finite());
    let piece = values.chunks(PIECE).position(any)? * PIECE;
    values[piece..].iter().position(|v| !v.is_finite()).map(|i| piece + i)
}

/// Checks rows of logits, the first of which is that of `position`.
pub(crate) fn check_logits(logits: &[f32], vocab: usize, position: usize) -> Result<(), EngineError> {
    let Some(at) = first(logits) else { return Ok(()) };
    let (row, index) = (at / vocab.max(1), at % vocab.max(1));
    let nan = logits[at].is_nan();
    Err(EngineError::NotFinite(NotFinite { stage: Stage::Logits, layer: None, position: position + row, index, nan }))
}

/// Where the NaN or infinity comes from that ended a forward of `tokens`, which is done once more with all stages
/// looked at: the first stage of the earliest position that holds one. An error of another kind, and one whose
/// origin is in none of the stages that the device writes, stays as it is.
///
/// The tokens that were taken before are taken to be in order. What the engine has taken stays.
pub fn locate(engine: &mut dyn Engine, tokens: &[u32], error: EngineError) -> EngineError {
    if !matches!(error, EngineError::NotFinite(_) | EngineError::NanInRouter { .. }) {
        return error;
    }
    let (before, mut find) = (engine.position(), Find { found: None, order: 0 });
    // It fails as it did, or not: what counts is what went by.
    let rows = if tokens.len() <= MOST_ROWS { LogitRows::All } else { LogitRows::Last };
    let _ = engine.forward_traced(tokens, rows, Some(&mut find));
    engine.rewind(before);
    find.found.map_or(error, |(_, found)| EngineError::NotFinite(found))
}

/// Keeps the first value that is none, by position and then by stage.
struct Find {
    found: Option<((usize, usize), NotFinite)>,
    order: usize,
}

impl Tap for Find {
    fn take(&mut self, block: Block<'_>) {
        self.order += 1;
        let at = match block.values {
            Slice::F32(v) => first(v).map(|i| (i, v[i].is_nan())),
            Slice::F64(v) => v.iter().position(|v| !v.is_finite()).map(|i| (i, v[i].is_nan())),
            Slice::F16(v) => v.iter().position(|v| !v.is_finite()).map(|i| (i, v[i].is_nan())),
            Slice::U32(_) => None,
        };
        let Some((at, nan)) = at else { return };
        let width = (block.values.len() / block.tokens.max(1)).max(1);
        let position = block.position + at / width;
        let key = (position, self.order);
        if self.found.is_none_or(|(other, _)| key < other) {
            let (stage, layer, index) = (block.stage, block.layer, at % width);
            self.found = Some((key, NotFinite { stage, layer, position, index, nan }));
        }
    }
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
        let error = check_logits(&[0.0, 1.0, 2.0, f32::INFINITY], 2, 5).unwrap_err();
        assert!(error.to_string().starts_with("stage logits: value 1 is infinite at position 6;"), "{error}");
    }
}
