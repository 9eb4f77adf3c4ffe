//! The contract's "Matrix times vector" for some rows of a matrix and some vectors at once.

use super::{
    matrix::{Inputs, Lanes, Matrix, spread},
    simd::{Isa, Kernel, Simd, TILE},
};
use ptxgen_dsl::{
    format::{Q4K, Q6K, Q8KBlock, SUPERBLOCK, TensorType},
    precision::Act,
    reference::{Accumulator, TreeSum},
};
use std::{marker::PhantomData, ops::Range};

/// Rows that stay in the nearest cache while several vectors go over them.
const ROWS: usize = 32;

/// Multiplies rows `range` of `w` with the vectors in `slots`. `out(i, rows)` is the place of the
/// results of vector i for these rows, [`ROWS`] at most.
///
/// # Safety
/// Nobody writes the slots of `inputs` before the next meeting.
pub(super) unsafe fn product<'o, A: Accumulator>(
    simd: Simd,
    act: Act,
    w: &Matrix<'_>,
    range: Range<usize>,
    inputs: &Inputs,
    slots: &[u32],
    mut out: impl FnMut(usize, Range<usize>) -> &'o mut [f32],
) {
    for start in range.clone().step_by(ROWS) {
        let rows = start..(start + ROWS).min(range.end);
        let mut done = 0;
        // SAFETY: the caller's promise, for all three.
        let mut part = |i: usize| out(i, rows.clone());
        while let Some(slots) = slots[done..].first_chunk::<4>() {
            unsafe { tile::<A, 4>(simd, act, w, &rows, inputs, slots, std::array::from_fn(|t| part(done + t))) };
            done += 4;
        }
        if let Some(slots) = slots[done..].first_chunk::<2>() {
            unsafe { tile::<A, 2>(simd, act, w, &rows, inputs, slots, std::array::from_fn(|t| part(done + t))) };
            done += 2;
        }
        if let Some(slots) = slots[done..].first_chunk::<1>() {
            unsafe { tile::<A, 1>(simd, act, w, &rows, inputs, slots, [part(done)]) };
        }
    }
}

/// Some rows with `T` vectors.
///
/// # Safety
/// As [`product`].
unsafe fn tile<A: Accumulator, const T: usize>(
    simd: Simd,
    act: Act,
    w: &Matrix<'_>,
    rows: &Range<usize>,
    inputs: &Inputs,
    slots: &[u32; T],
    out: [&mut [f32]; T],
) {
    let (w, rows, types) = (*w, rows.clone(), PhantomData);
    if act == Act::Q8K && w.ty.reads_q8k() {
        // SAFETY: the caller's promise.
        let x = slots.map(|s| unsafe { inputs.q8k(s as usize) });
        match w.ty {
            TensorType::Q4_K => simd.run(Quantized::<A, Q4KRows, T> { w, rows, x, out, types }),
            _ => simd.run(Quantized::<A, Q6KRows, T> { w, rows, x, out, types: PhantomData }),
        }
    } else {
        // SAFETY: the caller's promise.
        let x = slots.map(|s| unsafe { inputs.lanes(s as usize) });
        match w.ty {
            TensorType::Q4_K => simd.run(Floats::<A, Q4KRows, T> { w, rows, x, out, types }),
            TensorType::Q6_K => simd.run(Floats::<A, Q6KRows, T> { w, rows, x, out, types: PhantomData }),
            _ => simd.run(Floats::<A, PlainRows, T> { w, rows, x, out, types: PhantomData }),
        }
    }
}

