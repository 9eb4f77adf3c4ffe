//! Entries: products of the experts' quantized matrices.

use super::super::error::CatalogueError;
use super::super::request::Resolved;
use super::super::schedule::Schedule;
use super::super::{
    Add, Epilogue, Experts, Store, experts_down, experts_gate_up, gate_up_swiglu, grouped_experts, moe_down,
    norm_gate_up_swiglu, routed_down, tile,
};
use super::matrix::{GEMV, Q4, Q6};
use super::{Built, Dims, Entry, Family, KernelId, MATHS, Role, Size, Words, with_policy};
use crate::device::{DeviceActivation, DeviceFormat, FragmentFormat};
use crate::format::TensorType;
use crate::precision::Accumulation;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        id: KernelId::Matrix(Role::GateUp, TensorType::Q4_K),
        summary: "both Q4_K projections and SwiGLU of all experts of a token",
        build: gate_up::<Q4>,
        ..GATE_UP
    },
    Entry {
        id: KernelId::Matrix(Role::GateUp, TensorType::Q6_K),
        summary: "both Q6_K projections and SwiGLU of all experts of a token",
        build: gate_up::<Q6>,
        ..GATE_UP
    },
    Entry {
        id: KernelId::Matrix(Role::NormGateUp, TensorType::Q4_K),
        summary: "RMSNorm and the choice of experts, then both Q4_K projections and SwiGLU of all of them",
        build: norm_gate_up::<Q4>,
        ..NORM_GATE_UP
    },
    Entry {
        id: KernelId::Matrix(Role::NormGateUp, TensorType::Q6_K),
        summary: "the same of Q6_K matrices",
        build: norm_gate_up::<Q6>,
        ..NORM_GATE_UP
    },
    Entry {
        id: KernelId::Matrix(Role::Down, TensorType::Q4_K),
        summary: "Q4_K down projections of a token's experts and their weighted sum",
        build: down::<Q4, Store>,
        ..DOWN
    },
    Entry {
        id: KernelId::Matrix(Role::Down, TensorType::Q6_K),
        summary: "Q6_K down projections of a token's experts and their weighted sum",
        build: down::<Q6, Store>,
        ..DOWN
    },
    Entry {
        id: KernelId::Matrix(Role::DownAdded, TensorType::Q4_K),
        summary: "the same of Q4_K, added to the residual stream",
        build: down::<Q4, Add>,
        ..DOWN_ADD
    },
    Entry {
        id: KernelId::Matrix(Role::DownAdded, TensorType::Q6_K),
        summary: "the same of Q6_K, added to the residual stream",
        build: down::<Q6, Add>,
        ..DOWN_ADD
    },
    Entry {
        id: KernelId::Matrix(Role::RoutedDownAdded, TensorType::Q4_K),
        summary: "the choice of a token's experts, then their Q4_K down projections, added to the residual stream",
        build: routed::<Q4, Add>,
        ..ROUTED_DOWN_ADD
    },
    Entry {
        id: KernelId::Matrix(Role::RoutedDownAdded, TensorType::Q6_K),
        summary: "the same of Q6_K matrices",
        build: routed::<Q6, Add>,
        ..ROUTED_DOWN_ADD
    },
    Entry {
        id: KernelId::Matrix(Role::GroupedGateUp, TensorType::Q4_K),
        summary: "both Q4_K projections and SwiGLU of a pass, by expert",
        build: grouped_gate_up::<Q4>,
        ..GROUPED_GATE_UP
    },
    Entry {
        id: KernelId::Matrix(Role::GroupedGateUp, TensorType::Q6_K),
        summary: "both Q6_K projections and SwiGLU of a pass, by expert",
        build: grouped_gate_up::<Q6>,
        ..GROUPED_GATE_UP
    },
    Entry {
        id: KernelId::Matrix(Role::GroupedDown, TensorType::Q4_K),
        summary: "Q4_K down projections of a pass, by expert",
        build: grouped_down::<Q4>,
        ..GROUPED_DOWN
    },
    Entry {
        id: KernelId::Matrix(Role::GroupedDown, TensorType::Q6_K),
        summary: "Q6_K down projections of a pass, by expert",
        build: grouped_down::<Q6>,
        ..GROUPED_DOWN
    },
    Entry {
        id: KernelId::Matrix(Role::GroupedExperts, TensorType::Q4_K),
        summary: "Q4_K matrices of the experts chosen times their tokens' vectors, by expert",
        build: grouped::<Q4>,
        ..GROUPED_EXPERTS
    },
    Entry {
        id: KernelId::Matrix(Role::GroupedExperts, TensorType::Q6_K),
        summary: "Q6_K matrices of the experts chosen times their tokens' vectors, by expert",
        build: grouped::<Q6>,
        ..GROUPED_EXPERTS
    },
];

