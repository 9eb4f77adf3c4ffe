//! `attention-prompt`: the contract's "Attention" for many queries at once, which share the keys and values that a block
//! of threads reads, without results of chunks in memory.
//!
//! A block has some heads of some tokens as rows. The contract's factors across chunks need the largest score of all
//! first, so there are two rounds over the chunks: in one for that, in the next for weights and outputs. The scores of
//! the first chunks are remembered, the others computed twice. A thread has four rows and, of every 64 keys, four; of their outputs, some columns. What the tree over the
//! chunks keeps waits in the thread's own memory.

mod plan;
mod rows;

use ptxgen_builder::build::{Global, In, Out, ReadOnly, Val};
use ptxgen_builder::target::Target;

use plan::PromptPlan;
use rows::Rows;

use super::attention::AttentionShape;
use super::contents::Cache;
use super::error::CatalogueError;
use super::stage::{Resources, Stage};
use crate::device::{DeviceKv, pass};
use crate::precision::{Acc, Accumulation};
use crate::reference::CHUNK;

/// The parameters: the queries, [tokens, heads, head_dim]; the layer's keys and values, both [kv_heads, positions,
/// head_dim]; the [state](crate::device::pass) of the pass; the results, as the queries.
pub type PromptArgs<E> = (In<f32>, In<Cache<E>>, In<Cache<E>>, In<u32>, Out<f32>);

/// The contract's "Attention" of the tokens of a pass. The caches hold the tokens of the pass already.
///
/// # Errors
/// For shapes that the kernel does not support.
pub fn attention_prompt<E: DeviceKv, C: Accumulation>(
    name: &'static str,
    shape: AttentionShape,
    target: Target,
) -> Result<Stage<PromptArgs<E>>, CatalogueError> {
    shape.check(name)?;
    let plan = PromptPlan::new::<C::Scalar>(shape, target);
    let AttentionShape { heads, positions, head_dim, tokens, .. } = shape;
    let entry = format!("attention_prompt_{}_{}_{}", E::NAME, C::ACC, shape.text());
    let names = ["q", "keys", "values", "state", "y"];
    let resources = Resources::new([plan.token_tiles() * plan.groups(), 1, 1], plan.threads())
        .with_shared(plan.staged_bytes(), target)
        // Three blocks hide each other's waits; sums in f64 need all registers.
        .with_blocks(if C::ACC == Acc::F32 { 3 } else { 1 });
    Stage::<PromptArgs<E>>::new(name, (&entry, names), resources, move |k, (q, keys, values, state, y), block| {
        let (first, count) = (pass::position(k, state), pass::tokens(k, state, tokens));
        // Those with the most to do begin, of all heads.
        let (tile, group) = (block.x(k) / plan.groups(), block.x(k) % plan.groups());
        let tile = Val::from(plan.token_tiles() - 1).copied() - tile;
        let token = tile * plan.tokens;
        block.leave_if(k, token.ge(count));
        let head = group * plan.heads;
        let rows = Rows::<C::Scalar>::new(k, &plan, k.thread_x(), (token, count), first);
        rows.stage_queries(k, q, head);
        let cache = head / plan.sharing() * positions;
        // What the block's last token sees.
        let seen = (first + (token + plan.tokens).min(count)).min(positions);
        let chunks = (seen + (CHUNK as u32 - 1)) >> CHUNK.trailing_zeros();
        k.for_(0u32, chunks * 2, 1u32, |k, round, _| {
            let weighs = round.ge(chunks);
            let chunk = round - Val::from(0u32).select(!weighs, chunks);
            let start = chunk * CHUNK as u32;
            let at = |from: ReadOnly<E>| from.at(cache * head_dim);
            let remembered = chunk.lt(plan.remembered::<C::Scalar>());
            let scores = rows.no_scores(k);
            k.if_else(
                weighs & remembered,
                |k| rows.recall(k, chunk, &scores),
                |k| {
                    rows.stage(k, at(keys), start, seen);
                    k.barrier();
                    rows.score(k, start, &scores);
                    k.if_(remembered & !weighs, |k| rows.remember(k, chunk, &scores));
                },
            );
            k.if_else(
                weighs,
                |k| {
                    rows.weigh(k, &scores, start);
                    // The keys have been read, the weights are written.
                    k.barrier();
                    rows.stage(k, at(values), start, seen);
                    k.barrier();
                    rows.add(k, chunk, start);
                },
                |k| rows.see(k, &scores, round.eq(chunks - 1)),
            );
            k.barrier();
        });
        rows.finish(k, |k, row, column, values| {
            let local = row / plan.heads;
            let own = (token + local).lt(count) & row.lt(plan.rows_used());
            let place = ((token + local) * heads + head + (row - local * plan.heads)) * head_dim + column;
            let y: Global<f32> = y.at(place);
            k.if_(own & column.lt(head_dim), |k| y.store_vec(k, values));
        });
    })
}
