//! `embedding`: the rows of a pass's tokens as f32.

use half::{bf16, f16};
use ptxgen_builder::build::{Body, F16x2, In, Out, ReadOnly, Val};

use super::contents::Blocks;
use super::dequantize::Dequantize;
use super::error::CatalogueError;
use super::limits::refuse_if;
use super::schedule::Shape;
use super::stage::{Resources, Stage};
use crate::device::{DeviceIntegers, DevicePlain, GroupAt, LaneOrder};
use crate::format::{IntegerFormat, NibbleFormat, Q4K, Q6K, Q8_0, SUPERBLOCK, Tensor, TensorType, for_each_type};

/// The parameters: the table, row by row in its format; a token's number for
/// each row wanted, below the table's rows; the rows, f32.
pub type EmbeddingArgs<F> = (In<Blocks<F>>, In<u32>, Out<f32>);

/// A format whose rows a kernel can write out as f32.
pub trait EmbeddingRow: Tensor {
    /// The format.
    const TYPE: TensorType;

    /// How many weights a thread has, a multiple of 4 that divides the format's block, if that is not a single weight.
    const SHARE: u32 = 8;

    /// The weights that thread `index` of a row has: the contract's "Dequantization".
    fn share(k: &Body, row: ReadOnly<u8>, index: Val<u32>) -> Vec<Val<f32>>;

    /// Where the first of them is in the row.
    #[track_caller]
    fn first(index: Val<u32>) -> Val<u32> {
        index * Self::SHARE
    }

    /// How far weight `i` of them, a multiple of 4, and the three after it are after the first.
    fn place(i: u32) -> u32 {
        i
    }
}

/// The same for blocks of 256.
#[track_caller]
fn of_superblock<F: Dequantize>(k: &Body, row: ReadOnly<u8>, index: Val<u32>) -> Vec<Val<f32>> {
    F::eight(k, row.byte_at((index >> 5) * F::BLOCK_BYTES), index & 31).to_vec()
}

macro_rules! of_blocks {
    ($($name:ident $id:literal $len:literal $bytes:literal $module:ident::$format:ident $kind:ident, $doc:literal;)*) => {
        $(of_blocks!(@ $kind $format);)*
    };
    // A lane's share of a superblock of integers.
    (@ integers $format:ident) => {
        impl EmbeddingRow for crate::format::$format {
            const TYPE: TensorType = <Self as IntegerFormat>::TYPE;
            const SHARE: u32 = 64;

            #[track_caller]
            fn share(k: &Body, row: ReadOnly<u8>, index: Val<u32>) -> Vec<Val<f32>> {
                let block = row.byte_at((index >> 2) * <Self as IntegerFormat>::TYPE.block_bytes() as u32);
                let own = <Self as DeviceIntegers>::share(k, block, index & 3);
                let factors = Self::factors(k, &own, 0);
                Self::lane(k, &own, 0).weights::<f32>(factors).concat()
            }

            #[track_caller]
            fn first(index: Val<u32>) -> Val<u32> {
                let group = <Self as DeviceIntegers>::Order::first_group(index & 3);
                (index >> 2) * SUPERBLOCK as u32 + group * 16
            }

            fn place(i: u32) -> u32 {
                <Self as DeviceIntegers>::Order::GROUPS[i as usize / 16] * 16 + i % 16
            }
        }
    };
    // Half a block of nibbles.
    (@ nibbles $format:ident) => {
        impl EmbeddingRow for crate::format::$format {
            const TYPE: TensorType = <Self as NibbleFormat>::TYPE;
            const SHARE: u32 = 16;

            #[track_caller]
            fn share(k: &Body, row: ReadOnly<u8>, index: Val<u32>) -> Vec<Val<f32>> {
                let at = GroupAt { row, group: index, cols: SUPERBLOCK as u32, here: None };
                Self::group::<_, f32>(k, &at).to_vec()
            }
        }
    };
    (@ $kind:ident $format:ident) => {};
}

for_each_type!(of_blocks);

impl EmbeddingRow for Q4K<'static> {
    const TYPE: TensorType = TensorType::Q4_K;
    #[track_caller]
    fn share(k: &Body, row: ReadOnly<u8>, index: Val<u32>) -> Vec<Val<f32>> {
        of_superblock::<Self>(k, row, index)
    }
}

impl EmbeddingRow for Q6K<'static> {
    const TYPE: TensorType = TensorType::Q6_K;
    #[track_caller]
    fn share(k: &Body, row: ReadOnly<u8>, index: Val<u32>) -> Vec<Val<f32>> {
        of_superblock::<Self>(k, row, index)
    }
}

