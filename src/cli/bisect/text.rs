//! A bisection for people.

use ptxgen_model::{
    bisect::{Attribution, Bisection, DeviceShare, Divergence, Part, SideFound},
    trace::Stage,
};
use std::fmt::{Result, Write};

/// Findings of a side that are listed at most.
const MOST: usize = 12;

/// The whole text.
pub fn of(found: &Bisection) -> String {
    let mut out = String::new();
    write(&mut out, found).expect("a String takes everything");
    out
}

fn write(out: &mut String, found: &Bisection) -> Result {
    side(out, "left", &found.left)?;
    side(out, "right", &found.right)?;
    if let Some(d) = &found.divergence {
        divergence(out, found, d)?;
    }
    if !found.attributions.is_empty() || found.device.is_some() {
        factors(out, found)?;
    }
    writeln!(out, "verdict    {}", found.verdict.sentence)?;
    if !found.verdict.advice.is_empty() {
        writeln!(out, "to do      {}", found.verdict.advice)?;
    }
    Ok(())
}

fn side(out: &mut String, place: &str, side: &SideFound) -> Result {
    let device = side.device.as_ref().map_or(String::new(), |d| format!(" on {d}"));
    writeln!(out, "{place:<10} {}{device}", side.name)?;
    if side.checked == 0 {
        return Ok(());
    }
    let (all, odd) = (side.checked, side.findings.len());
    writeln!(out, "           {} of {all} stages follow from their inputs as declared ({})", all - odd, side.declared)?;
    for finding in side.findings.iter().take(MOST) {
        writeln!(out, "           {finding}")?;
    }
    if odd > MOST {
        writeln!(out, "           and {} more", odd - MOST)?;
    }
    Ok(())
}

fn divergence(out: &mut String, found: &Bisection, d: &Divergence) -> Result {
    let place = |stage: Stage, layer| stage.tensor_name(layer);
    let top = d.top.map_or(String::new(), |(other, all)| format!("; {other} of {all} most likely tokens"));
    writeln!(
        out,
        "divergence {:.2e} at {}, {} tokens; {} of {} expert choices differ{top}",
        d.relative,
        place(d.stage, d.layer),
        found.tokens,
        d.flips,
        d.choices
    )?;
    let first = place(d.first_stage, d.first_layer);
    writeln!(out, "first      {first}, position {}; {} of {} values differ", d.first_position, d.differing, d.values)?;
    let same: Vec<String> = found.same.iter().map(|(name, value)| format!("{name} {value}")).collect();
    writeln!(out, "same       {}", same.join(", "))
}

fn factors(out: &mut String, found: &Bisection) -> Result {
    let width = found.attributions.iter().map(|a| a.factor.len()).max().unwrap_or(0).max("left over".len());
    let heads = ["explains", "first", "last", "alone", "flips"];
    let [explains, first, last, alone, flips] = heads;
    writeln!(
        out,
        "\n{:width$}  {explains:>8}  {first:>6}  {last:>6}  {alone:>8}  {flips:>5}  left -> right",
        "factor"
    )?;
    for a in &found.attributions {
        attribution(out, a, width)?;
    }
    if let Some(d) = &found.device {
        device(out, d, width)?;
    }
    writeln!(out, "{:width$}  {:>8}", "left over", percent(found.unexplained, 1))?;
    for a in &found.attributions {
        parts(out, &a.factor, "stage", &a.stages)?;
        parts(out, &a.factor, "layer", &a.layers)?;
    }
    writeln!(out)
}

fn attribution(out: &mut String, a: &Attribution, width: usize) -> Result {
    writeln!(
        out,
        "{:width$}  {:>8}  {:>6}  {:>6}  {:>8.2e}  {:>5}  {} -> {}",
        a.factor,
        percent(a.explains, 1),
        percent(a.first, 0),
        percent(a.last, 0),
        a.alone,
        a.flips,
        a.left,
        a.right
    )
}

fn device(out: &mut String, d: &DeviceShare, width: usize) -> Result {
    let share = |share: Option<f64>| share.map_or("-".to_owned(), |share| percent(share, 0));
    let alone = d.alone.map_or("-".to_owned(), |alone| format!("{alone:.2e}"));
    let (explains, first, last) = (percent(d.explains, 1), share(d.first), share(d.last));
    let bits = if d.same_bits() { "; the same bits on both" } else { "" };
    write!(out, "{:width$}  {explains:>8}  {first:>6}  {last:>6}  {alone:>8}  {:>5}  ", "device", "")?;
    writeln!(out, "{} -> {}{bits}", d.left, d.right)
}

/// A share, without the sign of a zero.
fn percent(share: f64, digits: usize) -> String {
    let text = format!("{:.digits$}%", 100.0 * share);
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| matches!(c, '0' | '.' | '%')) => rest.to_owned(),
        _ => text,
    }
}

fn parts(out: &mut String, factor: &str, of: &str, parts: &[Part]) -> Result {
    if parts.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{factor} by {of}, each alone")?;
    let mut parts: Vec<&Part> = parts.iter().collect();
    parts.sort_by(|a, b| b.alone.total_cmp(&a.alone));
    parts.iter().try_for_each(|part| writeln!(out, "  {:<16} {:>8.2e}", part.name, part.alone))
}
