//! Finds out why two runs of one model differ: which choice, which stage, which layer.
//!
//! First every recorded stage of both runs is recomputed from the run's own recorded inputs. Equal bits show what the
//! run computes there: what it states, another choice, or a known mistake. If no candidate gives equal bits, the fault
//! is in this stage. Then one difference of the runs at a time is changed in a plain forward, to measure how much of
//! the divergence it explains.

mod device;
mod divergence;
mod factor;
mod follow;
mod followed;
mod measure;
mod result;
mod verdict;

pub use device::{DeviceShare, Swapped, factor_swaps, swaps};
pub use divergence::Divergence;
pub use factor::Factor;
pub use followed::{Followed, Follows};
pub use result::{Attribution, Bisection, Cause, Part, SideFound, Verdict};

use crate::{
    gguf::Gguf,
    plain::{Choice, Choices, Forward, PlainError, PlainModel},
    trace::{Stage, TraceData},
};
use factor::Site;
use followed::Sides;
use ptxgen_dsl::precision::Policy;
use std::borrow::Cow;

/// One of the two runs: all positions of all stages.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Its name in messages.
    pub name: &'a str,
    /// The recorded values.
    pub trace: &'a TraceData,
}

/// Two runs that cannot be bisected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BisectError {
    /// A stage cannot be computed.
    #[error(transparent)]
    Plain(#[from] PlainError),
    /// The runs are of different models.
    #[error("{left} and {right} are runs of different models (SHA-256 {left_hash} and {right_hash})")]
    Models {
        /// The left run.
        left: String,
        /// The right run.
        right: String,
        /// Its model.
        left_hash: String,
        /// The other run's model.
        right_hash: String,
    },
    /// The runs are of different texts, or of unknown ones.
    #[error("{run} has other tokens than {than}: bisect needs two runs on the same tokens")]
    Tokens {
        /// The run.
        run: String,
        /// The source of the other tokens.
        than: String,
    },
    /// Not every position was recorded.
    #[error("{run} has {found} of {tokens} positions: attention needs all of them, so record with --positions all")]
    Positions {
        /// The run.
        run: String,
        /// Number of positions in it.
        found: usize,
        /// Tokens of the text.
        tokens: usize,
    },
    /// A run's stages cannot be recomputed.
    #[error("{run}: {error}")]
    Run {
        /// The run.
        run: String,
        /// The reason.
        error: Box<PlainError>,
    },
    /// No stage is in both runs.
    #[error("{left} and {right} have no stage in common that can be measured: record all stages of both")]
    NothingCommon {
        /// The left run.
        left: String,
        /// The right run.
        right: String,
    },
}

/// Finds out why two runs on the same tokens differ. `swapped` has the runs that [`swaps`] and [`factor_swaps`]
/// request, as far as they can be run. `progress` receives the numbers of completed and of all forwards.
///
/// # Errors
/// If the runs are of different models or tokens, or lack required values.
pub fn bisect(
    gguf: &Gguf,
    tokens: &[u32],
    left: Run<'_>,
    right: Run<'_>,
    swapped: Swapped<'_>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Bisection, BisectError> {
    check(tokens, left, right)?;
    let model = PlainModel::new(gguf).map_err(PlainError::from)?;
    let declared = declared(left, right);
    if let (Some(l), Some(r)) = (measure::not_finite(&model, left.trace), measure::not_finite(&model, right.trace)) {
        return Ok(Bisection::not_finite([left, right], declared, [l, r]));
    }
    let Some(divergence) = measure::divergence(&model, left, right)? else {
        return Ok(Bisection::equal(&model, tokens.len(), [left, right], declared));
    };
    let follow = |run: Run<'_>, declared| {
        let named = |error| BisectError::Run { run: run.name.to_owned(), error: Box::new(error) };
        follow::follow(&model, tokens, run.trace, declared).map_err(named)
    };
    let sides = Sides { left: follow(left, declared[0])?, right: follow(right, declared[1])? };
    let factors = factor::differences(&model, &sides);
    let mut attribution = Attributing {
        model: &model,
        tokens,
        right,
        runs: swapped.factors,
        sides: &sides,
        at: (divergence.stage, divergence.layer),
        choices: sides.left.choices(declared[0]),
        base: None,
        progress,
        done: 0,
        total: 2 + factors.iter().map(|(_, sites)| forwards(sites)).sum::<usize>(),
    };
    let (attributions, reproduced, unexplained) = attribution.all(&factors, left, declared[1])?;
    let device = DeviceShare::of(left, right, swapped, (divergence.stage, divergence.layer), unexplained);
    let verdict = verdict::of(&model, &divergence, &sides, declared, &attributions, device.as_ref(), [left, right]);
    Ok(Bisection {
        tokens: tokens.len(),
        left: SideFound::new(left, declared[0], &sides.left, reproduced[0]),
        right: SideFound::new(right, declared[1], &sides.right, reproduced[1]),
        divergence: Some(divergence),
        same: factor::same(&factors, declared[0]),
        attributions,
        device,
        unexplained,
        verdict,
    })
}

