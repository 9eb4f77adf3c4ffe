//! Entries: products of quantized matrices and vectors.

use super::super::request::Resolved;
use super::super::schedule::{CatalogueError, Schedule};
use super::super::{
    Add, Epilogue, Experts, QkvShape, Store, experts_down, experts_gate_up, gate_up_swiglu, gemv, gemv_batch, moe_down,
    norm_gate_up_swiglu, norm_qkv, qkv, qkv_batch, routed_down,
};
use super::{ACCS, ACTS, Access, Built, Contents, Dims, Entry, Family, MATHS, ParamSpec, Words, with_policy};
use crate::device::{DeviceActivation, DeviceFormat};
use crate::format::{Q4K, Q6K, TensorType};
use crate::precision::{Accumulation, Act};

type Q4 = Q4K<'static>;
type Q6 = Q6K<'static>;

pub(super) const ENTRIES: &[Entry] = &[
    Entry { name: "q4k-gemv", summary: "Q4_K matrix times vector", build: matrix_vector::<Q4, Store>, ..GEMV },
    Entry { name: "q6k-gemv", summary: "Q6_K matrix times vector", build: matrix_vector::<Q6, Store>, ..GEMV },
    Entry {
        name: "q4k-gemv-add",
        summary: "Q4_K matrix times vector, added to the residual stream",
        build: matrix_vector::<Q4, Add>,
        ..GEMV_ADD
    },
    Entry {
        name: "q6k-gemv-add",
        summary: "Q6_K matrix times vector, added to the residual stream",
        build: matrix_vector::<Q6, Add>,
        ..GEMV_ADD
    },
    Entry { name: "qkv", summary: "queries, keys and values of Q4_K matrices", build: projections::<Q4, Q4>, ..QKV },
    Entry {
        name: "qkv-q6k-v",
        summary: "queries and keys of Q4_K matrices, values of a Q6_K one",
        build: projections::<Q4, Q6>,
        ..QKV
    },
    Entry {
        name: "qkv-q6k",
        summary: "queries, keys and values of Q6_K matrices",
        build: projections::<Q6, Q6>,
        ..QKV
    },
    Entry {
        name: "norm-qkv",
        summary: "RMSNorm, then queries, keys and values of Q4_K matrices",
        build: norm_projections::<Q4, Q4>,
        ..NORM_QKV
    },
    Entry {
        name: "norm-qkv-q6k-v",
        summary: "the same, values of a Q6_K matrix",
        build: norm_projections::<Q4, Q6>,
        ..NORM_QKV
    },
    Entry { name: "norm-qkv-q6k", summary: "the same of Q6_K matrices", build: norm_projections::<Q6, Q6>, ..NORM_QKV },
    Entry {
        name: "fused-gate-up-swiglu",
        summary: "both Q4_K projections and SwiGLU of all experts of a token",
        build: gate_up::<Q4>,
        ..GATE_UP
    },
    Entry {
        name: "fused-gate-up-swiglu-q6k",
        summary: "both Q6_K projections and SwiGLU of all experts of a token",
        build: gate_up::<Q6>,
        ..GATE_UP
    },
    Entry {
        name: "norm-gate-up-swiglu",
        summary: "RMSNorm and the choice of experts, then both Q4_K projections and SwiGLU of all of them",
        build: norm_gate_up::<Q4>,
        ..NORM_GATE_UP
    },
    Entry {
        name: "norm-gate-up-swiglu-q6k",
        summary: "the same of Q6_K matrices",
        build: norm_gate_up::<Q6>,
        ..NORM_GATE_UP
    },
    Entry {
        name: "moe-down",
        summary: "Q4_K down projections of a token's experts and their weighted sum",
        build: down::<Q4, Store>,
        ..DOWN
    },
    Entry {
        name: "moe-down-q6k",
        summary: "Q6_K down projections of a token's experts and their weighted sum",
        build: down::<Q6, Store>,
        ..DOWN
    },
    Entry {
        name: "moe-down-add",
        summary: "the same of Q4_K, added to the residual stream",
        build: down::<Q4, Add>,
        ..DOWN_ADD
    },
    Entry {
        name: "moe-down-add-q6k",
        summary: "the same of Q6_K, added to the residual stream",
        build: down::<Q6, Add>,
        ..DOWN_ADD
    },
    Entry {
        name: "routed-down-add",
        summary: "the choice of a token's experts, then their Q4_K down projections, added to the residual stream",
        build: routed::<Q4, Add>,
        ..ROUTED_DOWN_ADD
    },
    Entry {
        name: "routed-down-add-q6k",
        summary: "the same of Q6_K matrices",
        build: routed::<Q6, Add>,
        ..ROUTED_DOWN_ADD
    },
    Entry {
        name: "experts-gate-up",
        summary: "both Q4_K projections and SwiGLU of a pass, by expert",
        build: grouped_gate_up::<Q4>,
        ..GROUPED_GATE_UP
    },
    Entry {
        name: "experts-gate-up-q6k",
        summary: "both Q6_K projections and SwiGLU of a pass, by expert",
        build: grouped_gate_up::<Q6>,
        ..GROUPED_GATE_UP
    },
    Entry {
        name: "experts-down",
        summary: "Q4_K down projections of a pass, by expert",
        build: grouped_down::<Q4>,
        ..GROUPED_DOWN
    },
    Entry {
        name: "experts-down-q6k",
        summary: "Q6_K down projections of a pass, by expert",
        build: grouped_down::<Q6>,
        ..GROUPED_DOWN
    },
];

