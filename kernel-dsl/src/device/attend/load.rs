//! A chunk on its way to registers and shared memory.

use ptxgen_builder::build::{AsyncBytes, Body, GlobalMemory, Ptr, ReadSpace, Shared, Val};

use super::{ChunkAt, ChunkPlan, POSITIONS};
use crate::device::kv::four_words;
use crate::device::{DeviceFloat, DeviceKv};

impl ChunkPlan {
    /// Copies the queries of all heads, one after the other at `from`, to
    /// shared memory. A barrier must follow.
    #[track_caller]
    pub fn stage_queries<S: ReadSpace, A: DeviceFloat>(
        &self,
        k: &Body,
        from: Ptr<S, f32>,
        to: Shared<A>,
        thread: Val<u32>,
    ) {
        let quads = self.heads * self.groups;
        for first in (0..quads).step_by(self.threads() as usize) {
            let quad = thread + first;
            let copy = |k: &Body| {
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

    /// Lanes that share a key.
    pub(super) fn key_lanes(&self) -> u32 {
        self.groups / self.lane_groups
    }

    /// The position of the lane's key in step 0; `keys` more in each next.
    #[track_caller]
    pub(super) fn first_key(&self, lane: Val<u32>, warp: Val<u32>) -> Val<u32> {
        warp * (self.steps * self.keys) + (lane >> self.key_lanes().trailing_zeros())
    }

    /// The lane's words of its key in every step.
    #[track_caller]
    pub(super) fn load_keys<S: ReadSpace, E: DeviceKv, A>(
        &self,
        k: &Body,
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
                let at = at.plus(step * self.keys * self.head_dim);
                let loads = 0..self.lane_groups / E::PER_WORD;
                loads.flat_map(|i| four_words(k, at.plus_bytes(16 * i64::from(i)), holds)).collect()
            })
            .collect()
    }

    /// The thread's word, and its place among the threads that have this word.
    #[track_caller]
    pub(super) fn word(&self, thread: Val<u32>) -> (Val<u32>, Val<u32>) {
        if self.warps == self.word_warps {
            return (thread, Val::from(0));
        }
        let columns = self.word_warps * 32;
        (thread % columns, thread / columns)
    }

    /// The thread's word of every value; negative zeros where there is none.
    #[track_caller]
    pub(super) fn load_values<S: ReadSpace, E: DeviceKv, A>(
        &self,
        k: &Body,
        chunk: &ChunkAt<S, E, A>,
        thread: Val<u32>,
    ) -> Vec<Val<u32>> {
        let (word, _) = self.word(thread);
        // Threads without a word read the last one.
        let word = if self.words.is_multiple_of(32) { word } else { word.min(self.words - 1) };
        let at = chunk.values.cast::<u32>().at(word);
        (0..POSITIONS).map(|i| at.plus(i * self.words).load_or(k, chunk.count.gt(i), E::NEGATIVE_ZEROS)).collect()
    }

    /// Starts copying all values; negative zeros where there is none.
    #[track_caller]
    pub(super) fn copy_values<S: GlobalMemory, E: DeviceKv, A>(
        &self,
        k: &Body,
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
            let copy = |k: &Body| {
                k.copy_async_filled(to, from, AsyncBytes::B16, Some(holds), None);
                k.if_(!holds, |k| to.store_vec(k, [Val::from(E::NEGATIVE_ZEROS); 4]));
            };
            if quads - first < self.threads() { k.if_(quad.lt(quads), copy) } else { copy(k) }
        }
        k.copy_async_commit();
    }
}
