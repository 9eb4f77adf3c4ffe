//! The contract's "QK-norm and RoPE".

use super::{Accumulator, rms_norm};

/// Cosines and sines of a range of positions, as f32 computed in f64 by the `libm` crate.
#[derive(Clone, Debug)]
pub struct RopeTable {
    half: usize,
    /// For position p: `half` cosines, then `half` sines.
    values: Vec<f32>,
}

/// How a model computes angles from positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// The base: pair `i` of a head rotates by `theta^(-2i/head_dim)` per position.
    pub theta: f64,
    /// The scaling for contexts longer than those in training.
    pub scaling: RopeScaling,
}

/// Scaling of the context (GGUF `rope.scaling.*`).
#[derive(Clone, Copy, Debug, PartialEq, Default)]
#[non_exhaustive]
pub enum RopeScaling {
    /// None.
    #[default]
    None,
    /// All angles are divided by a factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// YaRN (Peng et al., 2023, <https://arxiv.org/abs/2309.00071>), as transformers and llama.cpp compute it: slow
    /// pairs are divided, fast ones are not, with a ramp between; cosines and sines are scaled.
    Yarn {
        /// The factor of the context's length.
        factor: f64,
        /// Positions in training.
        original: f64,
        /// Pairs that rotate more often than this in the original context are not divided; 32 in the paper.
        beta_fast: f64,
        /// Pairs that rotate less often than this are divided by the whole factor; 1 in the paper.
        beta_slow: f64,
        /// The scale of cosines and sines, in addition to `1 + 0.1 ln(factor)`.
        attention: f64,
    },
}

impl From<f64> for Rope {
    fn from(theta: f64) -> Self {
        Rope { theta, scaling: RopeScaling::None }
    }
}

impl Rope {
    /// The rotation of each pair of a head per position, and the scale of cosines and sines.
    pub fn frequencies(&self, head_dim: usize) -> (Vec<f64>, f64) {
        let dim = head_dim as f64;
        let plain = (0..head_dim / 2).map(|i| libm::pow(self.theta, -((2 * i) as f64) / dim));
        match self.scaling {
            RopeScaling::None => (plain.collect(), 1.0),
            RopeScaling::Linear { factor } => (plain.map(|f| f / factor).collect(), 1.0),
            RopeScaling::Yarn { factor, original, beta_fast, beta_slow, attention } => {
                // The pair that rotates `turns` times in the original context.
                let pair = |turns: f64| {
                    let cycle = original / (turns * 2.0 * std::f64::consts::PI);
                    dim * libm::log(cycle) / (2.0 * libm::log(self.theta))
                };
                let low = libm::floor(pair(beta_fast)).max(0.0);
                let high = libm::ceil(pair(beta_slow)).min(dim - 1.0);
                let width = (high - low).max(0.001);
                let mixed = plain.enumerate().map(|(i, f)| {
                    let kept = 1.0 - ((i as f64 - low) / width).clamp(0.0, 1.0);
                    f / factor * (1.0 - kept) + f * kept
                });
                (mixed.collect(), attention * (1.0 + 0.1 * libm::log(factor)))
            }
        }
    }
}

impl RopeTable {
    /// The table of positions 0..`positions` for heads of `head_dim` (even) values: the angle is the position times the
    /// pair's [frequency](Rope::frequencies), for a plain base `pos * theta^(-2i/head_dim)`.
    pub fn new(head_dim: usize, rope: impl Into<Rope>, positions: usize) -> Self {
        let half = head_dim / 2;
        let (inverse, scale) = rope.into().frequencies(head_dim);
        let mut values = Vec::with_capacity(positions * 2 * half);
        for pos in 0..positions {
            values.extend(inverse.iter().map(|inv| (libm::cos(pos as f64 * inv) * scale) as f32));
            values.extend(inverse.iter().map(|inv| (libm::sin(pos as f64 * inv) * scale) as f32));
        }
        Self { half, values }
    }

    /// Positions in the table.
    pub fn positions(&self) -> usize {
        self.values.len().checked_div(2 * self.half).unwrap_or(0)
    }

    /// The cosines and the sines of a position, head_dim / 2 of each.
    ///
    /// # Panics
    /// If the position is not in the table.
    #[inline(always)]
    pub fn at(&self, pos: usize) -> (&[f32], &[f32]) {
        self.values[2 * self.half * pos..2 * self.half * (pos + 1)].split_at(self.half)
    }

    /// The whole table, [positions, 2, head_dim / 2], for devices.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

/// Rotates a head in place: element i with element i + half.
/// `a' = fma(a, c, -(b*s))`, `b' = fma(b, c, a*s)`.
#[inline(always)]
pub fn rope<A: Accumulator>(head: &mut [A], (cos, sin): (&[f32], &[f32])) {
    let (lower, upper) = head.split_at_mut(cos.len());
    for (((a, b), c), s) in lower.iter_mut().zip(upper).zip(cos).zip(sin) {
        let (c, s) = (A::from_f32(*c), A::from_f32(*s));
        (*a, *b) = (a.fma(c, -(*b * s)), b.fma(c, *a * s));
    }
}

/// RMSNorm of one head with weights `w`, kept in the accumulator's type, then [`rope`], then one
/// rounding to f32.
pub fn qk_norm_rope<A: Accumulator>(head: &[f32], w: &[f32], eps: f32, table: (&[f32], &[f32])) -> Vec<f32> {
    let mut y = rms_norm::<A>(head, w, eps);
    rope(&mut y, table);
    y.into_iter().map(A::to_f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yarn(factor: f64, original: f64) -> RopeScaling {
        RopeScaling::Yarn { factor, original, beta_fast: 32.0, beta_slow: 1.0, attention: 1.0 }
    }

    /// The values are transformers' `_compute_yarn_parameters`, computed with 40 digits.
    #[test]
    fn yarn_is_transformers() {
        let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-14, "{a:e} {b:e}");
        let rope = Rope { theta: 1e6, scaling: yarn(4.0, 32768.0) };
        let (found, scale) = rope.frequencies(128);
        let expected = [
            (0, 1.0),
            (20, 0.01333521432163324),
            (30, 0.0010643609812470017),
            (36, 0.0001798411558739542),
            (40, 4.445698525097307e-05),
            (50, 5.133812566142866e-06),
            (63, 3.102344401879299e-07),
        ];
        expected.into_iter().for_each(|(i, f)| near(found[i], f));
        near(scale, 1.138629436111989);
        let (found, scale) = Rope { theta: 1e4, scaling: yarn(8.0, 4096.0) }.frequencies(64);
        let expected = [
            (0, 1.0),
            (10, 0.05623413251903491),
            (16, 0.005961538461538462),
            (20, 0.0010338215427473547),
            (24, 0.000125),
            (31, 1.666901790204155e-05),
        ];
        expected.into_iter().for_each(|(i, f)| near(found[i], f));
        near(scale, 1.2079441541679836);
    }

    #[test]
    fn a_factor_of_one_changes_nothing() {
        let plain = RopeTable::new(32, 1e4, 9);
        for scaling in [RopeScaling::Linear { factor: 1.0 }, yarn(1.0, 4096.0)] {
            assert_eq!(RopeTable::new(32, Rope { theta: 1e4, scaling }, 9).values(), plain.values(), "{scaling:?}");
        }
    }

    #[test]
    fn linear_scaling_is_a_slower_position() {
        let (plain, half) =
            (RopeTable::new(32, 1e4, 5), Rope { theta: 1e4, scaling: RopeScaling::Linear { factor: 2.0 } });
        assert_eq!(RopeTable::new(32, half, 9).at(8), plain.at(4));
    }
}
