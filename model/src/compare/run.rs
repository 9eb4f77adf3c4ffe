//! Runs two sides through all prompts.

use super::{CompareError, Comparison, Side, Source, Thresholds, comparing::Comparing, error::names, source::Reader};
use crate::trace::{Fault, Selected, Selection, Stage, Stages};
use std::collections::BTreeSet;

/// Positions that are compared at a time; this limits the memory.
const PIECE: usize = 64;

/// The scope of a comparison.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CompareOptions {
    /// Stages, layers and positions. Named stages must exist on both sides; otherwise all stages that both sides have
    /// are compared.
    pub selection: Selection,
    /// The thresholds.
    pub thresholds: Thresholds,
    /// Whether the sides may be of different files.
    pub any_model: bool,
}

impl Thresholds {
    /// Checks that it is possible to meet and to exceed the thresholds.
    ///
    /// # Errors
    /// Names a threshold that is out of range.
    pub fn check(&self) -> Result<(), CompareError> {
        let wrong = |name, value, expected| Err(CompareError::Threshold { name, value, expected });
        match (self.min_cos, self.max_rel) {
            (Some(v), _) if !(-1.0..=1.0).contains(&v) => wrong("the least cosine", v, "from -1 to 1"),
            (_, Some(v)) if !(v.is_finite() && v >= 0.0) => {
                wrong("the largest relative error", v, "0 or more, and finite")
            }
            _ => Ok(()),
        }
    }
}

/// Runs or reads both sides on every prompt and compares them; `progress` receives the number of completed positions of
/// all prompts.
///
/// Without prompts, the tokens come from a trace among the sides.
///
/// # Errors
/// If a forward fails or the sides do not belong together.
pub fn compare(
    mut left: Source<'_>,
    mut right: Source<'_>,
    prompts: &[Vec<u32>],
    options: &CompareOptions,
    progress: &mut dyn FnMut(usize),
) -> Result<Comparison, CompareError> {
    options.thresholds.check()?;
    check_models(&left, &right, options.any_model)?;
    let prompts = prompts_of(&left, &right, prompts)?;
    let mut comparing = Comparing::default();
    let mut findings = [Findings::default(), Findings::default()];
    let mut done = 0;
    for (i, tokens) in prompts.iter().enumerate() {
        let (selected, missing) = select(&left, &right, tokens, &options.selection)?;
        comparing.missing(&missing);
        let mut l = Reader::new(&mut left, tokens, &selected);
        let mut r = Reader::new(&mut right, tokens, &selected);
        for start in (0..tokens.len()).step_by(PIECE) {
            let end = tokens.len().min(start + PIECE);
            let positions = selected.positions[selected.rows(start, end - start)].to_vec();
            let piece = Selected { stages: selected.stages.clone(), positions };
            // A run also processes tokens whose values are not compared, because later tokens depend on them.
            let (a, b) = (l.next(&piece, end, tokens.len())?, r.next(&piece, end, tokens.len())?);
            if !piece.positions.is_empty() {
                comparing.add(i, tokens, &a, &b);
            }
            done += end - start;
            progress(done);
        }
        findings[0].take(l.findings());
        findings[1].take(r.findings());
    }
    let [of_left, of_right] = findings;
    let (left, right) = (of_left.side(&left), of_right.side(&right));
    Ok(comparing.finish(left, right, prompts.len(), options.thresholds))
}

/// Information about a run in addition to its values.
#[derive(Default)]
struct Findings {
    derived: BTreeSet<Stage>,
    faults: Vec<Fault>,
}

impl Findings {
    fn take(&mut self, (derived, faults): (Vec<Stage>, Vec<Fault>)) {
        self.derived.extend(derived);
        self.faults.extend(faults);
    }

    fn side(self, source: &Source<'_>) -> Side {
        source.side(self.derived.into_iter().collect(), self.faults)
    }
}

fn check_models(left: &Source<'_>, right: &Source<'_>, any: bool) -> Result<(), CompareError> {
    let (l, r) = (left.meta(), right.meta());
    match (&l.model_sha256, &r.model_sha256) {
        (Some(a), Some(b)) if a != b && !any => {
            let model = |name: &Option<String>| name.clone().unwrap_or_else(|| "a model without a name".into());
            let (left_model, right_model) = (model(&l.model), model(&r.model));
            Err(CompareError::Models { left: left.name(), left_model, right: right.name(), right_model })
        }
        _ => Ok(()),
    }
}

