//! The newest position of a sequence, on its way from the projections to
//! attention: queries and key after norm and RoPE in the block that needs them,
//! key and value not yet in the cache.

use ptxgen_builder::build::{Body, Global, Pred, ReadOnly, Shared, Val};

use super::attend::POSITIONS;
use super::norm::{chain4, four};
use super::{ChunkPlan, ChunkShared, DeviceFloat, DeviceKv, HeadLanes, Newest, Turn, butterfly, row_tree};

/// The projections of a token for the block's heads.
#[derive(Clone, Copy)]
pub struct QkvAt {
    /// Its queries, one after the other.
    pub queries: Global<f32>,
    /// Its key.
    pub key: Global<f32>,
    /// Its value.
    pub value: Global<f32>,
    /// The norm's weights of queries.
    pub q_norm: ReadOnly<f32>,
    /// The norm's weights of keys.
    pub k_norm: ReadOnly<f32>,
    /// The position's row of the RoPE table.
    pub table: ReadOnly<f32>,
    /// The norms' epsilon.
    pub eps: f32,
}

impl ChunkPlan {
    /// Shared memory for the newest key and value.
    #[track_caller]
    pub fn newest_room<A: DeviceFloat>(&self, k: &Body) -> (Shared<A>, Shared<A>) {
        (k.shared(self.padded_dim()), k.shared(self.head_dim))
    }

    fn lanes(&self) -> HeadLanes {
        HeadLanes { head_dim: self.head_dim }
    }

    /// A head's groups to shared memory, with zeros after them.
    #[track_caller]
    fn pad<A: DeviceFloat>(&self, k: &Body, v: Vec<[Val<f32>; 4]>, to: Shared<A>, lane: Val<u32>) {
        for (place, v) in self.lanes().place(lane).into_iter().zip(v) {
            let store = |k: &Body| {
                let v = match place.holds {
                    None => v,
                    Some(holds) => v.map(|v| v.select(holds, 0.0)),
                };
                A::store4(k, to.at(place.element), v.map(A::widen));
            };
            match place.holds {
                None => store(k),
                Some(_) => k.if_(place.element.lt(self.padded_dim()), store),
            }
        }
    }

    /// The queries of the block's heads, after norm and RoPE, to shared memory.
    #[track_caller]
    pub fn turn_queries<A: DeviceFloat>(&self, k: &Body, qkv: &QkvAt, to: Shared<A>, thread: Val<u32>) {
        let (lane, warp) = (thread & 31, thread >> 5);
        let turn = Turn { weights: qkv.q_norm, table: qkv.table, eps: qkv.eps };
        for first in (0..self.heads).step_by(self.warps as usize) {
            let head = warp + first;
            let one = |k: &Body| {
                let v = self.lanes().norm_rope::<_, A>(k, qkv.queries.at(head * self.head_dim), &turn, lane);
                let v = v.into_iter().map(|v| v.map(A::narrow)).collect();
                self.pad(k, v, to.at(head * self.padded_dim()), lane);
            };
            if self.heads - first < self.warps { k.if_(head.lt(self.heads), one) } else { one(k) }
        }
    }

    /// The newest key, after norm and RoPE, and value to shared memory, and where
    /// `appends` to the cache as well.
    #[track_caller]
    pub fn append<E: DeviceKv, A: DeviceFloat>(
        &self,
        k: &Body,
        qkv: &QkvAt,
        newest: &Newest<A>,
        (key, value): (Global<E>, Global<E>),
        appends: Pred,
        thread: Val<u32>,
    ) {
        let (lane, warp) = (thread & 31, thread >> 5);
        // The last warp: the first ones have queries.
        k.if_(warp.eq(self.warps - 1), |k| {
            let turn = Turn { weights: qkv.k_norm, table: qkv.table, eps: qkv.eps };
            let v = self.lanes().norm_rope::<_, A>(k, qkv.key, &turn, lane);
            let v: Vec<[Val<f32>; 4]> = v.into_iter().map(|v| v.map(A::narrow)).collect();
            self.pad(k, v.iter().map(|v| v.map(E::kept)).collect(), newest.key, lane);
            for (place, v) in self.lanes().place(lane).into_iter().zip(v) {
                let holds = place.holds.map_or(appends, |holds| holds & appends);
                k.if_(holds, |k| E::store4(k, key.at(place.element), v));
            }
        });
        k.if_(thread.lt(self.head_dim / 4), |k| {
            let v = four(k, qkv.value.at(thread * 4), None);
            A::store4(k, newest.value.at(thread * 4), v.map(E::kept).map(A::widen));
            k.if_(appends, |k| E::store4(k, value.at(thread * 4), v));
        });
    }

    /// Scores of the newest position, the `count`-th of its chunk.
    #[track_caller]
    pub(super) fn newest_scores<A: DeviceFloat>(
        &self,
        k: &Body,
        shared: &ChunkShared<A>,
        newest: &Newest<A>,
        count: Val<u32>,
        lane: Val<u32>,
        warp: Val<u32>,
    ) {
        let groups = self.padded_dim() / 4;
        let distances = || (0..groups.min(32).trailing_zeros()).map(|level| 1 << level);
        // Lanes after the padded head read its last group.
        let at = (lane.min(groups - 1)) * 4;
        for first in (0..self.heads).step_by(self.warps as usize) {
            let head = warp + first;
            let one = |k: &Body| {
                let query = shared.queries.at(head * self.padded_dim() + at);
                let key = newest.key.at(at);
                let sums: Vec<Val<A>> = (0..groups.div_ceil(32))
                    .map(|round| {
                        let round = 128 * i64::from(round);
                        let (q, key) = (A::load4(k, query.plus(round)), A::load4(k, key.plus(round)));
                        butterfly(k, chain4(&q, &key), distances())
                    })
                    .collect();
                let score = A::product(row_tree(&sums, sums.len()), self.scale());
                shared.scores.at(head * POSITIONS + count).store_if(k, lane.eq(0), score);
            };
            if self.heads - first < self.warps { k.if_(head.lt(self.heads), one) } else { one(k) }
        }
    }
}
