//! Approximate instructions within their tolerance.

use super::Exec;
use crate::table::{LaneFn, Tolerance};
use crate::types::ScalarType;

impl Exec<'_> {
    /// Computes the interpreter's own result, or where the launch asks for it
    /// a result at the tolerance's edge.
    pub(super) fn approx(&mut self, f: LaneFn, tolerance: Tolerance) {
        let n = self.gather();
        let dsts = self.cx.program.dsts(self.code);
        f(&mut self.st.dst[..dsts.len()], &self.st.src[..n]);
        if let Some(seed) = self.cx.options.perturb {
            for (i, dst) in dsts.iter().enumerate() {
                for (lane, bits) in self.st.dst[i].iter_mut().enumerate() {
                    // A function of the sources, as on hardware: the same input gives the same error.
                    let mut hash = mix(seed ^ u64::from(self.pc));
                    for src in &self.st.src[..n] {
                        hash = mix(hash ^ src[lane]);
                    }
                    *bits = edge(*bits, dst.ty, &tolerance, hash & 1 == 1);
                }
            }
        }
        self.scatter();
        self.wide_lane();
    }
}

/// A 64-bit finalizer (splitmix64's).
pub(in crate::interp) fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The value as far up or down from this one as the tolerance goes. Zeros,
/// infinities and NaNs stay, since they are exact results.
fn edge(bits: u64, ty: ScalarType, tolerance: &Tolerance, up: bool) -> u64 {
    match ty {
        ScalarType::F64 => {
            let x = f64::from_bits(bits);
            let ulp = f64::from_bits((x.abs().to_bits()).saturating_add(1)) - x.abs();
            let moved = shift(x, ulp, tolerance, up);
            moved.to_bits()
        }
        ScalarType::F32 => {
            let x = f32::from_bits(bits as u32);
            let ulp = f64::from(f32::from_bits(x.abs().to_bits().saturating_add(1))) - f64::from(x.abs());
            u64::from((shift(f64::from(x), ulp, tolerance, up) as f32).to_bits())
        }
        ScalarType::F16 => half(bits, tolerance, up),
        ScalarType::F16x2 => half(bits & 0xffff, tolerance, up) | half(bits >> 16, tolerance, up) << 16,
        ScalarType::Bf16 => bhalf(bits, tolerance, up),
        ScalarType::Bf16x2 => bhalf(bits & 0xffff, tolerance, up) | bhalf(bits >> 16, tolerance, up) << 16,
        _ => bits,
    }
}

fn half(bits: u64, tolerance: &Tolerance, up: bool) -> u64 {
    let x = half::f16::from_bits(bits as u16);
    let next = half::f16::from_bits((bits as u16 & 0x7fff) + 1);
    let ulp = next.to_f64() - x.to_f64().abs();
    u64::from(half::f16::from_f64(shift(x.to_f64(), ulp, tolerance, up)).to_bits())
}

fn bhalf(bits: u64, tolerance: &Tolerance, up: bool) -> u64 {
    let x = half::bf16::from_bits(bits as u16);
    let next = half::bf16::from_bits((bits as u16 & 0x7fff) + 1);
    let ulp = next.to_f64() - x.to_f64().abs();
    u64::from(half::bf16::from_f64(shift(x.to_f64(), ulp, tolerance, up)).to_bits())
}

fn shift(x: f64, ulp: f64, tolerance: &Tolerance, up: bool) -> f64 {
    if x == 0.0 || !x.is_finite() || !ulp.is_finite() {
        return x;
    }
    let by = (ulp * f64::from(tolerance.ulp).floor()).max(f64::from(tolerance.absolute));
    if up { x + by } else { x - by }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One unit in the last place up and down, in every float type and in both halves of a pair.
    #[test]
    fn edges_are_a_tolerance_away() {
        let one = Tolerance { ulp: 1.0, absolute: 0.0, doc: "" };
        let cases = [
            (ScalarType::F64, 1.5f64.to_bits(), 1),
            (ScalarType::F32, u64::from((-1.5f32).to_bits()), 1),
            (ScalarType::F16, 0x3e00, 1),
            (ScalarType::Bf16, 0x3fc0, 1),
            (ScalarType::F16x2, 0x3e00_4100, 0x1_0001),
            (ScalarType::Bf16x2, 0x3fc0_4020, 0x1_0001),
        ];
        for (ty, bits, ulps) in cases {
            let mut both = [edge(bits, ty, &one, false), edge(bits, ty, &one, true)];
            both.sort_unstable();
            assert_eq!(both, [bits - ulps, bits + ulps], "{ty}");
        }
        let absolute = Tolerance { ulp: 0.0, absolute: 0.25, doc: "" };
        assert_eq!(edge(u64::from(1f32.to_bits()), ScalarType::F32, &absolute, true), u64::from(1.25f32.to_bits()));
        for exact in [0f32, -0.0, f32::INFINITY, f32::NAN] {
            let bits = u64::from(exact.to_bits());
            assert_eq!(edge(bits, ScalarType::F32, &one, true), bits);
        }
        assert_eq!(edge(7, ScalarType::U32, &one, true), 7);
    }
}
