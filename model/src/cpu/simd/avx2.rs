//! AVX2 with FMA and F16C.

use super::{
    Accumulator, Isa, Kernel, Q4K, Q6K, Q8KBlock, Sums, TILE,
    x86::{self, cast},
};
use std::arch::x86_64::*;

/// Runs a kernel with AVX2, FMA and F16C.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn enter<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx2>()
}

pub(super) struct Avx2;

impl Isa for Avx2 {
    #[inline(always)]
    fn q4k<const T: usize>(w: [Q4K<'_>; TILE], x: [&Q8KBlock; T]) -> [Sums; T] {
        // SAFETY: only `enter` runs code of this level; all loads are inside their arrays.
        unsafe {
            let nibble = _mm256_set1_epi8(15);
            let zero = _mm_setzero_si128();
            let (mut a, mut b) = ([[zero; TILE]; T], [[zero; TILE]; T]);
            for r in 0..TILE {
                let (sc, m) = x86::scales(w[r]);
                let m = _mm_cvtepu8_epi16(_mm_cvtsi64_si128(m.cast_signed()));
                let qs = w[r].bytes()[Q4K::QUANTS..].as_ptr();
                let mut acc = [_mm256_setzero_si256(); T];
                for k in 0..4 {
                    let q = load(qs.add(32 * k));
                    let (low, high) =
                        (_mm256_and_si256(q, nibble), _mm256_and_si256(_mm256_srli_epi16::<4>(q), nibble));
                    let s0 = _mm256_set1_epi16((sc >> (16 * k) & 63) as i16);
                    let s1 = _mm256_set1_epi16((sc >> (16 * k + 8) & 63) as i16);
                    for t in 0..T {
                        let p = x[t].q.as_ptr().add(64 * k).cast();
                        let d0 = _mm256_madd_epi16(_mm256_maddubs_epi16(low, load(p)), s0);
                        let d1 = _mm256_madd_epi16(_mm256_maddubs_epi16(high, load(p.add(32))), s1);
                        acc[t] = _mm256_add_epi32(acc[t], _mm256_add_epi32(d0, d1));
                    }
                }
                for t in 0..T {
                    a[t][r] = fold(acc[t]);
                    b[t][r] = _mm_madd_epi16(m, pair_sums(x[t]));
                }
            }
            let mut out = [Sums::default(); T];
            for t in 0..T {
                out[t] = (x86::add_across(a[t]), x86::add_across(b[t]));
            }
            out
        }
    }

    #[inline(always)]
    fn q6k<const T: usize>(w: [Q6K<'_>; TILE], x: [&Q8KBlock; T]) -> [Sums; T] {
        // SAFETY: as above.
        unsafe {
            let (nibble, top) = (_mm256_set1_epi8(15), _mm256_set1_epi8(0x30));
            let mut a = [[_mm_setzero_si128(); TILE]; T];
            for r in 0..TILE {
                let bytes = w[r].bytes().as_ptr();
                let scales = _mm_loadu_si128(bytes.add(Q6K::SCALES).cast());
                let mut acc = [_mm256_setzero_si256(); T];
                for half in 0..2 {
                    let (ql, h) = (bytes.add(64 * half), load(bytes.add(Q6K::HIGH + 32 * half)));
                    let (q0, q1) = (load(ql), load(ql.add(32)));
                    let q: [__m256i; 4] = [
                        _mm256_or_si256(_mm256_and_si256(q0, nibble), _mm256_and_si256(_mm256_slli_epi16::<4>(h), top)),
                        _mm256_or_si256(_mm256_and_si256(q1, nibble), _mm256_and_si256(_mm256_slli_epi16::<2>(h), top)),
                        _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16::<4>(q0), nibble), _mm256_and_si256(h, top)),
                        _mm256_or_si256(
                            _mm256_and_si256(_mm256_srli_epi16::<4>(q1), nibble),
                            _mm256_and_si256(_mm256_srli_epi16::<2>(h), top),
                        ),
                    ];
                    for (k, q) in q.into_iter().enumerate() {
                        let s0 = _mm_set1_epi16(i16::from(w[r].scale(8 * half + 2 * k)));
                        let s1 = _mm_set1_epi16(i16::from(w[r].scale(8 * half + 2 * k + 1)));
                        let s = _mm256_set_m128i(s1, s0);
                        for t in 0..T {
                            let p = x[t].q.as_ptr().add(128 * half + 32 * k).cast();
                            let d = _mm256_madd_epi16(_mm256_maddubs_epi16(q, load(p)), s);
                            acc[t] = _mm256_add_epi32(acc[t], d);
                        }
                    }
                }
                let scales = _mm256_cvtepi8_epi16(scales);
                for t in 0..T {
                    // 32 is subtracted from every quant.
                    let zero = _mm256_madd_epi16(scales, load(x[t].sums.as_ptr().cast()));
                    a[t][r] = fold(_mm256_sub_epi32(acc[t], _mm256_slli_epi32::<5>(zero)));
                }
            }
            let mut out = [Sums::default(); T];
            for t in 0..T {
                out[t].0 = x86::add_across(a[t]);
            }
            out
        }
    }

    #[inline(always)]
    fn transpose(groups: &[u8; 256]) -> [[u8; 16]; 16] {
        x86::transpose(groups)
    }

    x86::float_lanes! {
        f32: [__m256; 2], _mm256_fmadd_ps, _mm256_mul_ps;
        f64: [__m256d; 4], _mm256_fmadd_pd, _mm256_mul_pd;
        widened: [__m128; 4], _mm256_setzero_pd, _mm256_cvtps_pd;
    }

    #[inline(always)]
    fn floats(x: [i8; 16]) -> [f32; 16] {
        // SAFETY: only `enter` runs code of this level; 16 bytes are a vector.
        unsafe {
            let x: __m128i = cast(x);
            let (low, high) = (_mm256_cvtepi8_epi32(x), _mm256_cvtepi8_epi32(_mm_srli_si128::<8>(x)));
            cast([_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high)])
        }
    }

    #[inline(always)]
    fn scales(w: Q4K<'_>) -> ([i8; 16], [i8; 16]) {
        let (scales, minimums) = x86::scales(w);
        (x86::twice(scales), x86::twice(minimums))
    }

    #[inline(always)]
    fn prefetch(at: *const u8) {
        // SAFETY: a hint, which does not fault at any address and does not change memory.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    fn f16<const N: usize>(bits: [u16; N]) -> [f32; N] {
        // SAFETY: only `enter` runs code of this level, with F16C.
        unsafe { x86::f16(bits) }
    }
}

#[inline(always)]
unsafe fn load(p: *const u8) -> __m256i {
    // SAFETY: the callers' pointers have 32 bytes after them.
    unsafe { _mm256_loadu_si256(p.cast()) }
}

/// The sum of the two halves of a vector.
#[inline(always)]
unsafe fn fold(v: __m256i) -> __m128i {
    // SAFETY: this level has AVX2.
    unsafe { _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v)) }
}

/// The sum of each 32 quants.
#[inline(always)]
unsafe fn pair_sums(x: &Q8KBlock) -> __m128i {
    // SAFETY: `sums` has 32 bytes.
    unsafe {
        let p: *const __m128i = x.sums.as_ptr().cast();
        _mm_hadd_epi16(_mm_loadu_si128(p), _mm_loadu_si128(p.add(1)))
    }
}
