//! The contract's "Sampling": sorted lists of keys, weights, and where their sums reach a number.

use ptxgen_builder::build::{Body, Global, ReadOnly, Rounding, Shared, Val, at_caller};

use super::DeviceExp;
use crate::reference::{SAMPLE_LEAST, SAMPLE_ONE};

/// Sorts `len` keys in shared memory, a power of two, from the largest on; `threads` threads (a power of
/// two, half of `len` at most) take part. They have met since the keys were written, and converge again.
///
/// # Panics
/// If `threads` does not divide half of `len`.
#[track_caller]
pub fn sort_keys(k: &Body, keys: Shared<u64>, len: u32, thread: Val<u32>, threads: u32) {
    let divides = threads != 0 && len != 0 && (len / 2).is_multiple_of(threads);
    assert!(divides, "{threads} threads cannot sort {len} keys: expected a power of two, at most half as many");
    at_caller(|| {
        let size = k.var::<u32>(2u32);
        k.loop_(|k, sizes| {
            let whole = size.get();
            sizes.break_if(k, whole.gt(len));
            let stride = k.var::<u32>(whole >> 1u32);
            k.loop_(|k, strides| {
                let apart = stride.get();
                strides.break_if(k, apart.eq(0));
                for pair in 0..len / 2 / threads {
                    let pair = thread + pair * threads;
                    let place = pair * 2 - (pair & (apart - 1));
                    let (low, high) = (keys.at(place), keys.at(place + apart));
                    let (a, b) = (low.load(k), high.load(k));
                    let falling = (place & whole).eq(0);
                    low.store(k, a.max(b).select(falling, a.min(b)));
                    high.store(k, a.min(b).select(falling, a.max(b)));
                }
                k.barrier();
                stride.set(apart >> 1u32);
            });
            size.set(whole << 1u32);
        });
    });
}

/// The logit of a key.
#[track_caller]
pub fn key_logit(key: Val<u64>) -> Val<f32> {
    let (_, ordered) = key.split();
    let ordered: Val<i32> = ordered.bitcast();
    (ordered ^ ((!ordered >> 31) | i32::MIN)).bitcast()
}

/// The weight of a logit relative to the largest.
#[track_caller]
pub fn sample_weight(logit: Val<f32>, most: Val<f32>, scale: Val<f64>) -> Val<u64> {
    let distance = (logit.to::<f64>() - most.to::<f64>()) * scale;
    let x = Val::from(0.0f64).select(logit.eq(most), distance);
    let weight: Val<u64> = (f64::exponential(x) * SAMPLE_ONE).to_int(Rounding::NearestEven);
    weight.select(x.ge(SAMPLE_LEAST), 0)
}

/// The sums of each thread's value and those of the threads before it, in a block of `threads` (a
/// multiple of 32).
#[track_caller]
pub fn block_prefix_sums(k: &Body, value: Val<u64>, thread: Val<u32>, threads: u32) -> Val<u64> {
    let room: Shared<u64> = k.shared(threads / 32);
    let (lane, warp) = (thread & 31, thread >> 5);
    let mut sum = value;
    for distance in [1u32, 2, 4, 8, 16] {
        let before = k.shuffle_up(sum, distance);
        sum = (sum + before).select(lane.ge(distance), sum);
    }
    room.at(warp).store_if(k, lane.eq(31), sum);
    k.barrier();
    for w in 0..threads / 32 - 1 {
        let all = room.plus(w).load(k);
        sum = (sum + all).select(warp.gt(w), sum);
    }
    sum
}

/// Lists of keys from the largest on, and the sums of their weights up to each: a list a thread.
#[derive(Clone, Copy)]
pub struct Lists {
    /// The thread's list.
    pub keys: ReadOnly<u64>,
    /// And its sums.
    pub sums: Global<u64>,
    /// Its length: 0 where the thread has none.
    pub len: Val<u32>,
    /// Threads of the block.
    pub threads: u32,
    /// Room for two values of each warp.
    pub room: Shared<u64>,
}

/// What is summed over keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measure {
    /// How many there are.
    Count,
    /// Their weights.
    Weight,
}

impl Lists {
    /// The measure of the thread's first `n` keys.
    #[track_caller]
    fn of_first(&self, k: &Body, measure: Measure, n: Val<u32>) -> Val<u64> {
        match measure {
            Measure::Count => n.to(),
            Measure::Weight => self.sums.at(n.max(1) - 1).load_or(k, n.gt(0), 0),
        }
    }

    /// The sum of all threads' values, one of two rooms by turns.
    #[track_caller]
    fn total(&self, k: &Body, turn: Val<u32>, value: Val<u64>) -> Val<u64> {
        let thread = k.thread_x();
        let mut sum = value;
        for distance in [1u32, 2, 4, 8, 16] {
            let other = k.shuffle_xor(sum, distance);
            sum += other;
        }
        let warps = self.threads / 32;
        let room = self.room.at((turn & 1) * warps);
        room.at(thread >> 5).store_if(k, (thread & 31).eq(0), sum);
        k.barrier();
        (0..warps).map(|w| room.plus(w).load(k)).reduce(|a, b| a + b).unwrap_or(sum)
    }

    /// How many of the thread's keys between places `low` and `high` and before are `key` or larger.
    #[track_caller]
    fn count(&self, k: &Body, (low, high): (Val<u32>, Val<u32>), key: Val<u64>) -> Val<u32> {
        let (low, high) = (k.var::<u32>(low), k.var::<u32>(high));
        k.loop_(|k, control| {
            let (first, last) = (low.get(), high.get());
            // The warp's lanes go on together, so that the assembler need not part them.
            let open = first.lt(last);
            let any = k.any(open);
            control.break_if(k, !any);
            let middle = (first + last) >> 1u32;
            let larger = self.keys.at(middle).load_or(k, open, u64::MAX).ge(key);
            low.set((middle + 1).select(larger & open, first));
            high.set(last.select(larger, middle));
        });
        low.get()
    }

    /// The weights of all keys that are `key` or larger, in all lists.
    #[track_caller]
    pub fn weight_from(&self, k: &Body, key: Val<u64>) -> Val<u64> {
        let n = self.count(k, (Val::from(0), self.len), key);
        let own = self.of_first(k, Measure::Weight, n);
        k.barrier();
        self.total(k, Val::from(0).copied(), own)
    }

    /// The key, from the largest on, with which the measure of all lists reaches `target`, above 0
    /// and no more than all of them have. Keys have `low` bits that differ in their lower word.
    #[track_caller]
    pub fn reach(&self, k: &Body, measure: Measure, target: Val<u64>, low: u32) -> Val<u64> {
        let (first, last) = (k.var::<u32>(0u32), k.var::<u32>(self.len));
        let key = k.var::<u64>(0u64);
        k.barrier();
        // The bits from the top on; bits that all keys share are skipped.
        k.for_(0, 32 + low, 1, |k, round, _| {
            let upper = round.lt(32);
            let shift = Val::from(63u32).select(upper, 31 + low) - round;
            let known = key.get();
            let tried = known | (Val::from(1u64) << shift);
            let common = Val::from(u64::from(u32::MAX) >> low << low);
            let least = tried.select(upper, tried | common);
            let (low, high) = (first.get(), last.get());
            let n = self.count(k, (low, high), least);
            let own = self.of_first(k, measure, n);
            let reached = self.total(k, round, own).ge(target);
            key.set(tried.select(reached, known));
            // Larger keys are among these, or smaller ones after them.
            last.set(n.select(reached, high));
            first.set(low.select(reached, n));
        });
        key.get() | (u64::from(u32::MAX) >> low << low)
    }
}
