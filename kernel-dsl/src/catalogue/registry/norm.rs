//! Entries: norms, and the heads' norm and rotation.

use half::f16;

use super::super::error::CatalogueError;
use super::super::request::Resolved;
use super::super::{Norm, qk_norm_rope, rms_norm, rms_norm_q8k};
use super::attention::{HEADS, HEADS_READING, HEADS_TRIAL};
use super::{ACCS, Built, CacheType, Dims, Entry, Family, KernelId, Size, with_acc};
use crate::device::DeviceKv;

pub(super) const ENTRIES: &[Entry] = &[
    Entry { id: KernelId::RmsNorm, summary: "RMSNorm of the tokens' vectors", ..NORM },
    Entry {
        id: KernelId::RmsNormQ8K,
        summary: "RMSNorm of the tokens' vectors, as f32 and as Q8_K",
        build: quantized_norm,
        ..NORM
    },
    Entry {
        id: KernelId::QkNormRope(CacheType::F32),
        summary: "RMSNorm and RoPE of queries and keys, keys and values appended to an f32 cache",
        ..HEADS_NORM
    },
    Entry {
        id: KernelId::QkNormRope(CacheType::F16),
        summary: "RMSNorm and RoPE of queries and keys, keys and values appended to an f16 cache",
        build: heads_norm::<f16>,
        ..HEADS_NORM
    },
];

const NORM: Entry = Entry {
    family: Family::Norm,
    accs: ACCS,
    dims: Dims { cols: Some(2048), tokens: Some(1), ..Dims::NONE },
    reading: Dims { cols: Some(512), ..Dims::NONE },
    stages: 1,
    build: norm,
    ..Entry::BASE
};

const HEADS_NORM: Entry =
    Entry { dims: HEADS, trial: HEADS_TRIAL, reading: HEADS_READING, build: heads_norm::<f32>, ..NORM };

impl Resolved {
    fn norm(&self) -> Norm {
        Norm { cols: self.sizes.cols, tokens: self.sizes.tokens, eps: self.eps, pdl: self.how.waits() }
    }

    fn norm_params(&self) -> Vec<Size> {
        let Norm { cols, tokens, .. } = self.norm();
        vec![
            Size::vectors(cols, tokens),
            Size::bytes(u64::from(cols) * 4),
            Size::elements(u64::from(cols) * u64::from(tokens)),
        ]
    }
}

fn norm(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let Norm { cols, tokens, .. } = r.norm();
    let kernel = with_acc!(r.policy, |C| rms_norm::<C>(entry.name, r.norm()))?;
    Ok(Built::new(entry, r, kernel, u64::from(cols) * u64::from(tokens), r.norm_params()))
}

fn quantized_norm(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let Norm { cols, tokens, .. } = r.norm();
    let kernel = with_acc!(r.policy, |C| rms_norm_q8k::<C>(entry.name, r.norm()))?;
    let mut params = r.norm_params();
    params.push(Size::vectors(cols, tokens).unlisted());
    Ok(Built::new(entry, r, kernel, u64::from(cols) * u64::from(tokens), params))
}

fn heads_norm<E: DeviceKv>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let shape = r.heads();
    let kernel = with_acc!(r.policy, |C| qk_norm_rope::<E, C>(entry.name, shape, r.eps))?;
    let elements = u64::from(shape.tokens) * u64::from(shape.heads + 2 * shape.kv_heads) * u64::from(shape.head_dim);
    let cache = r.cache();
    let mut params = r.projected();
    params.push(Size::elements(r.queries()));
    params.extend([cache, cache]);
    Ok(Built::new(entry, r, kernel, elements, params))
}
