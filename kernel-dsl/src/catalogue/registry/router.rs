//! Entries: the choice of experts, their lists, and the sum of their results.

use half::{bf16, f16};

use super::super::error::CatalogueError;
use super::super::request::Resolved;
use super::super::{Experts, experts_sum, moe_group, norm_router_logits, router, router_tiles};
use super::{ACCS, Access, Built, Contents, Dims, Entry, Family, ParamSpec, Words, with_acc};
use crate::device::{DevicePlain, pass};
use crate::format::{Q8_0, TensorType};
use crate::precision::{Acc, Act};

pub(super) const ENTRIES: &[Entry] = &[
    Entry { name: "router", build: choose::<f32>, ..ROUTER },
    Entry { name: "router-f16", summary: "the same with an F16 matrix", build: choose::<f16>, ..ROUTER },
    Entry { name: "router-bf16", summary: "the same with a BF16 matrix", build: choose::<bf16>, ..ROUTER },
    Entry { name: "router-q8_0", summary: "the same with a Q8_0 matrix", build: choose::<Q8_0<'static>>, ..ROUTER },
    Entry {
        name: "norm-router-logits",
        summary: "RMSNorm, then the logits of the experts in f64, with an F32 matrix",
        accs: ACCS,
        // The norm's rounding.
        dims: Dims { tokens: None, used: None, ..ROUTER.dims },
        reading: Dims { used: None, ..ROUTER.reading },
        build: norm_logits,
        ..ROUTER
    },
    Entry {
        name: "moe-group",
        summary: "which tokens of a pass each expert has",
        family: Family::Router,
        dims: Dims { experts: Some(128), used: Some(8), tokens: Some(32), ..Dims::NONE },
        reading: Dims { experts: Some(8), used: Some(2), ..Dims::NONE },
        build: group,
        ..Entry::BASE
    },
    Entry {
        name: "experts-sum",
        summary: "the experts' results, weighted, onto the residual stream",
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
    summary: "logits of the experts in f64, softmax, the first by probability and their weights",
    family: Family::Router,
    sums: Some(Acc::F64),
    dims: Dims { cols: Some(2048), experts: Some(128), used: Some(8), tokens: Some(1), ..Dims::NONE },
    reading: Dims { cols: Some(256), experts: Some(8), used: Some(2), ..Dims::NONE },
    stages: 1,
    build: choose::<f32>,
    ..Entry::BASE
};

impl ParamSpec {
    /// The state of a pass, of one token.
    pub(in crate::catalogue) fn state(access: Access) -> ParamSpec {
        let bytes = u64::from(pass::STATE_WORDS) * 4;
        ParamSpec { access, ..ParamSpec::read("state", Contents::Words(Words::Is(1)), bytes) }
    }

    /// Words that the kernel finds and leaves the same, or updates.
    pub(in crate::catalogue) fn kept(name: &'static str, word: u32, bytes: u64) -> ParamSpec {
        ParamSpec { access: Access::InOut, ..ParamSpec::read(name, Contents::Words(Words::Is(word)), bytes) }
    }
}

fn choose<F: DevicePlain>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let (cols, tokens, experts) = (r.sizes.cols, r.sizes.tokens, r.experts());
    let kernel = router::<F>(entry.name, cols, experts, tokens, (r.how.target, r.how.waits()))?;
    let mut params = vec![
        ParamSpec::read("w", Contents::Weights(F::TYPE), u64::from(experts.count) * u64::from(F::row_bytes(cols))),
        ParamSpec::vectors("x", Act::F32, cols, tokens),
        r.full_pass(),
    ];
    params.push(ParamSpec { access: Access::Out, rounded: Some(0), ..r.logits() });
    params.push(ParamSpec::kept("counter", 0, u64::from(router_tiles(tokens)) * 4));
    params.extend(r.chosen());
    Ok(Built::new(entry, r, kernel, r.router_weights(), params))
}

fn norm_logits(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let (cols, experts, how) = (r.sizes.cols, r.sizes.experts, (r.eps, r.how.waits()));
    let kernel = with_acc!(r.policy, |C| norm_router_logits::<f32, C>(entry.name, cols, experts, how))?;
    let mut params = vec![ParamSpec::read("w", Contents::Weights(TensorType::F32), r.router_weights() * 4)];
    params.extend(r.unnormed());
    params.push(ParamSpec { access: Access::Out, ..r.logits() });
    Ok(Built::new(entry, r, kernel, r.router_weights(), params))
}

impl Resolved {
    /// Weights of the router.
    fn router_weights(&self) -> u64 {
        u64::from(self.sizes.experts) * u64::from(self.sizes.cols)
    }

    /// The router's logits.
    pub(super) fn logits(&self) -> ParamSpec {
        let tokens = u64::from(self.sizes.tokens.max(1));
        ParamSpec::read("logits", Contents::Logits, tokens * u64::from(self.sizes.experts) * 8)
    }

    /// The choice of experts that a kernel leaves behind.
    pub(super) fn chosen(&self) -> [ParamSpec; 3] {
        let (tokens, Experts { count, used }) = (self.sizes.tokens.max(1), self.experts());
        let chosen = u64::from(tokens) * u64::from(used) * 4;
        [
            ParamSpec::kept("status", u32::MAX, 8),
            ParamSpec::written("ids", Contents::Words(Words::Distinct { below: count }), chosen),
            ParamSpec { rounded: Some(1), ..ParamSpec::written("weights", Contents::F32, chosen) },
        ]
    }
}

fn group(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let (tokens, experts) = (r.sizes.tokens, r.experts());
    let kernel = moe_group(entry.name, experts, tokens)?;
    let pairs = tokens * experts.used;
    let params = vec![
        ParamSpec::words("ids", Words::Below(experts.count), pairs),
        r.full_pass(),
        ParamSpec::written(
            "offsets",
            Contents::Words(Words::Offsets { total: pairs }),
            u64::from(experts.count + 1) * 4,
        ),
        ParamSpec::written("pairs", Contents::Words(Words::Distinct { below: pairs }), u64::from(pairs) * 4),
    ];
    Ok(Built::new(entry, r, kernel, u64::from(pairs), params))
}

fn sum(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let (cols, used, tokens) = (r.sizes.cols, r.sizes.used, r.sizes.tokens);
    let kernel = with_acc!(r.policy, |C| experts_sum::<C>(entry.name, cols, used, tokens))?;
    let params = vec![
        ParamSpec::vectors("y", Act::F32, cols, tokens * used),
        ParamSpec::read("weights", Contents::F32, u64::from(tokens) * u64::from(used) * 4),
        r.full_pass(),
        ParamSpec { access: Access::InOut, ..ParamSpec::vectors("x", Act::F32, cols, tokens) },
    ];
    Ok(Built::new(entry, r, kernel, u64::from(tokens) * u64::from(cols), params))
}