pub(super) const GATE_UP: Entry = Entry {
    maths: MATHS,
    dims: Dims { experts: Some(128), used: Some(8), tokens: None, ..GEMV.dims },
    trial: Dims { experts: Some(4), used: Some(2), ..GEMV.trial },
    stages: 2,
    usual: |s, p, m| Schedule::gate_up(s.rows, p.act, m),
    ..GEMV
};

pub(super) const DOWN: Entry = Entry {
    maths: &[],
    dims: Dims { rows: Some(2048), cols: Some(768), ..GATE_UP.dims },
    usual: |s, p, _| Schedule::experts_at_once(s.cols, p),
    ..GATE_UP
};

pub(super) const DOWN_ADD: Entry = Entry { stages: 3, ..DOWN };

pub(super) const ROUTED_DOWN_ADD: Entry = Entry { family: Family::Router, ..DOWN_ADD };

pub(super) const GROUPED_GATE_UP: Entry = Entry {
    dims: Dims { tokens: Some(32), ..GATE_UP.dims },
    trial: Dims { tokens: Some(4), ..GATE_UP.trial },
    usual: super::usual,
    ..GATE_UP
};

pub(super) const GROUPED_DOWN: Entry = Entry {
    maths: &[],
    dims: Dims { tokens: Some(32), ..DOWN.dims },
    trial: GROUPED_GATE_UP.trial,
    stages: 1,
    usual: super::usual,
    ..GATE_UP
};

/// Of the gate's or the up projection's shape.
pub(super) const GROUPED_EXPERTS: Entry = Entry { dims: GROUPED_GATE_UP.dims, build: grouped::<Q4>, ..GROUPED_DOWN };

pub(super) const NORM_GATE_UP: Entry = Entry { family: Family::Norm, stages: 3, ..GATE_UP };

impl Resolved {
    /// The lists of pairs of token and rank, by expert.
    fn lists(&self) -> [Size; 2] {
        let pairs = self.pairs();
        [
            Size::words(Words::Offsets { total: pairs }, self.sizes.experts + 1),
            Size::words(Words::Distinct { below: pairs }, pairs),
        ]
    }

    /// Pairs of token and rank in a pass.
    fn pairs(&self) -> u32 {
        self.sizes.tokens.saturating_mul(self.sizes.used)
    }
}

pub(super) fn gate_up<F: DeviceFormat>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let experts @ Experts { count, used } = r.experts();
        let kernel = gate_up_swiglu::<F, X, C>(entry.name, r.shape(), experts, r.policy.math, r.how)?;
        let params = vec![
            r.matrices::<F>(count),
            r.matrices::<F>(count),
            Size::vectors(r.sizes.cols, 1),
            Size::words(Words::Distinct { below: count }, used),
            r.results(used),
        ];
        Ok(Built::new(entry, r, kernel, 2 * r.elements() * u64::from(used), params))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C>(entry, r))
}

pub(super) fn norm_gate_up<F: DeviceFormat>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let experts @ Experts { count, used } = r.experts();
        let (math, eps) = (r.policy.math, r.eps);
        let kernel = norm_gate_up_swiglu::<F, X, C>(entry.name, r.shape(), experts, (math, eps), r.how)?;
        let mut params = vec![r.matrices::<F>(count), r.matrices::<F>(count)];
        params.extend(r.unnormed());
        params.extend([r.logits(), r.results(used)]);
        params.extend(r.chosen());
        Ok(Built::new(entry, r, kernel, 2 * r.elements() * u64::from(used), params))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C>(entry, r))
}

