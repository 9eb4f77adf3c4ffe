//! The contract's "dot4" and "RMSNorm".

use super::{Accumulator, chain, tree};

/// dot4(a, b): a Chain over each 4 consecutive elements (a last group may be short), then Tree
/// over the groups.
pub fn dot4<A: Accumulator>(a: &[A], b: &[A]) -> A {
    let groups: Vec<A> =
        a.chunks(4).zip(b.chunks(4)).map(|(a, b)| chain(a.iter().copied(), b.iter().copied())).collect();
    tree(&groups)
}

/// RMSNorm of `x` with weights `w` (same length), kept in the accumulator's type:
/// `r = 1 / sqrt(dot4(x, x) / n + eps)`, `y_i = (x_i * r) * w_i`. A stage that ends here rounds
/// each value with [`Accumulator::to_f32`].
pub fn rms_norm<A: Accumulator>(x: &[f32], w: &[f32], eps: f32) -> Vec<A> {
    let x: Vec<A> = x.iter().map(|&x| A::from_f32(x)).collect();
    let mean = dot4(&x, &x) / A::from_f32(x.len() as f32);
    let r = A::ONE / (mean + A::from_f32(eps)).sqrt();
    x.iter().zip(w).map(|(&x, &w)| (x * r) * A::from_f32(w)).collect()
}
