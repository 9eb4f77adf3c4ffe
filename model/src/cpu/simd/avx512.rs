//! AVX-512 with VNNI.

use super::{
    Accumulator, Isa, Kernel, Q4K, Q6K, Q8KBlock, Sums, TILE,
    x86::{self, cast},
};
use std::arch::x86_64::*;

/// Runs a kernel with AVX-512 F, BW, DQ, VL and VNNI.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn enter<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx512>()
}

pub(super) struct Avx512;

/// The ternary function `a & b | c`.
const AND_OR: i32 = 0xea;

/// 16-bit lane indices, `run` lanes for each of the numbers.
const fn lanes<const N: usize>(numbers: [i16; N]) -> [i16; 32] {
    let mut out = [0; 32];
    let mut i = 0;
    while i < 32 {
        out[i] = numbers[i * N / 32];
        i += 1;
    }
    out
}

/// The positions of the scales in the Q4_K vectors: 32 weights of one sub-block, 32 of another.
const Q4K_SCALES: [[i16; 32]; 4] = [lanes([0, 2]), lanes([1, 3]), lanes([4, 6]), lanes([5, 7])];

/// The positions of the scales in the Q6_K vectors: four sub-blocks of 16 weights.
const Q6K_SCALES: [[i16; 32]; 4] =
    [lanes([0, 1, 2, 3]), lanes([4, 5, 6, 7]), lanes([8, 9, 10, 11]), lanes([12, 13, 14, 15])];

/// A number for each group of 16 quants.
const fn by_group(number: [i32; 8]) -> [i32; 16] {
    let mut out = [0; 16];
    let mut g = 0;
    while g < 16 {
        out[g] = number[g / 2];
        g += 1;
    }
    out
}

/// The quants of a pair of groups of Q4_K: the byte where they start, and their shift.
const Q4K_AT: ([i32; 16], [i32; 16]) = (by_group([0, 0, 32, 32, 64, 64, 96, 96]), by_group([0, 4, 0, 4, 0, 4, 0, 4]));

/// The same for Q6_K's lower four bits, and for its upper two.
const Q6K_LOW: ([i32; 16], [i32; 16]) = (by_group([0, 32, 0, 32, 64, 96, 64, 96]), by_group([0, 0, 4, 4, 0, 0, 4, 4]));
const Q6K_HIGH: ([i32; 16], [i32; 16]) = (by_group([0, 0, 0, 0, 32, 32, 32, 32]), by_group([0, 2, 4, 6, 0, 2, 4, 6]));

/// Four bytes from each group's 16 (bytes 4m.. of group g in lane g of vector m), shifted down to the group's quants.
/// `bytes` are 128.
#[inline(always)]
unsafe fn gather(bytes: (__m512i, __m512i), (start, shift): &([i32; 16], [i32; 16])) -> [__m512i; 4] {
    // SAFETY: this level has AVX-512 F; the loads are of whole arrays.
    unsafe {
        let odd = _mm512_mask_set1_epi32(_mm512_setzero_si512(), 0xaaaa, 16);
        let at = _mm512_srli_epi32::<2>(_mm512_add_epi32(load(start.as_ptr().cast()), odd));
        let shift = load(shift.as_ptr().cast());
        let mut out = [at; 4];
        for m in 0..4 {
            let at = _mm512_add_epi32(at, _mm512_set1_epi32(m as i32));
            out[m] = _mm512_srlv_epi32(_mm512_permutex2var_epi32(bytes.0, at, bytes.1), shift);
        }
        out
    }
}

