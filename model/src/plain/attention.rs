//! The stages of attention.

use super::{Choice, Mistake, with_acc};
use crate::kv::KvType;
use half::f16;
use ptxgen_dsl::{
    precision::Acc,
    reference::{self, Accumulator, RopeTable},
};
use rayon::prelude::*;

/// The heads of queries and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heads {
    /// Query heads.
    pub(super) queries: usize,
    /// Key and value heads, a divisor of `queries`.
    pub(super) keys: usize,
    /// Width of a head.
    pub(super) width: usize,
}

/// `q_post_rope`, `k_post_rope`: norm and RoPE of each head of `x`, [tokens, heads, width], at positions
/// from `first` on.
///
/// # Panics
/// If the table ends before the last position.
pub(super) fn qk_norm_rope(
    choice: &Choice,
    x: &[f32],
    heads: usize,
    w: &[f32],
    eps: f32,
    table: (&RopeTable, usize),
) -> Vec<f32> {
    let (table, first) = table;
    let interleaved = choice.mistake == Some(Mistake::RopeInterleaved);
    with_acc!(choice.acc, |A| {
        let heads = x.chunks_exact(w.len()).enumerate().flat_map(|(i, head)| {
            let mut y = reference::rms_norm::<A>(head, w, eps);
            if interleaved {
                y = (0..2).flat_map(|odd| y.iter().copied().skip(odd).step_by(2)).collect();
            }
            reference::rope(&mut y, table.at(first + i / heads));
            if interleaved {
                let (even, odd) = y.split_at(w.len() / 2);
                y = even.iter().zip(odd).flat_map(|(&a, &b)| [a, b]).collect();
            }
            y
        });
        heads.map(A::to_f32).collect()
    })
}

/// `attn_scores`: the scaled products of the queries at positions from `first` on with all `keys`,
/// [queries, heads, keys]; -inf after the query's position.
pub(super) fn attention_scores(choice: &Choice, heads: Heads, q: &[f32], keys: &[f32], first: usize) -> Vec<f32> {
    let cache = Cache::new(choice.kv, heads, keys);
    let positions = cache.positions();
    with_acc!(choice.acc, |A| rows(heads, q, first, positions, f32::NEG_INFINITY, |head, q, seen| {
        reference::attention_scores::<A>(q, &cache.of(head, seen)).into_iter().map(A::to_f32).collect()
    }))
}

/// `attn_softmax`: the weights of the values, [queries, heads, keys]; 0 after the query's position.
pub(super) fn attention_softmax(choice: &Choice, heads: Heads, q: &[f32], keys: &[f32], first: usize) -> Vec<f32> {
    let cache = Cache::new(choice.kv, heads, keys);
    let positions = cache.positions();
    with_acc!(choice.acc, |A| rows(heads, q, first, positions, 0.0, |head, q, seen| {
        let scores = reference::attention_scores::<A>(q, &cache.of(head, seen));
        reference::attention_weights(&scores).into_iter().map(A::to_f32).collect()
    }))
}

/// `attention`: each query head's output, [queries, heads, width].
pub(super) fn attention(
    choice: &Choice,
    heads: Heads,
    q: &[f32],
    keys: &[f32],
    values: &[f32],
    first: usize,
) -> Vec<f32> {
    let (keys, values) = (Cache::new(choice.kv, heads, keys), Cache::new(choice.kv, heads, values));
    rows(heads, q, first, heads.width, 0.0, |head, q, seen| {
        let (keys, values) = (keys.of(head, seen), values.of(head, seen));
        match choice.acc {
            Acc::F32 => reference::attention::<f32>(q, &keys, &values),
            Acc::F64 => reference::attention::<f64>(q, &keys, &values),
        }
    })
}

/// For each query head a row of `width`: the result of `of(KV head, query, visible positions)`, then `rest`.
fn rows(
    heads: Heads,
    q: &[f32],
    first: usize,
    width: usize,
    rest: f32,
    of: impl Fn(usize, &[f32], usize) -> Vec<f32> + Sync,
) -> Vec<f32> {
    let group = heads.queries / heads.keys;
    let mut out = vec![rest; q.len() / heads.width * width];
    out.par_chunks_mut(width).zip(q.par_chunks_exact(heads.width)).enumerate().for_each(|(i, (out, q))| {
        let found = of(i % heads.queries / group, q, first + i / heads.queries + 1);
        out[..found.len()].copy_from_slice(&found);
    });
    out
}

/// Keys or values as the cache returns them, [positions, heads, width].
struct Cache {
    heads: Heads,
    values: Vec<f32>,
}

impl Cache {
    fn new(kv: KvType, heads: Heads, values: &[f32]) -> Self {
        let stored = |&v: &f32| match kv {
            KvType::F32 => v,
            KvType::F16 => f16::from_f32(v).to_f32(),
        };
        Self { heads, values: values.iter().map(stored).collect() }
    }

    fn positions(&self) -> usize {
        self.values.len() / (self.heads.keys * self.heads.width)
    }

    /// One head at the first `seen` positions.
    fn of(&self, head: usize, seen: usize) -> Vec<&[f32]> {
        let heads = self.values.chunks_exact(self.heads.width).skip(head).step_by(self.heads.keys);
        heads.take(seen).collect()
    }
}
