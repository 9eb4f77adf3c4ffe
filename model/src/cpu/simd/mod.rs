//! Instruction sets, chosen at run time. They differ only in integer arithmetic, which is exact, and in the width of
//! the same floating-point operations, so all of them give the bits of the scalar reference.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86;

use ptxgen_dsl::{
    format::{Q4K, Q6K, Q8KBlock},
    reference::Accumulator,
};
use std::fmt;

/// Rows of a matrix that the integer kernels process together.
pub(super) const TILE: usize = 4;

/// An instruction set of the CPU forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SimdLevel {
    /// The baseline of the target: SSE2 on x86-64, NEON on 64-bit Arm.
    Scalar,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX-512 (F, BW, DQ, VL) with VNNI.
    Avx512,
}

impl SimdLevel {
    /// Every level, narrowest first.
    pub const ALL: [Self; 3] = [Self::Scalar, Self::Avx2, Self::Avx512];

    /// Whether this machine supports it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// The widest level of this machine.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|l| l.is_available()).unwrap_or(Self::Scalar)
    }

    /// The name of the level in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

impl fmt::Display for SimdLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// S_A and S_B of the contract for [`TILE`] rows of one block.
pub(super) type Sums = ([i32; TILE], [i32; TILE]);

/// The operations that depend on the instruction set.
///
/// Implementations and kernels are `inline(always)` and contain no closures: an intrinsic can only be inlined into a
/// function that enables its instructions. A closure in between, or a function that takes one, would be compiled
/// separately without them.
pub(super) trait Isa {
    /// S_A and S_B of a Q4_K block of [`TILE`] rows with each of `T` Q8_K blocks.
    fn q4k<const T: usize>(w: [Q4K<'_>; TILE], x: [&Q8KBlock; T]) -> [Sums; T];
    /// S_A of a Q6_K block of [`TILE`] rows with each of `T` Q8_K blocks; S_B is 0.
    fn q6k<const T: usize>(w: [Q6K<'_>; TILE], x: [&Q8KBlock; T]) -> [Sums; T];
    /// Byte i of group g becomes byte g of row i.
    fn transpose(groups: &[u8; 256]) -> [[u8; 16]; 16];
    /// `fma(a, b, c)` in each lane.
    fn fma<A: Accumulator>(a: [A; 16], b: [A; 16], c: [A; 16]) -> [A; 16];
    /// `a * b` in each lane.
    fn mul<A: Accumulator>(a: [A; 16], b: [A; 16]) -> [A; 16];
    /// Widens every lane.
    fn widen<A: Accumulator>(x: [f32; 16]) -> [A; 16];
    /// Small integers to floats.
    fn floats(x: [i8; 16]) -> [f32; 16];
    /// The scale and the minimum of each group of 16 weights.
    #[inline(always)]
    fn scales(w: Q4K<'_>) -> ([i8; 16], [i8; 16]) {
        let (mut scales, mut minimums) = ([0; 16], [0; 16]);
        for g in 0..16 {
            let (scale, minimum) = w.scale_min(g / 2);
            (scales[g], minimums[g]) = (scale as i8, minimum as i8);
        }
        (scales, minimums)
    }
    /// `2 + q / 8` for each quant: value i of group g at `[i][g]`.
    #[inline(always)]
    fn nibbles(w: Q4K<'_>) -> [[f32; 16]; 16] {
        let q = Self::transpose(&w.quants());
        let mut out = [[0.0; 16]; 16];
        for (out, q) in out.iter_mut().zip(&q) {
            for g in 0..16 {
                out[g] = f32::from_bits(0x4000_0000 | u32::from(q[g]) << 19);
            }
        }
        out
    }
    /// `q - 32` for each quant: value i of group g at `[i][g]`.
    #[inline(always)]
    fn sixes(w: Q6K<'_>) -> [[f32; 16]; 16] {
        let q = Self::transpose(&w.quants());
        let mut out = [[0.0; 16]; 16];
        for (out, q) in out.iter_mut().zip(&q) {
            for g in 0..16 {
                out[g] = (i32::from(q[g]) - 32) as f32;
            }
        }
        out
    }
    /// Prefetches the cache line at an address, which need not be valid.
    fn prefetch(at: *const u8);
    /// Widens f16 values.
    fn f16<const N: usize>(bits: [u16; N]) -> [f32; N];
}

/// Work that is compiled once for each instruction set.
pub(super) trait Kernel {
    /// The result of the work.
    type Output;
    /// Does the work; implementations are `inline(always)`.
    fn run<I: Isa>(self) -> Self::Output;
}

/// A level that this machine supports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Simd(SimdLevel);

impl Simd {
    pub(super) fn new(level: SimdLevel) -> Option<Self> {
        level.is_available().then_some(Self(level))
    }

    pub(super) fn level(self) -> SimdLevel {
        self.0
    }

    /// Runs a kernel with this level's instructions.
    #[inline]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `new` has detected the features on this machine.
            SimdLevel::Avx512 => unsafe { avx512::enter(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            SimdLevel::Avx2 => unsafe { avx2::enter(kernel) },
            _ => kernel.run::<scalar::Scalar>(),
        }
    }
}

#[cfg(test)]
mod tests;
