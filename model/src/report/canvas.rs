//! Common parts of the charts: colours, an SVG to draw in, text.

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

/// Text and axes. In dark mode, the page replaces these colours.
pub(super) const INK: RGBColor = RGBColor(0x1f, 0x23, 0x28);
/// Lines behind the marks.
pub(super) const GRID: RGBColor = RGBColor(0xd0, 0xd7, 0xde);
/// Marks, one colour for each series.
pub(super) const SERIES: [RGBColor; 3] =
    [RGBColor(0x0a, 0x5c, 0xb8), RGBColor(0xb3, 0x49, 0x0b), RGBColor(0x2f, 0x7d, 0x32)];

/// Width of every chart, in units of at least one pixel of a phone.
pub(super) const WIDTH: u32 = 420;
/// Size of text, in the same units (plotters writes 4/5 of it).
const TEXT: i32 = 14;

/// A chart could not be drawn.
pub(super) type Drawn = Result<(), Box<dyn std::error::Error>>;
/// Where charts are drawn.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// An SVG of this height; `label` describes it for screen readers.
pub(super) fn svg(
    label: &str,
    height: u32,
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> Result<String, super::ReportError> {
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
    let drawn = draw(&area).and_then(|()| Ok(area.present()?));
    drop(area);
    drawn.map_err(|e| super::ReportError(e.to_string()))?;
    Ok(text.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{label}\" "), 1))
}

/// The style of all text.
fn text<'a>() -> TextStyle<'a> {
    ("sans-serif", TEXT).into_font().color(&INK)
}

/// Text that ends at a point, vertically centred.
pub(super) fn label(area: &Area<'_>, text_: &str, end: (i32, i32)) -> Drawn {
    let style = text().pos(Pos::new(HPos::Right, VPos::Center));
    Ok(area.draw(&Text::new(text_.to_owned(), end, style))?)
}

/// Text centred at a point.
pub(super) fn centred(area: &Area<'_>, text_: &str, middle: (i32, i32)) -> Drawn {
    let style = text().pos(Pos::new(HPos::Center, VPos::Center));
    Ok(area.draw(&Text::new(text_.to_owned(), middle, style))?)
}

/// A filled box.
pub(super) fn block(area: &Area<'_>, corners: [(i32, i32); 2], colour: RGBColor, strength: f64) -> Drawn {
    Ok(area.draw(&Rectangle::new(corners, colour.mix(strength).filled()))?)
}

/// A thin line.
pub(super) fn line(area: &Area<'_>, ends: [(i32, i32); 2], colour: RGBColor) -> Drawn {
    Ok(area.draw(&PathElement::new(ends.to_vec(), colour))?)
}
