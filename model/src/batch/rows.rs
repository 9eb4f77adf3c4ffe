//! The rows of a step: tokens of several sequences, each with its own position.

use super::{Part, Wants};
use crate::engine::{EngineError, LogitRows};

/// A token in a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) token: u32,
    /// Its position in its sequence.
    pub(crate) position: usize,
    /// The index of its sequence's page table.
    pub(crate) sequence: usize,
}

/// A row whose router found NaN, so that there is no choice of experts: the first such row in the first such layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NanInRow {
    pub(crate) layer: usize,
    pub(crate) row: usize,
    pub(crate) expert: usize,
}

impl NanInRow {
    /// As the error of a forward; the row's token is at this position.
    pub(crate) fn at(self, position: usize) -> EngineError {
        EngineError::NanInRouter { layer: self.layer, expert: self.expert, position }
    }
}

/// A value of a row of logits that is no number to choose by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadLogit {
    pub(crate) index: usize,
    pub(crate) nan: bool,
}

/// A row, and the part of the step that it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartRow {
    pub(super) row: Row,
    pub(super) part: usize,
}

/// The rows of a pass: those of which a token is wanted, then those whose logits are wanted, then the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass<'p> {
    pub(super) rows: &'p [PartRow],
    pub(super) chosen: usize,
    pub(super) logits: usize,
}

/// A step divided into passes, in the order of the parts. So everything that a row attends to is already in the cache,
/// or in the same pass.
#[derive(Debug)]
pub(super) struct Passes {
    rows: Vec<PartRow>,
    /// For each pass its end, and its numbers of rows of each kind.
    ends: Vec<(usize, usize, usize)>,
}

impl Passes {
    /// Divides those of `parts` that are `alive`, starting at these positions, into passes of at most `most` rows.
    pub(super) fn new(
        parts: &[Part<'_>],
        positions: &[usize],
        alive: impl Iterator<Item = usize>,
        most: usize,
    ) -> Self {
        let mut all = Vec::new();
        for part in alive {
            let Part { sequence, tokens, wants } = parts[part];
            for (i, &token) in tokens.iter().enumerate() {
                let kind = match wants {
                    Wants::Logits(LogitRows::All) => 1,
                    Wants::Token if i + 1 == tokens.len() => 0,
                    Wants::Logits(LogitRows::Last) if i + 1 == tokens.len() => 1,
                    _ => 2,
                };
                let row = Row { token, position: positions[part] + i, sequence: sequence.place };
                all.push((kind, PartRow { row, part }));
            }
        }
        let mut ends = Vec::new();
        let mut end = 0;
        for pass in all.chunks_mut(most.max(1)) {
            pass.sort_by_key(|(kind, _)| *kind);
            end += pass.len();
            let of = |kind| pass.iter().filter(|(k, _)| *k == kind).count();
            ends.push((end, of(0), of(1)));
        }
        Self { rows: all.into_iter().map(|(_, row)| row).collect(), ends }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Pass<'_>> {
        let mut start = 0;
        self.ends.iter().map(move |&(end, chosen, logits)| {
            let rows = &self.rows[std::mem::replace(&mut start, end)..end];
            Pass { rows, chosen, logits }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::SequenceId;

    #[test]
    fn passes_are_full_and_what_is_wanted_goes_first() {
        let id = |place| SequenceId { place, number: place as u64 };
        let part = |place, tokens, wants| Part { sequence: id(place), tokens, wants };
        let all = Wants::Logits(LogitRows::All);
        let parts = [
            part(3, &[1, 2, 3][..], Wants::Token),
            part(0, &[4], Wants::Nothing),
            part(1, &[5, 6, 7], all),
            part(2, &[8], Wants::Token),
        ];
        let passes = Passes::new(&parts, &[10, 20, 30, 40], [0, 2, 3].into_iter(), 4);
        let told = |pass: Pass<'_>| {
            let rows = pass.rows.iter().map(|r| (r.row.token, r.row.position, r.row.sequence, r.part));
            (rows.collect::<Vec<_>>(), pass.chosen, pass.logits)
        };
        let told: Vec<_> = passes.iter().map(told).collect();
        assert_eq!(
            told,
            [
                (vec![(3, 12, 3, 0), (5, 30, 1, 2), (1, 10, 3, 0), (2, 11, 3, 0)], 1, 1),
                (vec![(8, 40, 2, 3), (6, 31, 1, 2), (7, 32, 1, 2)], 1, 2),
            ]
        );
    }
}
