//! Q4_0: 32 weights in 18 bytes (ggml `block_q4_0`): `d` as f16, then nibbles, from which 8 is subtracted.

use super::TensorType;
use super::nibbles::{Factor, Layout, NibbleFormat, Values};

/// Q4_0.
#[derive(Clone, Copy, Debug)]
pub struct Q4_0;

impl NibbleFormat for Q4_0 {
    const TYPE: TensorType = TensorType::Q4_0;
    const LAYOUT: Layout =
        Layout { factor: Factor::Half, minimum: None, high: None, quants: 2, values: Values::Less(8) };
    const USUAL: (f32, f32) = (4e-3, 0.0);
}
