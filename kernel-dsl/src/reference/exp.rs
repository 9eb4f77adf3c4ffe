//! The contract's "exp". The sequence uses only what PTX has as single IEEE or integer
//! instructions (`mul`, `fma`, `cvt.rni`, shifts, selects): a kernel emits the same steps with the
//! constants below.
//!
//! `exp(x) = 2^n * p(r)` with `n = rint(x * log2 e)`, `r = x - n ln 2` in two fused steps, and `p` the minimax
//! polynomial of relative error on |r| <= 0.3473 with its first two coefficients fixed at 1 (error 3.7e-18 in f64,
//! 3.1e-9 in f32, before rounding of the coefficients).

/// The constants of the f64 exponential.
pub mod f64_constants {
    /// log2(e).
    pub const LOG2_E: f64 = std::f64::consts::LOG2_E;
    /// The upper 32 bits of ln 2: `n * LN2_HI` is exact for every n that occurs.
    pub const LN2_HI: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
    /// ln 2 - `LN2_HI`.
    pub const LN2_LO: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
    /// Coefficients of r^11 down to r^0, in the order of Horner's scheme.
    pub const POLY: [f64; 12] = [
        f64::from_bits(0x3e5a_d7e8_4e42_469d),
        f64::from_bits(0x3e92_8ae3_458b_ce25),
        f64::from_bits(0x3ec7_1df2_7225_169a),
        f64::from_bits(0x3efa_0199_9446_a68b),
        f64::from_bits(0x3f2a_01a0_128f_ccbb),
        f64::from_bits(0x3f56_c16c_1846_fc23),
        f64::from_bits(0x3f81_1111_1112_8174),
        f64::from_bits(0x3fa5_5555_5555_0754),
        f64::from_bits(0x3fc5_5555_5555_54f8),
        f64::from_bits(0x3fe0_0000_0000_000a),
        1.0,
        1.0,
    ];
    /// Above this the result is +inf.
    pub const OVERFLOW: f64 = 709.782_712_893_384;
    /// Below this the result is +0.
    pub const UNDERFLOW: f64 = -745.133_219_101_941_1;
}

/// The constants of the f32 exponential.
pub mod f32_constants {
    /// log2(e).
    pub const LOG2_E: f32 = std::f32::consts::LOG2_E;
    /// The upper bits of ln 2: `n * LN2_HI` is exact for every n that occurs.
    pub const LN2_HI: f32 = f32::from_bits(0x3f31_7200);
    /// ln 2 - `LN2_HI`.
    pub const LN2_LO: f32 = f32::from_bits(0x35bf_be8e);
    /// Coefficients of r^6 down to r^0, in the order of Horner's scheme.
    pub const POLY: [f32; 7] = [
        f32::from_bits(0x3ab5_112c),
        f32::from_bits(0x3c09_1d81),
        f32::from_bits(0x3d2a_ac7c),
        f32::from_bits(0x3e2a_aa48),
        f32::from_bits(0x3eff_fffe),
        1.0,
        1.0,
    ];
    /// Above this the result is +inf.
    pub const OVERFLOW: f32 = 88.722_83;
    /// Below this the result is +0.
    pub const UNDERFLOW: f32 = -103.972_08;
}

/// e^x in f64, at most 1 ulp from the exact value. NaN stays NaN.
#[inline(always)]
pub fn exp_f64(x: f64) -> f64 {
    use f64_constants::*;
    let nf = (x * LOG2_E).round_ties_even();
    let n = nf as i32; // saturates; what saturates is replaced below
    let r = (-nf).mul_add(LN2_HI, x);
    let r = (-nf).mul_add(LN2_LO, r);
    let mut p = POLY[0];
    for c in &POLY[1..] {
        p = p.mul_add(r, *c);
    }
    let half = n >> 1;
    let y = p * power_f64(half) * power_f64(n.wrapping_sub(half));
    let y = if x > OVERFLOW { f64::INFINITY } else { y };
    if x < UNDERFLOW { 0.0 } else { y }
}

/// e^x in f32, at most 1 ulp from the exact value. NaN stays NaN.
#[inline(always)]
pub fn exp_f32(x: f32) -> f32 {
    use f32_constants::*;
    let nf = (x * LOG2_E).round_ties_even();
    let n = nf as i32; // saturates; what saturates is replaced below
    let r = (-nf).mul_add(LN2_HI, x);
    let r = (-nf).mul_add(LN2_LO, r);
    let mut p = POLY[0];
    for c in &POLY[1..] {
        p = p.mul_add(r, *c);
    }
    let half = n >> 1;
    let y = p * power_f32(half) * power_f32(n.wrapping_sub(half));
    let y = if x > OVERFLOW { f32::INFINITY } else { y };
    if x < UNDERFLOW { 0.0 } else { y }
}

/// `ex2.approx.f32`, exact to the last bit.
fn ex2(x: f32) -> f32 {
    libm::exp2(f64::from(x)) as f32
}

/// `rcp.approx.f32`, exact to the last bit.
fn rcp(x: f32) -> f32 {
    (1.0 / f64::from(x)) as f32
}

/// The f32 steps of [`DeviceExp::sigmoid_approx`](crate::device::DeviceExp::sigmoid_approx).
pub(super) fn logistic_approx_f32(x: f32) -> f32 {
    rcp(ex2(x * -f32_constants::LOG2_E) + 1.0)
}

/// The f64 steps of [`DeviceExp::sigmoid_approx`](crate::device::DeviceExp::sigmoid_approx).
pub(super) fn logistic_approx_f64(x: f64) -> f64 {
    let t = (x * -f64_constants::LOG2_E).clamp(-1000.0, 1000.0);
    let nf = t.round_ties_even();
    let e = f64::from(ex2((t - nf) as f32)) * power_f64(nf as i32);
    let denominator = e + 1.0;
    let r = f64::from(rcp(denominator as f32));
    (-denominator).mul_add(r, 1.0).mul_add(r, r)
}

/// 2^n for n in -1022..=1023, by its bits.
#[inline(always)]
fn power_f64(n: i32) -> f64 {
    f64::from_bits((i64::from(n.wrapping_add(1023)) << 52).cast_unsigned())
}

/// 2^n for n in -126..=127, by its bits.
#[inline(always)]
fn power_f32(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) << 23).cast_unsigned())
}
