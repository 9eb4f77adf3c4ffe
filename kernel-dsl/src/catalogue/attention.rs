//! `attention`: every chunk of positions on its own.

use ptxgen_builder::build::{Body, Global, In, Out, ReadOnly, ReadOnlySpace, Val};

use super::contents::{Cache, Partial};
use super::error::CatalogueError;
use super::limits::refuse_if;
use super::stage::{Resources, Stage};
use crate::device::{ChunkAt, ChunkPlan, ChunkShared, DeviceExp, DeviceFloat, DeviceKv, PartialAt, divisor, pass};
use crate::precision::Accumulation;
use crate::reference::CHUNK;

/// The heads of a layer, its cache, and the tokens of a pass.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AttentionShape {
    /// Query heads, a multiple of `kv_heads`.
    pub heads: u32,
    /// Heads of keys and values.
    pub kv_heads: u32,
    /// Elements of a head, a multiple of 8 up to 256.
    pub head_dim: u32,
    /// Positions that the cache has room for.
    pub positions: u32,
    /// Most tokens of a pass.
    pub tokens: u32,
}

impl AttentionShape {
    /// Chunks that the cache has room for.
    pub fn chunks(&self) -> u32 {
        self.positions.div_ceil(CHUNK as u32)
    }

    /// Chunks of all query heads and tokens: each gives two sums and `head_dim`
    /// outputs.
    pub fn partials(&self) -> u64 {
        u64::from(self.tokens) * u64::from(self.heads) * u64::from(self.chunks())
    }

    /// For the names of kernels.
    pub(super) fn text(&self) -> String {
        format!("{}of{}x{}_{}_{}", self.kv_heads, self.heads, self.head_dim, self.positions, self.tokens)
    }

    pub(super) fn check(&self, kernel: &'static str) -> Result<(), CatalogueError> {
        let AttentionShape { heads, kv_heads, head_dim, positions, tokens } = *self;
        refuse_if(kv_heads == 0 || kv_heads > 4096, kernel, "kv-heads", kv_heads, "1 to 4,096")?;
        refuse_if(
            heads == 0 || !heads.is_multiple_of(kv_heads) || heads > 4096,
            kernel,
            "heads",
            heads,
            "a multiple of kv-heads, up to 4,096",
        )?;
        refuse_if(
            head_dim == 0 || !head_dim.is_multiple_of(8) || head_dim > 256,
            kernel,
            "head-dim",
            head_dim,
            "a multiple of 8, up to 256",
        )?;
        refuse_if(positions == 0 || positions > 1 << 20, kernel, "positions", positions, "1 to 1,048,576")?;
        refuse_if(tokens == 0 || tokens > 65_535, kernel, "tokens", tokens, "1 to 65,535")?;
        // Indices are 32 bits wide.
        let cache = u64::from(kv_heads) * u64::from(positions.next_multiple_of(CHUNK as u32)) * u64::from(head_dim);
        refuse_if(cache > u64::from(u32::MAX), kernel, "kv-heads * positions * head-dim", cache, "below 2^32")
    }

    /// The same for a kernel that keeps results of chunks in memory.
    pub(super) fn check_chunks(&self, kernel: &'static str) -> Result<(), CatalogueError> {
        self.check(kernel)?;
        let partials = self.partials() * u64::from(self.head_dim);
        let expected = "below 2^32: fewer tokens a pass or positions";
        refuse_if(partials > u64::from(u32::MAX), kernel, "tokens * heads * chunks * head-dim", partials, expected)
    }
}

/// How [`attention`] does its work. No value of it changes a bit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AttentionSchedule {
    /// Query heads of a block of threads, those of one key head; clamped to a
    /// divisor of their number.
    pub heads: u32,
    /// Warps of a block, about.
    pub warps: u32,
    /// Blocks among which the chunks of a head are divided, in turn.
    pub splits: u32,
    /// Tokens of a block, one after the other with the same keys and values.
    pub tokens: u32,
    /// Whether values wait in shared memory (from sm_80 on) rather than in registers, where a block
    /// has room for them.
    pub staged: bool,
}

impl Default for AttentionSchedule {
    fn default() -> Self {
        AttentionSchedule { heads: 4, warps: 4, splits: 64, tokens: 1, staged: false }
    }
}

impl AttentionSchedule {
    pub(super) fn check(&self, kernel: &'static str) -> Result<(), CatalogueError> {
        for (dimension, found, most, expected) in [
            ("heads a block", self.heads, 16, "1 to 16"),
            ("warps", self.warps, 16, "1 to 16"),
            ("splits", self.splits, 1 << 20, "1 to 1,048,576"),
            ("tokens a block", self.tokens, 65_535, "1 to 65,535"),
        ] {
            refuse_if(found == 0 || found > most, kernel, dimension, found, expected)?;
        }
        Ok(())
    }

