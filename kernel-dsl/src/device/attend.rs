//! The contract's "Attention" over one chunk of positions, by a block of
//! threads for some query heads that share keys and values.
//!
//! Scores: a lane has 16 bytes of a key (more in wide heads), so that some
//! lanes read a key with full accesses and multiply it with every head's query
//! from shared memory; the groups are summed across lanes for many scores at
//! once. Weights: a warp to a head. Outputs: a thread has a word of every
//! value and goes through the chunk in order for its heads; the words are
//! being loaded to registers or shared memory while the scores are computed.

mod compute;
mod load;

use ptxgen_builder::build::{Body, Global, GlobalMemory, Pred, Ptr, Shared, Val};

use super::float::size;
use super::{DeviceExp, DeviceFloat, DeviceKv};
use crate::reference::CHUNK;

/// Positions of a chunk.
pub(super) const POSITIONS: u32 = CHUNK as u32;

/// A position that is not in the cache yet, in shared memory; rounded as the
/// cache rounds.
#[derive(Clone, Copy)]
pub struct Newest<A> {
    /// Its key, padded as [queries](ChunkPlan::padded_dim) are.
    pub key: Shared<A>,
    /// Its value.
    pub value: Shared<A>,
    /// Whether it belongs to the chunk, the same on the whole block.
    pub holds: Pred,
}

/// How a block of threads shares out a chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChunkPlan {
    /// Query heads.
    pub heads: u32,
    /// Elements of a head.
    pub head_dim: u32,
    /// Warps of the block.
    pub warps: u32,
    /// Groups of four of a head, missing ones to a power of two counted.
    groups: u32,
    /// Of these, how many a lane has.
    lane_groups: u32,
    /// Keys that a warp works on in one step, and steps of a warp.
    keys: u32,
    steps: u32,
    /// Steps whose scores are summed across lanes together.
    batch: u32,
    /// Words of a value, and warps that they fill.
    words: u32,
    word_warps: u32,
    /// Whether values wait in shared memory.
    staged: bool,
}

/// Bytes of shared memory that a block has at most, whatever the GPU.
const SHARED: u32 = 48 << 10;

/// A chunk's values on their way.
enum Values {
    /// The thread's word of each.
    Held(Vec<Val<u32>>),
    /// All of them, to shared memory.
    Staged(Shared<u32>),
}

/// The largest divisor of `n` that is at most `most`.
pub(crate) fn divisor(n: u32, most: u32) -> u32 {
    (1..=n.min(most.max(1))).rev().find(|d| n.is_multiple_of(*d)).unwrap_or(1)
}

/// A chunk's place in memory.
#[derive(Clone, Copy)]
pub struct ChunkAt<S, E, A> {
    /// The chunk's keys of a head, one after the other.
    pub keys: Ptr<S, E>,
    /// Its values.
    pub values: Ptr<S, E>,
    /// How many of them there are: 1 to 64, or 0 before a newest position.
    pub count: Val<u32>,
    /// A position after these that memory does not hold yet.
    pub newest: Option<Newest<A>>,
}

/// Where a chunk's results go, for the block's first head.
#[derive(Clone, Copy)]
pub struct PartialAt<A> {
    /// The maximum and the sum.
    pub sums: Global<A>,
    /// The output.
    pub output: Global<A>,
    /// Chunks from a head's results to the next head's.
    pub stride: u32,
}

/// A block's shared memory.
#[derive(Clone, Copy)]
pub struct ChunkShared<A> {
    /// The queries, each padded to whole [groups](ChunkPlan::padded_dim).
    pub queries: Shared<A>,
    pub(super) scores: Shared<A>,
    weights: Shared<A>,
    values: Option<Shared<u32>>,
}

