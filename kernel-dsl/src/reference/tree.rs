//! The contract's "Tree" and "Chain".

use super::Accumulator;

/// Tree(terms) with distances 1, 2, 4, ...: every term is replaced by the sum of itself and the
/// term at index xor d; missing terms are +0. No terms give +0.
#[inline(always)]
pub fn tree<A: Accumulator>(terms: &[A]) -> A {
    let padded = terms.len().next_power_of_two();
    let distances: Vec<usize> = (0..padded.trailing_zeros()).map(|i| 1 << i).collect();
    tree_by(terms, &distances)
}

/// Tree(terms; distances): the same with the given distances, in order.
#[inline(always)]
pub fn tree_by<A: Accumulator>(terms: &[A], distances: &[usize]) -> A {
    let mut t = terms.to_vec();
    t.resize(terms.len().next_power_of_two(), A::ZERO);
    for d in distances {
        t = (0..t.len()).map(|i| t[i] + t[i ^ d]).collect();
    }
    t[0]
}

/// Chain(a, b): `c = +0; c = fma(a_i, b_i, c)` in order, over the shorter of the two.
#[inline(always)]
pub fn chain<A: Accumulator>(a: impl IntoIterator<Item = A>, b: impl IntoIterator<Item = A>) -> A {
    a.into_iter().zip(b).fold(A::ZERO, |c, (a, b)| a.fma(b, c))
}

/// Tree over terms that arrive one by one, in O(log n) memory: the bits of [`tree`], for `N` independent sums in
/// parallel.
#[derive(Clone, Copy, Debug)]
pub struct TreeSum<A, const N: usize> {
    /// `levels[l]` holds a finished subtree of 2^l terms where bit l of `count` is set.
    levels: [[A; N]; 32],
    count: u32,
}

impl<A: Accumulator, const N: usize> TreeSum<A, N> {
    /// No terms yet.
    #[inline(always)]
    pub fn new() -> Self {
        Self { levels: [[A::ZERO; N]; 32], count: 0 }
    }

    /// Forgets all terms.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// Adds the next term of every sum.
    #[inline(always)]
    pub fn push(&mut self, mut term: [A; N]) {
        let mut level = 0;
        while self.count >> level & 1 == 1 {
            for (t, left) in term.iter_mut().zip(&self.levels[level]) {
                *t = *left + *t;
            }
            level += 1;
        }
        self.levels[level] = term;
        self.count += 1;
    }

    /// The sums of all terms taken so far.
    #[inline(always)]
    pub fn finish(&self) -> [A; N] {
        if self.count.is_power_of_two() {
            return self.levels[self.count.trailing_zeros() as usize];
        }
        if self.count == 0 {
            return [A::ZERO; N];
        }
        let low = self.count.trailing_zeros();
        let mut sum = self.levels[low as usize];
        // The right sibling of the lowest finished subtree is missing, hence +0; from there up each level either has a
        // finished left sibling or lacks a right one.
        for s in &mut sum {
            *s += A::ZERO;
        }
        for level in low + 1..self.count.next_power_of_two().trailing_zeros() {
            let left = self.levels[level as usize];
            let finished = self.count >> level & 1 == 1;
            for (s, left) in sum.iter_mut().zip(&left) {
                *s = if finished { *left } else { A::ZERO } + *s;
            }
        }
        sum
    }
}

impl<A: Accumulator, const N: usize> Default for TreeSum<A, N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_follow_the_written_order() {
        // 1e8 absorbs 1 in f32, so the order shows.
        let t = [1e8f32, 1.0, -1e8, 1.0];
        assert_eq!(tree(&t), ((1e8f32 + 1.0) + (-1e8 + 1.0)));
        assert_eq!(tree_by(&t, &[2, 1]), 2.0);
    }

    #[test]
    fn missing_terms_are_plus_zero() {
        assert_eq!(tree(&[-0.0f32]).to_bits(), (-0.0f32).to_bits());
        assert_eq!(tree(&[-0.0f32, -0.0, -0.0]).to_bits(), 0);
        assert_eq!(tree::<f64>(&[]), 0.0);
    }

    #[test]
    fn streaming_gives_the_same_bits() {
        let mut seed = 1u32;
        for n in 0..200 {
            let terms: Vec<f32> = (0..n)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    if seed >> 29 == 0 { -0.0 } else { (seed as i32) as f32 * 1e-7 }
                })
                .collect();
            let mut s = TreeSum::<f32, 1>::new();
            terms.iter().for_each(|t| s.push([*t]));
            assert_eq!(s.finish()[0].to_bits(), tree(&terms).to_bits(), "n = {n}");
            let negative_zeros = vec![-0.0f32; n];
            s.clear();
            negative_zeros.iter().for_each(|t| s.push([*t]));
            assert_eq!(s.finish()[0].to_bits(), tree(&negative_zeros).to_bits(), "-0, n = {n}");
        }
    }
}
