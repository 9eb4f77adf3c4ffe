//! Code that the x86 levels share.

use super::Q4K;
use std::arch::x86_64::*;

/// The eight scales and the eight minimums of a Q4_K block, one byte each, the first in the lowest byte.
#[inline(always)]
pub(super) fn scales(w: Q4K<'_>) -> (u64, u64) {
    let s = w.bytes();
    let low = u32::from_le_bytes([s[4], s[5], s[6], s[7]]);
    let mid = u32::from_le_bytes([s[8], s[9], s[10], s[11]]);
    let high = u32::from_le_bytes([s[12], s[13], s[14], s[15]]);
    let upper_scales = high & 0x0f0f_0f0f | low >> 2 & 0x3030_3030;
    let upper_minimums = high >> 4 & 0x0f0f_0f0f | mid >> 2 & 0x3030_3030;
    (
        u64::from(low & 0x3f3f_3f3f) | u64::from(upper_scales) << 32,
        u64::from(mid & 0x3f3f_3f3f) | u64::from(upper_minimums) << 32,
    )
}

/// Sixteen lanes as vectors, or back.
///
/// # Safety
/// `A` and `B` are the same sixteen numbers, as an array or as vectors.
#[inline(always)]
pub(super) unsafe fn cast<A: Copy, B: Copy>(lanes: A) -> B {
    // SAFETY: the caller guarantees it; their sizes are the same.
    unsafe { std::mem::transmute_copy(&lanes) }
}

/// [`Isa`](super::Isa)'s operations on sixteen floats, with a level's vectors and instructions.
macro_rules! float_lanes {
    (
        f32: [$single:ty; $singles:literal], $fma_f32:ident, $mul_f32:ident;
        f64: [$double:ty; $doubles:literal], $fma_f64:ident, $mul_f64:ident;
        widened: [$half:ty; $halves:literal], $zero:ident, $widen:ident;
    ) => {
        #[inline(always)]
        fn fma<A: Accumulator>(a: [A; 16], b: [A; 16], c: [A; 16]) -> [A; 16] {
            // SAFETY: only `enter` runs code of this level; see `x86::cast`.
            unsafe {
                if size_of::<A>() == size_of::<f32>() {
                    let (a, b): ([$single; $singles], [$single; $singles]) = (cast(a), cast(b));
                    let mut c: [$single; $singles] = cast(c);
                    for i in 0..$singles {
                        c[i] = $fma_f32(a[i], b[i], c[i]);
                    }
                    cast(c)
                } else {
                    let (a, b): ([$double; $doubles], [$double; $doubles]) = (cast(a), cast(b));
                    let mut c: [$double; $doubles] = cast(c);
                    for i in 0..$doubles {
                        c[i] = $fma_f64(a[i], b[i], c[i]);
                    }
                    cast(c)
                }
            }
        }

        #[inline(always)]
        fn mul<A: Accumulator>(a: [A; 16], b: [A; 16]) -> [A; 16] {
            // SAFETY: as above.
            unsafe {
                if size_of::<A>() == size_of::<f32>() {
                    let (mut a, b): ([$single; $singles], [$single; $singles]) = (cast(a), cast(b));
                    for i in 0..$singles {
                        a[i] = $mul_f32(a[i], b[i]);
                    }
                    cast(a)
                } else {
                    let (mut a, b): ([$double; $doubles], [$double; $doubles]) = (cast(a), cast(b));
                    for i in 0..$doubles {
                        a[i] = $mul_f64(a[i], b[i]);
                    }
                    cast(a)
                }
            }
        }

        #[inline(always)]
        fn widen<A: Accumulator>(x: [f32; 16]) -> [A; 16] {
            // SAFETY: as above.
            unsafe {
                if size_of::<A>() == size_of::<f32>() {
                    cast(x)
                } else {
                    let x: [$half; $halves] = cast(x);
                    let mut out = [$zero(); $halves];
                    for i in 0..$halves {
                        out[i] = $widen(x[i]);
                    }
                    cast(out)
                }
            }
        }
    };
}
pub(super) use float_lanes;

/// Each of eight bytes twice.
#[inline(always)]
pub(super) fn twice(bytes: u64) -> [i8; 16] {
    // SAFETY: SSE2 is part of x86-64; 16 bytes are a vector.
    unsafe {
        let bytes = _mm_cvtsi64_si128(bytes.cast_signed());
        cast(_mm_unpacklo_epi8(bytes, bytes))
    }
}

/// Transposes 16 rows of 16 bytes.
#[inline(always)]
pub(super) fn transpose(groups: &[u8; 256]) -> [[u8; 16]; 16] {
    // SAFETY: SSE2 is part of x86-64, and a 128-bit integer is 16 bytes.
    unsafe {
        let mut r: [__m128i; 16] = std::mem::transmute(*groups);
        // Four perfect shuffles of the rows exchange the row index and the byte index.
        for _ in 0..4 {
            let s = r;
            for i in 0..8 {
                r[2 * i] = _mm_unpacklo_epi8(s[i], s[i + 8]);
                r[2 * i + 1] = _mm_unpackhi_epi8(s[i], s[i + 8]);
            }
        }
        std::mem::transmute::<[__m128i; 16], [[u8; 16]; 16]>(r)
    }
}

/// Widens f16 values, eight at a time.
///
/// # Safety
/// The machine must have F16C.
#[inline(always)]
pub(super) unsafe fn f16<const N: usize>(bits: [u16; N]) -> [f32; N] {
    let mut out = [0.0; N];
    let (from, from_rest) = bits.as_chunks::<8>();
    let (to, to_rest) = out.as_chunks_mut::<8>();
    for (b, o) in from.iter().zip(to) {
        // SAFETY: 16 bytes are read, 32 written; the caller guarantees F16C.
        unsafe { _mm256_storeu_ps(o.as_mut_ptr(), _mm256_cvtph_ps(_mm_loadu_si128(b.as_ptr().cast()))) }
    }
    for (b, o) in from_rest.iter().zip(to_rest) {
        // SAFETY: values only; the caller guarantees F16C.
        *o = unsafe { _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(*b)))) };
    }
    out
}

/// The sums of four vectors of four i32.
///
/// # Safety
/// Nothing beyond SSE2, which x86-64 has.
#[inline(always)]
pub(super) unsafe fn add_across([a, b, c, d]: [__m128i; 4]) -> [i32; 4] {
    // SAFETY: SSE2 is part of x86-64.
    unsafe {
        let ab = _mm_add_epi32(_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b));
        let cd = _mm_add_epi32(_mm_unpacklo_epi32(c, d), _mm_unpackhi_epi32(c, d));
        let sums = _mm_add_epi32(_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd));
        std::mem::transmute::<__m128i, [i32; 4]>(sums)
    }
}
