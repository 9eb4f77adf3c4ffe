//! Entries: rows of the embedding as f32.

use half::{bf16, f16};

use super::super::error::CatalogueError;
use super::super::request::Resolved;
use super::super::{EmbeddingRow, embedding};
use super::{Built, Dims, Entry, Family, KernelId, Role, Size, Words};
use crate::format::{Q4K, Q6K, Q8_0, TensorType};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        id: KernelId::Matrix(Role::Embedding, TensorType::Q4_K),
        summary: "rows of a Q4_K table as f32",
        ..EMBEDDING
    },
    Entry {
        id: KernelId::Matrix(Role::Embedding, TensorType::Q6_K),
        summary: "rows of a Q6_K table as f32",
        build: rows_of::<Q6K<'static>>,
        ..EMBEDDING
    },
    Entry {
        id: KernelId::Matrix(Role::Embedding, TensorType::Q8_0),
        summary: "rows of a Q8_0 table as f32",
        build: rows_of::<Q8_0<'static>>,
        ..EMBEDDING
    },
    Entry {
        id: KernelId::Matrix(Role::Embedding, TensorType::F32),
        summary: "rows of an F32 table",
        build: rows_of::<f32>,
        ..EMBEDDING
    },
    Entry {
        id: KernelId::Matrix(Role::Embedding, TensorType::F16),
        summary: "rows of an F16 table as f32",
        build: rows_of::<f16>,
        ..EMBEDDING
    },
    Entry {
        id: KernelId::Matrix(Role::Embedding, TensorType::BF16),
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
    let params = vec![Size::bytes(rows), Size::words(Words::Below(r.sizes.rows), tokens), Size::elements(written)];
    Ok(Built::new(entry, r, kernel, written, params))
}
