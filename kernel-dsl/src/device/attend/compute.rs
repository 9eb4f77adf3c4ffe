//! Scores, weights and outputs of a chunk.

use ptxgen_builder::build::{Body, Pred, ReadSpace, Rounding, Shared, Val};

use super::{ChunkAt, ChunkPlan, ChunkShared, POSITIONS, PartialAt, Values};
use crate::device::norm::chain4;
use crate::device::{DeviceExp, DeviceFloat, DeviceKv, butterfly, butterfly_many, row_tree};

impl ChunkPlan {
    /// `1 / sqrt(head_dim)`.
    pub(in crate::device) fn scale<A: DeviceFloat>(&self) -> Val<A> {
        Val::from(A::ONE / A::from_f32(self.head_dim as f32).sqrt())
    }

    /// Scores of all heads to shared memory.
    #[track_caller]
    pub(super) fn scores<E: DeviceKv, A: DeviceFloat>(
        &self,
        k: &Body,
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
                let at = |g: u32| query.plus(head * self.padded_dim() + 4 * g);
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
    pub(super) fn softmax<A: DeviceExp>(
        &self,
        k: &Body,
        shared: &ChunkShared<A>,
        count: Val<u32>,
        to: &PartialAt<A>,
        lane: Val<u32>,
        warp: Val<u32>,
    ) {
        for first in (0..self.heads).step_by(self.warps as usize) {
            let head = warp + first;
            let one = |k: &Body| {
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
                at.plus(32 * self.weight_stride()).store(k, p[1]);
                let sums = to.sums.at(head * (2 * to.stride));
                k.if_(lane.eq(0), |k| sums.store_vec(k, [m, l]));
            };
            if self.heads - first < self.warps { k.if_(head.lt(self.heads), one) } else { one(k) }
        }
    }

    /// The chains over the values.
    #[track_caller]
    pub(super) fn outputs<S: ReadSpace, E: DeviceKv, A: DeviceFloat>(
        &self,
        k: &Body,
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
        let mut next = |k: &Body, weights: Shared<A>, value: &[Val<A>]| {
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
                Values::Staged(from) => from.at(own).plus(i * self.words).load(k),
            };
            next(k, weights.plus(i * self.weight_stride()), &E::widen::<A>(value));
        }
        if let Some(newest) = &chunk.newest {
            // The last in order. Without it, a negative zero meets some weight.
            let at = newest.value.at(word.min(self.words - 1) * E::PER_WORD);
            let zero = Val::from(A::from_f32(-0.0));
            let value: Vec<Val<A>> = (0..E::PER_WORD).map(|i| at.plus(i).load_or(k, newest.holds, zero)).collect();
            let last = chunk.count.min(POSITIONS - 1);
            next(k, weights.at(last * self.weight_stride()), &value);
        }
        let output = to.output.at(group * (heads * to.stride * self.head_dim) + word * E::PER_WORD);
        let store = |k: &Body| {
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
fn some<A: DeviceFloat>(k: &Body, at: Shared<A>, n: u32) -> Vec<Val<A>> {
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
