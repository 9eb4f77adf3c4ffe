//! The charts of a report.

use super::{
    ReportError,
    canvas::{Area, Drawn, GRID, INK, SERIES, WIDTH, block, centred, label, line, svg},
    scale::Scale,
};
use crate::{
    compare::{Comparison, Difference, Distribution, LayerChoices},
    trace::Stage,
};
use plotters::prelude::*;
use std::collections::BTreeMap;

/// A figure of the page.
#[derive(serde::Serialize)]
pub(super) struct Chart {
    pub(super) title: &'static str,
    /// A description of what it shows.
    note: String,
    /// The meaning of the colours, in the order of [`SERIES`].
    legend: Vec<&'static str>,
    pub(super) svg: String,
}

/// The stages that represent a layer: its two halves and its end. No model has both feed-forwards.
const OF_A_LAYER: [Stage; 4] = [Stage::LayerOut, Stage::AttnOut, Stage::MoeFfnOut, Stage::FfnOut];

/// All charts for which the comparison has numbers.
pub(super) fn all(c: &Comparison) -> Result<Vec<Chart>, ReportError> {
    let mut charts = Vec::new();
    let lines = by_layer(c);
    if !lines.is_empty() {
        let note = "1 minus the cosine of left and right, over all positions";
        charts.push(layer_chart("Cosine distance by layer", note, &lines, |d| d.cosine.map(|c| (1.0 - c).max(0.0)))?);
        let note = "norm of the difference over the left side's norm";
        charts.push(layer_chart("Relative error by layer", note, &lines, |d| d.relative)?);
    }
    if c.experts.iter().any(|l| !l.choices.is_empty()) {
        charts.push(experts(&c.experts)?);
    }
    let worst = worst_by_stage(c);
    if !worst.is_empty() {
        charts.push(stages(&worst)?);
    }
    if !c.distributions.is_empty() {
        charts.push(distributions(&c.distributions)?);
    }
    Ok(charts)
}

/// The lines of the charts by layer: the usual stages, or, if the comparison has none of them, the
/// first of its stages that are in layers.
fn by_layer(c: &Comparison) -> Vec<(Stage, Vec<&Difference>)> {
    let of = |stage: Stage| -> Vec<&Difference> {
        c.stages.iter().filter(|d| d.stage == stage && d.layer.is_some() && d.relative.is_some()).collect()
    };
    let usual = OF_A_LAYER.into_iter().map(|s| (s, of(s)));
    let lines: Vec<_> = usual.filter(|(_, line)| !line.is_empty()).collect();
    if !lines.is_empty() {
        return lines;
    }
    let other = Stage::ALL.iter().map(|&s| (s, of(s)));
    other.filter(|(_, line)| !line.is_empty()).take(SERIES.len()).collect()
}

fn layer_chart(
    title: &'static str,
    note: &str,
    lines: &[(Stage, Vec<&Difference>)],
    value: impl Fn(&Difference) -> Option<f64>,
) -> Result<Chart, ReportError> {
    let points = |of: &[&Difference]| -> Vec<(f64, f64)> {
        of.iter().filter_map(|d| Some((d.layer? as f64, value(d)?))).collect()
    };
    let lines: Vec<_> = lines.iter().map(|(stage, of)| (*stage, points(of))).collect();
    let scale = Scale::of(lines.iter().flat_map(|(_, points)| points).map(|p| p.1));
    let layers = lines.iter().flat_map(|(_, points)| points).map(|p| p.0).fold(0.0, f64::max);
    let (left, right, top, bottom) = (52, WIDTH as i32 - EDGE, 10, 204);
    let x = |layer: f64| left + 14 + (layer / layers.max(1.0) * f64::from(right - left - 28)) as i32;
    let y = |place: f64| {
        let share = (place - f64::from(scale.least)) / f64::from(scale.most - scale.least);
        bottom - (share * f64::from(bottom - top)) as i32
    };
    let svg = svg(title, 250, |area| {
        for tick in scale.ticks(8) {
            let at = y(f64::from(tick));
            line(area, [(left, at), (right, at)], GRID)?;
            label(area, &scale.word(tick), (left - 6, at))?;
        }
        line(area, [(left, top), (left, bottom + 8)], INK)?;
        line(area, [(left, bottom + 8), (right, bottom + 8)], INK)?;
        for layer in (0..=layers as usize).step_by(layers as usize / 12 + 1) {
            centred(area, &layer.to_string(), (x(layer as f64), bottom + 20))?;
        }
        centred(area, "layer", ((left + right) / 2, bottom + 36))?;
        for (colour, (_, points)) in SERIES.iter().zip(&lines) {
            let at: Vec<_> = points.iter().map(|&(layer, value)| (x(layer), y(scale.place(value)))).collect();
            for &point in &at {
                area.draw(&Circle::new(point, 3, colour.filled()))?;
            }
            area.draw(&PathElement::new(at, colour.stroke_width(2)))?;
        }
        Ok(())
    })?;
    Ok(Chart { title, note: note.into(), legend: lines.iter().map(|(stage, _)| stage.name()).collect(), svg })
}

/// Space for the names on the left of rows.
const NAMES: i32 = 132;
const ROW: i32 = 18;
/// Space on the right of the last mark.
const EDGE: i32 = 14;

/// Maximum number of columns of the heat map; if there are more positions, several share a column.
const COLUMNS: usize = 128;

