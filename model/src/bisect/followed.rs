//! What is known of the stages of a run.

use crate::{
    graph::{At as Site, Scope},
    plain::{Choice, Choices},
    trace::Stage,
};
use ptxgen_dsl::precision::Math;
use std::collections::BTreeMap;

/// How a stage's recorded values follow from the recorded values before it.
#[derive(Clone, Debug, PartialEq)]
pub enum Follows {
    /// With the same bits, under what the run says of itself.
    Declared,
    /// With the same bits, under another choice or with a known mistake.
    Otherwise,
    /// Not with the same bits, but nearly: the relative error.
    Nearly(f64),
    /// Not at all.
    Not {
        /// Values that differ under the nearest choice.
        differing: usize,
        /// Values of the stage.
        values: usize,
        /// The first position with one.
        position: usize,
        /// Which of that position's values.
        index: usize,
        /// The relative error under the nearest choice.
        relative: f64,
    },
}

/// What is known of every stage of a run.
#[derive(Clone, Debug)]
pub struct Followed {
    pub(super) declared: Choice,
    /// Whether it is a run of this program, of which one policy has one answer.
    pub(super) ours: bool,
    pub(super) found: BTreeMap<Site, (Choice, Follows)>,
}

/// Both runs.
pub(super) struct Sides {
    pub(super) left: Followed,
    pub(super) right: Followed,
}

impl Followed {
    /// What a stage is computed with, or most nearly.
    pub fn choice(&self, stage: Stage, layer: Option<usize>) -> Choice {
        self.found.get(&(stage, layer)).map_or(self.declared, |(choice, _)| *choice)
    }

    /// Whether the run's bits are fixed by what it declares.
    pub(super) fn promises_bits(&self) -> bool {
        self.ours
    }

    /// Stages that were computed anew.
    pub fn checked(&self) -> usize {
        self.found.len()
    }

    /// Stages that follow nearly, where it is not for the hardware's approximate functions.
    pub(super) fn inexact(&self) -> impl Iterator<Item = (Site, f64)> {
        self.findings().filter_map(|(site, choice, how)| match how {
            Follows::Nearly(relative) if !(choice.math == Math::Approx && is_swiglu(site.0)) => Some((site, *relative)),
            _ => None,
        })
    }

    /// Stages that do not follow as declared, in the forward's order.
    pub fn findings(&self) -> impl Iterator<Item = (Site, &Choice, &Follows)> {
        let mut all: Vec<_> = self.found.iter().filter(|(_, (_, how))| *how != Follows::Declared).collect();
        let after = |stage: Stage| stage.scope() == Scope::After;
        all.sort_by_key(|((stage, layer), _)| (after(*stage), *layer, *stage));
        all.into_iter().map(|(site, (choice, how))| (*site, choice, how))
    }

    /// The choices of the whole run.
    pub(super) fn choices(&self, declared: Choice) -> Choices {
        let mut choices = Choices::all(declared);
        for (&(stage, layer), (choice, _)) in &self.found {
            choices.set(stage, layer, *choice);
        }
        choices
    }
}

/// Whether a stage is SwiGLU, in whatever architecture.
fn is_swiglu(stage: Stage) -> bool {
    matches!(stage, Stage::ExpertSwiglu | Stage::FfnSwiglu)
}
