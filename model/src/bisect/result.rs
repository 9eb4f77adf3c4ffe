//! The result of a bisection, from which text and JSON are written.

use super::{DeviceShare, Divergence, Followed, Follows, Run};
use crate::{
    NotFinite,
    plain::{Choice, PlainModel},
    trace::Stage,
};
use serde::Serialize;

/// What was found of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SideFound {
    /// Its name.
    pub name: String,
    /// The device, in a few words for messages.
    pub device: Option<String>,
    /// The choices that it states: `act=q8k,acc=f32,kv=f32`.
    pub declared: String,
    /// Stages that were recomputed from the run's own recorded inputs.
    pub checked: usize,
    /// Stages that do not follow from the stated choices, as text.
    pub findings: Vec<String>,
    /// Whether a plain forward with the found choices gives the run's bits at the measured stage.
    pub reproduced: bool,
}

/// A part of a factor's effect: one stage in all layers, or one layer with all stages.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// The stage or layer.
    pub name: String,
    /// Relative error that it causes alone.
    pub alone: f64,
    /// Share of the divergence that disappears when the left run takes the right run's choice only there.
    pub first: f64,
}

/// How much of the divergence one factor explains.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attribution {
    /// The factor, as text.
    pub factor: String,
    /// Its name as one word.
    pub kind: &'static str,
    /// The left run's choice.
    pub left: String,
    /// The right run's choice.
    pub right: String,
    /// The sites where they differ: `layers.03.expert_out`.
    pub sites: Vec<String>,
    /// The mean of `first` and `last`.
    pub explains: f64,
    /// Share of the divergence that disappears when only this factor of the left run is changed.
    pub first: f64,
    /// Share that reappears when only this factor of the right run is changed.
    pub last: f64,
    /// Relative error between the left run and the left run with this factor changed.
    pub alone: f64,
    /// Choices of experts that this change changes.
    pub flips: usize,
    /// Stage by stage, in all layers.
    pub stages: Vec<Part>,
    /// Layer by layer, all stages.
    pub layers: Vec<Part>,
}

/// The cause of the divergence.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// There is no divergence.
    NoDivergence,
    /// A stage does not follow from its own inputs under any known choice.
    Unknown {
        /// The run.
        side: String,
        /// The stage.
        stage: Stage,
        /// Its layer.
        layer: Option<usize>,
    },
    /// A known mistake.
    Mistake {
        /// The run with the mistake.
        side: String,
        /// The mistake.
        mistake: String,
        /// The stages with the mistake.
        sites: Vec<String>,
    },
    /// A stage computes with a choice other than the one that its run states.
    Undeclared {
        /// The run.
        side: String,
        /// The factor.
        factor: String,
        /// The stages concerned.
        sites: Vec<String>,
    },
    /// Both runs contain NaN or infinity, from which nothing can be concluded: it comes from the model or its text.
    NotFinite {
        /// The stage of the left run that has it first.
        stage: Stage,
        /// Its layer.
        layer: Option<usize>,
        /// The first position there.
        position: usize,
    },
    /// The runs were requested with different choices, and each follows its own.
    Choices {
        /// The factors that explain something, largest first.
        factors: Vec<String>,
    },
}

/// The conclusion of a bisection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The cause.
    pub cause: Cause,
    /// As one sentence.
    pub sentence: String,
    /// What to do.
    pub advice: String,
}

/// Why two runs differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bisection {
    /// Tokens of the text.
    pub tokens: usize,
    /// The left run.
    pub left: SideFound,
    /// The right run.
    pub right: SideFound,
    /// How they differ; `None` if every value has the same bits.
    pub divergence: Option<Divergence>,
    /// Choices that are the same on both sides, with their values.
    pub same: Vec<(String, String)>,
    /// How much each factor explains, largest first.
    pub attributions: Vec<Attribution>,
    /// The effect of the device, if the runs are of two devices.
    pub device: Option<DeviceShare>,
    /// Share of the divergence that is left when all of these are changed.
    pub unexplained: f64,
    /// The conclusion.
    pub verdict: Verdict,
}

