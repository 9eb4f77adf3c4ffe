//! Entries: weights as f32.

use super::super::error::CatalogueError;
use super::super::request::Resolved;
use super::super::{Dequantize, dequantize};
use super::{Built, Dims, Entry, Family, KernelId, Role, Size};
use crate::format::{Q4K, Q6K, TensorType};

pub(super) const ENTRIES: &[Entry] = &[
    Entry { id: KernelId::Matrix(Role::Dequantize, TensorType::Q4_K), summary: "Q4_K weights as f32", ..DEQUANTIZE },
    Entry {
        id: KernelId::Matrix(Role::Dequantize, TensorType::Q6_K),
        summary: "Q6_K weights as f32",
        build: unpack::<Q6K<'static>>,
        ..DEQUANTIZE
    },
];

const DEQUANTIZE: Entry = Entry {
    family: Family::Dequantize,
    dims: Dims { rows: Some(8), cols: Some(2048), ..Dims::NONE },
    reading: Dims { cols: Some(512), ..Dims::NONE },
    build: unpack::<Q4K<'static>>,
    ..Entry::BASE
};

fn unpack<F: Dequantize>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let found = r.elements();
    let expected = "a positive multiple of 256, up to 2^30";
    let wrong = CatalogueError::Shape { kernel: entry.name, dimension: "rows * cols", found, expected };
    if !found.is_multiple_of(256) {
        return Err(wrong);
    }
    let blocks = u32::try_from(found / 256).map_err(|_| wrong)?;
    let kernel = dequantize::<F>(entry.name, blocks)?;
    let bytes = u64::from(blocks) * u64::from(F::BLOCK_BYTES);
    let params = vec![Size::bytes(bytes), Size::elements(found)];
    Ok(Built::new(entry, r, kernel, found, params))
}
