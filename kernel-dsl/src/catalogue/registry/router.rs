//! Entries: the choice of experts, their lists, and the sum of their results.

use half::{bf16, f16};

use super::super::error::CatalogueError;
use super::super::request::Resolved;
use super::super::{Experts, experts_sum, moe_group, norm_router_logits, router, router_tiles};
use super::{ACCS, Built, Dims, Entry, Family, KernelId, Role, Size, Words, with_acc};
use crate::device::DevicePlain;
use crate::format::{Q8_0, TensorType};
use crate::precision::Acc;

pub(super) const ENTRIES: &[Entry] = &[
    Entry { id: KernelId::Matrix(Role::Router, TensorType::F32), build: choose::<f32>, ..ROUTER },
    Entry {
        id: KernelId::Matrix(Role::Router, TensorType::F16),
        summary: "the same with an F16 matrix",
        build: choose::<f16>,
        ..ROUTER
    },
    Entry {
        id: KernelId::Matrix(Role::Router, TensorType::BF16),
        summary: "the same with a BF16 matrix",
        build: choose::<bf16>,
        ..ROUTER
    },
    Entry {
        id: KernelId::Matrix(Role::Router, TensorType::Q8_0),
        summary: "the same with a Q8_0 matrix",
        build: choose::<Q8_0<'static>>,
        ..ROUTER
    },
    Entry {
        id: KernelId::NormRouterLogits,
        summary: "RMSNorm, then the logits of the experts in f64, with an F32 matrix",
        accs: ACCS,
        // The norm's rounding.
        dims: Dims { tokens: None, used: None, ..ROUTER.dims },
        reading: Dims { used: None, ..ROUTER.reading },
        build: norm_logits,
        ..ROUTER
    },
    Entry {
        id: KernelId::MoeGroup,
        summary: "lists the tokens of a pass for each expert",
        family: Family::Router,
        dims: Dims { experts: Some(128), used: Some(8), tokens: Some(32), ..Dims::NONE },
        reading: Dims { experts: Some(8), used: Some(2), ..Dims::NONE },
        build: group,
        ..Entry::BASE
    },
    Entry {
        id: KernelId::ExpertsSum,
        summary: "weighted sum of the experts' results, added to the residual stream",
        family: Family::Router,
        accs: ACCS,
        dims: Dims { cols: Some(2048), used: Some(8), tokens: Some(32), ..Dims::NONE },
        trial: Dims { tokens: Some(1), ..Dims::NONE },
        reading: Dims { cols: Some(512), used: Some(2), ..Dims::NONE },
        // The sum, and the residual.
        stages: 2,
        build: sum,
        ..Entry::BASE
    },
];

const ROUTER: Entry = Entry {
    summary: "logits of the experts in f64, softmax, the most likely experts and their weights",
    family: Family::Router,
    sums: Some(Acc::F64),
    dims: Dims { cols: Some(2048), experts: Some(128), used: Some(8), tokens: Some(1), ..Dims::NONE },
    reading: Dims { cols: Some(256), experts: Some(8), used: Some(2), ..Dims::NONE },
    stages: 1,
    build: choose::<f32>,
    ..Entry::BASE
};

fn choose<F: DevicePlain>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let (cols, tokens, experts) = (r.sizes.cols, r.sizes.tokens, r.experts());
    let kernel = router::<F>(entry.name, cols, experts, tokens, (r.how.target, r.how.waits()))?;
    let mut params = vec![
        Size::bytes(u64::from(experts.count) * u64::from(F::row_bytes(cols))),
        Size::vectors(cols, tokens),
        r.full_pass(),
    ];
    params.push(r.logits().rounded(0));
    params.push(Size::kept(0, u64::from(router_tiles(tokens)) * 4));
    params.extend(r.chosen());
    Ok(Built::new(entry, r, kernel, r.router_weights(), params))
}

fn norm_logits(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let (cols, experts, how) = (r.sizes.cols, r.sizes.experts, (r.eps, r.how.waits()));
    let kernel = with_acc!(r.policy, |C| norm_router_logits::<f32, C>(entry.name, cols, experts, how))?;
    let mut params = vec![Size::bytes(r.router_weights() * 4)];
    params.extend(r.unnormed());
    params.push(r.logits());
    Ok(Built::new(entry, r, kernel, r.router_weights(), params))
}

impl Resolved {
    /// Weights of the router.
    fn router_weights(&self) -> u64 {
        u64::from(self.sizes.experts) * u64::from(self.sizes.cols)
    }

    /// The router's logits.
    pub(super) fn logits(&self) -> Size {
        let tokens = u64::from(self.sizes.tokens.max(1));
        Size::bytes(tokens * u64::from(self.sizes.experts) * 8)
    }

    /// The choice of experts that a kernel writes.
    pub(super) fn chosen(&self) -> [Size; 3] {
        let (tokens, Experts { count, used }) = (self.sizes.tokens.max(1), self.experts());
        let chosen = u64::from(tokens) * u64::from(used) * 4;
        [
            Size::kept(u32::MAX, 8),
            Size::word_bytes(Words::Distinct { below: count }, chosen),
            Size::bytes(chosen).rounded(1),
        ]
    }
}

fn group(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let (tokens, experts) = (r.sizes.tokens, r.experts());
    let kernel = moe_group(entry.name, experts, tokens)?;
    let pairs = tokens * experts.used;
    let params = vec![
        Size::words(Words::Below(experts.count), pairs),
        r.full_pass(),
        Size::words(Words::Offsets { total: pairs }, experts.count + 1),
        Size::words(Words::Distinct { below: pairs }, pairs),
    ];
    Ok(Built::new(entry, r, kernel, u64::from(pairs), params))
}

fn sum(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let (cols, used, tokens) = (r.sizes.cols, r.sizes.used, r.sizes.tokens);
    let kernel = with_acc!(r.policy, |C| experts_sum::<C>(entry.name, cols, used, tokens))?;
    let params = vec![
        Size::vectors(cols, tokens * used),
        Size::bytes(u64::from(tokens) * u64::from(used) * 4),
        r.full_pass(),
        Size::vectors(cols, tokens),
    ];
    Ok(Built::new(entry, r, kernel, u64::from(tokens) * u64::from(cols), params))
}