/// The prompts: those given, or a trace's. A trace's tokens must equal those that are run.
fn prompts_of(left: &Source<'_>, right: &Source<'_>, given: &[Vec<u32>]) -> Result<Vec<Vec<u32>>, CompareError> {
    let files: Vec<_> = [left, right].into_iter().filter(|s| s.file().is_some()).collect();
    if let (Some(file), 2..) = (files.first(), given.len()) {
        return Err(CompareError::Prompts(file.name(), given.len()));
    }
    let mut known: Vec<(String, &[u32])> =
        files.iter().filter_map(|s| Some((s.name(), s.meta().tokens.as_deref()?))).collect();
    if let ([prompt], [_, ..]) = (given, &files[..]) {
        known.insert(0, ("the text given".into(), prompt));
    }
    if let [(left, a), (right, b), ..] = &known[..] {
        same_tokens((left, a), (right, b))?;
        if let Some((third, c)) = known.get(2) {
            same_tokens((left, a), (third, c))?;
        }
    }
    let prompts = match (&known[..], &files[..]) {
        ([(_, tokens), ..], _) => vec![tokens.to_vec()],
        ([], []) => given.to_vec(),
        // Two files without tokens can still be compared, except for what needs tokens.
        ([], [_, _]) => {
            let ends = files.iter().filter_map(|s| s.file()?.positions().last());
            vec![vec![u32::MAX; ends.max().map_or(0, |last| last + 1)]]
        }
        ([], [file, ..]) => return Err(CompareError::NoTokens(file.name())),
    };
    if prompts.is_empty() || prompts.iter().any(Vec::is_empty) {
        return Err(CompareError::NoPrompts);
    }
    Ok(prompts)
}

fn same_tokens((left, a): (&str, &[u32]), (right, b): (&str, &[u32])) -> Result<(), CompareError> {
    if a == b {
        return Ok(());
    }
    let position = a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
    let token = |tokens: &[u32]| tokens.get(position).map_or("none".into(), |t| format!("token {t}"));
    let (left_token, right_token) = (token(a), token(b));
    Err(CompareError::Tokens { left: left.into(), right: right.into(), position, left_token, right_token })
}

/// The selected parts of a prompt, and the stages that only one side has.
fn select(
    left: &Source<'_>,
    right: &Source<'_>,
    tokens: &[u32],
    selection: &Selection,
) -> Result<(Selected, Vec<Stage>), CompareError> {
    let sides = [left, right];
    let config = sides.iter().find_map(|s| match s {
        Source::Run(run) => Some(run.plain.config()),
        Source::File(_) => None,
    });
    let mut selected = match config {
        Some(config) => selection.of(config, tokens.len()).map_err(crate::trace::TraceError::from)?,
        None => {
            let layers = sides.iter().filter_map(|s| s.file()).flat_map(|f| f.stages()).filter_map(|(_, l)| l).max();
            selection.of_layers(layers.map_or(1, |l| l + 1), tokens.len()).map_err(crate::trace::TraceError::from)?
        }
    };
    let named = matches!(selection.stages, Stages::List(_));
    let mut missing = Vec::new();
    for (side, other) in [(left, right), (right, left)] {
        let Some(file) = side.file() else { continue };
        let lacks = |at: &(Stage, Option<usize>)| file.dims(at.0, at.1).is_none();
        if let Some(&(stage, layer)) = selected.stages.iter().find(|at| named && lacks(at)) {
            let (tensor, has) = (stage.tensor_name(layer), names(file.stages().map(|at| at.0)));
            return Err(CompareError::Missing { side: side.name(), tensor, has });
        }
        let other_has = |at: &(Stage, Option<usize>)| other.file().is_none_or(|f| f.dims(at.0, at.1).is_some());
        missing.extend(selected.stages.iter().filter(|at| lacks(at) && other_has(at)).map(|at| at.0));
        selected.stages.retain(|at| !lacks(at));
        selected.positions.retain(|p| file.positions().binary_search(p).is_ok());
    }
    let of = |s: &Source<'_>| s.file().map_or("every stage".into(), |f| names(f.stages().map(|at| at.0)));
    if selected.stages.is_empty() {
        let (left, right, of_left, of_right) = (left.name(), right.name(), of(left), of(right));
        return Err(CompareError::NoStage { left, of_left, right, of_right });
    }
    if selected.positions.is_empty() {
        let of = |s: &Source<'_>| match s.file().map(|f| f.positions()) {
            Some([only]) => only.to_string(),
            Some([first, .., last]) => format!("{first} to {last}"),
            _ => selection.positions.to_string(),
        };
        let (left, right, of_left, of_right) = (left.name(), right.name(), of(left), of(right));
        return Err(CompareError::Positions { left, of_left, right, of_right });
    }
    check_shapes(left, right, &selected, tokens.len())?;
    Ok((selected, missing))
}

/// Checks that both sides have the same number of values per position, except for keys.
fn check_shapes(left: &Source<'_>, right: &Source<'_>, selected: &Selected, tokens: usize) -> Result<(), CompareError> {
    for &(stage, layer) in &selected.stages {
        let dims = |s: &Source<'_>| match s {
            Source::Run(run) => stage.shape(run.plain.config(), tokens),
            Source::File(file) => file.dims(stage, layer).unwrap_or(&[]).to_vec(),
        };
        let (of_left, of_right) = (dims(left), dims(right));
        let same = match (&of_left[..], &of_right[..]) {
            ([a, keys_a], [b, keys_b]) if stage.is_causal() => a == b && keys_a.min(keys_b) >= &tokens,
            (a, b) => !stage.is_causal() && a.iter().product::<usize>() == b.iter().product::<usize>(),
        };
        if !same {
            let (tensor, left, right) = (stage.tensor_name(layer), left.name(), right.name());
            return Err(CompareError::Shape { tensor, left, of_left, right, of_right });
        }
    }
    Ok(())
}
