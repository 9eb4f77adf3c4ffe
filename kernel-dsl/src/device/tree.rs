//! The contract's "Tree", across lanes and along a row.

use ptxgen_builder::build::{Body, Val, at_caller};

use super::DeviceFloat;

/// Sums over lanes at each of the given distances, in that order: every lane
/// ends with the same bits, since addition commutes.
#[track_caller]
pub fn butterfly<A: DeviceFloat>(k: &Body, mut v: Val<A>, distances: impl IntoIterator<Item = u32>) -> Val<A> {
    for d in distances {
        let other = k.shuffle_xor(v, d);
        v = A::sum(v, other);
    }
    v
}

/// [`butterfly`] of many values at once, over distances 1, 2, ... below `lanes`
/// (a power of two): the sum of value `i * lanes + (lane & (lanes - 1))` ends in
/// place `i`, if there is one. Every step halves what a lane holds, so a sum
/// costs about one shuffle and not one a distance.
#[track_caller]
pub fn butterfly_many<A: DeviceFloat>(k: &Body, mut v: Vec<Val<A>>, lanes: u32, lane: Val<u32>) -> Vec<Val<A>> {
    for d in (0..lanes.trailing_zeros()).map(|level| 1 << level) {
        let upper = (lane & d).ne(0);
        let step = |pair: &[Val<A>]| match *pair {
            [a, b] => {
                let other = k.shuffle_xor(a.select(upper, b), d);
                A::sum(b.select(upper, a), other)
            }
            [a] => butterfly(k, a, [d]),
            _ => unreachable!("chunks have one or two elements"),
        };
        v = at_caller(|| v.chunks(2).map(step).collect());
    }
    v
}

/// The same for integers, where any order gives the same sum.
#[track_caller]
pub fn butterfly_int(k: &Body, mut v: Val<i32>, distances: impl IntoIterator<Item = u32>) -> Val<i32> {
    for d in distances {
        let other = k.shuffle_xor(v, d);
        v += other;
    }
    v
}

/// `Tree(terms)` with distances 1, 2, 4, ... over terms that one lane holds;
/// missing terms are +0, up to `padded` (a power of two) terms.
#[track_caller]
pub fn row_tree<A: DeviceFloat>(terms: &[Val<A>], padded: usize) -> Val<A> {
    // `None` represents a subtree of missing terms, whose sum is +0.
    let mut level: Vec<Option<Val<A>>> = terms.iter().copied().map(Some).collect();
    level.resize(padded.max(1), None);
    while level.len() > 1 {
        let sum = |pair: &[Option<Val<A>>]| match *pair {
            [Some(a), Some(b)] => Some(A::sum(a, b)),
            [Some(a), None] => Some(A::sum(a, A::constant(0.0))),
            _ => None,
        };
        level = at_caller(|| level.chunks(2).map(sum).collect());
    }
    at_caller(|| level[0].unwrap_or_else(|| A::constant(0.0)))
}

/// The sum of a tree of `2^levels` leaves, of which the sums that still lack a right sibling are `left`, by level, and the
/// last, which has no sibling at all, is `last`. Missing leaves are +0.
#[track_caller]
pub(super) fn finished<A: DeviceFloat>(
    levels: u32,
    left: impl Fn(u32) -> Option<Val<A>>,
    last: Option<Val<A>>,
) -> Val<A> {
    let zero = || A::constant(0.0);
    let step = |right: Option<Val<A>>, level| match (left(level), right) {
        (Some(left), right) => Some(A::sum(left, right.unwrap_or_else(zero))),
        (None, Some(right)) => Some(A::sum(right, zero())),
        (None, None) => None,
    };
    at_caller(|| (0..levels).fold(last, step).unwrap_or_else(zero))
}

/// A tree over terms that are pushed in order while code is written.
#[derive(Clone)]
pub struct Growing<A>(Vec<Option<Val<A>>>);

impl<A> Default for Growing<A> {
    fn default() -> Self {
        Growing(Vec::new())
    }
}

impl<A: DeviceFloat> Growing<A> {
    /// Adds a term.
    #[track_caller]
    pub fn push(&mut self, mut term: Val<A>) {
        for level in &mut self.0 {
            match level.take() {
                Some(left) => term = A::sum(left, term),
                None => {
                    *level = Some(term);
                    return;
                }
            }
        }
        self.0.push(Some(term));
    }

    /// The sum of all, `terms` of them.
    #[track_caller]
    pub fn sum(self, terms: u32) -> Val<A> {
        let levels = terms.next_power_of_two().trailing_zeros();
        match self.0.get(levels as usize).copied().flatten() {
            Some(whole) => whole,
            None => finished(levels, |level| self.0.get(level as usize).copied().flatten(), None),
        }
    }
}
