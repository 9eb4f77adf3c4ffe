//! Q5_1: 32 weights in 24 bytes (ggml `block_q5_1`): `d` and the minimum as f16, 32 fifth bits, then
//! nibbles.

use super::TensorType;
use super::nibbles::{Factor, Layout, NibbleFormat, Values};

/// Q5_1.
#[derive(Clone, Copy, Debug)]
pub struct Q5_1;

impl NibbleFormat for Q5_1 {
    const TYPE: TensorType = TensorType::Q5_1;
    const LAYOUT: Layout =
        Layout { factor: Factor::Half, minimum: Some(2), high: Some(4), quants: 8, values: Values::Less(0) };
    const USUAL: (f32, f32) = (2e-3, 3e-2);
}