impl Bisection {
    /// Two runs with the same bits.
    pub(super) fn equal(model: &PlainModel<'_>, tokens: usize, runs: [Run<'_>; 2], declared: [Choice; 2]) -> Self {
        let values = model
            .graph()
            .stages()
            .filter_map(|(s, l)| runs[0].trace.get(s, l).filter(|_| runs[1].trace.get(s, l).is_some()))
            .map(|t| t.values.len())
            .sum::<usize>();
        let sentence = format!("no divergence: all {values} values have the same bits");
        let verdict = Verdict { cause: Cause::NoDivergence, sentence, advice: String::new() };
        Self::without_factors(tokens, runs, declared, verdict)
    }

    /// Two runs that both end in NaN or infinity.
    pub(super) fn not_finite(runs: [Run<'_>; 2], declared: [Choice; 2], [left, right]: [NotFinite; 2]) -> Self {
        let NotFinite { stage, layer, position, .. } = left;
        let sentence = match left == right {
            true => format!("both runs hold NaN or infinity, first in {left}"),
            false => format!("both runs hold NaN or infinity: the left one first in {left}, the right one in {right}"),
        };
        let advice = "no choice of the runs explains it: look for damage with `ptxgen inspect --scan`".to_owned();
        let verdict = Verdict { cause: Cause::NotFinite { stage, layer, position }, sentence, advice };
        Self::without_factors(runs[0].trace.positions.len(), runs, declared, verdict)
    }

    fn without_factors(tokens: usize, runs: [Run<'_>; 2], declared: [Choice; 2], verdict: Verdict) -> Self {
        let side = |i: usize| SideFound {
            name: runs[i].name.to_owned(),
            device: runs[i].trace.meta.device.clone(),
            declared: describe(&declared[i]),
            checked: 0,
            findings: Vec::new(),
            reproduced: true,
        };
        Self {
            tokens,
            left: side(0),
            right: side(1),
            divergence: None,
            same: Vec::new(),
            attributions: Vec::new(),
            device: None,
            unexplained: 0.0,
            verdict,
        }
    }
}

impl SideFound {
    pub(super) fn new(run: Run<'_>, declared: Choice, followed: &Followed, reproduced: bool) -> Self {
        let finding = |((stage, layer), choice, how): ((Stage, Option<usize>), &Choice, &Follows)| {
            let name = stage.tensor_name(layer);
            match how {
                Follows::Declared => name,
                Follows::Otherwise => match choice.mistake {
                    Some(mistake) => format!("{name}: {mistake}"),
                    None => format!("{name}: computed with {}", describe(choice)),
                },
                Follows::Nearly(relative) => {
                    format!("{name}: near {}, relative error {relative:.1e}, but not its bits", describe(choice))
                }
                Follows::Not { differing, values, position, index, relative } => format!(
                    "{name}: does not follow from its inputs; {differing} of {values} values differ, first at position \
                     {position}, value {index}; relative error {relative:.1e} at best"
                ),
            }
        };
        Self {
            name: run.name.to_owned(),
            device: run.trace.meta.device.clone(),
            declared: describe(&declared),
            checked: followed.checked(),
            findings: followed.findings().map(finding).collect(),
            reproduced,
        }
    }
}

/// A choice as text, without the parts that are the contract's.
pub(super) fn describe(choice: &Choice) -> String {
    let mut text = format!("act={},acc={},kv={}", choice.act, choice.acc, choice.kv);
    let math = choice.math.to_string();
    let (router, inner) = (choice.router.to_string(), choice.inner.to_string());
    for (name, value, usual) in [("math", math, "exact"), ("router", router, "f64"), ("swiglu", inner, "f32")] {
        if value != usual {
            text.push_str(&format!(",{name}={value}"));
        }
    }
    text
}

impl Verdict {
    /// Whether a run computes something wrong, or not what it states.
    pub fn is_fault(&self) -> bool {
        !matches!(self.cause, Cause::NoDivergence | Cause::Choices { .. })
    }
}
