//! The level without intrinsics.

use super::{Accumulator, Isa, Q4K, Q6K, Q8KBlock, Sums, TILE};

pub(super) struct Scalar;

impl Isa for Scalar {
    #[inline(always)]
    fn q4k<const T: usize>(w: [Q4K<'_>; TILE], x: [&Q8KBlock; T]) -> [Sums; T] {
        let mut sums = [Sums::default(); T];
        for (r, w) in w.into_iter().enumerate() {
            let q = w.quants();
            for (x, (a, b)) in x.iter().zip(&mut sums) {
                for j in 0..Q4K::SUBBLOCKS {
                    let (sc, m) = w.scale_min(j);
                    a[r] += i32::from(sc) * dot(&q[32 * j..32 * j + 32], &x.q[32 * j..32 * j + 32], 0);
                    b[r] += i32::from(m) * (i32::from(x.sums[2 * j]) + i32::from(x.sums[2 * j + 1]));
                }
            }
        }
        sums
    }

    #[inline(always)]
    fn q6k<const T: usize>(w: [Q6K<'_>; TILE], x: [&Q8KBlock; T]) -> [Sums; T] {
        let mut sums = [Sums::default(); T];
        for (r, w) in w.into_iter().enumerate() {
            let q = w.quants();
            for (x, (a, _)) in x.iter().zip(&mut sums) {
                for j in 0..Q6K::SUBBLOCKS {
                    let sc = i32::from(w.scale(j));
                    a[r] += sc * dot(&q[16 * j..16 * j + 16], &x.q[16 * j..16 * j + 16], 32);
                }
            }
        }
        sums
    }

    #[inline(always)]
    fn transpose(groups: &[u8; 256]) -> [[u8; 16]; 16] {
        std::array::from_fn(|i| std::array::from_fn(|g| groups[16 * g + i]))
    }

    #[inline(always)]
    fn fma<A: Accumulator>(a: [A; 16], b: [A; 16], mut c: [A; 16]) -> [A; 16] {
        for l in 0..16 {
            c[l] = a[l].fma(b[l], c[l]);
        }
        c
    }

    #[inline(always)]
    fn mul<A: Accumulator>(mut a: [A; 16], b: [A; 16]) -> [A; 16] {
        for l in 0..16 {
            a[l] = a[l] * b[l];
        }
        a
    }

    #[inline(always)]
    fn widen<A: Accumulator>(x: [f32; 16]) -> [A; 16] {
        x.map(A::from_f32)
    }

    #[inline(always)]
    fn floats(x: [i8; 16]) -> [f32; 16] {
        x.map(f32::from)
    }

    #[inline(always)]
    fn prefetch(_: *const u8) {}

    #[inline(always)]
    fn f16<const N: usize>(bits: [u16; N]) -> [f32; N] {
        bits.map(|b| half::f16::from_bits(b).to_f32())
    }
}

/// `sum_i (q_i - zero) * p_i`.
#[inline(always)]
fn dot(q: &[u8], p: &[i8], zero: i32) -> i32 {
    q.iter().zip(p).map(|(&q, &p)| (i32::from(q) - zero) * i32::from(p)).sum()
}