const GEMV: Entry = Entry {
    family: Family::Matrix,
    acts: ACTS,
    accs: ACCS,
    dims: Dims { rows: Some(768), cols: Some(2048), tokens: Some(1), ..Dims::NONE },
    trial: Dims { rows: Some(64), ..Dims::NONE },
    reading: Dims { rows: Some(32), cols: Some(512), ..Dims::NONE },
    stages: 1,
    usual: |s, p| Schedule::gemv(s.rows, p.act),
    build: matrix_vector::<Q4, Store>,
    ..Entry::BASE
};

/// What is rounded is added, and rounded again.
const GEMV_ADD: Entry = Entry { dims: Dims { rows: Some(2048), cols: Some(4096), ..GEMV.dims }, stages: 2, ..GEMV };

const QKV: Entry = Entry {
    usual: super::usual,
    dims: Dims { rows: None, heads: Some(32), kv_heads: Some(4), head_dim: Some(128), ..GEMV.dims },
    trial: Dims { heads: Some(2), kv_heads: Some(1), head_dim: Some(32), ..Dims::NONE },
    reading: Dims { head_dim: Some(16), cols: Some(512), ..Dims::NONE },
    ..GEMV
};

/// What is normed is rounded first.
const NORM_QKV: Entry = Entry {
    family: Family::Norm,
    dims: Dims { tokens: None, ..QKV.dims },
    stages: 2,
    usual: |_, p| Schedule::behind_norm(p.act),
    ..QKV
};

const NORM_GATE_UP: Entry = Entry { family: Family::Norm, stages: 3, ..GATE_UP };

const GATE_UP: Entry = Entry {
    maths: MATHS,
    dims: Dims { experts: Some(128), used: Some(8), tokens: None, ..GEMV.dims },
    trial: Dims { experts: Some(4), used: Some(2), ..GEMV.trial },
    stages: 2,
    usual: |s, p| Schedule::gate_up(s.rows, p.act),
    ..GEMV
};

const DOWN: Entry = Entry {
    maths: &[],
    dims: Dims { rows: Some(2048), cols: Some(768), ..GATE_UP.dims },
    usual: |s, p| Schedule::experts_at_once(s.cols, p),
    ..GATE_UP
};

const DOWN_ADD: Entry = Entry { stages: 3, ..DOWN };

const ROUTED_DOWN_ADD: Entry = Entry { family: Family::Router, ..DOWN_ADD };

const GROUPED_GATE_UP: Entry = Entry {
    dims: Dims { tokens: Some(32), ..GATE_UP.dims },
    trial: Dims { tokens: Some(4), ..GATE_UP.trial },
    usual: super::usual,
    ..GATE_UP
};

const GROUPED_DOWN: Entry = Entry {
    maths: &[],
    dims: Dims { tokens: Some(32), ..DOWN.dims },
    trial: GROUPED_GATE_UP.trial,
    stages: 1,
    usual: super::usual,
    ..GATE_UP
};

impl Resolved {
    /// Weights of the matrix, or of one of several.
    pub(super) fn elements(&self) -> u64 {
        u64::from(self.sizes.rows) * u64::from(self.sizes.cols)
    }

    /// A parameter of `count` quantized matrices.
    fn matrices<F: DeviceFormat>(&self, name: &'static str, count: u32) -> ParamSpec {
        weights::<F>(name, self.elements() * u64::from(count))
    }

    /// The state of a pass of as many tokens as there may be.
    pub(super) fn full_pass(&self) -> ParamSpec {
        ParamSpec { contents: Contents::Words(Words::Is(self.sizes.tokens)), ..ParamSpec::state(Access::In) }
    }

