//! Entries: products of quantized matrices and vectors.

use super::super::error::CatalogueError;
use super::super::request::Resolved;
use super::super::schedule::Schedule;
use super::super::{Add, Epilogue, QkvShape, Store, gemv, gemv_batch, norm_qkv, qkv, qkv_batch, tile};
use super::{ACCS, ACTS, Built, Dims, Entry, Family, KernelId, Role, Size, Words, with_policy};
use crate::device::{DeviceActivation, DeviceFormat, FragmentFormat, pass};
use crate::format::{Q4K, Q6K, TensorType};
use crate::precision::Accumulation;

pub(super) type Q4 = Q4K<'static>;
pub(super) type Q6 = Q6K<'static>;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        id: KernelId::Matrix(Role::Product, TensorType::Q4_K),
        summary: "Q4_K matrix times vector",
        build: matrix_vector::<Q4, Store>,
        ..GEMV
    },
    Entry {
        id: KernelId::Matrix(Role::Product, TensorType::Q6_K),
        summary: "Q6_K matrix times vector",
        build: matrix_vector::<Q6, Store>,
        ..GEMV
    },
    Entry {
        id: KernelId::Matrix(Role::ProductAdded, TensorType::Q4_K),
        summary: "Q4_K matrix times vector, added to the residual stream",
        build: matrix_vector::<Q4, Add>,
        ..GEMV_ADD
    },
    Entry {
        id: KernelId::Matrix(Role::ProductAdded, TensorType::Q6_K),
        summary: "Q6_K matrix times vector, added to the residual stream",
        build: matrix_vector::<Q6, Add>,
        ..GEMV_ADD
    },
    Entry {
        id: KernelId::Projections { normed: false, qk: TensorType::Q4_K, v: TensorType::Q4_K },
        summary: "queries, keys and values of Q4_K matrices",
        build: projections::<Q4, Q4>,
        ..QKV
    },
    Entry {
        id: KernelId::Projections { normed: false, qk: TensorType::Q4_K, v: TensorType::Q6_K },
        summary: "queries and keys of Q4_K matrices, values of a Q6_K one",
        build: projections::<Q4, Q6>,
        ..QKV
    },
    Entry {
        id: KernelId::Projections { normed: false, qk: TensorType::Q6_K, v: TensorType::Q6_K },
        summary: "queries, keys and values of Q6_K matrices",
        build: projections::<Q6, Q6>,
        ..QKV
    },
    Entry {
        id: KernelId::Projections { normed: true, qk: TensorType::Q4_K, v: TensorType::Q4_K },
        summary: "RMSNorm, then queries, keys and values of Q4_K matrices",
        build: norm_projections::<Q4, Q4>,
        ..NORM_QKV
    },
    Entry {
        id: KernelId::Projections { normed: true, qk: TensorType::Q4_K, v: TensorType::Q6_K },
        summary: "the same, values of a Q6_K matrix",
        build: norm_projections::<Q4, Q6>,
        ..NORM_QKV
    },
    Entry {
        id: KernelId::Projections { normed: true, qk: TensorType::Q6_K, v: TensorType::Q6_K },
        summary: "the same of Q6_K matrices",
        build: norm_projections::<Q6, Q6>,
        ..NORM_QKV
    },
];

pub(super) const GEMV: Entry = Entry {
    family: Family::Matrix,
    acts: ACTS,
    accs: ACCS,
    dims: Dims { rows: Some(768), cols: Some(2048), tokens: Some(1), ..Dims::NONE },
    trial: Dims { rows: Some(64), ..Dims::NONE },
    reading: Dims { rows: Some(32), cols: Some(512), ..Dims::NONE },
    stages: 1,
    usual: |s, p, m| Schedule::gemv(s.rows, p.act, m),
    build: matrix_vector::<Q4, Store>,
    ..Entry::BASE
};

/// What is rounded is added, and rounded again.
pub(super) const GEMV_ADD: Entry =
    Entry { dims: Dims { rows: Some(2048), cols: Some(4096), ..GEMV.dims }, stages: 2, ..GEMV };

pub(super) const QKV: Entry = Entry {
    usual: super::usual,
    dims: Dims { rows: None, heads: Some(32), kv_heads: Some(4), head_dim: Some(128), ..GEMV.dims },
    trial: Dims { heads: Some(2), kv_heads: Some(1), head_dim: Some(32), ..Dims::NONE },
    reading: Dims { head_dim: Some(16), cols: Some(512), ..Dims::NONE },
    ..GEMV
};

/// What is normed is rounded first.
pub(super) const NORM_QKV: Entry = Entry {
    family: Family::Norm,
    dims: Dims { tokens: None, ..QKV.dims },
    stages: 2,
    usual: |_, p, _| Schedule::behind_norm(p.act),
    ..QKV
};

impl Resolved {
    /// Weights of the matrix, or of one of several.
    pub(super) fn elements(&self) -> u64 {
        u64::from(self.sizes.rows) * u64::from(self.sizes.cols)
    }

    /// A parameter of `count` quantized matrices.
    pub(super) fn matrices<F: DeviceFormat>(&self, count: u32) -> Size {
        weights::<F>(self.elements() * u64::from(count))
    }

    /// The state of a pass of as many tokens as there may be.
    pub(super) fn full_pass(&self) -> Size {
        Size::words(Words::Is(self.sizes.tokens), pass::STATE_WORDS)
    }

