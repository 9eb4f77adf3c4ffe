//! The last block to finish goes on, with what all have written: two stages in one launch.

use ptxgen_builder::build::{Body, Global, Pred, Shared, Val, at_caller};

/// Whether this is the last of `blocks` blocks to get here; the same for all of its threads, which
/// all take part. What any of the blocks wrote before is visible to the last one after. `counter`
/// is 0 before the launch, and again after it.
#[track_caller]
pub fn last_block(k: &Body, counter: Global<u32>, blocks: u32, thread: Val<u32>) -> Pred {
    let flag: Shared<u32> = k.shared(1);
    k.barrier();
    at_caller(|| {
        k.if_(thread.eq(0), |k| {
            let is_last = counter.atomic_add_acq_rel(k, 1).eq(blocks - 1);
            k.if_(is_last, |k| {
                counter.atomic_exchange(k, 0);
            });
            flag.store(k, is_last.to_u32());
        });
    });
    k.barrier();
    flag.load(k).ne(0)
}
