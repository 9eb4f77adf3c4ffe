//! Entries: products of quantized matrices and vectors.

use super::super::request::Resolved;
use super::super::schedule::CatalogueError;
use super::super::{Experts, gate_up_swiglu, gemv, moe_down};
use super::{ACCS, ACTS, Built, Dims, Entry, Family, MATHS, ParamSpec, Role, Words, with_policy};
use crate::device::{DeviceActivation, DeviceFormat};
use crate::format::{Q4K, Q6K, TensorType};
use crate::precision::Accumulation;

pub(super) const ENTRIES: &[Entry] = &[
    Entry { name: "q4k-gemv", summary: "Q4_K matrix times vector", build: matrix_vector::<Q4K<'static>>, ..GEMV },
    Entry { name: "q6k-gemv", summary: "Q6_K matrix times vector", build: matrix_vector::<Q6K<'static>>, ..GEMV },
    Entry {
        name: "fused-gate-up-swiglu",
        summary: "both Q4_K projections and SwiGLU of all experts of a token",
        build: gate_up::<Q4K<'static>>,
        ..GATE_UP
    },
    Entry {
        name: "fused-gate-up-swiglu-q6k",
        summary: "both Q6_K projections and SwiGLU of all experts of a token",
        build: gate_up::<Q6K<'static>>,
        ..GATE_UP
    },
    Entry {
        name: "moe-down",
        summary: "Q4_K down projections of a token's experts and their weighted sum",
        build: down::<Q4K<'static>>,
        ..DOWN
    },
    Entry {
        name: "moe-down-q6k",
        summary: "Q6_K down projections of a token's experts and their weighted sum",
        build: down::<Q6K<'static>>,
        ..DOWN
    },
];

const GEMV: Entry = Entry {
    name: "",
    summary: "",
    family: Family::Matrix,
    acts: ACTS,
    accs: ACCS,
    maths: &[],
    sums: None,
    dims: Dims { rows: Some(768), cols: Some(2048), ..Dims::NONE },
    trial: Dims { rows: Some(64), ..Dims::NONE },
    reading: Dims { rows: Some(32), cols: Some(512), ..Dims::NONE },
    stages: 1,
    build: matrix_vector::<Q4K<'static>>,
};

const GATE_UP: Entry = Entry {
    maths: MATHS,
    dims: Dims { experts: Some(128), used: Some(8), ..GEMV.dims },
    trial: Dims { experts: Some(4), used: Some(2), ..GEMV.trial },
    stages: 2,
    ..GEMV
};

const DOWN: Entry = Entry { maths: &[], dims: Dims { rows: Some(2048), cols: Some(768), ..GATE_UP.dims }, ..GATE_UP };

impl Resolved {
    /// Weights of the matrix, or of one of several.
    pub(super) fn elements(&self) -> u64 {
        u64::from(self.sizes.rows) * u64::from(self.sizes.cols)
    }

    /// A parameter of `count` quantized matrices.
    fn matrices<F: DeviceFormat>(&self, name: &'static str, count: u32) -> ParamSpec {
        let bytes = self.elements() / 256 * u64::from(F::BLOCK_BYTES) * u64::from(count);
        ParamSpec::read(name, Role::Weights(tensor_type::<F>()), bytes)
    }
}

/// The tensor type of a device format.
fn tensor_type<F: DeviceFormat>() -> TensorType {
    if F::BLOCK_BYTES as usize == Q4K::BYTES { TensorType::Q4_K } else { TensorType::Q6_K }
}

fn matrix_vector<F: DeviceFormat>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let kernel = gemv::<F, X, C>(entry.name, r.shape(), r.schedule, r.target)?;
        let params = vec![
            r.matrices::<F>("w", 1),
            ParamSpec::vectors("x", X::ACT, r.sizes.cols, 1),
            ParamSpec::result("y", r.sizes.rows.into()),
        ];
        Ok(Built::new(entry, r, kernel, r.elements(), params))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C>(entry, r))
}

fn gate_up<F: DeviceFormat>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let experts @ Experts { count, used } = r.experts();
        let kernel = gate_up_swiglu::<F, X, C>(entry.name, r.shape(), experts, r.policy.math, r.schedule, r.target)?;
        let params = vec![
            r.matrices::<F>("gate", count),
            r.matrices::<F>("up", count),
            ParamSpec::vectors("x", X::ACT, r.sizes.cols, 1),
            ParamSpec::words("ids", Words::Distinct { below: count }, used),
            ParamSpec::result("h", u64::from(r.sizes.rows) * u64::from(used)),
        ];
        Ok(Built::new(entry, r, kernel, 2 * r.elements() * u64::from(used), params))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C>(entry, r))
}

fn down<F: DeviceFormat>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let experts @ Experts { count, used } = r.experts();
        let kernel = moe_down::<F, X, C>(entry.name, r.shape(), experts, r.schedule, r.target)?;
        let params = vec![
            r.matrices::<F>("down", count),
            ParamSpec::vectors("x", X::ACT, r.sizes.cols, used),
            ParamSpec::words("ids", Words::Distinct { below: count }, used),
            ParamSpec::read("weights", Role::F32, u64::from(used) * 4),
            ParamSpec::result("y", r.sizes.rows.into()),
        ];
        Ok(Built::new(entry, r, kernel, r.elements() * u64::from(used), params))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C>(entry, r))
}
