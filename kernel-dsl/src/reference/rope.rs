//! The contract's "QK-norm and RoPE".

use super::{Accumulator, rms_norm};

/// Cosines and sines of a range of positions, as f32 computed in f64 by the `libm` crate.
#[derive(Clone, Debug)]
pub struct RopeTable {
    half: usize,
    /// For position p: `half` cosines, then `half` sines.
    values: Vec<f32>,
}

impl RopeTable {
    /// The table of positions 0..`positions` for heads of `head_dim` (even) values:
    /// `angle = pos * theta^(-2i/head_dim)`.
    pub fn new(head_dim: usize, theta: f64, positions: usize) -> Self {
        let half = head_dim / 2;
        let inverse: Vec<f64> = (0..half).map(|i| libm::pow(theta, -((2 * i) as f64) / head_dim as f64)).collect();
        let mut values = Vec::with_capacity(positions * 2 * half);
        for pos in 0..positions {
            values.extend(inverse.iter().map(|inv| libm::cos(pos as f64 * inv) as f32));
            values.extend(inverse.iter().map(|inv| libm::sin(pos as f64 * inv) as f32));
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

    /// The whole table, [positions, 2, head_dim / 2]: what a device gets.
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