/// Rows of a quantized matrix with `T` vectors of Q8_K blocks.
struct Quantized<'a, A, F, const T: usize> {
    w: Matrix<'a>,
    rows: Range<usize>,
    x: [&'a [Q8KBlock]; T],
    out: [&'a mut [f32]; T],
    types: PhantomData<(A, F)>,
}

impl<A: Accumulator, F: QuantizedBlocks, const T: usize> Kernel for Quantized<'_, A, F, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { w, rows, x, mut out, .. } = self;
        let blocks = w.blocks();
        let mut trees: Option<[TreeSum<A, TILE>; T]> = (blocks > 1).then(|| std::array::from_fn(|_| TreeSum::new()));
        for first in rows.clone().step_by(TILE) {
            let terms = |b: usize| {
                let block = std::array::from_fn(|r| F::block(&w, (first + r).min(rows.end - 1), b));
                F::terms::<I, A, T>(block, std::array::from_fn(|t| &x[t][b]))
            };
            let results = match &mut trees {
                None => terms(0),
                Some(trees) => {
                    trees.iter_mut().for_each(TreeSum::clear);
                    for b in 0..blocks {
                        trees.iter_mut().zip(terms(b)).for_each(|(s, t)| s.push(t));
                    }
                    std::array::from_fn(|t| trees[t].finish())
                }
            };
            for (out, y) in out.iter_mut().zip(results) {
                out[first - rows.start..].iter_mut().zip(y).for_each(|(o, y)| *o = y.to_f32());
            }
        }
    }
}

/// Rows of any matrix with `T` vectors of f32.
struct Floats<'a, A, F, const T: usize> {
    w: Matrix<'a>,
    rows: Range<usize>,
    x: [&'a [Lanes<f32>]; T],
    out: [&'a mut [f32]; T],
    types: PhantomData<(A, F)>,
}

impl<A: Accumulator, F: Blocks, const T: usize> Kernel for Floats<'_, A, F, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { w, rows, x, mut out, .. } = self;
        let mut sums = TreeSum::<A, T>::new();
        for row in rows.clone() {
            sums.clear();
            for b in 0..w.blocks() {
                let weights = F::lanes::<I, A>(F::block(&w, row, b));
                sums.push(std::array::from_fn(|t| block_term(&weights, &x[t][b], |w| w)));
            }
            for (out, y) in out.iter_mut().zip(sums.finish()) {
                out[row - rows.start] = y.to_f32();
            }
        }
    }
}

/// The term of a block: 16 chains side by side, then `Tree(c_0..c_15; 2, 4, 8, 1)`.
#[inline(always)]
pub(super) fn block_term<W: Copy, A: Accumulator>(w: &Lanes<W>, x: &Lanes<f32>, widen: impl Fn(W) -> A) -> A {
    let mut c = [A::ZERO; 16];
    for (w, x) in w.iter().zip(x) {
        for g in 0..16 {
            c[g] = widen(w[g]).fma(A::from_f32(x[g]), c[g]);
        }
    }
    // Groups that differ in bit 1 of their number, then bits 2, 3 and 0.
    let c: [A; 8] = std::array::from_fn(|i| c[i / 2 * 4 + i % 2] + c[i / 2 * 4 + i % 2 + 2]);
    let c: [A; 4] = std::array::from_fn(|i| c[i / 2 * 4 + i % 2] + c[i / 2 * 4 + i % 2 + 2]);
    (c[0] + c[2]) + (c[1] + c[3])
}

/// What a product needs to know of a quantized type.
trait Blocks {
    type Block<'a>: Copy;
    /// Block `b` of a row.
    fn block<'a>(w: &Matrix<'a>, row: usize, b: usize) -> Self::Block<'a>;
    /// The weights of a block as lanes, in the accumulator's type.
    fn lanes<I: Isa, A: Accumulator>(block: Self::Block<'_>) -> Lanes<A>;
}

/// What a product with Q8_K activations needs on top.
trait QuantizedBlocks: Blocks {
    /// The terms of the blocks of [`TILE`] rows with each of `T` blocks of activations.
    fn terms<I: Isa, A: Accumulator, const T: usize>(w: [Self::Block<'_>; TILE], x: [&Q8KBlock; T]) -> [[A; TILE]; T];
}

struct Q4KRows;
struct Q6KRows;
struct PlainRows;

impl Blocks for Q4KRows {
    type Block<'a> = Q4K<'a>;

    #[inline(always)]
    fn block<'a>(w: &Matrix<'a>, row: usize, b: usize) -> Q4K<'a> {
        Q4K::new(&w.row(row).as_chunks().0[b])
    }

