//! Entries: from logits to a token.

use super::super::error::CatalogueError;
use super::super::request::Resolved;
use super::super::{argmax, sample_draw, sample_keys, sample_sort};
use super::{Access, Built, Contents, Dims, Entry, Family, ParamSpec, Words};
use crate::precision::Act;

pub(super) const ENTRIES: &[Entry] = &[
    ARGMAX,
    Entry {
        name: "sample-sort",
        summary: "the tokens' logits as sorted lists of keys, for sample-draw",
        dims: Dims { rows: Some(151_936), tokens: Some(1), ..Dims::NONE },
        build: sort,
        ..ARGMAX
    },
    Entry {
        name: "sample-draw",
        summary: "a token drawn at random by temperature, top k and top p, which becomes the next pass",
        dims: Dims { rows: Some(151_936), positions: Some(4096), ..Dims::NONE },
        build: draw,
        ..ARGMAX
    },
];

const ARGMAX: Entry = Entry {
    name: "argmax",
    summary: "the most likely of rows tokens, which becomes the next pass; a ring of positions tokens",
    family: Family::Token,
    dims: Dims { rows: Some(151_936), tokens: Some(1), positions: Some(4096), ..Dims::NONE },
    trial: Dims { rows: Some(5000), ..Dims::NONE },
    reading: Dims { rows: Some(4096), ..Dims::NONE },
    build: most_likely,
    ..Entry::BASE
};

/// Pairs of words with any bits.
const KEYS: Contents = Contents::Words(Words::Below(u32::MAX));

/// The parameters of a token that becomes the next pass.
fn next_pass(vocabulary: u32, ring: u32) -> [ParamSpec; 3] {
    let token = Contents::Words(Words::Below(vocabulary));
    [
        ParamSpec::state(Access::InOut),
        ParamSpec::written("next", token, 4),
        ParamSpec { access: Access::InOut, ..ParamSpec::read("ring", token, u64::from(ring) * 4) },
    ]
}

fn most_likely(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let (vocabulary, tokens, ring) = (r.sizes.rows, r.sizes.tokens, r.sizes.positions);
    let kernel = argmax(entry.name, vocabulary, tokens, ring)?;
    let mut params = vec![ParamSpec::vectors("logits", Act::F32, vocabulary, tokens), ParamSpec::kept("best", 0, 16)];
    params.extend(next_pass(vocabulary, ring));
    Ok(Built::new(entry, r, kernel, u64::from(vocabulary), params))
}

fn sort(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let (vocabulary, tokens) = (r.sizes.rows, r.sizes.tokens);
    let kernel = sample_sort(entry.name, vocabulary, tokens)?;
    let keys = u64::from(sample_keys(vocabulary)) * 8;
    let params = vec![
        ParamSpec::vectors("logits", Act::F32, vocabulary, tokens),
        r.full_pass(),
        ParamSpec::written("keys", KEYS, keys),
    ];
    Ok(Built::new(entry, r, kernel, u64::from(vocabulary), params))
}

fn draw(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let (vocabulary, ring) = (r.sizes.rows, r.sizes.positions);
    let kernel = sample_draw(entry.name, vocabulary, ring)?;
    let keys = u64::from(sample_keys(vocabulary)) * 8;
    let mut params = vec![
        ParamSpec::read("keys", KEYS, keys),
        ParamSpec::read("from", Contents::F64, 24),
        ParamSpec::read("random", KEYS, u64::from(ring) * 8),
        ParamSpec::written("sums", KEYS, keys),
        ParamSpec::kept("counter", 0, 4),
    ];
    params.extend(next_pass(vocabulary, ring));
    Ok(Built::new(entry, r, kernel, u64::from(vocabulary), params))
}