pub(super) fn down<F: DeviceFormat, E: Epilogue>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, X: DeviceActivation, C: Accumulation, E: Epilogue>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let experts @ Experts { count, used } = r.experts();
        let kernel = moe_down::<F, X, C, E>(entry.name, r.shape(), experts, r.how)?;
        let params = vec![
            r.matrices::<F>(count),
            Size::vectors(r.sizes.cols, used),
            Size::words(Words::Distinct { below: count }, used),
            Size::bytes(u64::from(used) * 4),
            r.results(1),
        ];
        Ok(Built::new(entry, r, kernel, r.elements() * u64::from(used), params))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C, E>(entry, r))
}

pub(super) fn routed<F: DeviceFormat, E: Epilogue>(
    entry: &'static Entry,
    r: &Resolved,
) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, X: DeviceActivation, C: Accumulation, E: Epilogue>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let experts @ Experts { count, used } = r.experts();
        let kernel = routed_down::<F, X, C, E>(entry.name, r.shape(), experts, r.how)?;
        let params = vec![r.matrices::<F>(count), Size::vectors(r.sizes.cols, used), r.logits(), r.results(1)];
        Ok(Built::new(entry, r, kernel, r.elements() * u64::from(used), params))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C, E>(entry, r))
}

pub(super) fn grouped_gate_up<F: FragmentFormat>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: FragmentFormat, X: DeviceActivation, C: Accumulation>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let (experts, tokens) = (r.experts(), r.sizes.tokens);
        let (shape, math) = (r.shape(), r.policy.math);
        let params = || {
            let [offsets, pairs] = r.lists();
            vec![
                r.matrices::<F>(experts.count),
                r.matrices::<F>(experts.count),
                Size::vectors(r.sizes.cols, tokens),
                offsets,
                pairs,
                r.results(r.pairs()),
            ]
        };
        let multiplied = || 2 * r.elements() * u64::from(r.pairs());
        if r.has_tiles::<F>(tile::OF_EXPERTS) {
            let kernel = tile::experts_gate_up_tiles::<F, C>(entry.name, shape, (experts, tokens), math, r.how)?;
            return Ok(Built::new(entry, r, kernel, multiplied(), params()));
        }
        let kernel = experts_gate_up::<F, X, C>(entry.name, shape, (experts, tokens), math, r.how)?;
        Ok(Built::new(entry, r, kernel, multiplied(), params()))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C>(entry, r))
}

pub(super) fn grouped_down<F: FragmentFormat>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: FragmentFormat, X: DeviceActivation, C: Accumulation>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let (experts, tokens) = (r.experts(), r.sizes.tokens);
        let params = || {
            let [offsets, pairs] = r.lists();
            vec![
                r.matrices::<F>(experts.count),
                Size::vectors(r.sizes.cols, r.pairs()),
                offsets,
                pairs,
                r.results(r.pairs()),
            ]
        };
        let multiplied = || r.elements() * u64::from(r.pairs());
        if r.has_tiles::<F>(tile::OF_EXPERTS) {
            let kernel = tile::experts_down_tiles::<F, C>(entry.name, r.shape(), (experts, tokens), r.how)?;
            return Ok(Built::new(entry, r, kernel, multiplied(), params()));
        }
        let kernel = experts_down::<F, X, C>(entry.name, r.shape(), (experts, tokens), r.how)?;
        Ok(Built::new(entry, r, kernel, multiplied(), params()))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C>(entry, r))
}

pub(super) fn grouped<F: DeviceFormat>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let (experts, tokens) = (r.experts(), r.sizes.tokens);
        let kernel = grouped_experts::<F, X, C>(entry.name, r.shape(), (experts, tokens), r.how)?;
        let [offsets, pairs] = r.lists();
        let params = vec![
            r.matrices::<F>(experts.count),
            Size::vectors(r.sizes.cols, tokens),
            offsets,
            pairs,
            r.results(r.pairs()),
        ];
        Ok(Built::new(entry, r, kernel, r.elements() * u64::from(r.pairs()), params))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C>(entry, r))
}