impl EmbeddingRow for Q8_0<'static> {
    const TYPE: TensorType = TensorType::Q8_0;
    #[track_caller]
    fn share(k: &Body, row: ReadOnly<u8>, index: Val<u32>) -> Vec<Val<f32>> {
        let block = row.byte_at((index >> 2) * Q8_0::BYTES as u32);
        let d: Val<f32> = block.cast::<f16>().load(k).to();
        // Blocks are 2-byte aligned.
        let quants = block.byte_at((index & 3) * 8).plus(2).cast::<u16>();
        let pairs: [Val<i32>; 4] = std::array::from_fn(|i| quants.plus(i as i64).load_extended(k));
        (0..8).map(|i: usize| d * pairs[i / 2].bfe(8 * (i as u32 % 2), 8).to_rn::<f32>()).collect()
    }
}

impl EmbeddingRow for f32 {
    const TYPE: TensorType = TensorType::F32;
    #[track_caller]
    fn share(k: &Body, row: ReadOnly<u8>, index: Val<u32>) -> Vec<Val<f32>> {
        let at = row.cast::<f32>().at(index * 8);
        let (a, b): ([_; 4], [_; 4]) = (at.load_vec(k), at.plus(4).load_vec(k));
        [a, b].concat()
    }
}

impl EmbeddingRow for f16 {
    const TYPE: TensorType = TensorType::F16;
    #[track_caller]
    fn share(k: &Body, row: ReadOnly<u8>, index: Val<u32>) -> Vec<Val<f32>> {
        let words: [Val<u32>; 4] = row.cast::<u32>().at(index * 4).load_vec(k);
        let pairs = words.map(|w| w.bitcast::<F16x2>().split());
        (0..8).map(|i: usize| if i.is_multiple_of(2) { pairs[i / 2].0.to() } else { pairs[i / 2].1.to() }).collect()
    }
}

impl EmbeddingRow for bf16 {
    const TYPE: TensorType = TensorType::BF16;
    #[track_caller]
    fn share(k: &Body, row: ReadOnly<u8>, index: Val<u32>) -> Vec<Val<f32>> {
        let words: [Val<u32>; 4] = row.cast::<u32>().at(index * 4).load_vec(k);
        // A bf16 is the upper half of an f32.
        let value = |i: usize| match i % 2 {
            0 => (words[i / 2] << 16).bitcast(),
            _ => (words[i / 2] & 0xffff_0000).bitcast(),
        };
        (0..8).map(value).collect()
    }
}

/// Writes the rows of `tokens` tokens of a table as f32. The tokens' numbers
/// are read from device memory and not checked.
///
/// # Errors
/// If rows are not whole blocks of the format, or of 8.
pub fn embedding<F: EmbeddingRow>(
    name: &'static str,
    table: Shape,
    tokens: u32,
) -> Result<Stage<EmbeddingArgs<F>>, CatalogueError> {
    let Shape { rows, cols } = table;
    let multiple = (F::TYPE.block_len() as u32).max(8);
    refuse_if(
        cols == 0 || !cols.is_multiple_of(multiple) || cols > 1 << 20,
        name,
        "cols",
        cols,
        "whole blocks of the format, a multiple of 8, up to 1,048,576",
    )?;
    refuse_if(rows == 0, name, "rows", rows, "at least 1")?;
    refuse_if(
        tokens == 0 || tokens > 65_535 || u64::from(tokens) * u64::from(cols) > u64::from(u32::MAX),
        name,
        "tokens",
        tokens,
        "1 to 65,535, and tokens * cols below 2^32",
    )?;
    let row_bytes = cols / F::TYPE.block_len() as u32 * F::TYPE.block_bytes() as u32;
    let threads = 128;
    let entry = format!("embedding_{}_{tokens}x{cols}", F::TYPE.name().to_lowercase());
    let resources = Resources::new([(cols / F::SHARE).div_ceil(threads), tokens, 1], threads);
    Stage::<EmbeddingArgs<F>>::new(
        name,
        (&entry, ["table", "tokens", "x"]),
        resources,
        move |k, (table, ids, x), block| {
            let (index, token) = (block.global_thread(k), block.y(k));
            k.if_(index.lt(cols / F::SHARE), |k| {
                let id = ids.at(token).load(k);
                let row = ReadOnly::<u8>::from_address(table.address() + id.mul_wide(row_bytes));
                let weights = F::share(k, row, index);
                let out = x.at(token * cols + F::first(index));
                for (i, four) in (0..).step_by(4).zip(weights.as_chunks::<4>().0) {
                    out.plus(F::place(i)).store_vec(k, *four);
                }
            });
        },
    )
}
