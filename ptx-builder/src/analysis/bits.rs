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

    /// Adds the bits of row `from` to row `to`; whether that changed it.
    pub(crate) fn join(&mut self, to: usize, from: usize) -> bool {
        let (to, from) = (to * self.stride, from * self.stride);
        let mut changed = false;
        for i in 0..self.stride {
            let with = self.words[to + i] | self.words[from + i];
            changed |= with != self.words[to + i];
            self.words[to + i] = with;
        }
        changed
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

/// Clears a bit.
pub(crate) fn clear(words: &mut [u64], bit: usize) {
    words[bit / 64] &= !(1 << (bit % 64));
}

/// The numbers of the bits that are set, ascending.
pub(crate) fn ones(words: &[u64]) -> impl Iterator<Item = usize> {
    words.iter().enumerate().flat_map(|(i, &word)| {
        let mut rest = word;
        std::iter::from_fn(move || {
            let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
            rest &= rest - 1;
            Some(i * 64 + bit)
        })
    })
}
