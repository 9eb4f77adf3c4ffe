//! Entries: from logits to a token.

use super::super::error::CatalogueError;
use super::super::request::Resolved;
use super::super::{argmax, sample_draw, sample_keys, sample_sort};
use super::{Built, Dims, Entry, Family, KernelId, Size, Words};

pub(super) const ENTRIES: &[Entry] = &[
    ARGMAX,
    Entry {
        id: KernelId::SampleSort,
        summary: "logits as sorted lists of keys, for sample-draw",
        dims: Dims { rows: Some(151_936), tokens: Some(1), ..Dims::NONE },
        build: sort,
        ..ARGMAX
    },
    Entry {
        id: KernelId::SampleDraw,
        summary: "a token sampled by temperature, top k and top p, written as the input of the next pass",
        dims: Dims { rows: Some(151_936), positions: Some(4096), ..Dims::NONE },
        build: draw,
        ..ARGMAX
    },
];

const ARGMAX: Entry = Entry {
    id: KernelId::Argmax,
    summary: "the most likely of --rows tokens, written as the input of the next pass; keeps the last --positions tokens",
    family: Family::Token,
    dims: Dims { rows: Some(151_936), tokens: Some(1), positions: Some(4096), ..Dims::NONE },
    trial: Dims { rows: Some(5000), ..Dims::NONE },
    reading: Dims { rows: Some(4096), ..Dims::NONE },
    build: most_likely,
    ..Entry::BASE
};

/// Pairs of words with any bits.
fn keys(bytes: u64) -> Size {
    Size::word_bytes(Words::Below(u32::MAX), bytes)
}

/// The parameters of a token that becomes the next pass.
fn next_pass(vocabulary: u32, ring: u32) -> [Size; 3] {
    let token = Words::Below(vocabulary);
    [Size::state(), Size::words(token, 1), Size::words(token, ring)]
}

fn most_likely(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let (vocabulary, tokens, ring) = (r.sizes.rows, r.sizes.tokens, r.sizes.positions);
    let kernel = argmax(entry.name, vocabulary, tokens, ring)?;
    let mut params = vec![Size::vectors(vocabulary, tokens), Size::kept(0, 16)];
    params.extend(next_pass(vocabulary, ring));
    Ok(Built::new(entry, r, kernel, u64::from(vocabulary), params))
}

fn sort(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let (vocabulary, tokens) = (r.sizes.rows, r.sizes.tokens);
    let kernel = sample_sort(entry.name, vocabulary, tokens)?;
    let sorted = keys(u64::from(sample_keys(vocabulary)) * 8);
    let params = vec![Size::vectors(vocabulary, tokens), r.full_pass(), sorted];
    Ok(Built::new(entry, r, kernel, u64::from(vocabulary), params))
}

fn draw(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let (vocabulary, ring) = (r.sizes.rows, r.sizes.positions);
    let kernel = sample_draw(entry.name, vocabulary, ring)?;
    let sorted = keys(u64::from(sample_keys(vocabulary)) * 8);
    let mut params = vec![sorted, Size::bytes(24), keys(u64::from(ring) * 8), sorted, Size::kept(0, 4)];
    params.extend(next_pass(vocabulary, ring));
    Ok(Built::new(entry, r, kernel, u64::from(vocabulary), params))
}
