//! Entries: attention.

use half::f16;

use super::super::error::CatalogueError;
use super::super::request::Resolved;
use super::super::schedule::Schedule;
use super::super::{
    AttentionSchedule, AttentionShape, attention, attention_combine, attention_combine_q8k, attention_prompt,
    decode_attention, qkv_join,
};
use super::{ACCS, Built, CacheType, Dims, Entry, Family, KernelId, Size, Words, with_acc};
use crate::device::{DeviceKv, pass};

/// Qwen3-30B-A3B's heads.
pub(super) const HEADS: Dims = Dims {
    heads: Some(32),
    kv_heads: Some(4),
    head_dim: Some(128),
    positions: Some(4096),
    tokens: Some(1),
    ..Dims::NONE
};

pub(super) const HEADS_TRIAL: Dims = Dims { heads: Some(8), kv_heads: Some(2), positions: Some(256), ..Dims::NONE };

pub(super) const HEADS_READING: Dims =
    Dims { heads: Some(4), kv_heads: Some(1), head_dim: Some(64), positions: Some(128), ..Dims::NONE };

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        id: KernelId::Attention(CacheType::F32),
        summary: "attention over each chunk of an f32 cache",
        ..ATTENTION
    },
    Entry {
        id: KernelId::Attention(CacheType::F16),
        summary: "attention over each chunk of an f16 cache",
        build: chunks::<f16>,
        ..ATTENTION
    },
    Entry {
        id: KernelId::DecodeAttention(CacheType::F32),
        summary: "qk-norm-rope and attention of one token over an f32 cache, in one launch",
        ..DECODE
    },
    Entry {
        id: KernelId::DecodeAttention(CacheType::F16),
        summary: "qk-norm-rope and attention of one token over an f16 cache, in one launch",
        build: decode::<f16>,
        ..DECODE
    },
    Entry {
        id: KernelId::PromptAttention(CacheType::F32),
        summary: "attention of a pass over an f32 cache, chunk by chunk",
        ..PROMPT
    },
    Entry {
        id: KernelId::PromptAttention(CacheType::F16),
        summary: "attention of a pass over an f16 cache, chunk by chunk",
        build: prompt::<f16>,
        ..PROMPT
    },
    Entry { id: KernelId::AttentionCombine, summary: "combines the results of attention's chunks", ..COMBINE },
    Entry {
        id: KernelId::AttentionCombineQ8K,
        summary: "combines the results of attention's chunks, as f32 and as Q8_K",
        build: combine_quantized,
        ..COMBINE
    },
    Entry {
        id: KernelId::QkvJoin,
        summary: "joins queries, keys and values of a pass, computed as three matrices, into rows",
        accs: &[],
        dims: Dims { positions: None, ..HEADS },
        trial: Dims { positions: None, ..HEADS_TRIAL },
        reading: Dims { positions: None, ..HEADS_READING },
        build: join,
        ..ATTENTION
    },
];

const ATTENTION: Entry = Entry {
    family: Family::Attention,
    accs: ACCS,
    dims: HEADS,
    trial: HEADS_TRIAL,
    reading: HEADS_READING,
    build: chunks::<f32>,
    ..Entry::BASE
};

const DECODE: Entry =
    Entry { stages: 1, usual: |s, _, _| Schedule::decode_attention(s.positions), build: decode::<f32>, ..ATTENTION };

const PROMPT: Entry = Entry {
    stages: 1,
    dims: Dims { tokens: Some(512), ..HEADS },
    trial: Dims { tokens: Some(5), ..HEADS_TRIAL },
    reading: Dims { tokens: Some(5), ..HEADS_READING },
    build: prompt::<f32>,
    ..ATTENTION
};

const COMBINE: Entry = Entry { stages: 1, is_eager: true, build: combine, ..ATTENTION };

impl Resolved {
    pub(super) fn heads(&self) -> AttentionShape {
        let s = &self.sizes;
        let (heads, kv_heads, head_dim) = (s.heads, s.kv_heads, s.head_dim);
        AttentionShape { heads, kv_heads, head_dim, positions: s.positions, tokens: s.tokens }
    }

    /// The keys or the values of a layer.
    pub(super) fn cache(&self) -> Size {
        let s = self.heads();
        let elements = u64::from(s.kv_heads) * u64::from(s.positions) * u64::from(s.head_dim);
        Size::elements(elements)
    }