fn experts(layers: &[LayerChoices]) -> Result<Chart, ReportError> {
    let positions = layers.iter().map(|l| l.choices.len()).max().unwrap_or(0).max(1);
    let together = positions.div_ceil(COLUMNS);
    let columns = positions.div_ceil(together) as i32;
    let left = 40;
    let (width, height) = (WIDTH as i32 - left - EDGE, 14 * layers.len() as i32);
    let title = "Experts by layer and position";
    let svg = svg(title, (height + 44) as u32, |area| {
        for (i, layer) in (0..).zip(layers) {
            let (top, bottom) = (4 + 14 * i, 4 + 14 * i + 13);
            label(area, &layer.layer.to_string(), (left - 6, top + 7))?;
            for (column, cell) in (0..).zip(layer.choices.chunks(together)) {
                let shared: usize = cell.iter().map(|c| c.shared).sum();
                let differs = 1.0 - shared as f64 / (cell.len() * layer.used.max(1)) as f64;
                let x = |column: i32| left + width * column / columns;
                let corners = [(x(column), top), (x(column + 1), bottom)];
                block(area, corners, GRID, 0.5)?;
                if differs > 0.0 {
                    block(area, corners, SERIES[1], 0.2 + 0.8 * differs)?;
                }
            }
        }
        centred(area, "0", (left + 4, height + 16))?;
        label(area, &(positions - 1).to_string(), (left + width, height + 16))?;
        centred(area, "position", (left + width / 2, height + 32))
    })?;
    let cell = if together > 1 { format!("; a column is {together} positions") } else { String::new() };
    let note = format!("layers downwards; the stronger the colour, the fewer experts both sides chose{cell}");
    Ok(Chart { title, note, legend: Vec::new(), svg })
}

/// The largest relative error of each stage over all layers, in the forward's order.
fn worst_by_stage(c: &Comparison) -> BTreeMap<Stage, f64> {
    let mut worst = BTreeMap::new();
    for d in c.stages.iter().filter(|d| d.stage.is_number()) {
        if let Some(relative) = d.relative {
            let entry: &mut f64 = worst.entry(d.stage).or_default();
            *entry = if relative.is_nan() { f64::INFINITY } else { entry.max(relative) };
        }
    }
    worst
}

fn stages(worst: &BTreeMap<Stage, f64>) -> Result<Chart, ReportError> {
    let scale = Scale::of(worst.values().copied());
    let title = "Relative error by stage";
    let height = ROW * worst.len() as i32;
    let width = WIDTH as i32 - NAMES - EDGE;
    let across = |place: f64| {
        let share = (place - f64::from(scale.least)) / f64::from(scale.most - scale.least);
        NAMES + (share * f64::from(width)) as i32
    };
    let svg = svg(title, (height + 28) as u32, |area| {
        axis(area, scale.ticks(4).into_iter().map(|t| (across(f64::from(t)), scale.word(t))), height)?;
        for (i, (stage, &value)) in (0..).zip(worst) {
            let top = 4 + ROW * i;
            label(area, stage.name(), (NAMES - 6, top + ROW / 2))?;
            // A stage without a difference has a mark too, which shows that it was compared.
            let end = across(scale.place(value)).max(NAMES + 2);
            block(area, [(NAMES, top + 2), (end, top + ROW - 3)], SERIES[0], 1.0)?;
        }
        Ok(())
    })?;
    Ok(Chart { title, note: "the largest of all layers".into(), legend: Vec::new(), svg })
}

/// Vertical lines with labels below them.
fn axis(area: &Area<'_>, ticks: impl Iterator<Item = (i32, String)>, height: i32) -> Drawn {
    for (x, word) in ticks {
        line(area, [(x, 2), (x, height + 6)], GRID)?;
        centred(area, &word, (x, height + 16))?;
    }
    Ok(())
}

fn distributions(all: &[Distribution]) -> Result<Chart, ReportError> {
    let sides = |d: &Distribution| [d.left.histogram.clone(), d.right.histogram.clone()];
    // All exponents that occur.
    let bins = |h: &crate::trace::Histogram| -> BTreeMap<i32, u64> {
        let both = h.negative.iter().zip(&h.positive).map(|(n, p)| n + p);
        (h.least..).zip(both).filter(|(_, n)| *n > 0).collect()
    };
    let exponents = || all.iter().flat_map(sides).flat_map(|h| bins(&h).into_keys());
    let least = exponents().min().unwrap_or(-1).max(-40);
    let most = exponents().max().unwrap_or(0).max(least) + 1;
    let (height, width) = (ROW * all.len() as i32, WIDTH as i32 - NAMES - EDGE);
    let across = |exponent: i32| NAMES + width * (exponent.max(least) - least) / (most - least);
    let title = "Sizes of values by stage";
    let svg = svg(title, (height + 28) as u32, |area| {
        let step = ((most - least) / 5).max(1);
        axis(area, (least..=most).step_by(step as usize).map(|e| (across(e), format!("2^{e}"))), height)?;
        for (i, d) in (0..).zip(all) {
            let top = 4 + ROW * i;
            label(area, d.stage.name(), (NAMES - 6, top + ROW / 2))?;
            for (side, histogram) in (0..).zip(sides(d)) {
                let bins = bins(&histogram);
                let largest = bins.values().copied().max().unwrap_or(1) as f64;
                let upper = top + 1 + side * (ROW / 2 - 1);
                for (exponent, n) in bins {
                    let corners = [(across(exponent), upper), (across(exponent + 1), upper + ROW / 2 - 1)];
                    block(area, corners, SERIES[side as usize], 0.1 + 0.9 * n as f64 / largest)?;
                }
            }
        }
        Ok(())
    })?;
    let note = "magnitudes by power of two; the stronger the colour, the more values; zeros are not shown";
    Ok(Chart { title, note: note.into(), legend: vec!["left", "right"], svg })
}
