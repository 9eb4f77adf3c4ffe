//! Entries: attention.

use half::f16;
use ptxgen_builder::build::Scalar;

use super::super::error::CatalogueError;
use super::super::request::Resolved;
use super::super::schedule::Schedule;
use super::super::{
    AttentionSchedule, AttentionShape, attention, attention_combine, attention_combine_q8k, attention_prompt,
    decode_attention, qkv_join,
};
use super::built::vector_bytes;
use super::{ACCS, Access, Built, Contents, Dims, Entry, Family, ParamSpec, Words, with_acc};
use crate::device::{DeviceKv, pass};
use crate::precision::{Acc, Act};

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
    Entry { name: "attention-kv-f32", summary: "attention over each chunk of an f32 cache", ..ATTENTION },
    Entry {
        name: "attention-kv-f16",
        summary: "attention over each chunk of an f16 cache",
        build: chunks::<f16>,
        ..ATTENTION
    },
    Entry {
        name: "decode-attention-kv-f32",
        summary: "qk-norm-rope and attention of one token over an f32 cache, in one launch",
        ..DECODE
    },
    Entry {
        name: "decode-attention-kv-f16",
        summary: "qk-norm-rope and attention of one token over an f16 cache, in one launch",
        build: decode::<f16>,
        ..DECODE
    },
    Entry {
        name: "attention-prompt-kv-f32",
        summary: "attention of a pass over an f32 cache, chunk by chunk",
        ..PROMPT
    },
    Entry {
        name: "attention-prompt-kv-f16",
        summary: "attention of a pass over an f16 cache, chunk by chunk",
        build: prompt::<f16>,
        ..PROMPT
    },
    Entry { name: "attention-combine", summary: "the chunks' results put together", ..COMBINE },
    Entry {
        name: "attention-combine-q8k",
        summary: "the chunks' results put together, as f32 and as Q8_K",
        build: combine_quantized,
        ..COMBINE
    },
    Entry {
        name: "qkv-join",
        summary: "queries, keys and values of a pass, each a matrix, as rows of one",
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
    Entry { stages: 1, usual: |s, _| Schedule::decode_attention(s.positions), build: decode::<f32>, ..ATTENTION };

const PROMPT: Entry = Entry {
    stages: 1,
    dims: Dims { tokens: Some(512), ..HEADS },
    trial: Dims { tokens: Some(5), ..HEADS_TRIAL },
    reading: Dims { tokens: Some(5), ..HEADS_READING },
    build: prompt::<f32>,
    ..ATTENTION
};

const COMBINE: Entry = Entry { stages: 1, build: combine, ..ATTENTION };

impl Resolved {
    pub(super) fn heads(&self) -> AttentionShape {
        let s = &self.sizes;
        let (heads, kv_heads, head_dim) = (s.heads, s.kv_heads, s.head_dim);
        AttentionShape { heads, kv_heads, head_dim, positions: s.positions, tokens: s.tokens }
    }

    /// The keys or the values of a layer.
    pub(super) fn cache<E: DeviceKv>(&self, access: Access) -> ParamSpec {
        let s = self.heads();
        let contents = if E::TY == f16::TY { Contents::F16 } else { Contents::F32 };
        let elements = u64::from(s.kv_heads) * u64::from(s.positions) * u64::from(s.head_dim);
        ParamSpec { access, ..ParamSpec::read("", contents, elements * u64::from(E::TY.bytes())) }
    }

    /// The state of a pass; for trials, of one that fills the cache.
    pub(super) fn last_pass(&self) -> ParamSpec {
        let s = self.heads();
        ParamSpec::words("state", Words::Is(s.positions.saturating_sub(s.tokens)), pass::STATE_WORDS)
    }

    /// The sums and the outputs of chunks.
    pub(super) fn partials(&self, access: Access) -> [ParamSpec; 2] {
        let (contents, size) = match self.policy.acc {
            Acc::F32 => (Contents::F32, 4),
            Acc::F64 => (Contents::F64, 8),
        };
        let s = self.heads();
        let partials = s.partials();
        [("sums", 2), ("outputs", s.head_dim)].map(|(name, n)| {
            let bytes = partials * u64::from(n) * size;
            ParamSpec { access, ..ParamSpec::read(name, contents, bytes) }
        })
    }

    /// Rows stand for query heads, blocks for splits.
    fn attention_schedule(&self) -> AttentionSchedule {
        let s = self.how.schedule;
        let splits = s.blocks.unwrap_or(AttentionSchedule::default().splits);
        AttentionSchedule { heads: s.rows, warps: s.warps, splits, tokens: 4, staged: false }
    }

    /// The parameters of `qk-norm-rope` up to the state.
    pub(super) fn projected(&self) -> Vec<ParamSpec> {
        let s = self.heads();
        let row = u64::from(s.head_dim) * 4;
        let all = u64::from(s.tokens) * u64::from(s.heads + 2 * s.kv_heads);
        vec![
            ParamSpec::read("qkv", Contents::Activations(Act::F32), all * row),
            ParamSpec::read("q_norm", Contents::F32, row),
            ParamSpec::read("k_norm", Contents::F32, row),
            ParamSpec::read("rope", Contents::F32, row * u64::from(s.positions)),
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
        let cache = r.cache::<E>(Access::In);
        let [sums, outputs] = r.partials(Access::Out);
        let params = vec![
            ParamSpec::read("q", Contents::Activations(Act::F32), r.queries() * 4),
            ParamSpec { name: "keys", ..cache },
            ParamSpec { name: "values", ..cache },
            r.last_pass(),
            sums,
            outputs,
        ];
        Ok(Built::new(entry, r, kernel, r.queries() * u64::from(shape.positions), params))
    })
}

fn prompt<E: DeviceKv>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let shape = r.heads();
    with_acc!(r.policy, |C| {
        let kernel = attention_prompt::<E, C>(entry.name, shape, r.how.target)?;
        let cache = r.cache::<E>(Access::In);
        let params = vec![
            ParamSpec::read("q", Contents::Activations(Act::F32), r.queries() * 4),
            ParamSpec { name: "keys", ..cache },
            ParamSpec { name: "values", ..cache },
            r.last_pass(),
            ParamSpec::result("y", r.queries()),
        ];
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
        let cache = r.cache::<E>(Access::InOut);
        let mut params = r.projected();
        params.push(ParamSpec { name: "keys", ..cache });
        params.push(ParamSpec { name: "values", ..cache });
        params.extend(r.partials(Access::Out));
        Ok(Built::new(entry, r, kernel, r.queries() * u64::from(shape.positions), params))
    })
}

impl Resolved {
    fn combine_params(&self) -> Vec<ParamSpec> {
        let [sums, outputs] = self.partials(Access::In);
        vec![sums, outputs, self.last_pass(), ParamSpec::result("y", self.queries())]
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
        let bytes = vector_bytes(Act::Q8K, shape.heads * shape.head_dim) * u64::from(shape.tokens);
        params.push(ParamSpec::written("y_q8k", Contents::Activations(Act::Q8K), bytes));
        Ok(Built::new(entry, r, kernel, r.queries(), params))
    })
}

fn join(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let shape = AttentionShape { positions: 1, ..r.heads() };
    let kernel = qkv_join(entry.name, shape)?;
    let [queries, keys] = [shape.heads, shape.kv_heads].map(|heads| heads * shape.head_dim);
    let vectors = |name, cols| ParamSpec::vectors(name, Act::F32, cols, shape.tokens);
    let written = u64::from(shape.tokens) * u64::from(queries + 2 * keys);
    let params = vec![
        vectors("q", queries),
        vectors("k", keys),
        vectors("v", keys),
        r.full_pass(),
        ParamSpec::result("qkv", written),
    ];
    Ok(Built::new(entry, r, kernel, written, params))
}
