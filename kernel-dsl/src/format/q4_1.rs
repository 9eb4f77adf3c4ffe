//! Q4_1: 32 weights in 20 bytes (ggml `block_q4_1`): `d` and the minimum as f16, then nibbles.

use super::TensorType;
use super::nibbles::{Factor, Layout, NibbleFormat, Values};

/// Q4_1.
#[derive(Clone, Copy, Debug)]
pub struct Q4_1;

impl NibbleFormat for Q4_1 {
    const TYPE: TensorType = TensorType::Q4_1;
    const LAYOUT: Layout =
        Layout { factor: Factor::Half, minimum: Some(2), high: None, quants: 4, values: Values::Less(0) };
    const USUAL: (f32, f32) = (4e-3, 3e-2);
}
