//! The contract's "Matrix times vector".

use super::{Accumulator, chain, quantize_q8k, tree, tree_by};
use crate::{
    format::{DecodeError, Decoder, Integers, Q4K, Q6K, Q8KBlock, SUPERBLOCK, TensorType},
    precision::Act,
};

/// The term of a Q4_K block with Q8_K activations: `fma(d*d_x, S_A, -((dmin*d_x)*S_B))`.
#[inline(always)]
pub fn term_q4k_q8k<A: Accumulator>(w: Q4K<'_>, x: &Q8KBlock) -> A {
    let q = w.quants();
    let (mut s_a, mut s_b) = (0i32, 0i32);
    for j in 0..Q4K::SUBBLOCKS {
        let (sc, m) = w.scale_min(j);
        let dot: i32 = (32 * j..32 * j + 32).map(|i| i32::from(q[i]) * i32::from(x.q[i])).sum();
        let sum: i32 = x.q[32 * j..32 * j + 32].iter().map(|&p| i32::from(p)).sum();
        s_a += i32::from(sc) * dot;
        s_b += i32::from(m) * sum;
    }
    let d = A::from_f32(w.d()) * A::from_f32(x.d);
    let dmin = A::from_f32(w.dmin()) * A::from_f32(x.d);
    d.fma(A::from_i32(s_a), -(dmin * A::from_i32(s_b)))
}

/// The term of a Q6_K block with Q8_K activations: `(d*d_x)*S_A`.
#[inline(always)]
pub fn term_q6k_q8k<A: Accumulator>(w: Q6K<'_>, x: &Q8KBlock) -> A {
    let q = w.quants();
    let mut s_a = 0i32;
    for j in 0..Q6K::SUBBLOCKS {
        let dot: i32 = (16 * j..16 * j + 16).map(|i| (i32::from(q[i]) - 32) * i32::from(x.q[i])).sum();
        s_a += i32::from(w.scale(j)) * dot;
    }
    (A::from_f32(w.d()) * A::from_f32(x.d)) * A::from_i32(s_a)
}

/// The term of 256 weights with f32 activations: 16 chains of 16, then
/// `Tree(c_0..c_15; 2, 4, 8, 1)`.
#[inline(always)]
pub fn term_f32<A: Accumulator>(w: &[A; SUPERBLOCK], x: &[f32; SUPERBLOCK]) -> A {
    let c: [A; 16] = std::array::from_fn(|g| {
        let group = 16 * g..16 * g + 16;
        chain(w[group.clone()].iter().copied(), x[group].iter().map(|&x| A::from_f32(x)))
    });
    tree_by(&c, &[2, 4, 8, 1])
}

/// `y[r] = sum_k w[r][k] * x[k]` for the rows of a matrix of any type: `w` has whole rows of `x.len()` weights each.
/// Only superblock types use Q8_K activations, whatever `act` says.
///
/// # Errors
/// If `w` is not whole rows, or a row of `x.len()` weights is not whole blocks of the type.
pub fn gemv<A: Accumulator>(act: Act, ty: TensorType, w: &[u8], x: &[f32]) -> Result<Vec<f32>, DecodeError> {
    Ok(rows::<A>(act, ty, w, x)?.into_iter().map(A::to_f32).collect())
}

/// [`gemv`] before its last rounding.
pub(super) fn rows<A: Accumulator>(act: Act, ty: TensorType, w: &[u8], x: &[f32]) -> Result<Vec<A>, DecodeError> {
    let wrong = |expected: String| DecodeError { ty, elements: x.len(), expected, found: w.len() };
    let row_bytes =
        ty.bytes_of(x.len()).filter(|&n| n > 0).ok_or_else(|| wrong(format!("whole blocks of {}", ty.block_len())))?;
    if !w.len().is_multiple_of(row_bytes) {
        return Err(wrong(format!("whole rows of {row_bytes} bytes")));
    }
    let x = Activations::new(act, ty, x);
    let dot = |row| Ok(Row::new(ty, row, &x)?.dot(&x).expect("the row was made ready for x"));
    w.chunks_exact(row_bytes).map(dot).collect()
}

/// A vector in the form that the rows of a matrix need, in blocks of 256; the last one is padded with +0.
#[derive(Clone, Debug)]
pub enum Activations {
    /// Unchanged; with the number of values, and their blocks.
    F32(usize, Vec<[f32; SUPERBLOCK]>),
    /// Rounded to Q8_K.
    Q8K(Vec<Q8KBlock>),
}

