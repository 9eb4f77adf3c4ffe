//! How four lanes share the 16 groups of a superblock.

use ptxgen_builder::build::{Body, Ptr, ReadSpace, Val};

use super::DeviceFloat;

/// Which groups of 16 weights each of four lanes has, and what follows from it; see
/// [`DeviceFormat`](super::DeviceFormat) for the constants.
pub trait LaneOrder: Copy + Send + Sync + 'static {
    /// The groups of a lane, from its first.
    const GROUPS: &'static [u32; 4];
    /// The distances, in lanes, at which sums go on between lanes.
    const TREE: &'static [u32];
    /// Bytes between the staged activations of two blocks beyond their own.
    const BANK_SHIFT: u32;

    /// The first group of lane `lane`.
    fn first_group(lane: Val<u32>) -> Val<u32>;

    /// The words with the sums of the lane's groups, of the block whose eight words begin at `at`.
    fn sum_words<S: ReadSpace>(k: &Body, at: Ptr<S, u32>, lane: Val<u32>) -> Vec<Val<u32>>;

    /// The word of those, and the half of it, in which the sum of the lane's group `g` < 4 is.
    fn sum_place(g: usize) -> (usize, usize);

    /// The contract's tree over the lane's chains as far as it goes within the lane.
    fn partial_sums<A: DeviceFloat>(chains: [Val<A>; 4]) -> Vec<Val<A>>;
}

/// Lane `k` has 64 consecutive weights: groups `4 k` to `4 k + 3`.
#[derive(Clone, Copy, Debug)]
pub struct Runs;

impl LaneOrder for Runs {
    const GROUPS: &'static [u32; 4] = &[0, 1, 2, 3];
    const TREE: &'static [u32] = &[1, 2];
    const BANK_SHIFT: u32 = 16;

    #[track_caller]
    fn first_group(lane: Val<u32>) -> Val<u32> {
        lane << 2
    }

    #[track_caller]
    fn sum_words<S: ReadSpace>(k: &Body, at: Ptr<S, u32>, lane: Val<u32>) -> Vec<Val<u32>> {
        at.at(lane * 2).load_vec::<2>(k).to_vec()
    }

    fn sum_place(g: usize) -> (usize, usize) {
        (g % 2, g / 2)
    }

    #[track_caller]
    fn partial_sums<A: DeviceFloat>(chains: [Val<A>; 4]) -> Vec<Val<A>> {
        // Distance 2; 4 and 8 are between lanes, then 1.
        vec![A::sum(chains[0], chains[2]), A::sum(chains[1], chains[3])]
    }
}

/// Lane `2 n + h` has every other group of half block `n`, from group `8 n + h` on: the same bytes hold a part of
/// each of them.
#[derive(Clone, Copy, Debug)]
pub struct Halves;

impl LaneOrder for Halves {
    const GROUPS: &'static [u32; 4] = &[0, 2, 4, 6];
    const TREE: &'static [u32] = &[2, 1];
    const BANK_SHIFT: u32 = 0;

    #[track_caller]
    fn first_group(lane: Val<u32>) -> Val<u32> {
        ((lane >> 1) << 3) + (lane & 1)
    }

    #[track_caller]
    fn sum_words<S: ReadSpace>(k: &Body, at: Ptr<S, u32>, lane: Val<u32>) -> Vec<Val<u32>> {
        // Both lanes of a half block read its four words and take every other one.
        let [a, b, c, d] = at.at((lane >> 1) * 4).load_vec(k);
        let odd = (lane & 1).ne(0);
        vec![b.select(odd, a), d.select(odd, c)]
    }

    fn sum_place(g: usize) -> (usize, usize) {
        (g / 2, g % 2)
    }

    #[track_caller]
    fn partial_sums<A: DeviceFloat>(chains: [Val<A>; 4]) -> Vec<Val<A>> {
        // Distance 2, then 4; 8 and 1 are between lanes.
        vec![A::sum(A::sum(chains[0], chains[1]), A::sum(chains[2], chains[3]))]
    }
}
