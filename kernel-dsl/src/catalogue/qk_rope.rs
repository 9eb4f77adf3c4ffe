//! `qk-norm-rope`: queries and keys after norm and RoPE, keys and values
//! appended to the cache.

use ptxgen_builder::build::{Body, Global, In, InOut, Out, ReadOnly, Val};

use super::attention::AttentionShape;
use super::contents::{Cache, Table};
use super::error::CatalogueError;
use super::stage::{Block, Resources, Stage};
use crate::device::{DeviceFloat, DeviceKv, HeadLanes, Turn, pass};
use crate::precision::Accumulation;

/// The parameters: `qkv`, for each token its query, key and value heads as the
/// projections gave them; the norms' weights of queries and keys (`head_dim`
/// f32 each); the RoPE table, [positions, 2, head_dim / 2]; the
/// [state](crate::device::pass) of the pass; the turned queries, [tokens, heads, head_dim]; the layer's keys and values, both
/// [kv_heads, positions, head_dim].
pub type QkRopeArgs<E> =
    (In<f32>, In<Table>, In<Table>, In<Table>, In<u32>, Out<f32>, InOut<Cache<E>>, InOut<Cache<E>>);

/// Heads (warps) of a block of threads.
const WARPS: u32 = 4;

/// The contract's "QK-norm and RoPE" and "KV cache" for the tokens of a pass,
/// a warp to a head. What the state puts beyond the tokens of the pass or the
/// positions of the cache is left alone.
///
/// # Errors
/// For shapes that the kernel does not support.
pub fn qk_norm_rope<E: DeviceKv, C: Accumulation>(
    name: &'static str,
    shape: AttentionShape,
    eps: f32,
) -> Result<Stage<QkRopeArgs<E>>, CatalogueError> {
    shape.check(name)?;
    let AttentionShape { head_dim, positions, .. } = shape;
    let entry = format!("qk_norm_rope_{}_{}_{}", E::NAME, C::ACC, shape.text());
    let names = ["qkv", "q_norm", "k_norm", "rope", "state", "q", "keys", "values"];
    Stage::<QkRopeArgs<E>>::new(name, (&entry, names), Heads::<E>::resources(shape), move |k, args, block| {
        let (qkv, q_norm, k_norm, rope, state, q, keys, values) = args;
        let (thread, token) = (k.thread_x(), block.y(k));
        let warp = head_of(k, thread, block);
        // The activations are read from here on.
        let position = pass::position(k, state) + token;
        let place = |_: &Body, kv_head: Val<u32>| (kv_head * positions + position) * head_dim;
        let heads = Heads { qkv, q_norm, k_norm, rope, q, keys, values, shape, eps };
        heads.turn::<C>(k, (warp, token), (state, position), place);
    })
}

/// A thread's lane, and the head of its warp: first of a token's queries, then its keys, then its values.
#[track_caller]
pub(super) fn head_of(k: &Body, thread: Val<u32>, block: Block) -> (Val<u32>, Val<u32>) {
    (thread & 31, block.x(k) * WARPS + (thread >> 5))
}

/// What a pass's heads are made of, and where they go.
pub(super) struct Heads<E: DeviceKv> {
    pub qkv: ReadOnly<f32>,
    pub q_norm: ReadOnly<f32>,
    pub k_norm: ReadOnly<f32>,
    pub rope: ReadOnly<f32>,
    pub q: Global<f32>,
    pub keys: Global<E>,
    pub values: Global<E>,
    pub shape: AttentionShape,
    pub eps: f32,
}

impl<E: DeviceKv> Heads<E> {
    /// The warp's head of a token, which is at `position`; `place` gives that position's first element of a key head in the
    /// cache.
    #[track_caller]
    pub(super) fn turn<C: Accumulation>(
        &self,
        k: &Body,
        ((lane, head), token): ((Val<u32>, Val<u32>), Val<u32>),
        (state, position): (ReadOnly<u32>, Val<u32>),
        place: impl Fn(&Body, Val<u32>) -> Val<u32>,
    ) {
        let &Heads { qkv, q_norm, k_norm, rope, q, keys, values, eps, shape } = self;
        let AttentionShape { heads, kv_heads, head_dim, positions, tokens } = shape;
        let all = heads + 2 * kv_heads;
        let mut here = position.lt(positions);
        if tokens > 1 {
            here = here & token.lt(pass::tokens(k, state, tokens));
        }
        if !all.is_multiple_of(WARPS) {
            here = here & head.lt(all);
        }
        k.if_(here, |k| {
            let x = qkv.at((token * all + head) * head_dim);
            let lanes = HeadLanes { head_dim };
            let turned = |k: &Body, weights: ReadOnly<f32>| {
                let turn = Turn { weights, table: rope.at(position * head_dim), eps };
                let y = lanes.norm_rope::<_, C::Scalar>(k, x, &turn, lane);
                y.into_iter().map(|v| v.map(C::Scalar::narrow)).collect::<Vec<_>>()
            };
            k.if_else(
                head.lt(heads),
                |k| {
                    let v = turned(k, q_norm);
                    store(k, &lanes, lane, q.at((token * heads + head) * head_dim), v);
                },
                |k| {
                    k.if_else(
                        head.lt(heads + kv_heads),
                        |k| {
                            let v = turned(k, k_norm);
                            store(k, &lanes, lane, keys.at(place(k, head - heads)), v);
                        },
                        |k| {
                            let v = lanes.load(k, x, lane);
                            store(k, &lanes, lane, values.at(place(k, head - (heads + kv_heads))), v);
                        },
                    );
                },
            );
        });
    }

    /// What heads of these sizes take of a launch: a token in y.
    pub(super) fn resources(shape: AttentionShape) -> Resources {
        let all = shape.heads + 2 * shape.kv_heads;
        Resources::new([all.div_ceil(WARPS), shape.tokens, 1], WARPS * 32)
    }
}

/// Stores the lane's groups of a head.
#[track_caller]
fn store<E: DeviceKv>(k: &Body, lanes: &HeadLanes, lane: Val<u32>, to: Global<E>, v: Vec<[Val<f32>; 4]>) {
    for (place, v) in lanes.place(lane).into_iter().zip(v) {
        let to = to.at(place.element);
        match place.holds {
            None => E::store4(k, to, v),
            Some(holds) => k.if_(holds, |k| E::store4(k, to, v)),
        }
    }
}