impl Isa for Avx512 {
    #[inline(always)]
    fn q4k<const T: usize>(w: [Q4K<'_>; TILE], x: [&Q8KBlock; T]) -> [Sums; T] {
        // SAFETY: only `enter` runs code of this level; all loads are inside their arrays.
        unsafe {
            let nibble = _mm512_set1_epi8(15);
            let zero = _mm512_setzero_si512();
            let mut numbers = [zero; 4];
            for i in 0..4 {
                numbers[i] = load(Q4K_SCALES[i].as_ptr().cast());
            }
            // The activations in the order of the nibbles: low, high of bytes 0-63, then of 64-127.
            let mut p = [[zero; 4]; T];
            let mut sums = [_mm_setzero_si128(); T];
            for t in 0..T {
                for i in 0..4 {
                    let p_i = x[t].q.as_ptr().add(i / 2 * 128 + i % 2 * 32);
                    let (low, high) = (_mm256_loadu_si256(p_i.cast()), _mm256_loadu_si256(p_i.add(64).cast()));
                    p[t][i] = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high);
                }
                let s: *const __m128i = x[t].sums.as_ptr().cast();
                sums[t] = _mm_hadd_epi16(_mm_loadu_si128(s), _mm_loadu_si128(s.add(1)));
            }
            let mut a = [[zero; TILE]; T];
            let mut b = [[_mm_setzero_si128(); TILE]; T];
            for r in 0..TILE {
                let (sc, m) = x86::scales(w[r]);
                let m = _mm_cvtepu8_epi16(_mm_cvtsi64_si128(m.cast_signed()));
                let sc = _mm512_castsi128_si512(_mm_cvtepu8_epi16(_mm_cvtsi64_si128(sc.cast_signed())));
                let qs = w[r].bytes()[Q4K::QUANTS..].as_ptr();
                let (q0, q1) = (load(qs), load(qs.add(64)));
                let q = [
                    _mm512_and_si512(q0, nibble),
                    _mm512_and_si512(_mm512_srli_epi16::<4>(q0), nibble),
                    _mm512_and_si512(q1, nibble),
                    _mm512_and_si512(_mm512_srli_epi16::<4>(q1), nibble),
                ];
                for i in 0..4 {
                    let s = _mm512_permutexvar_epi16(numbers[i], sc);
                    for t in 0..T {
                        a[t][r] = _mm512_dpwssd_epi32(a[t][r], _mm512_maddubs_epi16(q[i], p[t][i]), s);
                    }
                }
                for t in 0..T {
                    b[t][r] = _mm_madd_epi16(m, sums[t]);
                }
            }
            let mut out = [Sums::default(); T];
            for t in 0..T {
                out[t] = (add_across(a[t]), x86::add_across(b[t]));
            }
            out
        }
    }

