//! Entries: products of matrices without superblocks.

use half::{bf16, f16};

use super::super::error::CatalogueError;
use super::super::request::Resolved;
use super::super::{PairVector, plain_experts, plain_gemv, plain_gemv_add};
use super::{ACCS, Built, Dims, Entry, Family, KernelId, Role, Size, Words, with_acc};
use crate::device::DevicePlain;
use crate::format::{Q8_0, TensorType};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        id: KernelId::Matrix(Role::Product, TensorType::F32),
        summary: "F32 matrix times the vectors of a pass",
        build: product::<f32>,
        ..GEMV
    },
    Entry {
        id: KernelId::Matrix(Role::Product, TensorType::F16),
        summary: "F16 matrix times the vectors of a pass",
        build: product::<f16>,
        ..GEMV
    },
    Entry {
        id: KernelId::Matrix(Role::Product, TensorType::BF16),
        summary: "BF16 matrix times the vectors of a pass",
        build: product::<bf16>,
        ..GEMV
    },
    Entry {
        id: KernelId::Matrix(Role::Product, TensorType::Q8_0),
        summary: "Q8_0 matrix times the vectors of a pass",
        build: product::<Q8_0<'static>>,
        ..GEMV
    },
    Entry {
        id: KernelId::Matrix(Role::ProductAdded, TensorType::F32),
        summary: "f32-gemv, added to the residual stream",
        build: onto::<f32>,
        ..ADD
    },
    Entry {
        id: KernelId::Matrix(Role::ProductAdded, TensorType::F16),
        summary: "f16-gemv, added to the residual stream",
        build: onto::<f16>,
        ..ADD
    },
    Entry {
        id: KernelId::Matrix(Role::ProductAdded, TensorType::BF16),
        summary: "bf16-gemv, added to the residual stream",
        build: onto::<bf16>,
        ..ADD
    },
    Entry {
        id: KernelId::Matrix(Role::ProductAdded, TensorType::Q8_0),
        summary: "q8_0-gemv, added to the residual stream",
        build: onto::<Q8_0<'static>>,
        ..ADD
    },
];

macro_rules! experts {
    ($($summary:literal, $F:ty, $ty:ident, $vector:ident $role:ident;)*) => {
        &[$(Entry {
            id: KernelId::Matrix(Role::$role, TensorType::$ty),
            summary: $summary,
            build: |entry, r| of_experts::<$F>(entry, r, PairVector::$vector),
            ..EXPERTS
        }),*]
    };
}

/// The products of the experts chosen: gate and up multiply the token's vector, down each its own.
pub(super) const OF_EXPERTS: &[Entry] = experts! {
    "F32 matrices of the experts chosen times their tokens' vectors", f32, F32, Token Experts;
    "F16 matrices of the experts chosen times their tokens' vectors", f16, F16, Token Experts;
    "BF16 matrices of the experts chosen times their tokens' vectors", bf16, BF16, Token Experts;
    "Q8_0 matrices of the experts chosen times their tokens' vectors", Q8_0<'static>, Q8_0, Token Experts;
    "F32 matrices of the experts chosen times a vector each", f32, F32, Pair ExpertsDown;
    "F16 matrices of the experts chosen times a vector each", f16, F16, Pair ExpertsDown;
    "BF16 matrices of the experts chosen times a vector each", bf16, BF16, Pair ExpertsDown;
    "Q8_0 matrices of the experts chosen times a vector each", Q8_0<'static>, Q8_0, Pair ExpertsDown;
};

/// Activations are f32 whatever the policy, so there is no choice of them.
pub(super) const GEMV: Entry = Entry {
    family: Family::Plain,
    accs: ACCS,
    dims: Dims { rows: Some(2048), cols: Some(2048), tokens: Some(1), ..Dims::NONE },
    trial: Dims { rows: Some(16), ..Dims::NONE },
    reading: Dims { rows: Some(8), cols: Some(256), ..Dims::NONE },
    stages: 1,
    build: product::<f32>,
    ..Entry::BASE
};

/// The product, and the residual.
pub(super) const ADD: Entry = Entry { stages: 2, ..GEMV };

pub(super) const EXPERTS: Entry = Entry {
    dims: Dims { rows: Some(768), experts: Some(128), used: Some(8), ..GEMV.dims },
    trial: Dims { experts: Some(4), used: Some(2), ..GEMV.trial },
    ..GEMV
};

/// The parameters up to the vectors of results.
fn params<F: DevicePlain>(r: &Resolved) -> Vec<Size> {
    let bytes = u64::from(r.sizes.rows) * u64::from(F::row_bytes(r.sizes.cols));
    vec![Size::bytes(bytes), Size::vectors(r.sizes.cols, r.sizes.tokens), r.full_pass()]
}

pub(super) fn product<F: DevicePlain>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let kernel = with_acc!(r.policy, |C| plain_gemv::<F, C>(entry.name, r.shape(), r.sizes.tokens, r.how.waits()))?;
    let mut params = params::<F>(r);
    params.push(Size::elements(u64::from(r.sizes.rows) * u64::from(r.sizes.tokens)));
    Ok(Built::new(entry, r, kernel, r.elements(), params))
}

pub(super) fn onto<F: DevicePlain>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let kernel = with_acc!(r.policy, |C| plain_gemv_add::<F, C>(entry.name, r.shape(), r.sizes.tokens, r.how.waits()))?;
    let mut params = params::<F>(r);
    params.push(Size::vectors(r.sizes.rows, r.sizes.tokens));
    Ok(Built::new(entry, r, kernel, r.elements(), params))
}

pub(super) fn of_experts<F: DevicePlain>(
    entry: &'static Entry,
    r: &Resolved,
    vector: PairVector,
) -> Result<Built, CatalogueError> {
    let (experts, tokens) = (r.experts(), r.sizes.tokens);
    let kernel = with_acc!(r.policy, |C| plain_experts::<F, C>(entry.name, r.shape(), experts, vector, tokens))?;
    let bytes = u64::from(experts.count) * u64::from(r.sizes.rows) * u64::from(F::row_bytes(r.sizes.cols));
    let pairs = tokens * experts.used;
    let vectors = if vector == PairVector::Token { tokens } else { pairs };
    let params = vec![
        Size::bytes(bytes),
        Size::vectors(r.sizes.cols, vectors),
        Size::words(Words::Below(experts.count), pairs),
        r.full_pass(),
        Size::elements(u64::from(r.sizes.rows) * u64::from(pairs)),
    ];
    Ok(Built::new(entry, r, kernel, r.elements() * u64::from(pairs), params))
}
