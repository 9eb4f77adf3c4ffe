//! `qkv-join`: queries, keys and values of a pass, each a matrix, as rows of one.

use ptxgen_builder::build::{Body, Global, In, Out, ReadOnly, Val};

use super::attention::AttentionShape;
use super::error::CatalogueError;
use super::stage::{Resources, Stage};
use crate::device::pass;

/// The parameters: queries, [tokens, heads, head_dim]; keys and values, [tokens, kv_heads, head_dim];
/// the [state](crate::device::pass) of the pass; for each token its query, key and value heads.
pub type QkvJoinArgs = (In<f32>, In<f32>, In<f32>, In<u32>, Out<f32>);

/// Threads of a block.
const THREADS: u32 = 256;

/// Values that a thread copies: heads are whole quads.
const SHARE: u32 = 4;

/// What `qkv` would have given, where no such kernel takes the types of the three matrices and each
/// has had a launch of its own. Rows beyond the tokens of the pass are left alone.
///
/// # Errors
/// For shapes that attention is not made for.
pub fn qkv_join(name: &'static str, shape: AttentionShape) -> Result<Stage<QkvJoinArgs>, CatalogueError> {
    shape.check(name)?;
    let AttentionShape { heads, kv_heads, head_dim, tokens, .. } = shape;
    let (query, key) = (heads * head_dim, kv_heads * head_dim);
    let all = query + 2 * key;
    let entry = format!("qkv_join_{heads}_{kv_heads}_{head_dim}_{tokens}");
    let names = ["q", "k", "v", "state", "qkv"];
    let resources = Resources::new([all.div_ceil(THREADS * SHARE), tokens, 1], THREADS);
    Stage::<QkvJoinArgs>::new(name, (&entry, names), resources, move |k, (queries, keys, values, state, qkv), block| {
        let (i, token) = (block.global_thread(k) * SHARE, block.y(k));
        let here = token.lt(pass::tokens(k, state, tokens));
        k.if_(i.lt(all) & here, |k| {
            let to = qkv.at(token * all + i);
            let row = |from: ReadOnly<f32>, width: u32| from.at(token * width);
            k.if_else(
                i.lt(query),
                |k| copy(k, row(queries, query).at(i), to),
                |k| {
                    k.if_else(
                        i.lt(query + key),
                        |k| copy(k, row(keys, key).at(i - query), to),
                        |k| copy(k, row(values, key).at(i - (query + key)), to),
                    );
                },
            );
        });
    })
}

#[track_caller]
fn copy(k: &Body, from: ReadOnly<f32>, to: Global<f32>) {
    let values: [Val<f32>; SHARE as usize] = from.load_vec(k);
    to.store_vec(k, values);
}