    #[inline(always)]
    fn q6k<const T: usize>(w: [Q6K<'_>; TILE], x: [&Q8KBlock; T]) -> [Sums; T] {
        // SAFETY: as above.
        unsafe {
            let (nibble, top) = (_mm512_set1_epi8(15), _mm512_set1_epi8(0x30));
            let mut numbers = [_mm512_setzero_si512(); 4];
            for i in 0..4 {
                numbers[i] = load(Q6K_SCALES[i].as_ptr().cast());
            }
            // The pair of bits for the two halves of a vector, moved to bits 4 and 5.
            let left = _mm512_inserti64x4::<1>(_mm512_set1_epi16(4), _mm256_set1_epi16(2));
            let right = _mm512_inserti64x4::<1>(_mm512_setzero_si512(), _mm256_set1_epi16(2));
            let mut a = [[_mm512_setzero_si512(); TILE]; T];
            for r in 0..TILE {
                let bytes = w[r].bytes().as_ptr();
                let scales = _mm256_cvtepi8_epi16(_mm_loadu_si128(bytes.add(Q6K::SCALES).cast()));
                for t in 0..T {
                    // The 32 that is subtracted from every quant.
                    let sums = _mm256_loadu_si256(x[t].sums.as_ptr().cast());
                    let zero = _mm256_slli_epi32::<5>(_mm256_madd_epi16(scales, sums));
                    a[t][r] = _mm512_sub_epi32(a[t][r], _mm512_zextsi256_si512(zero));
                }
                let scales = _mm512_castsi256_si512(scales);
                for half in 0..2 {
                    let ql = load(bytes.add(64 * half));
                    let h = _mm256_loadu_si256(bytes.add(Q6K::HIGH + 32 * half).cast());
                    let h = _mm512_broadcast_i64x4(h);
                    let q = [
                        _mm512_or_si512(
                            _mm512_and_si512(ql, nibble),
                            _mm512_and_si512(_mm512_sllv_epi16(h, left), top),
                        ),
                        _mm512_or_si512(
                            _mm512_and_si512(_mm512_srli_epi16::<4>(ql), nibble),
                            _mm512_and_si512(_mm512_srlv_epi16(h, right), top),
                        ),
                    ];
                    for i in 0..2 {
                        let s = _mm512_permutexvar_epi16(numbers[2 * half + i], scales);
                        for t in 0..T {
                            let p = load(x[t].q.as_ptr().add(128 * half + 64 * i).cast());
                            a[t][r] = _mm512_dpwssd_epi32(a[t][r], _mm512_maddubs_epi16(q[i], p), s);
                        }
                    }
                }
            }
            let mut out = [Sums::default(); T];
            for t in 0..T {
                out[t].0 = add_across(a[t]);
            }
            out
        }
    }

    #[inline(always)]
    fn transpose(groups: &[u8; 256]) -> [[u8; 16]; 16] {
        x86::transpose(groups)
    }

    #[inline(always)]
    fn nibbles(w: Q4K<'_>) -> [[f32; 16]; 16] {
        // SAFETY: only `enter` runs code of this level; all loads are inside their arrays.
        unsafe {
            let q = w.bytes()[Q4K::QUANTS..].as_ptr();
            let q = gather((load(q), load(q.add(64))), &Q4K_AT);
            let (mask, two) = (_mm512_set1_epi32(15 << 19), _mm512_set1_epi32(0x4000_0000));
            let mut out = [two; 16];
            for m in 0..4 {
                // A byte's lower nibble, moved to the top of the mantissa.
                let moved = [
                    _mm512_slli_epi32::<19>(q[m]),
                    _mm512_slli_epi32::<11>(q[m]),
                    _mm512_slli_epi32::<3>(q[m]),
                    _mm512_srli_epi32::<5>(q[m]),
                ];
                for b in 0..4 {
                    out[4 * m + b] = _mm512_ternarylogic_epi32::<AND_OR>(moved[b], mask, two);
                }
            }
            std::mem::transmute::<[__m512i; 16], [[f32; 16]; 16]>(out)
        }
    }

    #[inline(always)]
    fn sixes(w: Q6K<'_>) -> [[f32; 16]; 16] {
        // SAFETY: as above.
        unsafe {
            let bytes = w.bytes().as_ptr();
            let low = gather((load(bytes), load(bytes.add(64))), &Q6K_LOW);
            let high = load(bytes.add(Q6K::HIGH));
            let high = gather((high, high), &Q6K_HIGH);
            let (nibbles, pairs) = (_mm512_set1_epi8(15), _mm512_set1_epi8(3));
            // 2^23 + q is a float whose last bits are q.
            let (byte, magic) = (_mm512_set1_epi32(255), _mm512_set1_epi32(0x4b00_0000));
            let zero = _mm512_set1_ps(8_388_608.0 + 32.0);
            let mut out = [zero; 16];
            for m in 0..4 {
                let high = _mm512_slli_epi32::<4>(_mm512_and_si512(high[m], pairs));
                let q = _mm512_ternarylogic_epi32::<AND_OR>(low[m], nibbles, high);
                let moved = [q, _mm512_srli_epi32::<8>(q), _mm512_srli_epi32::<16>(q), _mm512_srli_epi32::<24>(q)];
                for b in 0..4 {
                    let q = _mm512_ternarylogic_epi32::<AND_OR>(moved[b], byte, magic);
                    out[4 * m + b] = _mm512_sub_ps(_mm512_castsi512_ps(q), zero);
                }
            }
            std::mem::transmute::<[__m512; 16], [[f32; 16]; 16]>(out)
        }
    }

    x86::float_lanes! {
        f32: [__m512; 1], _mm512_fmadd_ps, _mm512_mul_ps;
        f64: [__m512d; 2], _mm512_fmadd_pd, _mm512_mul_pd;
        widened: [__m256; 2], _mm512_setzero_pd, _mm512_cvtps_pd;
    }

    #[inline(always)]
    fn floats(x: [i8; 16]) -> [f32; 16] {
        // SAFETY: only `enter` runs code of this level; 16 bytes are a vector.
        unsafe { cast(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(cast(x)))) }
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
unsafe fn load(p: *const u8) -> __m512i {
    // SAFETY: the callers' pointers have 64 bytes after them.
    unsafe { _mm512_loadu_si512(p.cast()) }
}

/// The sums of four vectors of sixteen i32.
#[inline(always)]
unsafe fn add_across([a, b, c, d]: [__m512i; 4]) -> [i32; 4] {
    // SAFETY: this level has AVX-512 F and DQ.
    unsafe {
        let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        let v = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
        let v = _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64::<1>(v));
        let v = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
        std::mem::transmute::<__m128i, [i32; 4]>(v)
    }
}
