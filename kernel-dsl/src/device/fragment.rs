//! Blocks of weights as the tensor cores' left operand.
//!
//! In `mma.m16n8k32` a warp has 16 rows of weights and 8 vectors of activations. Lane `4g + t` has rows
//! `g` and `g + 8`; of 32 weights of a row, the four from `4t` on and the four from `16 + 4t` on.

use half::f16;
use ptxgen_builder::build::{Body, Val};

use super::{Coded, DeviceFloat, DeviceFormat, IntegerSums, LaneOrder};

/// A lane's part of 32 consecutive weights of a row, as integers.
#[derive(Clone)]
pub struct Chunk {
    /// Four weights from `4t` on, and four from `16 + 4t` on, as signed bytes.
    pub words: [Val<u32>; 2],
    /// What the integers are multiplied by.
    pub scales: ChunkScales,
}

/// The integer scales of 32 weights.
#[derive(Clone)]
pub enum ChunkScales {
    /// One for all.
    One(Val<i32>),
    /// One for each 16.
    Two([Val<i32>; 2]),
}

/// A block format with an integer product as tensor cores take it: all that a kernel of tiles asks of a format. Lane `t`
/// below is the lane's place among the four that have a row.
pub trait FragmentFormat: DeviceFormat {
    /// Whether there are such kernels of it; the rest of a format without is never called.
    const HAS_FRAGMENTS: bool = true;
    /// What a lane keeps of a block of a row.
    type Row: Copy;

    /// The block at an address in shared memory; 16 bytes after it may be read, too.
    fn row(k: &Body, block: Val<u32>, t: Val<u32>) -> Self::Row;

    /// The lane's parts of the four times 32 weights of half `half` of the block.
    fn chunks(k: &Body, row: &Self::Row, half: u32) -> [Chunk; 4];

    /// For formats with minimums, four of them as bytes: those of the groups of 16 whose sums of activations stand
    /// from `4t` on in a [`Q8KPlanar`](crate::format::Q8KPlanar) vector.
    fn minimums(k: &Body, row: &Self::Row, t: Val<u32>) -> Option<Val<u32>>;

    /// The scales of scales and of minimums.
    fn factors(k: &Body, row: &Self::Row) -> (Val<f16>, Option<Val<f16>>);
}

impl IntegerSums {
    /// The block's term from its whole sums, the scales of scales and of minimums, and the activations' scale.
    #[track_caller]
    pub fn term<A: DeviceFloat>(self, d: Val<f16>, dmin: Option<Val<f16>>, d_x: Val<f32>) -> Val<A> {
        use ptxgen_builder::build::Rounding::NearestEven;
        let d_x = A::widen(d_x);
        let scaled = A::product(A::of_half(d), d_x);
        match self.b.zip(dmin) {
            Some((b, dmin)) => {
                let minimum = A::product(A::product(A::of_half(dmin), d_x), A::of_int(b));
                let rest = A::negated(minimum);
                scaled.fma_rounded(A::of_int(self.a), rest, NearestEven)
            }
            None => A::product(scaled, A::of_int(self.a)),
        }
    }
}

/// The formats of integers have no kernels of tiles yet.
impl<L: LaneOrder> FragmentFormat for Coded<L> {
    const HAS_FRAGMENTS: bool = false;
    type Row = ();

    fn row(_k: &Body, _block: Val<u32>, _t: Val<u32>) {
        unreachable!("there are no fragments")
    }

    fn chunks(_k: &Body, _row: &(), _half: u32) -> [Chunk; 4] {
        unreachable!("there are no fragments")
    }

    fn minimums(_k: &Body, _row: &(), _t: Val<u32>) -> Option<Val<u32>> {
        unreachable!("there are no fragments")
    }

    fn factors(_k: &Body, _row: &()) -> (Val<f16>, Option<Val<f16>>) {
        unreachable!("there are no fragments")
    }
}
