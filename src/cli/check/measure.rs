//! `ptxgen check --measure`: how far what a kernel writes is from arithmetic without rounding.

use super::super::kernels::{self, Switch, Variant};
use anyhow::Context;
use ptxgen_builder::{
    interp::{BufferErrors, Decision, ErrorLine, IntegerRounding, Options, ShadowEnd, Site, Worst},
    types::ScalarType,
};
use ptxgen_dsl::{
    catalogue::{Contents, Entry, MeasuredOutput, Request},
    precision::Act,
};
use serde::Serialize;
use std::io::{self, Write};

/// What a kernel's trial measured.
#[derive(Serialize)]
pub struct Measured {
    kernel: &'static str,
    #[serde(flatten)]
    variant: Variant,
    target: String,
    /// Whether its policy was proved.
    holds: bool,
    outputs: Vec<Output>,
    integers: Vec<Integer>,
    decisions: Vec<Decided>,
    ends: Vec<Decided>,
    #[serde(skip)]
    text: Vec<String>,
}

#[derive(Serialize)]
struct Output {
    name: &'static str,
    /// None where they are of several types.
    elements: Option<u64>,
    inexact: usize,
    absolute: Option<Largest>,
    relative: Option<Largest>,
    ulps: Option<Largest>,
    introduced: Vec<Line>,
    amplified: Vec<Line>,
}

#[derive(Serialize)]
struct Largest {
    size: f64,
    /// The element's first byte.
    byte: u64,
    r#type: &'static str,
    value: f64,
    real: f64,
}

#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    place: Place,
    share: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<f32>,
}

#[derive(Serialize)]
struct Place {
    file: Option<String>,
    line: Option<u32>,
    instruction: String,
}

#[derive(Serialize)]
struct Integer {
    #[serde(flatten)]
    place: Place,
    most: f64,
    count: u64,
}

#[derive(Serialize)]
struct Decided {
    #[serde(flatten)]
    place: Place,
    count: u64,
}

impl From<&Site> for Place {
    fn from(site: &Site) -> Place {
        let loc = site.loc.as_ref();
        Place {
            file: loc.map(|l| l.file.to_string()),
            line: loc.map(|l| l.line),
            instruction: site.text.trim_end_matches(';').to_owned(),
        }
    }
}

impl From<&ErrorLine> for Line {
    fn from(line: &ErrorLine) -> Line {
        Line { place: Place::from(&line.site), share: line.share, factor: line.factor }
    }
}

impl From<&Worst> for Largest {
    fn from(worst: &Worst) -> Largest {
        let e = &worst.element;
        Largest { size: worst.size, byte: e.at, r#type: e.ty.name(), value: e.value, real: e.real() }
    }
}

impl From<&IntegerRounding> for Integer {
    fn from(rounding: &IntegerRounding) -> Integer {
        Integer { place: Place::from(&rounding.site), most: rounding.most, count: rounding.count }
    }
}

impl From<&Decision> for Decided {
    fn from(decision: &Decision) -> Decided {
        Decided { place: Place::from(&decision.site), count: decision.count }
    }
}

impl From<&ShadowEnd> for Decided {
    fn from(end: &ShadowEnd) -> Decided {
        Decided { place: Place::from(&end.site), count: end.count }
    }
}

impl Output {
    fn new(name: &'static str, elements: Option<u64>, errors: &BufferErrors) -> Output {
        let largest = |worst: &Option<Worst>| worst.as_ref().map(Largest::from);
        Output {
            name,
            elements,
            inexact: errors.inexact,
            absolute: largest(&errors.absolute),
            relative: largest(&errors.relative),
            ulps: largest(&errors.ulps),
            introduced: errors.introduced.iter().map(Line::from).collect(),
            amplified: errors.amplified.iter().map(Line::from).collect(),
        }
    }
}

/// How many elements an output has, where they are of one type.
fn elements(output: &MeasuredOutput) -> Option<u64> {
    let ty = match output.param.contents {
        Contents::Activations(Act::F32) | Contents::F32 => ScalarType::F32,
        Contents::F16 => ScalarType::F16,
        Contents::F64 | Contents::Logits => ScalarType::F64,
        Contents::Words(_) => ScalarType::U32,
        Contents::Weights(_) | Contents::Activations(Act::Q8K) => return None,
    };
    Some(output.param.bytes / u64::from(ty.bytes()))
}

/// Runs a kernel on the inputs of `stats`, with shadow precision.
pub fn run(entry: &'static Entry, request: &Request, optimize: Switch, holds: bool) -> anyhow::Result<Measured> {
    let built = kernels::build(entry, request)?;
    let module = built.finish_with(&optimize.passes())?;
    let measurement = built
        .measure(&module, &built.sample_inputs(1), &Options::default())
        .with_context(|| format!("{} was not measured", entry.name))?;
    let report = &measurement.trial.report;
    anyhow::ensure!(report.is_clean(), "{} was not measured: the interpreter found this:\n{report}", entry.name);
    let mut text = Vec::new();
    let mut outputs = Vec::new();
    for output in &measurement.outputs {
        let (name, all) = (output.param.name, elements(output));
        let of = all.map(|n| format!(" of {n}")).unwrap_or_default();
        let errors = &output.errors;
        text.push(match errors.inexact {
            0 => format!("{name}: exact"),
            n => format!("{name}: {n}{of} elements are inexact; {errors}"),
        });
        outputs.push(Output::new(name, all, errors));
    }
    let integers = &measurement.measured.integers;
    let decisions = &measurement.measured.decisions;
    text.extend(integers.iter().map(IntegerRounding::to_string));
    let ends = &measurement.measured.ends;
    text.extend(decisions.iter().map(Decision::to_string));
    text.extend(ends.iter().map(ShadowEnd::to_string));
    Ok(Measured {
        kernel: entry.name,
        variant: Variant::of(&built),
        target: built.target().to_string(),
        holds,
        outputs,
        integers: integers.iter().map(Integer::from).collect(),
        decisions: decisions.iter().map(Decided::from).collect(),
        ends: ends.iter().map(Decided::from).collect(),
        text,
    })
}

impl Measured {
    /// For people.
    pub fn print(&self, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
        self.text.iter().flat_map(|text| text.lines()).try_for_each(|line| writeln!(out, "      {line}"))
    }
}