    /// The lists of pairs of token and rank, by expert.
    fn lists(&self) -> [ParamSpec; 2] {
        let pairs = self.pairs();
        [
            ParamSpec::words("offsets", Words::Offsets { total: pairs }, self.sizes.experts + 1),
            ParamSpec::words("pairs", Words::Distinct { below: pairs }, pairs),
        ]
    }

    /// Pairs of token and rank in a pass.
    fn pairs(&self) -> u32 {
        self.sizes.tokens.saturating_mul(self.sizes.used)
    }

    /// The shape of attention's projections.
    fn projections(&self) -> QkvShape {
        let s = self.sizes;
        QkvShape { q: s.heads.saturating_mul(s.head_dim), kv: s.kv_heads.saturating_mul(s.head_dim), cols: s.cols }
    }

    /// A vector that is not normed yet, and the norm's weights.
    pub(super) fn unnormed(&self) -> [ParamSpec; 2] {
        let cols = self.sizes.cols;
        [ParamSpec::vectors("x", Act::F32, cols, 1), ParamSpec::read("norm", Contents::F32, u64::from(cols) * 4)]
    }

    /// Rows of each of `n` vectors of results.
    fn results<E: Epilogue>(&self, name: &'static str, n: u32) -> ParamSpec {
        let access = if E::ADDS { Access::InOut } else { Access::Out };
        ParamSpec { access, ..ParamSpec::result(name, u64::from(self.sizes.rows) * u64::from(n)) }
    }
}

fn weights<F: DeviceFormat>(name: &'static str, elements: u64) -> ParamSpec {
    let bytes = elements / 256 * u64::from(F::BLOCK_BYTES);
    ParamSpec::read(name, Contents::Weights(tensor_type::<F>()), bytes)
}

/// The matrices of queries, keys and values.
fn projection_matrices<F: DeviceFormat, V: DeviceFormat>(shape: QkvShape) -> Vec<ParamSpec> {
    let elements = |rows: u32| u64::from(rows) * u64::from(shape.cols);
    vec![
        weights::<F>("q", elements(shape.q)),
        weights::<F>("k", elements(shape.kv)),
        weights::<V>("v", elements(shape.kv)),
    ]
}

/// The tensor type of a device format.
fn tensor_type<F: DeviceFormat>() -> TensorType {
    if F::BLOCK_BYTES as usize == Q4K::BYTES { TensorType::Q4_K } else { TensorType::Q6_K }
}

fn matrix_vector<F: DeviceFormat, E: Epilogue>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, X: DeviceActivation, C: Accumulation, E: Epilogue>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let tokens = r.sizes.tokens;
        let mut params = vec![r.matrices::<F>("w", 1), ParamSpec::vectors("x", X::ACT, r.sizes.cols, tokens)];
        let weights = r.elements() * u64::from(tokens);
        if tokens == 1 {
            params.push(r.results::<E>("y", 1));
            return Ok(Built::new(entry, r, gemv::<F, X, C, E>(entry.name, r.shape(), r.how)?, weights, params));
        }
        params.extend([r.full_pass(), r.results::<E>("y", tokens)]);
        let kernel = gemv_batch::<F, X, C, E>(entry.name, r.shape(), tokens, r.how)?;
        Ok(Built::new(entry, r, kernel, weights, params))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C, E>(entry, r))
}

fn projections<F: DeviceFormat, V: DeviceFormat>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, V: DeviceFormat, X: DeviceActivation, C: Accumulation>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let (shape, tokens) = (r.projections(), r.sizes.tokens);
        let rows = shape.rows();
        let mut params = projection_matrices::<F, V>(shape);
        params.push(ParamSpec::vectors("x", X::ACT, shape.cols, tokens));
        let multiplied = rows * u64::from(shape.cols) * u64::from(tokens);
        if tokens == 1 {
            params.push(ParamSpec::result("y", rows));
            return Ok(Built::new(entry, r, qkv::<F, V, X, C>(entry.name, shape, r.how)?, multiplied, params));
        }
        params.extend([r.full_pass(), ParamSpec::result("y", rows * u64::from(tokens))]);
        let kernel = qkv_batch::<F, V, X, C>(entry.name, shape, tokens, r.how)?;
        Ok(Built::new(entry, r, kernel, multiplied, params))
    }
    with_policy!(r.policy, |X, C| typed::<F, V, X, C>(entry, r))
}

