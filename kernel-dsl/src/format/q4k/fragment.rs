//! Q4_K for tensor cores: 32 bytes of quants are two times 32 weights.

use half::f16;
use ptxgen_builder::build::{Body, F16x2, Shared, Val};

use super::Q4K;
use crate::device::{Chunk, ChunkScales, FragmentFormat};

/// A lane's view of a block of a row.
#[derive(Clone, Copy)]
pub struct Row {
    factors: Val<u32>,
    /// Of sub-blocks 0 to 3 and 4 to 7, one byte each.
    scales: [Val<u32>; 2],
    minimums: [Val<u32>; 2],
    quants: Shared<u32>,
}

/// `(a & b) | c`.
const AND_OR: u8 = 0xea;

impl FragmentFormat for Q4K<'static> {
    type Row = Row;

    #[track_caller]
    fn row(k: &Body, block: Val<u32>, t: Val<u32>) -> Row {
        let header = Shared::<u32>::from_address(block);
        let [factors, s0, s1, s2] = header.load_vec(k);
        // Sub-blocks 4 to 7 have 4 bits in the last word and 2 bits above those of 0 to 3.
        let upper = |word: Val<u32>, nibbles: Val<u32>| {
            (word >> 2).lop3(Val::from(0x3030_3030u32), nibbles & 0x0f0f_0f0f, AND_OR)
        };
        Row {
            factors,
            scales: [s0 & 0x3f3f_3f3f, upper(s0, s2)],
            minimums: [s1 & 0x3f3f_3f3f, upper(s1, s2 >> 4)],
            quants: header.at(t).plus_bytes(Q4K::QUANTS as i64),
        }
    }

    #[track_caller]
    fn chunks(k: &Body, row: &Row, half: u32) -> [Chunk; 4] {
        let words: Vec<[Val<u32>; 2]> =
            (0..2).map(|i| [0, 4].map(|w| row.quants.plus(8 * (2 * half + i) + w).load(k))).collect();
        let scales = row.scales[half as usize];
        std::array::from_fn(|j| Chunk {
            words: words[j / 2].map(|w| if j % 2 == 0 { w & 0x0f0f_0f0f } else { (w >> 4) & 0x0f0f_0f0f }),
            scales: ChunkScales::One(scales.prmt(0u32, 0x4440 | j as u32).bitcast()),
        })
    }

    #[track_caller]
    fn minimums(_k: &Body, row: &Row, t: Val<u32>) -> Option<Val<u32>> {
        // The groups are 0, 2, 1, 3 of four, so the sub-blocks 2t and 2t + 1, and once more.
        let [low, high] = row.minimums;
        let word = high.select(t.ge(2), low);
        Some(word.prmt(0u32, Val::from(0x3232u32).select((t & 1).ne(0), 0x1010)))
    }

    #[track_caller]
    fn factors(_k: &Body, row: &Row) -> (Val<f16>, Option<Val<f16>>) {
        let (d, dmin) = row.factors.bitcast::<F16x2>().split();
        (d, Some(dmin))
    }
}