    #[inline(always)]
    fn lanes<I: Isa, A: Accumulator>(w: Q4K<'_>) -> Lanes<A> {
        let (d, dmin) = (A::from_f32(w.d()), A::from_f32(w.dmin()));
        let (mut s8, mut b) = ([A::ZERO; 16], [A::ZERO; 16]);
        for g in 0..16 {
            let (sc, m) = w.scale_min(g / 2);
            let s = d * A::from_i32(i32::from(sc));
            b[g] = -A::from_f32(16.0).fma(s, dmin * A::from_i32(i32::from(m)));
            s8[g] = A::from_f32(8.0) * s;
        }
        let q = I::transpose(&w.quants());
        std::array::from_fn(|i| {
            std::array::from_fn(|g| {
                let nibble = f32::from_bits(0x4000_0000 | u32::from(q[i][g]) << 19);
                A::from_f32(nibble).fma(s8[g], b[g])
            })
        })
    }
}

impl QuantizedBlocks for Q4KRows {
    #[inline(always)]
    fn terms<I: Isa, A: Accumulator, const T: usize>(w: [Q4K<'_>; TILE], x: [&Q8KBlock; T]) -> [[A; TILE]; T] {
        let half = |i: usize| u16::from_le_bytes([w[i / 2].bytes()[2 * (i % 2)], w[i / 2].bytes()[2 * (i % 2) + 1]]);
        let d: [f32; 2 * TILE] = I::f16(std::array::from_fn(half));
        let sums = I::q4k(w, x);
        std::array::from_fn(|t| {
            let d_x = A::from_f32(x[t].d);
            let (a, b) = &sums[t];
            std::array::from_fn(|r| {
                let (d, dmin) = (A::from_f32(d[2 * r]), A::from_f32(d[2 * r + 1]));
                (d * d_x).fma(A::from_i32(a[r]), -((dmin * d_x) * A::from_i32(b[r])))
            })
        })
    }
}

impl Blocks for Q6KRows {
    type Block<'a> = Q6K<'a>;

    #[inline(always)]
    fn block<'a>(w: &Matrix<'a>, row: usize, b: usize) -> Q6K<'a> {
        Q6K::new(&w.row(row).as_chunks().0[b])
    }

    #[inline(always)]
    fn lanes<I: Isa, A: Accumulator>(w: Q6K<'_>) -> Lanes<A> {
        let d = A::from_f32(w.d());
        let s: [A; 16] = std::array::from_fn(|g| d * A::from_i32(i32::from(w.scale(g))));
        let q = I::transpose(&w.quants());
        std::array::from_fn(|i| std::array::from_fn(|g| s[g] * A::from_i32(i32::from(q[i][g]) - 32)))
    }
}

impl QuantizedBlocks for Q6KRows {
    #[inline(always)]
    fn terms<I: Isa, A: Accumulator, const T: usize>(w: [Q6K<'_>; TILE], x: [&Q8KBlock; T]) -> [[A; TILE]; T] {
        let half = |r: usize| u16::from_le_bytes([w[r].bytes()[Q6K::D], w[r].bytes()[Q6K::D + 1]]);
        let d: [f32; TILE] = I::f16(std::array::from_fn(half));
        let sums = I::q6k(w, x);
        std::array::from_fn(|t| {
            let d_x = A::from_f32(x[t].d);
            std::array::from_fn(|r| (A::from_f32(d[r]) * d_x) * A::from_i32(sums[t].0[r]))
        })
    }
}

impl Blocks for PlainRows {
    /// Up to 256 weights' bytes, and their type.
    type Block<'a> = (&'a [u8], TensorType);

    #[inline(always)]
    fn block<'a>(w: &Matrix<'a>, row: usize, b: usize) -> Self::Block<'a> {
        let row = w.row(row);
        let bytes = SUPERBLOCK / w.ty.block_len() * w.ty.block_bytes();
        (&row[b * bytes..((b + 1) * bytes).min(row.len())], w.ty)
    }

    #[inline(always)]
    fn lanes<I: Isa, A: Accumulator>((bytes, ty): Self::Block<'_>) -> Lanes<A> {
        let mut values = [0.0; SUPERBLOCK];
        let n = bytes.len() / ty.block_bytes() * ty.block_len();
        ty.dequantize(bytes, &mut values[..n]).expect("a file's rows are whole blocks");
        let mut lanes = [[0.0; 16]; 16];
        spread(&values, &mut lanes);
        lanes.map(|row| row.map(A::from_f32))
    }
}