    /// Whether the products of a pass with matrices of this format are computed by tiles on tensor cores, where at least
    /// `fewest` tokens are worth it.
    pub(super) fn has_tiles<F: FragmentFormat>(&self, fewest: u32) -> bool {
        F::HAS_FRAGMENTS && tile::pays(self.policy, (self.sizes.tokens, fewest), self.how)
    }

    /// The shape of attention's projections.
    fn projections(&self) -> QkvShape {
        let s = self.sizes;
        QkvShape { q: s.heads.saturating_mul(s.head_dim), kv: s.kv_heads.saturating_mul(s.head_dim), cols: s.cols }
    }

    /// A vector that is not normed yet, and the norm's weights.
    pub(super) fn unnormed(&self) -> [Size; 2] {
        let cols = self.sizes.cols;
        [Size::vectors(cols, 1), Size::bytes(u64::from(cols) * 4)]
    }

    /// Rows of each of `n` vectors of results.
    pub(super) fn results(&self, n: u32) -> Size {
        Size::elements(u64::from(self.sizes.rows) * u64::from(n))
    }
}

fn weights<F: DeviceFormat>(elements: u64) -> Size {
    let bytes = elements / 256 * u64::from(F::block_bytes());
    Size::bytes(bytes)
}

/// The matrices of queries, keys and values.
fn projection_matrices<F: DeviceFormat, V: DeviceFormat>(shape: QkvShape) -> Vec<Size> {
    let elements = |rows: u32| u64::from(rows) * u64::from(shape.cols);
    vec![weights::<F>(elements(shape.q)), weights::<F>(elements(shape.kv)), weights::<V>(elements(shape.kv))]
}

pub(super) fn matrix_vector<F: FragmentFormat, E: Epilogue>(
    entry: &'static Entry,
    r: &Resolved,
) -> Result<Built, CatalogueError> {
    fn typed<F: FragmentFormat, X: DeviceActivation, C: Accumulation, E: Epilogue>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let tokens = r.sizes.tokens;
        // The kernel first, here and below: it rejects sizes whose bytes do not fit a number.
        let inputs = || vec![r.matrices::<F>(1), Size::vectors(r.sizes.cols, tokens)];
        let weights = || r.elements() * u64::from(tokens);
        if tokens == 1 {
            let kernel = gemv::<F, X, C, E>(entry.name, r.shape(), r.how)?;
            let params = [inputs(), vec![r.results(1)]].concat();
            return Ok(Built::new(entry, r, kernel, weights(), params));
        }
        let all = || [inputs(), vec![r.full_pass(), r.results(tokens)]].concat();
        if r.has_tiles::<F>(tile::OF_A_MATRIX) {
            let kernel = tile::dense::<F, C, E>(entry.name, r.shape(), tokens, r.how)?;
            return Ok(Built::new(entry, r, kernel, weights(), all()));
        }
        let kernel = gemv_batch::<F, X, C, E>(entry.name, r.shape(), tokens, r.how)?;
        Ok(Built::new(entry, r, kernel, weights(), all()))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C, E>(entry, r))
}

pub(super) fn projections<F: FragmentFormat, V: FragmentFormat>(
    entry: &'static Entry,
    r: &Resolved,
) -> Result<Built, CatalogueError> {
    fn typed<F: FragmentFormat, V: FragmentFormat, X: DeviceActivation, C: Accumulation>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let (shape, tokens) = (r.projections(), r.sizes.tokens);
        let inputs = || {
            let mut params = projection_matrices::<F, V>(shape);
            params.push(Size::vectors(shape.cols, tokens));
            params
        };
        let results = || shape.rows() * u64::from(tokens);
        let multiplied = || results() * u64::from(shape.cols);
        if tokens == 1 {
            let kernel = qkv::<F, V, X, C>(entry.name, shape, r.how)?;
            let params = [inputs(), vec![Size::elements(results())]].concat();
            return Ok(Built::new(entry, r, kernel, multiplied(), params));
        }
        let all = || [inputs(), vec![r.full_pass(), Size::elements(results())]].concat();
        if r.has_tiles::<F>(tile::OF_A_MATRIX) && V::HAS_FRAGMENTS {
            let kernel = tile::projections::<F, V, C>(entry.name, shape, tokens, r.how)?;
            return Ok(Built::new(entry, r, kernel, multiplied(), all()));
        }
        let kernel = qkv_batch::<F, V, X, C>(entry.name, shape, tokens, r.how)?;
        Ok(Built::new(entry, r, kernel, multiplied(), all()))
    }
    with_policy!(r.policy, |X, C| typed::<F, V, X, C>(entry, r))
}

pub(super) fn norm_projections<F: DeviceFormat, V: DeviceFormat>(
    entry: &'static Entry,
    r: &Resolved,
) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, V: DeviceFormat, X: DeviceActivation, C: Accumulation>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let shape = r.projections();
        let kernel = norm_qkv::<F, V, X, C>(entry.name, shape, r.eps, r.how)?;
        let mut params = projection_matrices::<F, V>(shape);
        params.extend(r.unnormed());
        params.push(Size::elements(shape.rows()));
        let multiplied = shape.rows() * u64::from(shape.cols);
        Ok(Built::new(entry, r, kernel, multiplied, params))
    }
    with_policy!(r.policy, |X, C| typed::<F, V, X, C>(entry, r))
}
