//! Entries: rows of the embedding as f32.

use half::{bf16, f16};

use super::super::error::CatalogueError;
use super::super::request::Resolved;
use super::super::{EmbeddingRow, embedding};
use super::{Built, Contents, Dims, Entry, Family, ParamSpec, Role, Words, does};
use crate::format::{Q4K, Q6K, Q8_0, TensorType};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "embedding-q4k",
        does: does(Role::Embedding, TensorType::Q4_K),
        summary: "rows of a Q4_K table as f32",
        ..EMBEDDING
    },
    Entry {
        name: "embedding-q6k",
        does: does(Role::Embedding, TensorType::Q6_K),
        summary: "rows of a Q6_K table as f32",
        build: rows_of::<Q6K<'static>>,
        ..EMBEDDING
    },
    Entry {
        name: "embedding-q8_0",
        does: does(Role::Embedding, TensorType::Q8_0),
        summary: "rows of a Q8_0 table as f32",
        build: rows_of::<Q8_0<'static>>,
        ..EMBEDDING
    },
    Entry {
        name: "embedding-f32",
        does: does(Role::Embedding, TensorType::F32),
        summary: "rows of an F32 table",
        build: rows_of::<f32>,
        ..EMBEDDING
    },
    Entry {
        name: "embedding-f16",
        does: does(Role::Embedding, TensorType::F16),
        summary: "rows of an F16 table as f32",
        build: rows_of::<f16>,
        ..EMBEDDING
    },
    Entry {
        name: "embedding-bf16",
        does: does(Role::Embedding, TensorType::BF16),
        summary: "rows of a BF16 table as f32",
        build: rows_of::<bf16>,
        ..EMBEDDING
    },
];

pub(super) const EMBEDDING: Entry = Entry {
    family: Family::Dequantize,
    dims: Dims { rows: Some(151_936), cols: Some(2048), tokens: Some(1), ..Dims::NONE },
    trial: Dims { rows: Some(16), ..Dims::NONE },
    reading: Dims { cols: Some(512), tokens: Some(2), ..Dims::NONE },
    build: rows_of::<Q4K<'static>>,
    ..Entry::BASE
};

pub(super) fn rows_of<F: EmbeddingRow>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let tokens = r.sizes.tokens;
    let kernel = embedding::<F>(entry.name, r.shape(), tokens)?;
    let rows = r.elements() / F::TYPE.block_len() as u64 * F::TYPE.block_bytes() as u64;
    let written = u64::from(tokens) * u64::from(r.sizes.cols);
    let params = vec![
        ParamSpec::read("table", Contents::Weights(F::TYPE), rows),
        ParamSpec::words("tokens", Words::Below(r.sizes.rows), tokens),
        ParamSpec::result("x", written),
    ];
    Ok(Built::new(entry, r, kernel, written, params))
}
