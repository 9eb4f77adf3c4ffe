//! IQ4_NL: 32 weights in 18 bytes (ggml `block_iq4_nl`): `d` as f16, then nibbles that index sixteen values, which are
//! denser near 0.

use super::TensorType;
use super::nibbles::{Factor, Layout, NibbleFormat, Values};

/// IQ4_NL.
#[derive(Clone, Copy, Debug)]
pub struct IQ4NL;

/// The sixteen values (ggml `kvalues_iq4nl`), which IQ4_XS also uses.
pub(super) const VALUES: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

impl NibbleFormat for IQ4NL {
    const TYPE: TensorType = TensorType::IQ4_NL;
    const LAYOUT: Layout =
        Layout { factor: Factor::Half, minimum: None, high: None, quants: 2, values: Values::Table(&VALUES) };
    const USUAL: (f32, f32) = (3e-4, 0.0);
}
