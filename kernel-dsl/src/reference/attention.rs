//! The contract's "Attention".

use super::{Accumulator, chain, dot4, tree};

/// Positions in a chunk of attention.
pub const CHUNK: usize = 64;

/// The scores of one query head against `keys`, in order: `s_i = dot4(q, k_i) * scale` with
/// `scale = 1 / sqrt(head_dim)`. All vectors are as long as `q` (keys already widened if the cache is
/// f16).
pub fn attention_scores<A: Accumulator>(q: &[f32], keys: &[&[f32]]) -> Vec<A> {
    let scale = A::ONE / A::from_f32(q.len() as f32).sqrt();
    let q: Vec<A> = widen(q);
    keys.iter().map(|k| dot4(&q, &widen(k)) * scale).collect()
}

/// The normalized weights of the values in [`attention`]: for position i in chunk c, `(exp(s_i - m_c) * e_c) / L`. The
/// contract does not contain this value, because it weights a chunk's output as a whole; this is the softmax with the
/// same exponentials and sums.
///
/// # Panics
/// If there are no scores.
pub fn attention_weights<A: Accumulator>(scores: &[A]) -> Vec<A> {
    let chunks: Vec<Chunk<A>> = scores.chunks(CHUNK).map(Chunk::new).collect();
    let (e, l) = combine(&chunks);
    let weigh = |(chunk, &e): (&Chunk<A>, &A)| chunk.p.iter().map(|&p| (p * e) / l).collect::<Vec<_>>();
    chunks.iter().zip(&e).flat_map(weigh).collect()
}

/// Attention of one query head over the positions that it sees. `q` is the head after RoPE, `keys` and `values` have
/// one head of the KV cache for each position, in order, each as long as `q` (already widened if the cache is f16).
/// Returns the head's output, rounded to f32.
///
/// # Panics
/// If there are no positions.
pub fn attention<A: Accumulator>(q: &[f32], keys: &[&[f32]], values: &[&[f32]]) -> Vec<f32> {
    let scores = attention_scores::<A>(q, keys);
    let chunks: Vec<Chunk<A>> = scores.chunks(CHUNK).map(Chunk::new).collect();
    let outputs: Vec<Vec<A>> = chunks
        .iter()
        .zip(values.chunks(CHUNK))
        .map(|(chunk, values)| {
            let values: Vec<Vec<A>> = values.iter().map(|v| widen(v)).collect();
            (0..q.len()).map(|d| chain(chunk.p.iter().copied(), values.iter().map(|v| v[d]))).collect()
        })
        .collect();
    let (e, l) = combine(&chunks);
    (0..q.len())
        .map(|d| {
            let terms: Vec<A> = outputs.iter().zip(&e).map(|(o, &e)| o[d] * e).collect();
            (tree(&terms) / l).to_f32()
        })
        .collect()
}

/// The exponentials of a chunk's scores.
struct Chunk<A> {
    /// The largest score.
    m: A,
    p: Vec<A>,
    /// The sum of `p`.
    l: A,
}

impl<A: Accumulator> Chunk<A> {
    fn new(scores: &[A]) -> Self {
        let m = maximum(scores.iter().copied());
        let p: Vec<A> = scores.iter().map(|&s| (s - m).exp()).collect();
        Self { m, l: tree(&p), p }
    }
}

/// Each chunk's factor `e_c`, and the sum `L` over all chunks.
fn combine<A: Accumulator>(chunks: &[Chunk<A>]) -> (Vec<A>, A) {
    let m = maximum(chunks.iter().map(|c| c.m));
    let e: Vec<A> = chunks.iter().map(|c| (c.m - m).exp()).collect();
    let terms: Vec<A> = chunks.iter().zip(&e).map(|(c, &e)| c.l * e).collect();
    let l = tree(&terms);
    (e, l)
}

fn widen<A: Accumulator>(x: &[f32]) -> Vec<A> {
    x.iter().map(|&x| A::from_f32(x)).collect()
}

fn maximum<A: Accumulator>(values: impl IntoIterator<Item = A>) -> A {
    values.into_iter().reduce(A::larger).expect("a chunk has a position")
}
