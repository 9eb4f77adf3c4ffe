//! `dequantize-q4k` and `dequantize-q6k`: weights as f32.

use half::f16;
use ptxgen_builder::build::{Body, In, Out, ReadOnly, Val};

use super::contents::Blocks;
use super::error::CatalogueError;
use super::limits::refuse_if;
use super::stage::{Resources, Stage};
use crate::format::{Q4K, Q6K, Tensor};

/// A format whose blocks a kernel can write out as f32.
pub trait Dequantize: Tensor {
    /// Bytes of a block.
    const BLOCK_BYTES: u32;

    /// Eight consecutive weights of a block, from `8 * part` on.
    fn eight(k: &Body, block: ReadOnly<u8>, part: Val<u32>) -> [Val<f32>; 8];
}

/// A byte as an integer.
#[track_caller]
fn byte(k: &Body, at: ReadOnly<u8>) -> Val<u32> {
    at.load_extended(k).bitcast()
}

#[track_caller]
fn half(k: &Body, at: ReadOnly<u8>) -> Val<f32> {
    at.cast::<f16>().load(k).to()
}

#[track_caller]
fn float(v: Val<u32>) -> Val<f32> {
    v.to_rn()
}

impl Dequantize for Q4K<'static> {
    const BLOCK_BYTES: u32 = Q4K::BYTES as u32;

    #[track_caller]
    fn eight(k: &Body, block: ReadOnly<u8>, part: Val<u32>) -> [Val<f32>; 8] {
        let (d, dmin) = (half(k, block), half(k, block.plus(2)));
        let j = part >> 2;
        let scales = block.plus(Q4K::SCALES as i64).byte_at(j & 3);
        let (s, m) = (byte(k, scales), byte(k, scales.plus(4)));
        let mixed = byte(k, scales.plus(8));
        // Sub-blocks 4 to 7: four bits here, two bits on top of a low one's.
        let late = j.ge(4);
        let scale = ((mixed & 15) | ((s >> 6) << 4)).select(late, s & 63);
        let minimum = ((mixed >> 4) | ((m >> 6) << 4)).select(late, m & 63);
        let (scale, minimum) = (d * float(scale), -(dmin * float(minimum)));
        let quants = block.plus(Q4K::QUANTS as i64).byte_at((part >> 3) * 32 + (part & 3) * 8);
        let words: [Val<u32>; 2] = quants.cast::<u32>().load_vec(k);
        let shift = (j & 1) << 2;
        std::array::from_fn(|i| {
            let q = (words[i / 4] >> (shift + 8 * (i as u32 % 4))) & 15;
            scale.fma(float(q), minimum)
        })
    }
}

impl Dequantize for Q6K<'static> {
    const BLOCK_BYTES: u32 = Q6K::BYTES as u32;

    #[track_caller]
    fn eight(k: &Body, block: ReadOnly<u8>, part: Val<u32>) -> [Val<f32>; 8] {
        let d = half(k, block.plus(Q6K::D as i64));
        let scale = block.plus(Q6K::SCALES as i64).byte_at(part >> 1).cast::<i8>().load_extended(k);
        let scale: Val<f32> = d * scale.to_rn::<f32>();
        let (half_block, quarter) = (part >> 4, (part >> 2) & 3);
        let place = (part & 3) * 8;
        let low = block.byte_at(half_block * 64 + (quarter & 1) * 32 + place).cast::<u16>();
        let high = block.plus(Q6K::HIGH as i64).byte_at(half_block * 32 + place).cast::<u16>();
        let mut q = Vec::with_capacity(8);
        for i in 0..4 {
            let nibbles: Val<u32> = low.plus(i).load_extended(k).bitcast::<u32>() >> ((quarter >> 1) << 2);
            let bits: Val<u32> = high.plus(i).load_extended(k).bitcast::<u32>() >> (quarter << 1);
            for shift in [0u32, 8] {
                q.push(((nibbles >> shift) & 15) | (((bits >> shift) & 3) << 4));
            }
        }
        std::array::from_fn(|i| scale * (q[i].bitcast::<i32>() - 32).to_rn::<f32>())
    }
}

/// The parameters: blocks of the format, and 256 f32 for each.
pub type DequantizeArgs<F> = (In<Blocks<F>>, Out<f32>);

/// Writes out `blocks` blocks as f32, a warp to a block: the contract's
/// "Dequantization".
///
/// # Errors
/// If there are no blocks.
pub fn dequantize<F: Dequantize>(name: &'static str, blocks: u32) -> Result<Stage<DequantizeArgs<F>>, CatalogueError> {
    refuse_if(blocks == 0 || blocks > 1 << 22, name, "superblocks", blocks, "1 to 4,194,304 superblocks")?;
    let warps = 8;
    let entry = format!("{}_{blocks}", name.replace('-', "_"));
    let resources = Resources::new([blocks.div_ceil(warps), 1, 1], warps * 32);
    Stage::<DequantizeArgs<F>>::new(name, (&entry, ["w", "y"]), resources, move |k, (w, y), place| {
        let thread = k.thread_x();
        let block = place.x(k) * warps + (thread >> 5);
        k.if_(block.lt(blocks), |k| {
            let part = thread & 31;
            let at = w.byte_at(block * F::BLOCK_BYTES);
            let [a, b, c, d, e, f, g, h] = F::eight(k, at, part);
            let out = y.at(block * 256 + part * 8);
            out.store_vec(k, [a, b, c, d]);
            out.plus(4).store_vec(k, [e, f, g, h]);
        });
    })
}
