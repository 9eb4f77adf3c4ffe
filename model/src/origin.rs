//! NaN and infinity in a forward: found in its logits, and where they come from.

use crate::{
    engine::{Engine, EngineError, LogitRows},
    not_finite::{NotFinite, first},
    trace::{Block, Slice, Stage, Tap},
};

/// Rows of logits that are looked at where a NaN came from; of more tokens only the last.
const MOST_ROWS: usize = 64;

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
    fn logits_that_are_none_are_told_with_their_position() {
        let error = check_logits(&[0.0, 1.0, 2.0, f32::INFINITY], 2, 5).unwrap_err();
        assert!(error.to_string().starts_with("stage logits: value 1 is infinite at position 6;"), "{error}");
    }
}
