//! The common structure of formats with 32 weights in nibbles: a factor, an optional minimum, an optional fifth bit of
//! each quant, and sixteen bytes whose low nibbles are the first half.

use super::{Tensor, TensorType, f16_le};
use crate::reference::Accumulator;
use half::f16;

/// The layout of a block.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The type of the factor.
    pub factor: Factor,
    /// Offset of the minimum, an f16.
    pub minimum: Option<usize>,
    /// Offset of the 32 fifth bits.
    pub high: Option<usize>,
    /// Offset of the nibbles.
    pub quants: usize,
    /// The values of quants.
    pub values: Values,
}

/// The factor of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Factor {
    /// An f16.
    Half,
    /// A byte `e`: `2^(e - 128)` (half of the OCP's E8M0 scale, because the values are twice E2M1's).
    Exponent,
}

impl Factor {
    /// Its size in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Factor::Half => 2,
            Factor::Exponent => 1,
        }
    }
}

/// The value of a quant.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// The quant minus this.
    Less(u8),
    /// An entry of a table.
    Table(&'static [i8; 16]),
}

/// A format of nibbles in blocks of 32.
pub trait NibbleFormat: Tensor + Copy + Send + Sync + 'static {
    /// The tensor type.
    const TYPE: TensorType;
    /// The block.
    const LAYOUT: Layout;
    /// Typical factor and minimum of trained weights.
    const USUAL: (f32, f32);
}

/// `2^(e - 128)`, exact, as bits.
pub const fn exponent_bits(e: u8) -> u32 {
    if e < 2 { 0x0020_0000 << e } else { (e as u32 - 1) << 23 }
}

impl Layout {
    /// The weights of a block in the accumulator's type: the contract's `d * q`, or with a minimum
    /// `fma(d, q, m)`. In f32 these are the contract's "Dequantization".
    #[inline(always)]
    pub fn weights<A: Accumulator>(&self, block: &[u8], out: &mut [A]) {
        let half = |at: usize| A::from_f32(f16_le([block[at], block[at + 1]]));
        let d = match self.factor {
            Factor::Half => half(0),
            Factor::Exponent => A::from_f32(f32::from_bits(exponent_bits(block[0]))),
        };
        let minimum = self.minimum.map(half);
        for (i, w) in out.iter_mut().enumerate() {
            let q = A::from_i32(i32::from(self.quant(block, i)));
            *w = match minimum {
                Some(m) => d.fma(q, m),
                None => d * q,
            };
        }
    }

    /// The multiple of the factor for weight `i`.
    #[inline(always)]
    fn quant(&self, block: &[u8], i: usize) -> i8 {
        let nibble = block[self.quants + i % 16] >> (i / 16 * 4) & 15;
        let high = self.high.map_or(0, |at| (block[at + i / 8] >> (i % 8) & 1) << 4);
        match self.values {
            Values::Less(less) => (nibble | high).wrapping_sub(less).cast_signed(),
            Values::Table(table) => table[usize::from(nibble)],
        }
    }

    /// Writes factors into a block of random bytes that are like those of trained weights.
    pub(super) fn set_factors(&self, (d, m): (f32, f32), block: &mut [u8], next: &mut dyn FnMut(f32) -> f16) {
        match self.factor {
            Factor::Half => block[..2].copy_from_slice(&next(d).to_le_bytes()),
            // A random power of two: the exponent's usual value, or one less or more.
            Factor::Exponent => block[0] = (128.0 + d.log2().round()) as u8 - 1 + block[0] % 3,
        }
        if let Some(at) = self.minimum {
            block[at..at + 2].copy_from_slice(&(-next(m)).to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_are_powers_of_two_down_to_the_subnormal_ones() {
        for (e, value) in [(0u8, -128), (1, -127), (2, -126), (128, 0), (254, 126)] {
            assert_eq!(f32::from_bits(exponent_bits(e)), 2f32.powi(value), "{e}");
        }
        assert!((0..=254).all(|e| f32::from_bits(exponent_bits(e)) * 2.0 == f32::from_bits(exponent_bits(e + 1))));
    }
}
