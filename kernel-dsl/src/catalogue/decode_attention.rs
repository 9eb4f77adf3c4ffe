//! `decode-attention`: one token's heads normed, turned, appended to the cache
//! and attended over every chunk, in one launch.

use ptxgen_builder::build::{In, InOut, Out};

use super::attention::{AttentionSchedule, AttentionShape};
use super::contents::{Cache, Partial, Table};
use super::error::CatalogueError;
use super::limits::refuse_if;
use super::stage::{Resources, Stage};
use crate::device::{ChunkAt, DeviceKv, Newest, PartialAt, QkvAt, fresh, inputs_ready, pass};
use crate::precision::Accumulation;
use crate::reference::CHUNK;

/// The parameters: those of [`qk_norm_rope`](super::qk_norm_rope) without the
/// turned queries, then the sums and outputs of [`attention`](super::attention).
pub type DecodeAttentionArgs<E, A> = (
    In<f32>,
    In<Table>,
    In<Table>,
    In<Table>,
    In<u32>,
    InOut<Cache<E>>,
    InOut<Cache<E>>,
    Out<Partial<A>>,
    Out<Partial<A>>,
);

/// [`qk_norm_rope`](super::qk_norm_rope) and [`attention`](super::attention) of
/// one token, with their bits: every block of threads turns the queries of its
/// heads itself; those that come to the last chunk turn the key as well, and
/// one of them appends it. A position beyond the cache gives nothing. With
/// `pdl` (see [`How::pdl`](super::How::pdl)) the state and what the cache holds already
/// are read before the wait for the kernel before, which therefore must not
/// write the state.
///
/// # Errors
/// For shapes, more than one token among them, and schedules that the kernel
/// is not made for.
pub fn decode_attention<E: DeviceKv, C: Accumulation>(
    name: &'static str,
    shape: AttentionShape,
    schedule: AttentionSchedule,
    (eps, pdl): (f32, bool),
) -> Result<Stage<DecodeAttentionArgs<E, C::Scalar>>, CatalogueError> {
    shape.check_chunks(name)?;
    schedule.check(name)?;
    let AttentionShape { heads, kv_heads, head_dim, positions, tokens } = shape;
    refuse_if(tokens != 1, name, "tokens", tokens, "1")?;
    let (sharing, chunks) = (heads / kv_heads, shape.chunks());
    let plan = schedule.plan::<E, C::Scalar>(sharing, head_dim);
    let splits = schedule.splits.min(chunks);
    let entry = format!("decode_attention_{}_{}_{}", E::NAME, C::ACC, shape.text());
    let names = ["qkv", "q_norm", "k_norm", "rope", "state", "keys", "values", "sums", "outputs"];
    let resources = Resources::new([splits, heads / plan.heads, 1], plan.threads()).with_blocks(1);
    Stage::<DecodeAttentionArgs<E, C::Scalar>>::new(name, (&entry, names), resources, move |k, args, block| {
        let (qkv, q_norm, k_norm, rope, state, keys, values, sums, outputs) = args;
        let (thread, split) = (k.thread_x(), block.x(k));
        let head = block.y(k) * plan.heads;
        let kv_head = if sharing == plan.heads { block.y(k) } else { head / sharing };
        let (qkv, state) = (fresh(qkv), fresh(state));
        let position = pass::position(k, state);
        let last = position >> CHUNK.trailing_zeros();
        k.if_(position.lt(positions) & split.le(last), |k| {
            let shared = plan.shared::<C::Scalar>(k);
            let here = QkvAt {
                queries: qkv.at(head * head_dim),
                key: qkv.at((kv_head + heads) * head_dim),
                value: qkv.at((kv_head + (heads + kv_heads)) * head_dim),
                q_norm,
                k_norm,
                table: rope.at(position * head_dim),
                eps,
            };
            let first = kv_head * positions;
            let (key, value) = plan.newest_room::<C::Scalar>(k);
            k.for_(split, last + 1, splits, |k, chunk, _| {
                let start = chunk * CHUNK as u32;
                let holds = chunk.eq(last);
                let newest = Newest { key, value, holds };
                let place = (first + start) * head_dim;
                let count = (position - start).min(CHUNK as u32);
                plan.reuse(k, chunks > splits);
                let at = ChunkAt { keys: keys.at(place), values: values.at(place), count, newest: Some(newest) };
                let record = head * chunks + chunk;
                let to = PartialAt { sums: sums.at(record * 2), output: outputs.at(record * head_dim), stride: chunks };
                plan.attend(k, &shared, &at, &to, thread, |k| {
                    k.if_(chunk.eq(split), |k| {
                        inputs_ready(k, pdl);
                        plan.turn_queries(k, &here, shared.queries, thread);
                    });
                    k.if_(holds, |k| {
                        let place = (first + position) * head_dim;
                        let appends = head.eq(kv_head * sharing);
                        plan.append(k, &here, &newest, (keys.at(place), values.at(place)), appends, thread);
                    });
                });
            });
        });
    })
}
