//! Entries: kernels whose elements, or superblocks, are each on their own.

use super::super::error::CatalogueError;
use super::super::request::Resolved;
use super::super::{quantize_q8k, quantize_q8k_pass, swiglu};
use super::{ACCS, Built, Dims, Entry, Family, KernelId, MATHS, Size, with_acc};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        id: KernelId::QuantizeQ8K,
        is_eager: true,
        summary: "f32 activations to Q8_K superblocks, --used vectors per token",
        family: Family::Elementwise,
        dims: Dims { cols: Some(2048), used: Some(1), tokens: Some(1), ..Dims::NONE },
        reading: Dims { cols: Some(512), ..Dims::NONE },
        build: quantize,
        ..Entry::BASE
    },
    Entry {
        id: KernelId::Swiglu,
        summary: "silu(gate) * up, elementwise over rows",
        family: Family::Elementwise,
        accs: ACCS,
        maths: MATHS,
        dims: Dims { rows: Some(768), ..Dims::NONE },
        stages: 1,
        build: elementwise_swiglu,
        ..Entry::BASE
    },
];

fn quantize(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let s = &r.sizes;
    let count = s.tokens.saturating_mul(s.used);
    let elements = u64::from(s.cols) * u64::from(count);
    let x = || Size::vectors(s.cols, count);
    let y = || x().unlisted();
    // The kernel first: it rejects sizes whose bytes do not fit a number.
    if s.tokens == 1 {
        let kernel = quantize_q8k(entry.name, s.cols, count)?;
        return Ok(Built::new(entry, r, kernel, elements, vec![x(), y()]));
    }
    let kernel = quantize_q8k_pass(entry.name, s.cols, (s.tokens, s.used))?;
    Ok(Built::new(entry, r, kernel, elements, vec![x(), Size::state(), y()]))
}

fn elementwise_swiglu(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let len = r.sizes.rows;
    let params = vec![Size::vectors(len, 1), Size::vectors(len, 1), Size::elements(len.into())];
    let kernel = with_acc!(r.policy, |C| swiglu::<C>(entry.name, len, r.policy.math))?;
    Ok(Built::new(entry, r, kernel, u64::from(len), params))
}