/// Checks that the runs belong together and have the required values.
fn check(tokens: &[u32], left: Run<'_>, right: Run<'_>) -> Result<(), BisectError> {
    if let (Some(a), Some(b)) = (&left.trace.meta.model_sha256, &right.trace.meta.model_sha256)
        && a != b
    {
        let (left, right) = (left.name.to_owned(), right.name.to_owned());
        return Err(BisectError::Models { left, right, left_hash: a.clone(), right_hash: b.clone() });
    }
    for run in [left, right] {
        if run.trace.meta.tokens.as_deref().is_some_and(|own| own != tokens) {
            return Err(BisectError::Tokens { run: run.name.to_owned(), than: "the command line".to_owned() });
        }
        let positions = &run.trace.positions;
        if !positions.iter().copied().eq(0..tokens.len()) {
            let (run, found, tokens) = (run.name.to_owned(), positions.len(), tokens.len());
            return Err(BisectError::Positions { run, found, tokens });
        }
    }
    Ok(())
}

/// The choices that each run states; if it states none, those of the other run.
fn declared(left: Run<'_>, right: Run<'_>) -> [Choice; 2] {
    let own = |run: Run<'_>| run.trace.meta.policy.map(|p| Choice::of(p, run.trace.meta.kv.unwrap_or_default()));
    let (l, r) = (own(left), own(right));
    let known = l.or(r).unwrap_or(Choice::of(Policy::default(), crate::kv::KvType::default()));
    [l.unwrap_or(known), r.unwrap_or(known)]
}

/// The number of forwards for a factor: first and last, and each stage and each layer separately if there are several.
fn forwards(sites: &[Site]) -> usize {
    let parts = |n: usize| if n > 1 { n } else { 0 };
    2 + parts(factor::stages(sites).len()) + parts(factor::layers(sites).len())
}

/// The forwards of a bisection, one change at a time.
struct Attributing<'a, 'p> {
    model: &'a PlainModel<'a>,
    tokens: &'a [u32],
    right: Run<'a>,
    /// See [`Swapped::factors`].
    runs: &'a [(Factor, [Option<&'a TraceData>; 2])],
    sides: &'a Sides,
    /// The stage where the divergence is measured.
    at: Site,
    /// The choices of the left run.
    choices: Choices,
    /// The left run's plain forward.
    base: Option<TraceData>,
    progress: &'p mut dyn FnMut(usize, usize),
    done: usize,
    total: usize,
}

