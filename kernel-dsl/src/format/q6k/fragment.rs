//! Q6_K for tensor cores. Blocks are only 2-byte aligned, so words are assembled from two aligned ones.

use half::f16;
use ptxgen_builder::build::{Body, Shared, Val};

use super::Q6K;
use crate::device::{Chunk, ChunkScales, FragmentFormat};

/// A lane's view of a block of a row.
#[derive(Clone, Copy)]
pub struct Row {
    /// The block's first word, or the half word before it.
    words: Shared<u32>,
    /// The same from the lane's word on.
    own: Shared<u32>,
    /// `prmt` selector of the four bytes wanted from two words.
    select: Val<u32>,
    d: Shared<f16>,
}

/// `(a & b) | c`.
const AND_OR: u8 = 0xea;

/// The upper bit of each byte.
const SIGNS: u32 = 0x8080_8080;

impl Row {
    /// `n` words from byte `offset` on, a multiple of 4.
    #[track_caller]
    fn words<const N: usize>(&self, k: &Body, at: Shared<u32>, offset: usize) -> [Val<u32>; N] {
        let at = at.plus_bytes(offset as i64);
        let words: Vec<Val<u32>> = (0..=N).map(|i| at.plus(i as i64).load(k)).collect();
        std::array::from_fn(|i| words[i].prmt(words[i + 1], self.select))
    }

    /// Subtracts 32 from each byte, for bytes below 64, as signed bytes.
    #[track_caller]
    fn signed(quants: Val<u32>) -> Val<u32> {
        ((quants | SIGNS) - 0x2020_2020u32) ^ SIGNS
    }
}

impl FragmentFormat for Q6K<'static> {
    type Row = Row;

    #[track_caller]
    fn row(_k: &Body, block: Val<u32>, t: Val<u32>) -> Row {
        let words = Shared::<u32>::from_address(block & !3u32);
        Row {
            words,
            own: words.at(t),
            select: Val::from(0x5432u32).select((block & 2).ne(0), 0x3210),
            d: Shared::<f16>::from_address(block).plus_bytes(Q6K::D as i64),
        }
    }

    #[track_caller]
    fn chunks(k: &Body, row: &Row, half: u32) -> [Chunk; 4] {
        let half = half as usize;
        let one = |offset: usize| row.words::<1>(k, row.own, offset)[0];
        // Of each 16 bytes the lane's word: low and high nibbles of 64 bytes, upper bits of 32.
        let nibbles: [Val<u32>; 4] = std::array::from_fn(|i| one(64 * half + 16 * i));
        let upper: [Val<u32>; 2] = std::array::from_fn(|i| one(Q6K::HIGH + 32 * half + 16 * i));
        let scales: [Val<u32>; 2] = row.words(k, row.words, Q6K::SCALES + 8 * half);
        std::array::from_fn(|j| Chunk {
            words: std::array::from_fn(|w| {
                let low = nibbles[2 * (j % 2) + w];
                let low = if j < 2 { low } else { low >> 4 };
                let high = match j {
                    0 => upper[w] << 4,
                    1 => upper[w] << 2,
                    2 => upper[w],
                    _ => upper[w] >> 2,
                };
                Row::signed(low.lop3(Val::from(0x0f0f_0f0fu32), high & 0x3030_3030, AND_OR))
            }),
            scales: ChunkScales::Two(std::array::from_fn(|w| {
                // Eight more in a selector's digit is the byte's sign.
                let byte = 2 * (j as u32 % 2) + w as u32;
                scales[j / 2].prmt(0u32, ((byte | 8) * 0x1110) | byte).bitcast()
            })),
        })
    }

    #[track_caller]
    fn minimums(_k: &Body, _row: &Row, _t: Val<u32>) -> Option<Val<u32>> {
        None
    }

    #[track_caller]
    fn factors(k: &Body, row: &Row) -> (Val<f16>, Option<Val<f16>>) {
        (row.d.load(k), None)
    }
}
