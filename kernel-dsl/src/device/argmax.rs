//! The contract's "Argmax", as the largest of integers.

use ptxgen_builder::build::{Body, Shared, Val, at_caller};

/// A logit and its index as a number that is larger where the argmax prefers it: by value, then by
/// the lower index. A NaN comes before -inf.
#[track_caller]
pub fn argmax_key(value: Val<f32>, index: Val<u32>) -> Val<u64> {
    // The sum makes the zeros alike.
    let bits: Val<i32> = (value + 0.0).bitcast();
    let ordered: Val<u32> = (bits ^ ((bits >> 31) | i32::MIN)).bitcast();
    let ordered = Val::from(0u32).select(value.ne(value), ordered);
    (!index).pair(ordered)
}

/// The index in a key.
#[track_caller]
pub fn argmax_index(key: Val<u64>) -> Val<u32> {
    let (index, _) = key.split();
    !index
}

/// The largest key of a block of `threads` (a multiple of 32), on every thread.
#[track_caller]
pub fn block_max(k: &Body, key: Val<u64>, thread: Val<u32>, threads: u32) -> Val<u64> {
    let room: Shared<u64> = k.shared(threads / 32);
    let mut most = key;
    for distance in [16u32, 8, 4, 2, 1] {
        let other = k.shuffle_xor(most, distance);
        most = most.max(other);
    }
    room.at(thread >> 5).store_if(k, (thread & 31).eq(0), most);
    k.barrier();
    at_caller(|| (0..threads / 32).map(|w| room.plus(w).load(k)).reduce(Val::<u64>::max).unwrap_or(most))
}
