//! The contract's "Attention".

use super::{Accumulator, chain, dot4, tree};

/// Positions in a chunk of attention.
pub const CHUNK: usize = 64;

/// Attention of one query head over the positions it sees. `q` is the head after RoPE, `keys` and
/// `values` hold one head of the KV cache for each position, in order, each as long as `q`
/// (already widened if the cache is f16). Returns the head's output, rounded to f32.
///
/// # Panics
/// If there are no positions.
pub fn attention<A: Accumulator>(q: &[f32], keys: &[&[f32]], values: &[&[f32]]) -> Vec<f32> {
    let widen = |x: &[f32]| -> Vec<A> { x.iter().map(|&x| A::from_f32(x)).collect() };
    let scale = A::ONE / A::from_f32(q.len() as f32).sqrt();
    let q = widen(q);

    let (mut maxima, mut sums, mut outputs) = (vec![], vec![], vec![]);
    for (keys, values) in keys.chunks(CHUNK).zip(values.chunks(CHUNK)) {
        let scores: Vec<A> = keys.iter().map(|k| dot4(&q, &widen(k)) * scale).collect();
        let m = maximum(&scores);
        let p: Vec<A> = scores.iter().map(|&s| (s - m).exp()).collect();
        let values: Vec<Vec<A>> = values.iter().map(|v| widen(v)).collect();
        let o: Vec<A> = (0..q.len()).map(|d| chain(p.iter().copied(), values.iter().map(|v| v[d]))).collect();
        maxima.push(m);
        sums.push(tree(&p));
        outputs.push(o);
    }

    let m = maximum(&maxima);
    let e: Vec<A> = maxima.iter().map(|&m_c| (m_c - m).exp()).collect();
    let scaled = |values: Vec<A>| {
        let terms: Vec<A> = values.iter().zip(&e).map(|(&v, &e)| v * e).collect();
        tree(&terms)
    };
    let l = scaled(sums);
    (0..q.len()).map(|d| (scaled(outputs.iter().map(|o| o[d]).collect()) / l).to_f32()).collect()
}

fn maximum<A: Accumulator>(values: &[A]) -> A {
    values[1..].iter().fold(values[0], |m, &v| m.larger(v))
}
