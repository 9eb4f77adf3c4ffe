//! Dense bit sets, one row per block.

/// Rows of equally many bits, in one allocation.
#[derive(Clone, Debug, Default)]
pub(crate) struct BitMatrix {
    words: Vec<u64>,
    stride: usize,
}

impl BitMatrix {
    /// `rows` rows of `bits` bits, all clear, or all set where `full`.
    pub(crate) fn new(rows: usize, bits: usize, full: bool) -> Self {
        let stride = bits.div_ceil(64);
        BitMatrix { words: vec![if full { u64::MAX } else { 0 }; rows * stride], stride }
    }

    /// A row.
    pub(crate) fn row(&self, row: usize) -> &[u64] {
        &self.words[row * self.stride..(row + 1) * self.stride]
    }

    /// A row, to be changed.
    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [u64] {
        &mut self.words[row * self.stride..(row + 1) * self.stride]
    }

    /// Words in a row.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Sets a bit of a row.
    pub(crate) fn set(&mut self, row: usize, bit: usize) {
        set(self.row_mut(row), bit);
    }
}

/// Whether a bit is set.
pub(crate) fn has(words: &[u64], bit: usize) -> bool {
    words[bit / 64] >> (bit % 64) & 1 == 1
}

/// Sets a bit.
pub(crate) fn set(words: &mut [u64], bit: usize) {
    words[bit / 64] |= 1 << (bit % 64);
}

/// The words that a range of bits touches, each with the mask of its bits there.
fn spans(bits: std::ops::Range<usize>) -> impl Iterator<Item = (usize, u64)> {
    (bits.start / 64..bits.end.div_ceil(64)).filter_map(move |w| {
        let (from, to) = (bits.start.max(w * 64) - w * 64, bits.end.min(w * 64 + 64) - w * 64);
        (from < to).then(|| (w, u64::MAX >> (64 - (to - from)) << from))
    })
}

/// Clears a range of bits.
pub(crate) fn clear_range(words: &mut [u64], bits: std::ops::Range<usize>) {
    spans(bits).for_each(|(w, mask)| words[w] &= !mask);
}

/// The numbers of the bits in a range that are set, ascending.
pub(crate) fn ones_in(words: &[u64], bits: std::ops::Range<usize>) -> impl Iterator<Item = usize> {
    spans(bits).flat_map(|(w, mask)| ones_of(words[w] & mask).map(move |bit| w * 64 + bit))
}

/// Clears a bit.
pub(crate) fn clear(words: &mut [u64], bit: usize) {
    words[bit / 64] &= !(1 << (bit % 64));
}

/// The numbers of the bits that are set, ascending.
pub(crate) fn ones(words: &[u64]) -> impl Iterator<Item = usize> {
    words.iter().enumerate().flat_map(|(i, &word)| ones_of(word).map(move |bit| i * 64 + bit))
}

/// The numbers of the bits of a word that are set, ascending.
fn ones_of(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_across_words() {
        for (from, to) in
            [(0, 0), (5, 5), (70, 70), (128, 128), (0, 1), (0, 64), (3, 64), (64, 128), (60, 70), (1, 191), (128, 192)]
        {
            let mut words = [u64::MAX; 3];
            assert_eq!(ones_in(&words, from..to).collect::<Vec<_>>(), (from..to).collect::<Vec<_>>());
            clear_range(&mut words, from..to);
            assert_eq!(ones(&words).collect::<Vec<_>>(), (0..from).chain(to..192).collect::<Vec<_>>());
        }
    }

    #[test]
    fn rows_are_their_own() {
        for bits in [1, 63, 64, 65, 128, 130] {
            let mut m = BitMatrix::new(3, bits, false);
            assert_eq!(m.stride(), bits.div_ceil(64));
            m.set(1, bits - 1);
            m.set(1, 0);
            assert!(has(m.row(1), bits - 1) && has(m.row(1), 0));
            assert_eq!(ones(m.row(0)).count() + ones(m.row(2)).count(), 0);
            clear(m.row_mut(1), bits - 1);
            assert_eq!(ones(m.row(1)).collect::<Vec<_>>(), if bits == 1 { vec![] } else { vec![0] });
            assert!(BitMatrix::new(2, bits, true).row(1).iter().all(|w| *w == u64::MAX));
        }
    }
}
