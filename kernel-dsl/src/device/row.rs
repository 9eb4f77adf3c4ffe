//! Rows of a matrix divided over the lanes of a warp, and their sums.

use ptxgen_builder::build::{Body, Ptr, ReadSpace, Shared, Val};

use super::{DeviceFloat, Points, Q8KShare};
use crate::format::Tensor;

/// A block in shared memory as a lane sees it: its share's place in the first
/// block of the row, and the constant bytes from there to this block.
#[derive(Clone, Copy)]
pub struct BlockAt<B> {
    /// The lane's share of the first block.
    pub base: B,
    /// Bytes to the block.
    pub offset: u32,
}

/// The integer sums of the contract's act = q8k, over a lane's share of a block.
#[derive(Clone, Copy)]
pub struct IntegerSums {
    /// `S_A`.
    pub a: Val<i32>,
    /// `S_B`, for formats with minimums.
    pub b: Option<Val<i32>>,
}

/// A block format as kernels decode it: a block is divided among a few lanes.
pub trait DeviceFormat: Tensor + Copy + Send + Sync {
    /// Lanes that share a block.
    const LANES: u32;
    /// The groups of 16 weights in a lane's share, counted from its first.
    const GROUPS: &'static [u32];
    /// The distances, in lanes, at which a lane's [partial
    /// sums](Self::group_sums) go on in the contract's `Tree(c; 2, 4, 8, 1)`; after
    /// them the lane's own are summed.
    const TREE: &'static [u32];
    /// Bytes between the staged activations of two blocks beyond their own, so
    /// that the lanes of two blocks read different banks.
    const BANK_SHIFT: u32;
    /// Where a lane's share of a block lies.
    type Base: Copy;

    /// The format's code book, if it has one: kernels copy it to shared memory.
    fn grid() -> Option<Points> {
        None
    }

    /// Bytes of a block.
    fn block_bytes() -> u32 {
        Self::tensor_type().block_bytes() as u32
    }

    /// The first group of 16 of lane `lane` (below [`LANES`](Self::LANES)).
    fn first_group(lane: Val<u32>) -> Val<u32>;

    /// The lane's share of the block at an address in shared memory; with the staged [code book](Self::grid).
    fn base(k: &Body, address: Val<u32>, lane: Val<u32>, grid: Option<Shared<u32>>) -> Self::Base;

    /// The words with the sums of the lane's groups, g and g + 2 in each, of the
    /// block whose eight words begin at `at`. Lanes together read whole sectors.
    fn sum_words<S: ReadSpace>(k: &Body, at: Ptr<S, u32>, lane: Val<u32>) -> Vec<Val<u32>>;

    /// The lane's activations in the order in which [`integer_sums`](Self::integer_sums) takes them.
    #[track_caller]
    fn arranged(x: Q8KShare) -> Q8KShare {
        x
    }

    /// The lane's part of the integer sums.
    fn integer_sums(k: &Body, block: BlockAt<Self::Base>, x: &Q8KShare) -> IntegerSums;

    /// The block's term from its whole sums and the activations' scale.
    fn integer_term<A: DeviceFloat>(k: &Body, block: BlockAt<Self::Base>, sums: IntegerSums, d_x: Val<f32>) -> Val<A>;

    /// The lane's part of the tree over chains, with f32 activations: `x` has
    /// 16 values for each of [`GROUPS`](Self::GROUPS). One or two sums.
    fn group_sums<A: DeviceFloat>(k: &Body, block: BlockAt<Self::Base>, x: &[[Val<A>; 16]]) -> Vec<Val<A>>;
}

/// How a warp's lanes are divided: some on a block, some such groups on a
/// row, and the rows that are left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LaneGroups {
    /// Lanes on a block.
    pub per_block: u32,
    /// Groups of lanes on a row, a power of two.
    pub per_row: u32,
    /// Blocks of a row.
    pub blocks: u32,
}

/// A lane's place in [`LaneGroups`].
#[derive(Clone, Copy)]
pub struct Group {
    /// In the group on a block.
    pub lane: Val<u32>,
    /// The group's place in the row: it takes blocks `group`, `group +
    /// per_row`, ...
    pub group: Val<u32>,
    /// The row, among those that the warp works on at once.
    pub row: Val<u32>,
}

impl LaneGroups {
    /// Rows that a warp works on at once.
    pub fn rows(&self) -> u32 {
        32 / (self.per_block * self.per_row)
    }

    /// Blocks that a group takes, the last perhaps missing in some groups.
    pub fn steps(&self) -> u32 {
        self.blocks.div_ceil(self.per_row)
    }

    /// Groups that have a block in the last step.
    pub(super) fn in_last_step(&self) -> u32 {
        self.blocks - (self.steps() - 1) * self.per_row
    }

    /// Terms of the row's tree that fall to a group, missing ones counted.
    pub(super) fn padded_steps(&self) -> u32 {
        (self.blocks.next_power_of_two() / self.per_row).max(1)
    }

    /// The place of a lane.
    #[track_caller]
    pub fn place(&self, lane: Val<u32>) -> Group {
        let shift = self.per_block.trailing_zeros();
        Group {
            lane: lane & (self.per_block - 1),
            group: (lane >> shift) & (self.per_row - 1),
            row: lane >> (shift + self.per_row.trailing_zeros()),
        }
    }

    /// The block that a group takes in its last step, or the row's last where
    /// it has none: something to read, whose term is not used.
    #[track_caller]
    pub(super) fn last_block(&self, group: Val<u32>) -> Val<u32> {
        group.min(self.in_last_step() - 1) + (self.steps() - 1) * self.per_row
    }

    /// Whether some groups have no block in a step.
    pub(super) fn is_ragged(&self, step: u32) -> bool {
        self.in_last_step() < self.per_row && step + 1 == self.steps()
    }
}