    /// The state of a pass; for trials, of one that fills the cache.
    pub(super) fn last_pass(&self) -> Size {
        let s = self.heads();
        Size::words(Words::Is(s.positions.saturating_sub(s.tokens)), pass::STATE_WORDS)
    }

    /// The sums and the outputs of chunks.
    pub(super) fn partials(&self) -> [Size; 2] {
        let s = self.heads();
        [2, s.head_dim].map(|n| Size::elements(s.partials() * u64::from(n)))
    }

    /// Rows represent query heads, blocks represent splits.
    fn attention_schedule(&self) -> AttentionSchedule {
        let s = self.how.schedule;
        let splits = s.blocks.unwrap_or(AttentionSchedule::default().splits);
        AttentionSchedule { heads: s.rows, warps: s.warps, splits, tokens: 4, staged: false }
    }

    /// The parameters of `qk-norm-rope` up to the state.
    pub(super) fn projected(&self) -> Vec<Size> {
        let s = self.heads();
        let row = u64::from(s.head_dim) * 4;
        let all = u64::from(s.tokens) * u64::from(s.heads + 2 * s.kv_heads);
        vec![
            Size::bytes(all * row),
            Size::bytes(row),
            Size::bytes(row),
            Size::bytes(row * u64::from(s.positions)),
            self.last_pass(),
        ]
    }

    pub(super) fn queries(&self) -> u64 {
        let s = self.heads();
        u64::from(s.tokens) * u64::from(s.heads) * u64::from(s.head_dim)
    }
}

fn chunks<E: DeviceKv>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let (shape, schedule) = (r.heads(), r.attention_schedule());
    with_acc!(r.policy, |C| {
        let kernel = attention::<E, C>(entry.name, shape, schedule)?;
        let cache = r.cache();
        let [sums, outputs] = r.partials();
        let params = vec![Size::bytes(r.queries() * 4), cache, cache, r.last_pass(), sums, outputs];
        Ok(Built::new(entry, r, kernel, r.queries() * u64::from(shape.positions), params))
    })
}

fn prompt<E: DeviceKv>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let shape = r.heads();
    with_acc!(r.policy, |C| {
        let kernel = attention_prompt::<E, C>(entry.name, shape, r.how.target)?;
        let cache = r.cache();
        let params = vec![Size::bytes(r.queries() * 4), cache, cache, r.last_pass(), Size::elements(r.queries())];
        Ok(Built::new(entry, r, kernel, r.queries() * u64::from(shape.positions), params))
    })
}

fn decode<E: DeviceKv>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let shape = r.heads();
    // Where several blocks are to be on a multiprocessor.
    let staged = r.how.target.sm() >= 80 && shape.positions > 2048;
    let schedule = AttentionSchedule { staged, ..r.attention_schedule() };
    with_acc!(r.policy, |C| {
        let kernel = decode_attention::<E, C>(entry.name, shape, schedule, (r.eps, r.how.waits()))?;
        let cache = r.cache();
        let mut params = r.projected();
        params.extend([cache, cache]);
        params.extend(r.partials());
        Ok(Built::new(entry, r, kernel, r.queries() * u64::from(shape.positions), params))
    })
}

impl Resolved {
    fn combine_params(&self) -> Vec<Size> {
        let [sums, outputs] = self.partials();
        vec![sums, outputs, self.last_pass(), Size::elements(self.queries())]
    }
}

fn combine(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    with_acc!(r.policy, |C| {
        let kernel = attention_combine::<C>(entry.name, r.heads())?;
        Ok(Built::new(entry, r, kernel, r.queries(), r.combine_params()))
    })
}

fn combine_quantized(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let shape = r.heads();
    with_acc!(r.policy, |C| {
        let kernel = attention_combine_q8k::<C>(entry.name, shape)?;
        let mut params = r.combine_params();
        params.push(Size::vectors(shape.heads * shape.head_dim, shape.tokens).unlisted());
        Ok(Built::new(entry, r, kernel, r.queries(), params))
    })
}

fn join(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let shape = AttentionShape { positions: 1, ..r.heads() };
    let kernel = qkv_join(entry.name, shape)?;
    let [queries, keys] = [shape.heads, shape.kv_heads].map(|heads| heads * shape.head_dim);
    let vectors = |cols| Size::vectors(cols, shape.tokens);
    let written = u64::from(shape.tokens) * u64::from(queries + 2 * keys);
    let params = vec![vectors(queries), vectors(keys), vectors(keys), r.full_pass(), Size::elements(written)];
    Ok(Built::new(entry, r, kernel, written, params))
}
