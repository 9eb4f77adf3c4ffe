//! Which tokens go to which expert.

/// The (token, rank) pairs of a batch by expert.
#[derive(Default)]
pub(super) struct Groups {
    /// Where each expert's pairs start, and the end.
    starts: Vec<u32>,
    /// `token * used + rank`, and the token.
    pairs: Vec<u32>,
    tokens: Vec<u32>,
}

impl Groups {
    /// Groups pairs `first..` by the expert chosen for them, each group in the order of the pairs.
    pub(super) fn set(&mut self, first: usize, chosen: &[u32], experts: usize, used: usize) {
        self.starts.clear();
        self.starts.resize(experts + 1, 0);
        chosen.iter().for_each(|&e| self.starts[e as usize + 1] += 1);
        for e in 0..experts {
            self.starts[e + 1] += self.starts[e];
        }
        self.pairs.clear();
        self.pairs.resize(chosen.len(), 0);
        for (pair, &e) in (first..).zip(chosen) {
            self.pairs[self.starts[e as usize] as usize] = pair as u32;
            self.starts[e as usize] += 1;
        }
        // Every start has moved to the next one's place.
        self.starts.rotate_right(1);
        self.starts[0] = 0;
        self.tokens.clear();
        self.tokens.extend(self.pairs.iter().map(|p| p / used as u32));
    }

    /// Experts with work: their id, pairs and tokens.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[u32], &[u32])> {
        self.starts.windows(2).enumerate().filter(|(_, w)| w[0] < w[1]).map(|(e, w)| {
            let range = w[0] as usize..w[1] as usize;
            (e, &self.pairs[range.clone()], &self.tokens[range])
        })
    }
}
