//! The contract's "Matrix times vector" for some rows of a matrix and some vectors at once.

use super::{
    matrix::{Inputs, Lanes, Matrix},
    simd::{Isa, Kernel, Simd, TILE},
};
use ptxgen_dsl::{
    format::{Integers, Q4K, Q6K, Q8KBlock, SUPERBLOCK, TensorType},
    precision::Act,
    reference::{Accumulator, TreeSum},
};
use std::{marker::PhantomData, ops::Range};

/// Rows that stay in the L1 cache while they are multiplied with several vectors.
const ROWS: usize = 32;

/// Prefetch distance in bytes.
const AHEAD: usize = 4096;

/// Multiplies rows `range` of `w` with the vectors in `slots`. `out(i, rows)` returns the memory for the results of
/// vector i for these rows, at most [`ROWS`].
///
/// # Safety
/// No worker writes the slots of `inputs` before the next barrier.
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
        let mut part = |i: usize| out(i, rows.clone());
        while let Some(slots) = slots[done..].first_chunk::<4>() {
            // SAFETY: the caller guarantees it.
            unsafe { tile::<A, 4>(simd, act, w, &rows, inputs, slots, std::array::from_fn(|t| part(done + t))) };
            done += 4;
        }
        if let Some(slots) = slots[done..].first_chunk::<2>() {
            // SAFETY: the caller guarantees it.
            unsafe { tile::<A, 2>(simd, act, w, &rows, inputs, slots, std::array::from_fn(|t| part(done + t))) };
            done += 2;
        }
        if let Some(slots) = slots[done..].first_chunk::<1>() {
            // SAFETY: the caller guarantees it.
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
        // SAFETY: the caller guarantees it.
        let x = slots.map(|s| unsafe { inputs.q8k(s as usize) });
        match w.ty {
            TensorType::Q4_K => simd.run(Quantized::<A, Q4KRows, T> { w, rows, x, out, types }),
            TensorType::Q6_K => simd.run(Quantized::<A, Q6KRows, T> { w, rows, x, out, types: PhantomData }),
            _ => simd.run(Quantized::<A, OtherRows, T> { w, rows, x, out, types: PhantomData }),
        }
    } else {
        // SAFETY: the caller guarantees it.
        let x = slots.map(|s| unsafe { inputs.lanes(s as usize) });
        match w.ty {
            TensorType::Q4_K => simd.run(Floats::<A, Q4KRows, T> { w, rows, x, out, types }),
            TensorType::Q6_K => simd.run(Floats::<A, Q6KRows, T> { w, rows, x, out, types: PhantomData }),
            _ => simd.run(Floats::<A, OtherRows, T> { w, rows, x, out, types: PhantomData }),
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
        let Self { w, rows, x, out, .. } = self;
        let blocks = w.blocks();
        // A row of one block is its term.
        let mut trees = if blocks > 1 { Some([TreeSum::<A, TILE>::new(); T]) } else { None };
        for first in rows.clone().step_by(TILE) {
            let mut results = [[A::ZERO; TILE]; T];
            // Rows are read in order, but they are too short for the hardware prefetcher.
            let row = w.row(first);
            let tile = row.as_ptr().wrapping_add(AHEAD.max(TILE * row.len()));
            for line in (0..TILE * row.len()).step_by(64) {
                I::prefetch(tile.wrapping_add(line));
            }
            for b in 0..blocks {
                // The last tile repeats the last row.
                let mut block = [F::block(&w, first, b); TILE];
                for r in 1..TILE {
                    block[r] = F::block(&w, (first + r).min(rows.end - 1), b);
                }
                let mut x_b = [&x[0][b]; T];
                for t in 1..T {
                    x_b[t] = &x[t][b];
                }
                results = F::terms::<I, A, T>(block, x_b);
                if let Some(trees) = &mut trees {
                    for t in 0..T {
                        if b == 0 {
                            trees[t].clear();
                        }
                        trees[t].push(results[t]);
                    }
                }
            }
            if let Some(trees) = &trees {
                for t in 0..T {
                    results[t] = trees[t].finish();
                }
            }
            for t in 0..T {
                for (out, y) in out[t][first - rows.start..].iter_mut().zip(&results[t]) {
                    *out = y.to_f32();
                }
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
        let Self { w, rows, x, out, .. } = self;
        let blocks = w.blocks();
        // A row of one block is its term.
        let mut tree = if blocks > 1 { Some(TreeSum::<A, T>::new()) } else { None };
        for row in rows.clone() {
            let mut terms = [A::ZERO; T];
            for b in 0..blocks {
                let weights = F::lanes::<I, A>(F::block(&w, row, b));
                for t in 0..T {
                    terms[t] = block_term::<I, A>(&weights, &x[t][b]);
                }
                if let Some(tree) = &mut tree {
                    if b == 0 {
                        tree.clear();
                    }
                    tree.push(terms);
                }
            }
            if let Some(tree) = &tree {
                terms = tree.finish();
            }
            for t in 0..T {
                out[t][row - rows.start] = terms[t].to_f32();
            }
        }
    }
}

/// The term of a block: 16 chains in parallel, then `Tree(c_0..c_15; 2, 4, 8, 1)`.
#[inline(always)]
pub(super) fn block_term<I: Isa, A: Accumulator>(w: &Lanes<A>, x: &Lanes<f32>) -> A {
    let mut c = [A::ZERO; 16];
    for i in 0..16 {
        c = I::fma(w[i], I::widen(x[i]), c);
    }
    // Groups whose numbers differ in bit 1, then in bits 2, 3 and 0.
    let mut by_2 = [A::ZERO; 8];
    for i in 0..8 {
        by_2[i] = c[i / 2 * 4 + i % 2] + c[i / 2 * 4 + i % 2 + 2];
    }
    let mut by_4 = [A::ZERO; 4];
    for i in 0..4 {
        by_4[i] = by_2[i / 2 * 4 + i % 2] + by_2[i / 2 * 4 + i % 2 + 2];
    }
    (by_4[0] + by_4[2]) + (by_4[1] + by_4[3])
}

/// The operations of a quantized type that a product needs.
trait Blocks {
    type Block<'a>: Copy;
    /// Block `b` of a row.
    fn block<'a>(w: &Matrix<'a>, row: usize, b: usize) -> Self::Block<'a>;
    /// The weights of a block as lanes, in the accumulator's type.
    fn lanes<I: Isa, A: Accumulator>(block: Self::Block<'_>) -> Lanes<A>;
}

/// The additional operation for products with Q8_K activations.
trait QuantizedBlocks: Blocks {
    /// The terms of the blocks of [`TILE`] rows with each of `T` blocks of activations.
    fn terms<I: Isa, A: Accumulator, const T: usize>(w: [Self::Block<'_>; TILE], x: [&Q8KBlock; T]) -> [[A; TILE]; T];
}

struct Q4KRows;
struct Q6KRows;
/// Rows of types without their own kernels here.
struct OtherRows;

impl Blocks for Q4KRows {
    type Block<'a> = Q4K<'a>;

    #[inline(always)]
    fn block<'a>(w: &Matrix<'a>, row: usize, b: usize) -> Q4K<'a> {
        Q4K::new(&w.row(row).as_chunks().0[b])
    }

    #[inline(always)]
    fn lanes<I: Isa, A: Accumulator>(w: Q4K<'_>) -> Lanes<A> {
        let (scales, minimums) = I::scales(w);
        let s = I::mul([A::from_f32(w.d()); 16], I::widen(I::floats(scales)));
        let m = I::mul([A::from_f32(w.dmin()); 16], I::widen(I::floats(minimums)));
        let s8 = I::mul([A::from_f32(8.0); 16], s);
        let b = I::mul([-A::ONE; 16], I::fma([A::from_f32(16.0); 16], s, m));
        let nibbles = I::nibbles(w);
        let mut lanes = [[A::ZERO; 16]; 16];
        for i in 0..16 {
            lanes[i] = I::fma(I::widen(nibbles[i]), s8, b);
        }
        lanes
    }
}

impl QuantizedBlocks for Q4KRows {
    #[inline(always)]
    fn terms<I: Isa, A: Accumulator, const T: usize>(w: [Q4K<'_>; TILE], x: [&Q8KBlock; T]) -> [[A; TILE]; T] {
        let mut d = [0; 2 * TILE];
        for r in 0..TILE {
            let bytes = w[r].bytes();
            d[r] = u16::from_le_bytes([bytes[0], bytes[1]]);
            d[TILE + r] = u16::from_le_bytes([bytes[2], bytes[3]]);
        }
        let d = I::f16(d);
        let sums = I::q4k(w, x);
        let mut terms = [[A::ZERO; TILE]; T];
        for t in 0..T {
            let d_x = A::from_f32(x[t].d);
            let (a, b) = &sums[t];
            for r in 0..TILE {
                let (d, dmin) = (A::from_f32(d[r]), A::from_f32(d[TILE + r]));
                terms[t][r] = (d * d_x).fma(A::from_i32(a[r]), -((dmin * d_x) * A::from_i32(b[r])));
            }
        }
        terms
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
        let mut scales = [0; 16];
        for g in 0..16 {
            scales[g] = w.scale(g);
        }
        let s = I::mul([A::from_f32(w.d()); 16], I::widen(I::floats(scales)));
        let q = I::sixes(w);
        let mut lanes = [[A::ZERO; 16]; 16];
        for i in 0..16 {
            lanes[i] = I::mul(s, I::widen(q[i]));
        }
        lanes
    }
}

impl QuantizedBlocks for Q6KRows {
    #[inline(always)]
    fn terms<I: Isa, A: Accumulator, const T: usize>(w: [Q6K<'_>; TILE], x: [&Q8KBlock; T]) -> [[A; TILE]; T] {
        let mut d = [0; 2 * TILE];
        for r in 0..TILE {
            d[r] = u16::from_le_bytes([w[r].bytes()[Q6K::D], w[r].bytes()[Q6K::D + 1]]);
        }
        let d = I::f16(d);
        let sums = I::q6k(w, x);
        let mut terms = [[A::ZERO; TILE]; T];
        for t in 0..T {
            let d_x = A::from_f32(x[t].d);
            for r in 0..TILE {
                terms[t][r] = (A::from_f32(d[r]) * d_x) * A::from_i32(sums[t].0[r]);
            }
        }
        terms
    }
}

impl Blocks for OtherRows {
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
        let mut values = [A::ZERO; SUPERBLOCK];
        let n = bytes.len() / ty.block_bytes() * ty.block_len();
        ty.weights(bytes, &mut values[..n]).expect("a file's rows are whole blocks");
        let mut lanes = [[A::ZERO; 16]; 16];
        for i in 0..16 {
            for g in 0..16 {
                lanes[i][g] = values[16 * g + i];
            }
        }
        lanes
    }
}

impl QuantizedBlocks for OtherRows {
    #[inline(always)]
    fn terms<I: Isa, A: Accumulator, const T: usize>(w: [Self::Block<'_>; TILE], x: [&Q8KBlock; T]) -> [[A; TILE]; T] {
        let mut terms = [[A::ZERO; TILE]; T];
        let mut integers = Integers::default();
        for r in 0..TILE {
            let (bytes, ty) = w[r];
            let minimums = ty.integers(bytes, &mut integers).expect("rows that read Q8_K are superblocks of integers");
            for t in 0..T {
                terms[t][r] = integers.term(minimums, integers.sums(&x[t].q, &x[t].sums), x[t].d);
            }
        }
        terms
    }
}