fn norm_projections<F: DeviceFormat, V: DeviceFormat>(
    entry: &'static Entry,
    r: &Resolved,
) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, V: DeviceFormat, X: DeviceActivation, C: Accumulation>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let shape = r.projections();
        let mut params = projection_matrices::<F, V>(shape);
        params.extend(r.unnormed());
        params.push(ParamSpec::result("y", shape.rows()));
        let multiplied = shape.rows() * u64::from(shape.cols);
        let kernel = norm_qkv::<F, V, X, C>(entry.name, shape, r.eps, r.how)?;
        Ok(Built::new(entry, r, kernel, multiplied, params))
    }
    with_policy!(r.policy, |X, C| typed::<F, V, X, C>(entry, r))
}

fn gate_up<F: DeviceFormat>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let experts @ Experts { count, used } = r.experts();
        let kernel = gate_up_swiglu::<F, X, C>(entry.name, r.shape(), experts, r.policy.math, r.how)?;
        let params = vec![
            r.matrices::<F>("gate", count),
            r.matrices::<F>("up", count),
            ParamSpec::vectors("x", X::ACT, r.sizes.cols, 1),
            ParamSpec::words("ids", Words::Distinct { below: count }, used),
            r.results::<Store>("h", used),
        ];
        Ok(Built::new(entry, r, kernel, 2 * r.elements() * u64::from(used), params))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C>(entry, r))
}

fn norm_gate_up<F: DeviceFormat>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let experts @ Experts { count, used } = r.experts();
        let (math, eps) = (r.policy.math, r.eps);
        let kernel = norm_gate_up_swiglu::<F, X, C>(entry.name, r.shape(), experts, (math, eps), r.how)?;
        let mut params = vec![r.matrices::<F>("gate", count), r.matrices::<F>("up", count)];
        params.extend(r.unnormed());
        params.extend([r.logits(), r.results::<Store>("h", used)]);
        params.extend(r.chosen());
        Ok(Built::new(entry, r, kernel, 2 * r.elements() * u64::from(used), params))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C>(entry, r))
}

fn down<F: DeviceFormat, E: Epilogue>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, X: DeviceActivation, C: Accumulation, E: Epilogue>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let experts @ Experts { count, used } = r.experts();
        let kernel = moe_down::<F, X, C, E>(entry.name, r.shape(), experts, r.how)?;
        let params = vec![
            r.matrices::<F>("down", count),
            ParamSpec::vectors("x", X::ACT, r.sizes.cols, used),
            ParamSpec::words("ids", Words::Distinct { below: count }, used),
            ParamSpec::read("weights", Contents::F32, u64::from(used) * 4),
            r.results::<E>("y", 1),
        ];
        Ok(Built::new(entry, r, kernel, r.elements() * u64::from(used), params))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C, E>(entry, r))
}

fn routed<F: DeviceFormat, E: Epilogue>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, X: DeviceActivation, C: Accumulation, E: Epilogue>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let experts @ Experts { count, used } = r.experts();
        let kernel = routed_down::<F, X, C, E>(entry.name, r.shape(), experts, r.how)?;
        let params = vec![
            r.matrices::<F>("down", count),
            ParamSpec::vectors("x", X::ACT, r.sizes.cols, used),
            r.logits(),
            r.results::<E>("y", 1),
        ];
        Ok(Built::new(entry, r, kernel, r.elements() * u64::from(used), params))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C, E>(entry, r))
}

fn grouped_gate_up<F: DeviceFormat>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let (experts, tokens) = (r.experts(), r.sizes.tokens);
        let kernel = experts_gate_up::<F, X, C>(entry.name, r.shape(), (experts, tokens), r.policy.math, r.how)?;
        let [offsets, pairs] = r.lists();
        let params = vec![
            r.matrices::<F>("gate", experts.count),
            r.matrices::<F>("up", experts.count),
            ParamSpec::vectors("x", X::ACT, r.sizes.cols, tokens),
            offsets,
            pairs,
            r.results::<Store>("h", r.pairs()),
        ];
        Ok(Built::new(entry, r, kernel, 2 * r.elements() * u64::from(r.pairs()), params))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C>(entry, r))
}

fn grouped_down<F: DeviceFormat>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let (experts, tokens) = (r.experts(), r.sizes.tokens);
        let kernel = experts_down::<F, X, C>(entry.name, r.shape(), (experts, tokens), r.how)?;
        let [offsets, pairs] = r.lists();
        let params = vec![
            r.matrices::<F>("down", experts.count),
            ParamSpec::vectors("x", X::ACT, r.sizes.cols, r.pairs()),
            offsets,
            pairs,
            r.results::<Store>("y", r.pairs()),
        ];
        Ok(Built::new(entry, r, kernel, r.elements() * u64::from(r.pairs()), params))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C>(entry, r))
}
