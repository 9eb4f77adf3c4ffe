//! A comparison as a self-contained HTML page with charts.

mod canvas;
mod charts;
mod scale;

use crate::compare::{Comparison, Difference, LayerChoices};
use minijinja::{Environment, Value, context};
use serde::Serialize;

/// A report could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the report cannot be drawn: {0}")]
pub struct ReportError(String);

const PAGE: &str = "page.html";

/// A page with the comparison's numbers, as text, charts and JSON.
///
/// It is readable on a phone, in print, in light and in dark, runs no script, and refers to nothing
/// outside of itself. Names from files are escaped.
///
/// # Errors
/// If a chart cannot be drawn.
pub fn html(comparison: &Comparison) -> Result<String, ReportError> {
    let failed = |e: &dyn std::fmt::Display| ReportError(e.to_string());
    // Only `<` could end a script element.
    let json = serde_json::to_string(comparison).map_err(|e| failed(&e))?.replace('<', "\\u003c");
    let mut env = Environment::new();
    env.set_trim_blocks(true);
    env.set_lstrip_blocks(true);
    env.add_filter("error", |value: f64| error(Some(value), 3));
    env.add_filter("perplexity", |value: f64| format!("{value:.4}"));
    env.add_template(PAGE, include_str!("page.html")).map_err(|e| failed(&e))?;
    let page = env.get_template(PAGE).map_err(|e| failed(&e))?;
    let stages: Vec<_> = comparison.stages.iter().map(StageRow::of).collect();
    let experts: Vec<_> = comparison.experts.iter().map(ExpertRow::of).collect();
    let text = page.render(context! {
        c => comparison, charts => charts::all(comparison)?, stages, experts, json => Value::from_safe_string(json),
    });
    text.map_err(|e| failed(&e))
}

/// An error, with the digits that `ptxgen compare` prints; empty if there is no number.
fn error(value: Option<f64>, digits: usize) -> String {
    value.map_or(String::new(), |v| format!("{v:.digits$e}"))
}

/// A row of the table of stages, including numbers that JSON cannot represent.
#[derive(Serialize)]
struct StageRow<'a> {
    d: &'a Difference,
    cosine: String,
    relative: String,
    largest: String,
}

impl<'a> StageRow<'a> {
    fn of(d: &'a Difference) -> Self {
        Self {
            d,
            cosine: d.cosine.map_or(String::new(), |cosine| format!("{cosine:.8}")),
            relative: error(d.relative, 3),
            largest: error(d.largest, 2),
        }
    }
}

/// A row of the table of experts.
#[derive(Serialize)]
struct ExpertRow {
    layer: usize,
    same: usize,
    tokens: usize,
    least_margin_of_same: String,
    largest_margin_of_other: String,
}

impl ExpertRow {
    fn of(l: &LayerChoices) -> Self {
        Self {
            layer: l.layer,
            same: l.same,
            tokens: l.choices.len(),
            least_margin_of_same: error(l.least_margin_of_same, 3),
            largest_margin_of_other: error(l.largest_margin_of_other, 3),
        }
    }
}