impl Activations {
    /// The form of `x` for a matrix of type `ty`: only superblock types use Q8_K, whatever `act` says.
    pub fn new(act: Act, ty: TensorType, x: &[f32]) -> Self {
        let blocks = x.chunks(SUPERBLOCK).map(|c| std::array::from_fn(|i| c.get(i).copied().unwrap_or(0.0)));
        match act {
            Act::Q8K if ty.reads_q8k() => Self::Q8K(blocks.map(|b| quantize_q8k(&b)).collect()),
            _ => Self::F32(x.len(), blocks.collect()),
        }
    }
}

impl Activations {
    /// Values of the vector, padded ones included.
    fn blocks(&self) -> usize {
        match self {
            Self::F32(_, x) => x.len(),
            Self::Q8K(x) => x.len(),
        }
    }
}

/// One row of a matrix, prepared for products with vectors.
#[derive(Clone, Debug)]
pub enum Row<'a, A> {
    /// Weights, for f32 activations; the last block is padded with +0.
    Weights(Vec<[A; SUPERBLOCK]>),
    /// Other superblocks, for Q8_K, and whether they have minimums.
    Integers(Vec<Integers>, bool),
    /// Blocks of Q4_K, for Q8_K.
    Q4K(&'a [[u8; Q4K::BYTES]]),
    /// Blocks of Q6_K, for Q8_K.
    Q6K(&'a [[u8; Q6K::BYTES]]),
}

impl<'a, A: Accumulator> Row<'a, A> {
    /// The row in `bytes`, for vectors like `x`. A row of superblocks that is shorter than `x` is used up to its end.
    ///
    /// # Errors
    /// If the row of another type has not as many weights as `x`.
    #[inline(always)]
    pub fn new(ty: TensorType, bytes: &'a [u8], x: &Activations) -> Result<Self, DecodeError> {
        Ok(match x {
            Activations::Q8K(_) => match (ty, ty.decoder()) {
                (TensorType::Q4_K, _) => Self::Q4K(bytes.as_chunks().0),
                (TensorType::Q6_K, _) => Self::Q6K(bytes.as_chunks().0),
                (_, Decoder::Integers(take_apart, minimums)) => {
                    let blocks = bytes.chunks_exact(ty.block_bytes()).map(|block| {
                        let mut integers = Integers::default();
                        take_apart(block, &mut integers);
                        integers
                    });
                    Self::Integers(blocks.collect(), minimums)
                }
                _ => {
                    let (elements, expected) = (x.blocks() * SUPERBLOCK, "f32 activations".into());
                    return Err(DecodeError { ty, elements, expected, found: bytes.len() });
                }
            },
            Activations::F32(len, _) => {
                let blocks = bytes.len() / ty.block_bytes();
                let (whole, bytes) = match ty.reads_q8k() {
                    true => (blocks * SUPERBLOCK, &bytes[..blocks * ty.block_bytes()]),
                    false => (*len, bytes),
                };
                let mut values = vec![A::ZERO; whole];
                ty.weights(bytes, &mut values)?;
                values.resize(whole.next_multiple_of(SUPERBLOCK), A::ZERO);
                Self::Weights(values.as_chunks().0.to_vec())
            }
        })
    }

    /// The row's product, before its last rounding: the sum of the terms of the blocks. `None` if the vector has a
    /// different form from the one for which the row was prepared.
    #[inline(always)]
    pub fn dot(&self, x: &Activations) -> Option<A> {
        let terms: Vec<A> = match (self, x) {
            (Self::Weights(w), Activations::F32(_, x)) => w.iter().zip(x).map(|(w, x)| term_f32(w, x)).collect(),
            (Self::Integers(w, minimums), Activations::Q8K(x)) => {
                w.iter().zip(x).map(|(w, x)| w.term(*minimums, w.sums(&x.q, &x.sums), x.d)).collect()
            }
            (Self::Q4K(w), Activations::Q8K(x)) => w.iter().zip(x).map(|(w, x)| term_q4k_q8k(Q4K::new(w), x)).collect(),
            (Self::Q6K(w), Activations::Q8K(x)) => w.iter().zip(x).map(|(w, x)| term_q6k_q8k(Q6K::new(w), x)).collect(),
            _ => return None,
        };
        Some(tree(&terms))
    }
}
