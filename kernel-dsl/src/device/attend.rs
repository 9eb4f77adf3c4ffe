//! The contract's "Attention" over one chunk of positions, by a block of
//! threads for some query heads that share keys and values.
//!
//! Scores: a lane has 16 bytes of a key (more in wide heads), so that some
//! lanes read a key with full accesses and multiply it with every head's query
//! from shared memory; the groups are summed across lanes for many scores at
//! once. Weights: a warp to a head. Outputs: a thread has a word of every
//! value and goes through the chunk in order for its heads; the words are
//! under way to registers or to shared memory while the scores are computed.

use ptxgen_builder::build::{AsyncBytes, Body, Global, GlobalMemory, Pred, Ptr, ReadSpace, Rounding, Shared, Val};

use super::float::size;
use super::kv::four_words;
use super::norm::chain4;
use super::{DeviceExp, DeviceFloat, DeviceKv, Newest, butterfly, butterfly_many, row_tree};
use crate::reference::CHUNK;

pub(super) const POSITIONS: u32 = CHUNK as u32;

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
    /// The chunk's keys of a head, one behind the other.
    pub keys: Ptr<S, E>,
    /// Its values.
    pub values: Ptr<S, E>,
    /// How many of them there are: 1 to 64, or 0 before a newest position.
    pub count: Val<u32>,
    /// A position behind these that memory does not hold yet.
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
    /// room beside the rest: more blocks of threads are on a multiprocessor then.
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

    /// Elements of a query in shared memory: zeros behind the head's own.
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
    pub fn shared<A: DeviceFloat>(&self, k: &mut Body) -> ChunkShared<A> {
        ChunkShared {
            queries: k.shared(self.heads * self.padded_dim()),
            scores: k.shared(self.heads * POSITIONS),
            weights: k.shared(self.warps / self.word_warps * POSITIONS * self.weight_stride()),
            values: self.staged.then(|| k.shared(POSITIONS * self.words)),
        }
    }

    /// Copies the queries of all heads, one behind the other at `from`, to
    /// shared memory. A barrier must follow.
    #[track_caller]
    pub fn stage_queries<S: ReadSpace, A: DeviceFloat>(
        &self,
        k: &mut Body,
        from: Ptr<S, f32>,
        to: Shared<A>,
        thread: Val<u32>,
    ) {
        let quads = self.heads * self.groups;
        for first in (0..quads).step_by(self.threads() as usize) {
            let quad = thread + first;
            let copy = |k: &mut Body| {
                let group = quad & (self.groups - 1);
                let element = (quad >> self.groups.trailing_zeros()) * self.head_dim + group * 4;
                let v = match 4 * self.groups == self.head_dim {
                    true => from.at(element).load_vec(k),
                    false => from.at(element).load_vec_or(k, group.lt(self.head_dim / 4), 0.0),
                };
                A::store4(k, to.at(quad * 4), v.map(A::widen));
            };
            if quads - first < self.threads() { k.if_(quad.lt(quads), copy) } else { copy(k) }
        }
    }

    /// Before a block of threads goes on to its next chunk or token, if it `does`: nobody needs the
    /// values before any more.
    #[track_caller]
    pub fn reuse(&self, k: &mut Body, does: bool) {
        if self.staged && does {
            k.barrier();
        }
    }

    /// Attention over a chunk of the queries that `stage` puts into shared memory
    /// (with the newest position) while keys and values are under way. All
    /// threads of the block take part.
    #[track_caller]
    pub fn attend<S: GlobalMemory, E: DeviceKv, A: DeviceExp>(
        &self,
        k: &mut Body,
        shared: &ChunkShared<A>,
        chunk: &ChunkAt<S, E, A>,
        to: &PartialAt<A>,
        thread: Val<u32>,
        stage: impl FnOnce(&mut Body),
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

    /// Lanes that share a key.
    fn key_lanes(&self) -> u32 {
        self.groups / self.lane_groups
    }

    /// The position of the lane's key in step 0; `keys` more in each next.
    #[track_caller]
    fn first_key(&self, lane: Val<u32>, warp: Val<u32>) -> Val<u32> {
        warp * (self.steps * self.keys) + (lane >> self.key_lanes().trailing_zeros())
    }

    /// The lane's words of its key in every step.
    #[track_caller]
    fn load_keys<S: ReadSpace, E: DeviceKv, A>(
        &self,
        k: &mut Body,
        chunk: &ChunkAt<S, E, A>,
        lane: Val<u32>,
        warp: Val<u32>,
    ) -> Vec<Vec<Val<u32>>> {
        let first = self.first_key(lane, warp);
        let element = (lane & (self.key_lanes() - 1)) * (4 * self.lane_groups);
        let inside = (4 * self.groups != self.head_dim).then(|| element.lt(self.head_dim));
        let at = chunk.keys.at(first * self.head_dim + element);
        (0..self.steps)
            .map(|step| {
                let key = first + step * self.keys;
                let holds = key.lt(chunk.count);
                let holds = inside.map_or(holds, |inside| holds & inside);
                let at = at.plus(i64::from(step * self.keys * self.head_dim));
                let loads = 0..self.lane_groups / E::PER_WORD;
                loads.flat_map(|i| four_words(k, at.plus_bytes(16 * i64::from(i)), holds)).collect()
            })
            .collect()
    }

    /// The thread's word, and its place among the threads that have this word.
    #[track_caller]
    fn word(&self, thread: Val<u32>) -> (Val<u32>, Val<u32>) {
        if self.warps == self.word_warps {
            return (thread, Val::from(0));
        }
        let columns = self.word_warps * 32;
        (thread % columns, thread / columns)
    }

    /// The thread's word of every value; negative zeros where there is none.
    #[track_caller]
    fn load_values<S: ReadSpace, E: DeviceKv, A>(
        &self,
        k: &mut Body,
        chunk: &ChunkAt<S, E, A>,
        thread: Val<u32>,
    ) -> Vec<Val<u32>> {
        let (word, _) = self.word(thread);
        // Threads without a word read the last one.
        let word = if self.words.is_multiple_of(32) { word } else { word.min(self.words - 1) };
        let at = chunk.values.cast::<u32>().at(word);
        (0..POSITIONS)
            .map(|i| at.plus(i64::from(i * self.words)).load_or(k, chunk.count.gt(i), E::NEGATIVE_ZEROS))
            .collect()
    }

    /// Starts copying all values; negative zeros where there is none.
    #[track_caller]
    fn copy_values<S: GlobalMemory, E: DeviceKv, A>(
        &self,
        k: &mut Body,
        chunk: &ChunkAt<S, E, A>,
        to: Shared<u32>,
        thread: Val<u32>,
    ) {
        let from = chunk.values.cast::<u32>();
        let quads = POSITIONS * self.words / 4;
        for first in (0..quads).step_by(self.threads() as usize) {
            let quad = thread + first;
            let (from, to) = (from.at(quad * 4), to.at(quad * 4));
            let holds = (quad / (self.words / 4)).lt(chunk.count);
            let copy = |k: &mut Body| {
                k.copy_async_filled(to, from, AsyncBytes::B16, Some(holds), None);
                k.if_(!holds, |k| to.store_vec(k, [Val::from(E::NEGATIVE_ZEROS); 4]));
            };
            if quads - first < self.threads() { k.if_(quad.lt(quads), copy) } else { copy(k) }
        }
        k.copy_async_commit();
    }

    /// `1 / sqrt(head_dim)`.
    pub(super) fn scale<A: DeviceFloat>(&self) -> Val<A> {
        Val::from(A::ONE / A::from_f32(self.head_dim as f32).sqrt())
    }

    /// Scores of all heads to shared memory.
    #[track_caller]
    fn scores<E: DeviceKv, A: DeviceFloat>(
        &self,
        k: &mut Body,
        shared: &ChunkShared<A>,
        keys: &[Vec<Val<u32>>],
        count: Val<u32>,
        lane: Val<u32>,
        warp: Val<u32>,
    ) {
        let scale = self.scale::<A>();
        let (lanes, first) = (self.key_lanes(), self.first_key(lane, warp));
        let part = lane & (lanes - 1);
        let query = shared.queries.at(part * (4 * self.lane_groups));
        for (b, batch) in (0..).zip(keys.chunks(self.batch as usize)) {
            let keys: Vec<Vec<Val<A>>> =
                batch.iter().map(|words| words.iter().flat_map(|&w| E::widen(w)).collect()).collect();
            let mut scores = Vec::with_capacity((self.heads * self.batch) as usize);
            for head in 0..self.heads {
                let at = |g: u32| query.plus(i64::from(head * self.padded_dim() + 4 * g));
                let query: Vec<[Val<A>; 4]> = (0..self.lane_groups).map(|g| A::load4(k, at(g))).collect();
                for key in &keys {
                    let groups: Vec<Val<A>> =
                        query.iter().zip(key.as_chunks::<4>().0).map(|(q, key)| chain4(q, key)).collect();
                    scores.push(row_tree(&groups, groups.len()));
                }
            }
            let all = scores.len() as u32;
            for (i, score) in (0..).zip(butterfly_many(k, scores, lanes, lane)) {
                let which = part + i * lanes;
                let (head, step) = (which >> self.batch.trailing_zeros(), which & (self.batch - 1));
                let position = first + (step + b * self.batch) * self.keys;
                let holds: Pred = position.lt(count);
                let holds = if (i + 1) * lanes <= all { holds } else { holds & which.lt(all) };
                let score = A::product(score, scale);
                shared.scores.at(head * POSITIONS + position).store_if(k, holds, score);
            }
        }
    }

    /// From scores to weights, a warp to a head.
    #[track_caller]
    fn softmax<A: DeviceExp>(
        &self,
        k: &mut Body,
        shared: &ChunkShared<A>,
        count: Val<u32>,
        to: &PartialAt<A>,
        lane: Val<u32>,
        warp: Val<u32>,
    ) {
        for first in (0..self.heads).step_by(self.warps as usize) {
            let head = warp + first;
            let one = |k: &mut Body| {
                let at = shared.scores.at(head * POSITIONS + lane);
                let here = [0, 32].map(|i| (lane + i).lt(count));
                let lowest = Val::from(A::from_f32(f32::NEG_INFINITY));
                let s = [0usize, 1].map(|i| at.plus(32 * i as i64).load_or(k, here[i], lowest));
                let mut m = A::larger_of(s[0], s[1]);
                for d in [1u32, 2, 4, 8, 16] {
                    let other = k.shuffle_xor(m, d);
                    m = A::larger_of(m, other);
                }
                // Missing weights are +0, which changes no sum of weights.
                let p = [0usize, 1].map(|i| {
                    let e = A::exponential(A::sum(s[i], A::negated(m)));
                    e.select(here[i], A::constant(0.0))
                });
                let l = p.map(|p| butterfly(k, p, [1, 2, 4, 8, 16]));
                let l = A::sum(l[0], l[1]);
                let n = self.thread_heads();
                let group = if n == 1 { head } else { head / n };
                let place = (group * POSITIONS + lane) * self.weight_stride() + (head - group * n);
                let at = shared.weights.at(place);
                at.store(k, p[0]);
                at.plus(i64::from(32 * self.weight_stride())).store(k, p[1]);
                let sums = to.sums.at(head * (2 * to.stride));
                k.if_(lane.eq(0), |k| sums.store_vec(k, [m, l]));
            };
            if self.heads - first < self.warps { k.if_(head.lt(self.heads), one) } else { one(k) }
        }
    }

    /// The chains over the values.
    #[track_caller]
    fn outputs<S: ReadSpace, E: DeviceKv, A: DeviceFloat>(
        &self,
        k: &mut Body,
        shared: &ChunkShared<A>,
        chunk: &ChunkAt<S, E, A>,
        values: &Values,
        to: &PartialAt<A>,
        thread: Val<u32>,
    ) {
        let (word, group) = self.word(thread);
        let heads = self.thread_heads();
        let weights = shared.weights.at(group * (POSITIONS * self.weight_stride()));
        let mut chains = vec![A::constant(0.0); (heads * E::PER_WORD) as usize];
        let mut next = |k: &mut Body, weights: Shared<A>, value: &[Val<A>]| {
            let p = some(k, weights, heads);
            for (j, chain) in chains.iter_mut().enumerate() {
                let (head, element) = (j / value.len(), j % value.len());
                *chain = p[head].fma_rounded(value[element], *chain, Rounding::NearestEven);
            }
        };
        // Threads without a word have the last one's.
        let own = if self.words.is_multiple_of(32) { word } else { word.min(self.words - 1) };
        for i in 0..POSITIONS {
            let value = match values {
                Values::Held(values) => values[i as usize],
                Values::Staged(from) => from.at(own).plus(i64::from(i * self.words)).load(k),
            };
            next(k, weights.plus(i64::from(i * self.weight_stride())), &E::widen::<A>(value));
        }
        if let Some(newest) = &chunk.newest {
            // The last in order. Without it, a negative zero meets some weight.
            let at = newest.value.at(word.min(self.words - 1) * E::PER_WORD);
            let zero = Val::from(A::from_f32(-0.0));
            let value: Vec<Val<A>> =
                (0..E::PER_WORD).map(|i| at.plus(i64::from(i)).load_or(k, newest.holds, zero)).collect();
            let last = chunk.count.min(POSITIONS - 1);
            next(k, weights.at(last * self.weight_stride()), &value);
        }
        let output = to.output.at(group * (heads * to.stride * self.head_dim) + word * E::PER_WORD);
        let store = |k: &mut Body| {
            for (head, chains) in (0..).zip(chains.chunks(E::PER_WORD as usize)) {
                let at = output.plus(head * i64::from(to.stride) * i64::from(self.head_dim));
                match *chains {
                    [a] => at.store(k, a),
                    [a, b] => at.store_vec(k, [a, b]),
                    _ => unreachable!("a word has one or two elements"),
                }
            }
        };
        if self.words.is_multiple_of(32) { store(k) } else { k.if_(word.lt(self.words), store) }
    }
}

/// `n` neighbours in shared memory, in wide loads; aligned as
/// [`weight_stride`](ChunkPlan::weight_stride) aligns them.
#[track_caller]
fn some<A: DeviceFloat>(k: &mut Body, at: Shared<A>, n: u32) -> Vec<Val<A>> {
    let mut all = Vec::with_capacity(n as usize);
    while (all.len() as u32) < n {
        let at = at.plus(all.len() as i64);
        match n - all.len() as u32 {
            4.. => all.extend(A::load4(k, at)),
            2.. => all.extend(at.load_vec::<2>(k)),
            _ => all.push(at.load(k)),
        }
    }
    all
}