impl Attributing<'_, '_> {
    /// The effect of every factor, largest first; whether the plain forwards give both runs' bits; and the share that
    /// is left when all factors are changed.
    #[allow(clippy::type_complexity)] // three answers of one pass
    fn all(
        &mut self,
        factors: &[(Factor, Vec<Site>)],
        left: Run<'_>,
        declared_right: Choice,
    ) -> Result<(Vec<Attribution>, [bool; 2], f64), PlainError> {
        let right_choices = self.sides.right.choices(declared_right);
        let base = self.forward(&self.choices.clone(), None)?;
        let other = self.forward(&right_choices, None)?;
        let reproduced =
            [measure::same_at(&base, left.trace, self.at), measure::same_at(&other, self.right.trace, self.at)];
        let whole = measure::distance_at(left.trace, self.right.trace, self.at).unwrap_or(0.0);
        let left_over = measure::distance_at(&other, self.right.trace, self.at).unwrap_or(0.0) / whole;
        self.base = Some(base);
        let mut found = Vec::new();
        for (factor, sites) in factors {
            let runs = self.runs.iter().find(|(of, _)| of == factor);
            let [run_first, run_last] = runs.map_or([None; 2], |(_, runs)| *runs);
            let first = match run_first {
                Some(run) => Cow::Borrowed(run),
                None => Cow::Owned(self.changed(*factor, sites, &self.choices.clone(), &self.sides.right.clone())?),
            };
            let last = match run_last {
                Some(run) => Cow::Borrowed(run),
                None => Cow::Owned(self.changed(*factor, sites, &right_choices, &self.sides.left.clone())?),
            };
            let closes =
                |run: &TraceData| 1.0 - measure::distance_at(run, self.right.trace, self.at).unwrap_or(0.0) / whole;
            // A run on a device has the device's bits, so nothing is left over.
            let all = if run_last.is_some() { 1.0 } else { 1.0 - left_over };
            let (first_share, last_share) = (closes(&first), all - closes(&last));
            let base = run_first.map_or_else(|| self.base.as_ref().expect("it was run above"), |_| left.trace);
            let scale = measure::norm_at(left.trace, self.at);
            let mut attribution = Attribution {
                factor: factor.to_string(),
                kind: factor.name(),
                left: factor::values(*factor, sites, &self.sides.left),
                right: factor::values(*factor, sites, &self.sides.right),
                sites: sites.iter().map(|(stage, layer)| stage.tensor_name(*layer)).collect(),
                explains: (first_share + last_share) / 2.0,
                first: first_share,
                last: last_share,
                alone: measure::distance_at(&first, base, self.at).unwrap_or(0.0) / scale,
                flips: measure::flips(base, &first),
                stages: Vec::new(),
                layers: Vec::new(),
            };
            for (name, some) in parts(sites) {
                let run = self.changed(*factor, &some, &self.choices.clone(), &self.sides.right.clone())?;
                let base = self.base.as_ref().expect("it was run above");
                let part = Part {
                    name: name.clone(),
                    alone: measure::distance_at(&run, base, self.at).unwrap_or(0.0) / scale,
                    first: 1.0 - measure::distance_at(&run, self.right.trace, self.at).unwrap_or(0.0) / whole,
                };
                if name.starts_with("layer") { attribution.layers.push(part) } else { attribution.stages.push(part) }
            }
            found.push(attribution);
        }
        found.sort_by(|a, b| b.explains.total_cmp(&a.explains));
        // The difference between the hardware's approximations and the nearest value belongs to math, which was run.
        let of_math = self.runs.iter().any(|(_, runs)| runs.iter().any(Option::is_some))
            && [&self.sides.left, &self.sides.right].into_iter().all(|side| side.inexact().next().is_none());
        Ok((found, reproduced, if of_math { 0.0 } else { left_over }))
    }

    /// A forward with `choices`, except that one factor at some sites has the value of another run.
    fn changed(
        &mut self,
        factor: Factor,
        sites: &[Site],
        choices: &Choices,
        from: &Followed,
    ) -> Result<TraceData, PlainError> {
        let mut changed = choices.clone();
        for &(stage, layer) in sites {
            let (mut own, other) = (choices.at(stage, layer), from.choice(stage, layer));
            factor.take(&mut own, &other);
            changed.set(stage, layer, own);
        }
        // Up to the first layer that differs from the left run, its own values are used.
        let first = if *choices == self.choices { sites.iter().filter_map(|(_, layer)| *layer).min() } else { None };
        self.forward(&changed, first)
    }

    /// A plain forward from a layer on, with the left run's values before it.
    fn forward(&mut self, choices: &Choices, layer: Option<usize>) -> Result<TraceData, PlainError> {
        let keep = &|s| matches!(s, Stage::LayerOut | Stage::RouterExperts) || s == self.at.0;
        let of = match (&self.base, layer) {
            (Some(base), Some(layer)) if layer > 0 => {
                Forward { layer, start: Some(base), keep, ..Forward::new(self.tokens) }
            }
            _ => Forward { keep, ..Forward::new(self.tokens) },
        };
        let mut run = self.model.forward(choices, of)?;
        if let (Some(base), Some(layer)) = (&self.base, layer) {
            // Values that were not recomputed are the left run's.
            let before = base.tensors.iter().filter(|((_, l), _)| l.is_some_and(|l| l < layer));
            run.tensors.extend(before.map(|(at, tensor)| (*at, tensor.clone())));
        }
        self.done += 1;
        (self.progress)(self.done, self.total.max(self.done));
        Ok(run)
    }
}

/// The stages and the layers of some sites, each separately, if there are several.
fn parts(sites: &[Site]) -> Vec<(String, Vec<Site>)> {
    let of = |keep: &dyn Fn(&Site) -> bool| sites.iter().copied().filter(keep).collect::<Vec<_>>();
    let (stages, layers) = (factor::stages(sites), factor::layers(sites));
    let mut parts = Vec::new();
    if stages.len() > 1 {
        parts.extend(stages.into_iter().map(|stage| (stage.to_string(), of(&|(s, _)| *s == stage))));
    }
    if layers.len() > 1 {
        parts.extend(layers.into_iter().map(|layer| (format!("layer {layer}"), of(&|(_, l)| *l == Some(layer)))));
    }
    parts
}
