//! All blocks of a grid wait for each other: several stages in one launch.

use ptxgen_builder::build::{Body, Global, Val, at_caller};

/// The bit of the word that changes when all blocks have arrived.
const TURNED: u32 = 1 << 31;

/// Waits until all of the grid's `blocks` blocks have come here; all threads of each take part. What any of them wrote before
/// is visible to all after. The blocks must be resident together: as many as there are multiprocessors always are, if nothing
/// else runs.
///
/// The lower 31 bits of `word` count the blocks from 0 and are 0 again afterwards, when the top bit has changed: the same
/// word, which is 0 before the first launch, serves every wait of every launch in turn. (As in CUDA's cooperative groups.)
#[track_caller]
pub fn grid_wait(k: &Body, word: Global<u32>, blocks: u32, thread: Val<u32>) {
    k.barrier();
    at_caller(|| {
        k.if_(thread.eq(0), |k| {
            // All together add 2^31.
            let own = Val::from(TURNED - (blocks - 1)).select(k.block_x().eq(0), 1u32);
            let before = word.atomic_add_acq_rel(k, own);
            k.while_(|k| (word.load_acquire(k) ^ before).lt(TURNED), |_, _| ());
        });
    });
    k.barrier();
}