    /// How a block that has heads of a key head's `sharing` works on a chunk.
    pub(super) fn plan<E: DeviceKv, A: DeviceFloat>(&self, sharing: u32, head_dim: u32) -> ChunkPlan {
        let plan = ChunkPlan::new::<E, A>(divisor(sharing, self.heads), head_dim, self.warps);
        if self.staged { plan.staged::<A>() } else { plan }
    }
}

/// The parameters: the queries, [tokens, heads, head_dim]; the layer's keys
/// and values, both [kv_heads, positions, head_dim]; the
/// [state](crate::device::pass) of the pass; for each token, query
/// head and chunk its maximum and sum, and its output of `head_dim`.
pub type AttentionArgs<E, A> = (In<f32>, In<Cache<E>>, In<Cache<E>>, In<u32>, Out<Partial<A>>, Out<Partial<A>>);

/// The contract's "Attention" of the tokens of a pass up to the chunks'
/// results; [`attention_combine`](super::attention_combine) goes on. The
/// caches hold the tokens of the pass already. Positions are read from device
/// memory; results of chunks that a token does not see are not written.
///
/// # Errors
/// For shapes and schedules that the kernel does not support.
pub fn attention<E: DeviceKv, C: Accumulation>(
    name: &'static str,
    shape: AttentionShape,
    schedule: AttentionSchedule,
) -> Result<Stage<AttentionArgs<E, C::Scalar>>, CatalogueError> {
    shape.check_chunks(name)?;
    schedule.check(name)?;
    let AttentionShape { heads, kv_heads, head_dim, positions, tokens } = shape;
    let (sharing, chunks) = (heads / kv_heads, shape.chunks());
    let plan = schedule.plan::<E, C::Scalar>(sharing, head_dim);
    let (splits, block_tokens) = (schedule.splits.min(chunks), schedule.tokens.min(tokens));
    let entry = format!("attention_{}_{}_{}", E::NAME, C::ACC, shape.text());
    let names = ["q", "keys", "values", "state", "sums", "outputs"];
    let grid = [splits, heads / plan.heads, tokens.div_ceil(block_tokens)];
    let resources = Resources::new(grid, plan.threads()).with_blocks(1);
    Stage::<AttentionArgs<E, C::Scalar>>::new(
        name,
        (&entry, names),
        resources,
        move |k, (q, keys, values, state, sums, outputs), block| {
            let (thread, split) = (k.thread_x(), block.x(k));
            let head = block.y(k) * plan.heads;
            let kv_head = if sharing == plan.heads { block.y(k) } else { head / sharing };
            let shared = plan.shared::<C::Scalar>(k);
            // The activations are read from here on.
            let first = pass::position(k, state);
            let one = |k: &Body, token: Val<u32>, chunk: Val<u32>| {
                // Positions of the chunk that the token sees.
                let seen = (first + token + 1).min(positions);
                let start = chunk * CHUNK as u32;
                k.if_(seen.gt(start), |k| {
                    let row = token * heads + head;
                    let place = (kv_head * positions + start) * head_dim;
                    let count = (seen - start).min(CHUNK as u32);
                    // What was there before has been read.
                    plan.reuse(k, tokens > 1 || chunks > splits);
                    let at = ChunkAt { keys: keys.at(place), values: values.at(place), count, newest: None };
                    attend_to(k, &plan, &shared, &at, (q, sums, outputs), (row, chunk, chunks), thread);
                });
            };
            if tokens == 1 {
                let end = (first.min(positions - 1) >> CHUNK.trailing_zeros()) + 1;
                k.for_(split, end, splits, |k, chunk, _| one(k, Val::from(0), chunk));
            } else {
                let begin = block.z(k) * block_tokens;
                let end = (begin + block_tokens).min(pass::tokens(k, state, tokens));
                // Those of the last token.
                let seen = (first + end).min(positions);
                let last = (seen + (CHUNK as u32 - 1)) >> CHUNK.trailing_zeros();
                k.if_(begin.lt(end), |k| {
                    k.for_(split, last, splits, |k, chunk, _| {
                        k.for_(begin, end, 1, |k, token, _| one(k, token, chunk));
                    });
                });
            }
        },
    )
}

/// Attention of a row's heads over a chunk, into the chunk's place among the row's `chunks`. `row` counts heads.
#[track_caller]
pub(super) fn attend_to<E: DeviceKv, A: DeviceExp>(
    k: &Body,
    plan: &ChunkPlan,
    shared: &ChunkShared<A>,
    at: &ChunkAt<ReadOnlySpace, E, A>,
    (q, sums, outputs): (ReadOnly<f32>, Global<A>, Global<A>),
    (row, chunk, chunks): (Val<u32>, Val<u32>, u32),
    thread: Val<u32>,
) {
    let head_dim = plan.head_dim;
    let record = row * chunks + chunk;
    let to = PartialAt { sums: sums.at(record * 2), output: outputs.at(record * head_dim), stride: chunks };
    plan.attend(k, shared, at, &to, thread, |k| {
        plan.stage_queries(k, q.at(row * head_dim), shared.queries, thread);
    });
}
