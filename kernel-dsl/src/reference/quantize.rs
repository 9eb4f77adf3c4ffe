//! The contract's "Q8_K quantization of activations".

use crate::format::{Q8KBlock, SUPERBLOCK};

/// Rounds 256 activations to a Q8_K block (ggml `quantize_row_q8_K_ref`).
pub fn quantize_q8k(x: &[f32; SUPERBLOCK]) -> Q8KBlock {
    let (mut largest, mut x_max) = (0.0, 0.0);
    for &v in x {
        if v.abs() > largest {
            (largest, x_max) = (v.abs(), v);
        }
    }
    if x_max == 0.0 {
        return Q8KBlock::ZERO;
    }
    let s = -127.0 / x_max;
    // `as i8` turns NaN into 0; the clamp comes first, so it cannot saturate elsewhere.
    let q = x.map(|v| (s * v).round_ties_even().clamp(-128.0, 127.0) as i8);
    let sums = std::array::from_fn(|j| q[16 * j..16 * j + 16].iter().map(|&q| i16::from(q)).sum());
    Q8KBlock { q, sums, d: 1.0 / s }
}
