//! The contract's "Tree" over terms that come one after the other, many trees at once.

use ptxgen_builder::build::{Body, Val, Var};

use super::{DeviceFloat, tree::finished};

/// Trees over pairs of terms that come in order in a loop, which a counter's bits tell what to do with: level `i` holds
/// the sum of `2^i` pairs that still lacks its right sibling.
pub struct TreeStack<A> {
    /// Variables of each level, one for each tree.
    levels: Vec<Vec<Var<A>>>,
    /// Pairs that come in the loop.
    pairs: u32,
    /// Terms of all.
    terms: u32,
}

impl<A: DeviceFloat> TreeStack<A> {
    /// For `trees` trees over `terms` terms.
    #[track_caller]
    pub fn new(k: &Body, terms: u32, trees: usize) -> TreeStack<A> {
        let pairs = terms / 2;
        // Where the pairs are a whole tree, the last sum takes the place of the first level.
        let levels = match pairs {
            0 => 0,
            n if n.is_power_of_two() && terms.is_multiple_of(2) => n.trailing_zeros().max(1),
            n => n.ilog2() + 1,
        };
        let zeros = |_| (0..trees).map(|_| k.var::<A>(A::constant(0.0))).collect();
        TreeStack { levels: (0..levels).map(zeros).collect(), pairs, terms }
    }

    /// Adds the sums of pair `pair`, which `sums` has, and may change them.
    #[track_caller]
    pub fn push(&self, k: &Body, pair: Val<u32>, sums: &[Var<A>]) {
        self.push_from(k, 0, pair, sums);
    }

    #[track_caller]
    fn push_from(&self, k: &Body, level: usize, pair: Val<u32>, sums: &[Var<A>]) {
        let keep = |level: &[Var<A>]| level.iter().zip(sums).for_each(|(to, sum)| to.set(sum.get()));
        // Whether the last sum of all is at this level.
        if self.pairs == 1 << level && self.is_whole() {
            keep(&self.levels[0]);
            return;
        }
        let Some(here) = self.levels.get(level) else { return };
        k.if_else(
            (pair & (1 << level)).eq(0),
            |_| keep(here),
            |k| {
                for (left, sum) in here.iter().zip(sums) {
                    sum.set(A::sum(left.get(), sum.get()));
                }
                self.push_from(k, level + 1, pair, sums);
            },
        );
    }

    /// Whether the pairs are a whole tree.
    fn is_whole(&self) -> bool {
        self.pairs.is_power_of_two() && self.terms.is_multiple_of(2)
    }

    /// The sum of tree `tree`, whose last term, where the number of terms is odd, is `last`.
    #[track_caller]
    pub fn sum(&self, tree: usize, last: Option<Val<A>>) -> Val<A> {
        if self.is_whole() {
            return self.levels[0][tree].get();
        }
        let last = last.map(|last| if self.terms > 1 { A::sum(last, A::constant(0.0)) } else { last });
        let levels = self.terms.div_ceil(2).next_power_of_two().trailing_zeros();
        let left = |level| (self.pairs >> level & 1 == 1).then(|| self.levels[level as usize][tree].get());
        finished(levels, left, last)
    }
}
