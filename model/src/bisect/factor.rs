//! Factors in which two runs can differ.

use super::followed::{Followed, Sides};
use crate::{
    graph::{Concern, Operation},
    plain::{Choice, Mistake, PlainModel},
    trace::Stage,
};
use ptxgen_dsl::precision::{Acc, Act, Math};
use std::{collections::BTreeSet, fmt};

/// A stage and its layer.
pub(super) use crate::graph::At as Site;

/// One factor in which two runs can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Factor {
    /// The activations' format.
    Act,
    /// The accumulator.
    Acc,
    /// Exact or approximate functions.
    Math,
    /// The router's precision.
    Router,
    /// The type of SwiGLU's stored result.
    Inner,
    /// The KV cache's type.
    Kv,
    /// A known mistake.
    Mistake(Mistake),
}

impl Factor {
    /// The factors in which runs may differ without a mistake.
    pub(super) const CHOICES: [Self; 6] = [Self::Act, Self::Acc, Self::Math, Self::Router, Self::Inner, Self::Kv];

    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Act => "activation_format",
            Self::Acc => "accumulator",
            Self::Math => "math",
            Self::Router => "router_precision",
            Self::Inner => "swiglu_intermediate",
            Self::Kv => "kv_cache",
            Self::Mistake(_) => "mistake",
        }
    }

    /// A choice's value of this factor, for messages.
    pub(super) fn value(self, choice: &Choice) -> String {
        match self {
            Self::Act => choice.act.to_string(),
            Self::Acc => choice.acc.to_string(),
            Self::Math => choice.math.to_string(),
            Self::Router => choice.router.to_string(),
            Self::Inner => choice.inner.to_string(),
            Self::Kv => choice.kv.to_string(),
            Self::Mistake(m) => if choice.mistake == Some(m) { "made" } else { "not made" }.to_owned(),
        }
    }

    /// Sets a choice's value of this factor to another's.
    pub(super) fn take(self, own: &mut Choice, other: &Choice) {
        match self {
            Self::Act => own.act = other.act,
            Self::Acc => own.acc = other.acc,
            Self::Math => own.math = other.math,
            Self::Router => own.router = other.router,
            Self::Inner => own.inner = other.inner,
            Self::Kv => own.kv = other.kv,
            Self::Mistake(_) => own.mistake = other.mistake,
        }
    }

    /// Whether a stage depends on it.
    pub(super) fn concerns(self, model: &PlainModel<'_>, (stage, layer): Site) -> bool {
        // A stage that nothing reads is computed again where its values are needed.
        let Some(operation) = model.operation(stage).filter(|_| !model.graph().is_aside(stage)) else { return false };
        let concerns = |concern| operation.concerns().contains(&concern);
        match self {
            Self::Act => {
                let of_type = |role| model.tensor(role, layer).is_ok_and(|w| operation.rounds_activations(w.ty));
                operation.matrix().is_some_and(of_type)
            }
            Self::Acc => concerns(Concern::Acc),
            Self::Math | Self::Inner => concerns(Concern::Math),
            Self::Router => concerns(Concern::Router),
            Self::Kv => concerns(Concern::Kv),
            Self::Mistake(Mistake::Q6kAsQ4k | Mistake::Q6kAsPackedQ4k | Mistake::LeftOut(_)) => {
                operation.matrix().is_some()
            }
            Self::Mistake(Mistake::TiesToHigher) => {
                matches!(operation, Operation::RouterExperts | Operation::RouterWeights)
            }
            Self::Mistake(Mistake::RopeInterleaved) => matches!(operation, Operation::HeadNormRope(_)),
        }
    }

    /// The given choice with every other value of this factor. No mistakes.
    pub(super) fn others(self, choice: Choice) -> Vec<Choice> {
        use crate::{kv::KvType, plain::Inner};
        let all: Vec<Choice> = match self {
            Self::Act => Act::ALL.iter().map(|&act| Choice { act, ..choice }).collect(),
            Self::Acc => Acc::ALL.iter().map(|&acc| Choice { acc, ..choice }).collect(),
            Self::Math => Math::ALL.iter().map(|&math| Choice { math, ..choice }).collect(),
            Self::Router => Acc::ALL.iter().map(|&router| Choice { router, ..choice }).collect(),
            Self::Inner => [Inner::F32, Inner::F16, Inner::BF16].map(|inner| Choice { inner, ..choice }).to_vec(),
            Self::Kv => [KvType::F32, KvType::F16].map(|kv| Choice { kv, ..choice }).to_vec(),
            Self::Mistake(_) => Vec::new(),
        };
        all.into_iter().filter(|c| *c != choice).collect()
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Act => "activation format",
            Self::Acc => "accumulator",
            Self::Math => "math",
            Self::Router => "router precision",
            Self::Inner => "SwiGLU intermediate",
            Self::Kv => "KV cache",
            Self::Mistake(mistake) => return write!(f, "mistake: {mistake}"),
        })
    }
}

/// Every factor in which the sides differ, with the stages that depend on it.
pub(super) fn differences(model: &PlainModel<'_>, sides: &Sides) -> Vec<(Factor, Vec<Site>)> {
    let sites: Vec<Site> = model.graph().stages().collect();
    let of = |&(stage, layer): &Site| (sides.left.choice(stage, layer), sides.right.choice(stage, layer));
    let mistakes: BTreeSet<Mistake> =
        sites.iter().map(of).flat_map(|(l, r)| [l.mistake, r.mistake]).flatten().collect();
    let factors = Factor::CHOICES.into_iter().chain(mistakes.into_iter().map(Factor::Mistake));
    let differs = |factor: Factor| {
        let differs = |site: &&Site| {
            let (l, r) = of(site);
            factor.concerns(model, **site) && factor.value(&l) != factor.value(&r)
        };
        sites.iter().filter(differs).copied().collect::<Vec<_>>()
    };
    factors.map(|factor| (factor, differs(factor))).filter(|(_, sites)| !sites.is_empty()).collect()
}

/// The factors in which the sides agree, with their common value.
pub(super) fn same(factors: &[(Factor, Vec<Site>)], choice: Choice) -> Vec<(String, String)> {
    let same = Factor::CHOICES.into_iter().filter(|f| !factors.iter().any(|(other, _)| other == f));
    same.map(|f| (f.to_string(), f.value(&choice))).collect()
}

/// A side's values of a factor at some sites: one value, or several joined.
pub(super) fn values(factor: Factor, sites: &[Site], side: &Followed) -> String {
    let values: BTreeSet<String> = sites.iter().map(|(s, l)| factor.value(&side.choice(*s, *l))).collect();
    values.into_iter().collect::<Vec<_>>().join(" and ")
}

/// The stages of some sites, in the forward's order.
pub(super) fn stages(sites: &[Site]) -> Vec<Stage> {
    sites.iter().map(|(stage, _)| *stage).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The layers of some sites.
pub(super) fn layers(sites: &[Site]) -> Vec<usize> {
    sites.iter().filter_map(|(_, layer)| *layer).collect::<BTreeSet<_>>().into_iter().collect()
}
