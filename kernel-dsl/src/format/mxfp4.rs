//! MXFP4: 32 weights in 17 bytes (ggml `block_mxfp4`, the OCP's microscaling format): a power of two as a byte, then
//! nibbles, which are E2M1 numbers. Blocks are not aligned.

use super::TensorType;
use super::nibbles::{Factor, Layout, NibbleFormat, Values};

/// MXFP4.
#[derive(Clone, Copy, Debug)]
pub struct MXFP4;

/// Twice E2M1's values.
static VALUES: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

impl NibbleFormat for MXFP4 {
    const TYPE: TensorType = TensorType::MXFP4;
    const LAYOUT: Layout =
        Layout { factor: Factor::Exponent, minimum: None, high: None, quants: 1, values: Values::Table(&VALUES) };
    const USUAL: (f32, f32) = (4e-3, 0.0);
}
