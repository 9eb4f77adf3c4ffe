//! Entries: rows of several sequences.

use half::f16;

use super::super::error::CatalogueError;
use super::super::request::Resolved;
use super::super::{
    AttentionSchedule, PagedShape, argmax_rows, rows_attention, rows_combine, rows_combine_q8k, rows_norm_rope,
};
use super::attention::{HEADS, HEADS_READING, HEADS_TRIAL};
use super::{ACCS, Built, CacheType, Dims, Entry, Family, KernelId, Size, Words, with_acc};
use crate::device::{DeviceKv, rows};
use crate::reference::CHUNK;

const ROWS_DIMS: Dims =
    Dims { tokens: Some(32), positions: Some(1024), sequences: Some(64), pages: Some(1024), ..HEADS };

const ROWS_TRIAL: Dims = Dims { tokens: Some(3), sequences: Some(6), pages: Some(24), ..HEADS_TRIAL };

const ROWS_READING: Dims = Dims { tokens: Some(3), sequences: Some(6), pages: Some(12), ..HEADS_READING };

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        id: KernelId::RowsNormRope(CacheType::F32),
        summary: "qk-norm-rope of rows of several sequences, keys and values to pages of an f32 cache",
        ..ROPE
    },
    Entry {
        id: KernelId::RowsNormRope(CacheType::F16),
        summary: "the same with an f16 cache",
        build: rope::<f16>,
        ..ROPE
    },
    Entry {
        id: KernelId::RowsAttention(CacheType::F32),
        summary: "attention of rows of several sequences over each chunk, pages of an f32 cache",
        ..ATTENTION
    },
    Entry {
        id: KernelId::RowsAttention(CacheType::F16),
        summary: "the same with an f16 cache",
        build: attention::<f16>,
        ..ATTENTION
    },
    Entry {
        id: KernelId::RowsCombine,
        summary: "combines the results of attention's chunks for rows of several sequences",
        ..COMBINE
    },
    Entry {
        id: KernelId::RowsCombineQ8K,
        summary: "the same, as f32 and as Q8_K",
        build: combine_quantized,
        ..COMBINE
    },
    Entry {
        id: KernelId::ArgmaxRows,
        summary: "the most likely of --rows tokens for each of several vectors of logits",
        family: Family::Token,
        dims: Dims { rows: Some(151_936), tokens: Some(32), ..Dims::NONE },
        trial: Dims { rows: Some(5000), tokens: Some(3), ..Dims::NONE },
        reading: Dims { rows: Some(4096), tokens: Some(3), ..Dims::NONE },
        build: most_likely,
        ..Entry::BASE
    },
];

const ATTENTION: Entry = Entry {
    family: Family::Attention,
    accs: ACCS,
    dims: ROWS_DIMS,
    trial: ROWS_TRIAL,
    reading: ROWS_READING,
    build: attention::<f32>,
    ..Entry::BASE
};

const ROPE: Entry = Entry { family: Family::Norm, stages: 1, build: rope::<f32>, ..ATTENTION };

const COMBINE: Entry = Entry {
    stages: 1,
    is_eager: true,
    dims: Dims { sequences: None, pages: None, ..ROWS_DIMS },
    trial: Dims { sequences: None, pages: None, ..ROWS_TRIAL },
    reading: Dims { sequences: None, pages: None, ..ROWS_READING },
    build: combine,
    ..ATTENTION
};

impl Resolved {
    fn paged(&self) -> PagedShape {
        PagedShape { heads: self.heads(), sequences: self.sizes.sequences, pages: self.sizes.pages }
    }

    /// The rows of a pass: words that are positions and numbers of sequences; for trials, of different sequences.
    fn rows(&self) -> Size {
        let s = &self.sizes;
        let below = if s.sequences == 0 { s.positions } else { s.positions.min(s.sequences) };
        Size::words(Words::Distinct { below }, s.tokens.saturating_mul(rows::ROW_WORDS))
    }

    /// The state, rows and tables of a pass.
    fn places(&self) -> [Size; 3] {
        let shape = self.paged();
        let tables = Size::word_bytes(Words::Distinct { below: shape.pages }, shape.tables() * 4);
        [self.full_pass(), self.rows(), tables]
    }

    /// The keys and the values of a layer, in pages.
    fn pages(&self) -> [Size; 2] {
        [Size::elements(self.paged().cache()); 2]
    }
}

fn rope<E: DeviceKv>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    with_acc!(r.policy, |C| {
        let kernel = rows_norm_rope::<E, C>(entry.name, r.paged(), r.eps)?;
        let mut params = r.projected();
        // The state is the last of them.
        params.pop();
        params.extend(r.places());
        params.push(Size::elements(r.queries()));
        params.extend(r.pages());
        Ok(Built::new(entry, r, kernel, r.queries(), params))
    })
}

fn attention<E: DeviceKv>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let (shape, s) = (r.paged(), r.how.schedule);
    // Enough blocks to fill a GPU: of many rows, few for the chunks of each.
    let each = (shape.heads.heads / s.rows.max(1)).max(shape.heads.kv_heads);
    let blocks = shape.heads.tokens.saturating_mul(each);
    let splits = s.blocks.unwrap_or((BLOCKS / blocks.max(1)).clamp(1, AttentionSchedule::default().splits));
    let schedule = AttentionSchedule { heads: s.rows, warps: s.warps, splits, tokens: 1, staged: false };
    with_acc!(r.policy, |C| {
        let kernel = rows_attention::<E, C>(entry.name, shape, schedule)?;
        let mut params = vec![Size::elements(r.queries())];
        params.extend(r.pages());
        params.extend(r.places());
        params.extend(r.partials());
        let positions = u64::from(shape.heads.chunks()) * CHUNK as u64;
        Ok(Built::new(entry, r, kernel, r.queries() * positions, params))
    })
}

/// Blocks of threads of attention at most where a row has several for its chunks.
const BLOCKS: u32 = 1024;

impl Resolved {
    fn rows_combine_params(&self) -> Vec<Size> {
        let [sums, outputs] = self.partials();
        vec![sums, outputs, self.full_pass(), self.rows(), Size::elements(self.queries())]
    }
}

fn combine(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    with_acc!(r.policy, |C| {
        let kernel = rows_combine::<C>(entry.name, r.heads())?;
        Ok(Built::new(entry, r, kernel, r.queries(), r.rows_combine_params()))
    })
}

fn combine_quantized(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let shape = r.heads();
    with_acc!(r.policy, |C| {
        let kernel = rows_combine_q8k::<C>(entry.name, shape)?;
        let mut params = r.rows_combine_params();
        params.push(Size::vectors(shape.heads * shape.head_dim, shape.tokens).unlisted());
        Ok(Built::new(entry, r, kernel, r.queries(), params))
    })
}

fn most_likely(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let (vocabulary, tokens) = (r.sizes.rows, r.sizes.tokens);
    let kernel = argmax_rows(entry.name, vocabulary, tokens)?;
    let chosen = Size::word_bytes(Words::Below(u32::MAX), u64::from(tokens) * 8);
    let params = vec![Size::vectors(vocabulary, tokens), r.full_pass(), Size::kept(0, u64::from(tokens) * 16), chosen];
    Ok(Built::new(entry, r, kernel, u64::from(vocabulary) * u64::from(tokens), params))
}