impl ChunkPlan {
    /// A plan for `heads` query heads with about `warps` warps.
    pub fn new<E: DeviceKv, A: DeviceFloat>(heads: u32, head_dim: u32, warps: u32) -> ChunkPlan {
        let words = head_dim / E::PER_WORD;
        let word_warps = words.div_ceil(32);
        // Every warp has something to do: some heads for a word each.
        let warps = word_warps * divisor(heads, warps.div_ceil(word_warps));
        let groups = (head_dim / 4).next_power_of_two();
        let lane_groups = (groups / 32).max(E::PER_WORD);
        let keys = 32 / (groups / lane_groups);
        let steps = (POSITIONS / keys).div_ceil(warps);
        // At most 32 registers of scores.
        let most = (128 / size::<A>() / heads).max(1);
        let batch = (1 << most.ilog2()).min(steps.next_power_of_two());
        let steps = steps.next_multiple_of(batch);
        ChunkPlan { heads, head_dim, warps, groups, lane_groups, keys, steps, batch, words, word_warps, staged: false }
    }

    /// The same with values that wait in shared memory (sm_80) rather than in registers, if there is
    /// room next to the rest: then more blocks of threads are resident on a multiprocessor.
    pub fn staged<A: DeviceFloat>(self) -> ChunkPlan {
        // Queries, scores, weights, and the newest position.
        let rest = (self.heads + 2) * self.padded_dim()
            + POSITIONS * (self.heads + self.warps / self.word_warps * self.weight_stride());
        ChunkPlan { staged: POSITIONS * self.words * 4 + rest * size::<A>() <= SHARED, ..self }
    }

    /// Threads of the block.
    pub fn threads(&self) -> u32 {
        self.warps * 32
    }

    /// Elements of a query in shared memory: zeros after the head's own.
    pub fn padded_dim(&self) -> u32 {
        4 * self.groups
    }

    /// Heads that a thread has in the outputs.
    fn thread_heads(&self) -> u32 {
        self.heads / (self.warps / self.word_warps)
    }

    /// Weights of a position for a thread's heads, padded for wide loads.
    fn weight_stride(&self) -> u32 {
        match self.thread_heads() {
            n @ 1..=2 => n,
            n => n.next_multiple_of(4),
        }
    }

    /// The shared arrays.
    #[track_caller]
    pub fn shared<A: DeviceFloat>(&self, k: &Body) -> ChunkShared<A> {
        ChunkShared {
            queries: k.shared(self.heads * self.padded_dim()),
            scores: k.shared(self.heads * POSITIONS),
            weights: k.shared(self.warps / self.word_warps * POSITIONS * self.weight_stride()),
            values: self.staged.then(|| k.shared(POSITIONS * self.words)),
        }
    }

    /// Before a block of threads continues with its next chunk or token, if it `does`: no thread needs the
    /// values before any more.
    #[track_caller]
    pub fn reuse(&self, k: &Body, does: bool) {
        if self.staged && does {
            k.barrier();
        }
    }

    /// Attention over a chunk of the queries that `stage` puts into shared memory
    /// (with the newest position) while keys and values are being loaded. All
    /// threads of the block take part.
    #[track_caller]
    pub fn attend<S: GlobalMemory, E: DeviceKv, A: DeviceExp>(
        &self,
        k: &Body,
        shared: &ChunkShared<A>,
        chunk: &ChunkAt<S, E, A>,
        to: &PartialAt<A>,
        thread: Val<u32>,
        stage: impl Fn(&Body),
    ) {
        let (lane, warp) = (thread & 31, thread >> 5);
        let keys = self.load_keys(k, chunk, lane, warp);
        let values = match shared.values {
            None => Values::Held(self.load_values(k, chunk, thread)),
            Some(to) => {
                self.copy_values(k, chunk, to, thread);
                Values::Staged(to)
            }
        };
        stage(k);
        k.barrier();
        self.scores::<E, A>(k, shared, &keys, chunk.count, lane, warp);
        let count = match &chunk.newest {
            None => chunk.count,
            Some(newest) => {
                k.if_(newest.holds, |k| self.newest_scores(k, shared, newest, chunk.count, lane, warp));
                chunk.count + newest.holds.to_u32()
            }
        };
        k.barrier();
        self.softmax(k, shared, count, to, lane, warp);
        if self.staged {
            k.copy_async_wait(0);
        }
        k.barrier();
        self.outputs(k, shared, chunk, &values, to, thread);
    }
}
