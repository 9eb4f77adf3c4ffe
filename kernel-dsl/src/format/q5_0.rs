//! Q5_0: 32 weights in 22 bytes (ggml `block_q5_0`): `d` as f16, 32 fifth bits, then nibbles; 16 is
//! subtracted.

use super::TensorType;
use super::nibbles::{Factor, Layout, NibbleFormat, Values};

/// Q5_0.
#[derive(Clone, Copy, Debug)]
pub struct Q5_0;

impl NibbleFormat for Q5_0 {
    const TYPE: TensorType = TensorType::Q5_0;
    const LAYOUT: Layout =
        Layout { factor: Factor::Half, minimum: None, high: Some(2), quants: 6, values: Values::Less(16) };
    const USUAL: (f32, f32) = (2e-3, 0.0);
}
