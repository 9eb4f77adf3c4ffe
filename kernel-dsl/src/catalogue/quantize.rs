//! `quantize-q8k`: f32 activations to Q8_K.

use ptxgen_builder::build::{Body, Global, In, Out, ReadOnly, Val};

use super::contents::Vector;
use super::error::CatalogueError;
use super::limits::refuse_if;
use super::stage::{Block, Resources, Stage};
use crate::device::{self, pass};
use crate::format::{Q8KPlanar, SUPERBLOCK};
use crate::precision::ActQ8K;

/// The parameters: the vectors of activations, one after the other, and the
/// bytes of as many [`Q8KPlanar`] vectors.
pub type QuantizeArgs = (In<f32>, Out<Vector<ActQ8K>>);

/// The same with the [pass](crate::device::pass) between them.
pub type QuantizePassArgs = (In<f32>, In<u32>, Out<Vector<ActQ8K>>);

/// Warps of a block of threads, a superblock each.
const WARPS: u32 = 4;

/// The size of vectors, and how many of them there are.
#[derive(Clone, Copy)]
struct Vectors {
    cols: u32,
    count: u32,
}

impl Vectors {
    fn new(kernel: &'static str, cols: u32, count: u32) -> Result<Vectors, CatalogueError> {
        refuse_if(
            cols == 0 || !cols.is_multiple_of(SUPERBLOCK as u32) || cols > 1 << 24,
            kernel,
            "cols",
            cols,
            "a multiple of 256, up to 16,777,216",
        )?;
        refuse_if(count == 0 || count > 65_535, kernel, "tokens * used", count, "1 to 65,535")?;
        Ok(Vectors { cols, count })
    }

    /// Superblocks of a vector.
    fn blocks(&self) -> u32 {
        self.cols / SUPERBLOCK as u32
    }

    /// A vector's superblocks are divided over x, the vectors over y.
    fn resources(&self) -> Resources {
        Resources::new([self.blocks().div_ceil(WARPS), self.count, 1], WARPS * 32)
    }

    /// Emits a block.
    #[track_caller]
    fn write(&self, k: &Body, (x, y): (ReadOnly<f32>, Global<u8>), place: Block) {
        let layout = Q8KPlanar::new(self.cols as usize);
        let thread = k.thread_x();
        let block = place.x(k) * WARPS + (thread >> 5);
        k.if_(block.lt(self.blocks()), |k| {
            let (x, y) = match self.count {
                1 => (x, y),
                _ => {
                    let vector: Val<u32> = place.y(k);
                    let y = Global::from_address(vector.mad_wide(layout.bytes() as u32, y.address()));
                    (ReadOnly::from_address(vector.mad_wide(self.cols * 4, x.address())), y)
                }
            };
            device::quantize_q8k(k, &layout, x, y, block, thread & 31);
        });
    }
}

/// Quantizes `count` vectors of `cols` activations into [`Q8KPlanar`] vectors, a
/// warp to a superblock: the contract's "Q8_K quantization of activations".
///
/// # Errors
/// If `cols` is not a multiple of 256, or there are no vectors.
pub fn quantize_q8k(name: &'static str, cols: u32, count: u32) -> Result<Stage<QuantizeArgs>, CatalogueError> {
    let vectors = Vectors::new(name, cols, count)?;
    let entry = match count {
        1 => format!("quantize_q8k_{cols}"),
        _ => format!("quantize_q8k_{count}x{cols}"),
    };
    Stage::<QuantizeArgs>::new(name, (&entry, ["x", "y"]), vectors.resources(), move |k, io, block| {
        vectors.write(k, io, block)
    })
}

/// The same for the tokens of a pass, up to `tokens`, with `each` vectors to a token.
///
/// # Errors
/// As [`quantize_q8k`].
pub fn quantize_q8k_pass(
    name: &'static str,
    cols: u32,
    (tokens, each): (u32, u32),
) -> Result<Stage<QuantizePassArgs>, CatalogueError> {
    let vectors = Vectors::new(name, cols, tokens.saturating_mul(each))?;
    let entry = format!("quantize_q8k_{tokens}x{each}x{cols}");
    let names = ["x", "state", "y"];
    Stage::<QuantizePassArgs>::new(name, (&entry, names), vectors.resources(), move |k, (x, state, y), block| {
        let here = pass::tokens(k, state, tokens) * each;
        let vector = block.y(k);
        k.if_(vector.lt(here), |k| vectors.write(k, (x, y), block));
    })
}
