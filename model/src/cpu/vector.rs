//! Functions of whole vectors: norm, quantization, SwiGLU, sums. The order of operations is the reference's; the loops
//! are written so that the compiler can vectorize them.

use super::simd::{Isa, Kernel};
use ptxgen_dsl::{
    format::{Q8KBlock, SUPERBLOCK},
    reference::{Accumulator, rope, swiglu},
};

/// Tree over the elements of a buffer, which is overwritten. Its length is a power of two.
#[inline(always)]
pub(super) fn tree_in_place<A: Accumulator>(t: &mut [A]) -> A {
    let mut n = t.len();
    while n > 1 {
        n /= 2;
        let mut done = 0;
        // In separate arrays, so that the compiler knows that they do not alias.
        while done + 16 <= n {
            let mut pairs = [A::ZERO; 32];
            pairs.copy_from_slice(&t[2 * done..2 * done + 32]);
            for i in 0..16 {
                t[done + i] = pairs[2 * i] + pairs[2 * i + 1];
            }
            done += 16;
        }
        for i in done..n {
            t[i] = t[2 * i] + t[2 * i + 1];
        }
    }
    t[0]
}

/// `1 / sqrt(dot4(x, x) / n + eps)`.
#[inline(always)]
fn rms_scale<A: Accumulator>(x: &[f32], eps: f32, groups: &mut Vec<A>) -> A {
    groups.clear();
    let (whole, rest) = x.as_chunks::<4>();
    groups.resize(x.len().div_ceil(4).next_power_of_two(), A::ZERO);
    for (c, group) in groups.iter_mut().zip(whole) {
        for &x in group {
            *c = A::from_f32(x).fma(A::from_f32(x), *c);
        }
    }
    for &x in rest {
        let c = &mut groups[whole.len()];
        *c = A::from_f32(x).fma(A::from_f32(x), *c);
    }
    let mean = tree_in_place(groups) / A::from_f32(x.len() as f32);
    A::ONE / (mean + A::from_f32(eps)).sqrt()
}

/// The contract's "RMSNorm", rounded to f32.
pub(super) struct Norm<'a, A> {
    pub(super) x: &'a [f32],
    pub(super) w: &'a [f32],
    pub(super) eps: f32,
    pub(super) out: &'a mut [f32],
    /// Scratch.
    pub(super) groups: &'a mut Vec<A>,
}

impl<A: Accumulator> Kernel for Norm<'_, A> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let r = rms_scale(self.x, self.eps, self.groups);
        for ((y, &x), &w) in self.out.iter_mut().zip(self.x).zip(self.w) {
            *y = ((A::from_f32(x) * r) * A::from_f32(w)).to_f32();
        }
    }
}

/// The contract's "QK-norm and RoPE" of one head, in place.
pub(super) struct NormRope<'a, A> {
    pub(super) head: &'a mut [f32],
    pub(super) w: &'a [f32],
    pub(super) eps: f32,
    pub(super) table: (&'a [f32], &'a [f32]),
    /// Scratch.
    pub(super) groups: &'a mut Vec<A>,
}

impl<A: Accumulator> Kernel for NormRope<'_, A> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let r = rms_scale(self.head, self.eps, self.groups);
        self.groups.clear();
        self.groups.resize(self.head.len(), A::ZERO);
        for ((y, &x), &w) in self.groups.iter_mut().zip(&*self.head).zip(self.w) {
            *y = (A::from_f32(x) * r) * A::from_f32(w);
        }
        rope(self.groups, self.table);
        for (y, v) in self.head.iter_mut().zip(self.groups) {
            *y = v.to_f32();
        }
    }
}

/// The contract's "Q8_K quantization of activations", in passes over lanes.
#[inline(always)]
pub(super) fn quantize(x: &[f32; SUPERBLOCK], out: &mut Q8KBlock) {
    let (rows, _) = x.as_chunks::<16>();
    let mut largest = [0.0f32; 16];
    for row in rows {
        for (m, v) in largest.iter_mut().zip(row) {
            *m = if v.abs() > *m { v.abs() } else { *m };
        }
    }
    let mut most = 0.0;
    for v in largest {
        most = if v > most { v } else { most };
    }
    if most == 0.0 {
        *out = Q8KBlock::ZERO;
        return;
    }
    // The first of equal values, found from the end; a NaN equals nothing.
    let mut x_max = 0.0;
    for row in rows.iter().rev() {
        let mut any = false;
        for v in row {
            any |= v.abs() == most;
        }
        if any {
            for &v in row.iter().rev() {
                x_max = if v.abs() == most { v } else { x_max };
            }
        }
    }
    let s = -127.0 / x_max;
    for ((q, x), sum) in out.q.as_chunks_mut::<16>().0.iter_mut().zip(rows).zip(&mut out.sums) {
        let mut total = 0;
        for i in 0..16 {
            let v = s * x[i];
            let v = if v.is_nan() { 0.0 } else { v };
            let v = if v < -128.0 { -128.0 } else { v };
            let v = if v > 127.0 { 127.0 } else { v };
            // SAFETY: the value is in -128..=127 and not NaN.
            let v = unsafe { v.round_ties_even().to_int_unchecked::<i32>() };
            q[i] = v as i8;
            total += v;
        }
        *sum = total as i16;
    }
    out.d = 1.0 / s;
}

/// The contract's "SwiGLU" of two vectors.
pub(super) struct SwiGlu<'a, A> {
    pub(super) gate: &'a [f32],
    pub(super) up: &'a [f32],
    pub(super) out: &'a mut [f32],
    pub(super) acc: std::marker::PhantomData<A>,
}

impl<A: Accumulator> Kernel for SwiGlu<'_, A> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for ((h, &g), &u) in self.out.iter_mut().zip(self.gate).zip(self.up) {
            *h = swiglu::<A>(g, u);
        }
    }
}

/// The contract's "Experts' sum" over vectors `y` of `out.len()` values, one for each weight.
pub(super) struct ExpertsSum<'a, A> {
    pub(super) weights: &'a [f32],
    pub(super) y: &'a [f32],
    pub(super) out: &'a mut [f32],
    /// Scratch.
    pub(super) sums: &'a mut Vec<A>,
}

impl<A: Accumulator> Kernel for ExpertsSum<'_, A> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        self.sums.clear();
        self.sums.resize(self.out.len(), A::ZERO);
        for (&w, y) in self.weights.iter().zip(self.y.chunks_exact(self.out.len())) {
            let w = A::from_f32(w);
            for (c, &y) in self.sums.iter_mut().zip(y) {
                *c = w.fma(A::from_f32(y), *c);
            }
        }
        for (o, c) in self.out.iter_mut().zip(self.sums) {
            *o = c.to_f32();
        }
    }
}

/// `x += y` in f32.
#[inline(always)]
pub(super) fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}
