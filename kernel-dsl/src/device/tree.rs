//! The contract's "Tree", across lanes and along a row.

use ptxgen_builder::build::{Body, Val};

use super::DeviceFloat;

/// Sums over lanes at each of the given distances, in that order: every lane
/// ends with the same bits, since addition commutes.
#[track_caller]
pub fn butterfly<A: DeviceFloat>(k: &mut Body, mut v: Val<A>, distances: impl IntoIterator<Item = u32>) -> Val<A> {
    for d in distances {
        let other = k.shuffle_xor(v, d);
        v = A::sum(v, other);
    }
    v
}

/// The same for integers, where any order gives the same sum.
#[track_caller]
pub fn butterfly_int(k: &mut Body, mut v: Val<i32>, distances: impl IntoIterator<Item = u32>) -> Val<i32> {
    for d in distances {
        let other = k.shuffle_xor(v, d);
        v = v + other;
    }
    v
}

/// `Tree(terms)` with distances 1, 2, 4, ... over terms that one lane holds;
/// missing terms are +0, up to `padded` (a power of two) terms.
#[track_caller]
pub fn row_tree<A: DeviceFloat>(terms: &[Val<A>], padded: usize) -> Val<A> {
    // None stands for a subtree of missing terms, whose sum is +0.
    let mut level: Vec<Option<Val<A>>> = terms.iter().copied().map(Some).collect();
    level.resize(padded.max(1), None);
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match *pair {
                [Some(a), Some(b)] => Some(A::sum(a, b)),
                [Some(a), None] => Some(A::sum(a, A::constant(0.0))),
                _ => None,
            })
            .collect();
    }
    level[0].unwrap_or_else(|| A::constant(0.0))
}
