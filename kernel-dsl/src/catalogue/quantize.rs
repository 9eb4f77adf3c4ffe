//! `quantize-q8k`: f32 activations to Q8_K.

use ptxgen_builder::build::{In, Out, kernel};

use super::schedule::{CatalogueError, Launchable};
use crate::device;
use crate::format::{Q8KPlanar, SUPERBLOCK};

/// The parameters: the activations, and the bytes of a [`Q8KPlanar`] vector.
pub type QuantizeArgs = (In<f32>, Out<u8>);

/// Quantizes a vector of `cols` activations into a [`Q8KPlanar`] vector, a
/// warp to a superblock: the contract's "Q8_K quantization of activations".
///
/// # Errors
/// If `cols` is not a multiple of 256.
pub fn quantize_q8k(name: &'static str, cols: u32) -> Result<Launchable<QuantizeArgs>, CatalogueError> {
    if cols == 0 || !cols.is_multiple_of(SUPERBLOCK as u32) || cols > 1 << 24 {
        let expected = "a multiple of 256, up to 16,777,216";
        return Err(CatalogueError::Shape { kernel: name, dimension: "cols", found: u64::from(cols), expected });
    }
    let (blocks, warps) = (cols / SUPERBLOCK as u32, 4);
    let kernel = kernel::<QuantizeArgs>(&format!("quantize_q8k_{cols}"), ["x", "y"], |k, (x, y)| {
        let thread = k.thread_x();
        let block = k.block_x() * warps + (thread >> 5);
        k.if_(block.lt(blocks), |k| {
            device::quantize_q8k(k, &Q8KPlanar::new(cols as usize), x, y, block, thread & 31);
        });
    });
    Ok(Launchable::new(kernel, [blocks.div_ceil(warps), 1, 1], warps * 32))
}
