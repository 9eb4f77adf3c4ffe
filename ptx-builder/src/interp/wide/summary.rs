//! The errors of a buffer, in a few numbers and lines.

use std::collections::BTreeMap;
use std::fmt;

use super::measured::{ElementError, Measured};
use crate::interp::memory::Buffer;
use crate::interp::site::{Line, Site};
use crate::types::ScalarType;

/// The largest error of some kind.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Worst {
    /// How large it is: absolute, relative or in units in the last place.
    pub size: f64,
    /// The element.
    pub element: ElementError,
}

/// A line of the author's source that introduced errors, or amplified them.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct ErrorLine {
    /// Its instruction with the largest part; others of the same line count with it.
    pub site: Site,
    /// Its part of the inexact elements' relative errors, from 0 to 1. An element counts with 1 at most, and for one line: where
    /// most of its error was introduced, or where it was amplified most.
    pub share: f64,
    /// The largest factor by which it amplified a relative error; none where it introduced errors.
    pub factor: Option<f32>,
}

/// The errors of a buffer against its shadow.
#[derive(Clone, PartialEq, Debug, Default)]
#[non_exhaustive]
pub struct BufferErrors {
    /// How many of its elements are inexact.
    pub inexact: usize,
    /// The largest |real - value|.
    pub absolute: Option<Worst>,
    /// The largest |real - value| / |real|.
    pub relative: Option<Worst>,
    /// The largest |real - value| in units in the last place of the real number in the element's type.
    pub ulps: Option<Worst>,
    /// The lines that introduced the errors, the greatest part first.
    pub introduced: Vec<ErrorLine>,
    /// The lines that amplified them by a factor of 4 or more, the largest factor first.
    pub amplified: Vec<ErrorLine>,
}

impl ElementError {
    /// What it would be without rounding, as near as an f64 comes.
    pub fn real(&self) -> f64 {
        self.value + self.error
    }

    /// |real - value| / |real|; 1 where the real number is 0.
    pub fn relative(&self) -> f64 {
        let real = self.real().abs();
        if real == 0.0 { 1.0 } else { self.error.abs() / real }
    }

    /// |real - value| in units in the last place: the distance of neighbours of its type at the real number.
    pub fn ulps(&self) -> f64 {
        // Digits, and the least exponent.
        let (digits, least) = match self.ty {
            ScalarType::F64 => (53, -1022),
            ScalarType::F16 => (11, -14),
            ScalarType::Bf16 => (8, -126),
            _ => (24, -126),
        };
        let (_, exponent) = libm::frexp(self.real());
        let exponent = if self.real() == 0.0 { least } else { (exponent - 1).max(least) };
        // In two steps, since the unit itself may be too small for an f64.
        libm::scalbn(libm::scalbn(self.error.abs(), -exponent), digits - 1)
    }
}

/// What instructions did: the weight of each, and its largest factor.
#[derive(Default)]
struct Parts(BTreeMap<u32, (f64, f32)>);

impl Parts {
    fn add(&mut self, pc: u32, weight: f64, factor: f32) {
        let part = self.0.entry(pc).or_default();
        *part = (part.0 + weight, part.1.max(factor));
    }

    /// By line.
    fn finish(self, sites: &BTreeMap<u32, Site>, total: f64, amplified: bool) -> Vec<ErrorLine> {
        // The line, and the weight of the instruction that stands for it.
        let mut lines: BTreeMap<Line, (ErrorLine, f64)> = BTreeMap::new();
        for (pc, (weight, factor)) in self.0 {
            let Some(site) = sites.get(&pc) else { continue };
            let share = weight / total;
            let new = || (ErrorLine { site: site.clone(), share: 0.0, factor: amplified.then_some(0.0) }, 0.0);
            let (line, most) = lines.entry(site.line()).or_insert_with(new);
            line.share += share;
            line.factor = line.factor.map(|f| f.max(factor));
            if share > *most {
                (line.site, *most) = (site.clone(), share);
            }
        }
        let mut lines: Vec<_> = lines.into_values().map(|(line, _)| line).collect();
        let size = |l: &ErrorLine| l.factor.map_or(l.share, f64::from);
        lines.sort_by(|a, b| size(b).total_cmp(&size(a)));
        lines
    }
}

fn worst<'a>(elements: impl Iterator<Item = &'a ElementError>, size: impl Fn(&ElementError) -> f64) -> Option<Worst> {
    let largest = elements.max_by(|a, b| size(a).total_cmp(&size(b)))?;
    Some(Worst { size: size(largest), element: largest.clone() })
}

impl Measured {
    /// The errors of a buffer's elements.
    pub fn of(&self, buffer: Buffer) -> BufferErrors {
        let elements = || self.elements.iter().filter(|e| e.buffer == buffer);
        let (mut introduced, mut amplified) = (Parts::default(), Parts::default());
        let mut total = 0.0;
        for e in elements() {
            let weight = e.relative().min(1.0);
            total += weight;
            e.introduced.iter().for_each(|&pc| introduced.add(pc, weight, 0.0));
            e.amplified.iter().for_each(|&(pc, factor)| amplified.add(pc, weight, factor));
        }
        BufferErrors {
            inexact: elements().count(),
            absolute: worst(elements(), |e| e.error.abs()),
            relative: worst(elements(), ElementError::relative),
            ulps: worst(elements(), ElementError::ulps),
            introduced: introduced.finish(&self.sites, total, false),
            amplified: amplified.finish(&self.sites, total, true),
        }
    }
}

/// `0.00123`, `1.2e-9`.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            x if x == 0.0 || (0.01..10_000.0).contains(&x.abs()) => write!(f, "{x:.3}"),
            x => write!(f, "{x:.2e}"),
        }
    }
}

impl fmt::Display for ErrorLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(factor) = self.factor {
            write!(f, "{} times, ", Short(f64::from(factor)))?;
        }
        write!(f, "{:.1}%: {}", 100.0 * self.share, self.site)
    }
}

/// How many lines of each kind are shown.
const SHOWN: usize = 5;

/// The largest errors, and the first five lines that introduced and that amplified them.
impl fmt::Display for BufferErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(absolute), Some(relative), Some(ulps)) = (&self.absolute, &self.relative, &self.ulps) else {
            return write!(f, "exact");
        };
        let index = |w: &Worst| w.element.at / u64::from(w.element.ty.bytes());
        write!(
            f,
            "largest error {} (element {}), relative {} (element {}: {:e}, real {:e}), {} ulp (element {})",
            Short(absolute.size),
            index(absolute),
            Short(relative.size),
            index(relative),
            relative.element.value,
            relative.element.real(),
            Short(ulps.size),
            index(ulps)
        )?;
        for (word, lines) in [("introduced", &self.introduced), ("amplified", &self.amplified)] {
            for line in lines.iter().take(SHOWN) {
                write!(f, "\n  {word} {line}")?;
            }
            if lines.len() > SHOWN {
                write!(f, "\n  {word} by {} more lines", lines.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{BlockId, Loc};

    fn element(ty: ScalarType, value: f64, error: f64) -> ElementError {
        let buffer = Buffer { address: 0, len: 64 };
        ElementError { buffer, at: 0, ty, value, error, introduced: None, amplified: None }
    }

    #[test]
    fn units_in_the_last_place() {
        for (ty, value, error, ulps) in [
            (ScalarType::F32, 1.0, 2f64.powi(-24), 0.5),
            (ScalarType::F32, 1.5, -(2f64.powi(-23)), 1.0),
            (ScalarType::F64, 4.0, 2f64.powi(-50), 1.0),
            (ScalarType::F16, 1.0, 2f64.powi(-10), 1.0),
            (ScalarType::Bf16, -1.0, -(2f64.powi(-8)), 0.5),
            (ScalarType::F32, 0.0, 2f64.powi(-149), 1.0),
            (ScalarType::F64, 0.0, f64::from_bits(3), 3.0),
            (ScalarType::F32, 2f64.powi(-140), 2f64.powi(-150), 0.5),
        ] {
            assert_eq!(element(ty, value, error).ulps().to_bits(), f64::to_bits(ulps), "{ty} {value} {error}");
        }
    }

    #[test]
    fn lines_have_their_instructions_together() {
        let site = |line: u32, index: usize| Site {
            loc: Some(Loc::new("a.rs".into(), line, index as u32)),
            text: format!("instruction {index}"),
            block: BlockId(0),
            index,
        };
        let sites = BTreeMap::from([(3, site(10, 0)), (4, site(10, 1)), (5, site(20, 2)), (6, site(30, 3))]);
        let of = |error, introduced, amplified| ElementError {
            introduced: Some(introduced),
            amplified,
            ..element(ScalarType::F32, 1.0 - error, error)
        };
        let elements = vec![
            of(0.25, 3, None),
            of(0.125, 4, Some((6, 8.0))),
            of(0.375, 4, Some((6, 32.0))),
            of(0.25, 5, Some((5, 64.0))),
        ];
        let measured = Measured { elements, sites, ..Measured::default() };
        let found = measured.of(Buffer { address: 0, len: 64 });
        let shown = |lines: &[ErrorLine]| lines.iter().map(|l| (l.site.index, l.share, l.factor)).collect::<Vec<_>>();
        // Of line 10, its second instruction has the greater part.
        assert_eq!(shown(&found.introduced), [(1, 0.75, None), (2, 0.25, None)]);
        assert_eq!(shown(&found.amplified), [(2, 0.25, Some(64.0)), (3, 0.5, Some(32.0))]);
        assert_eq!(
            (found.inexact, found.absolute.map(|w| w.size), found.relative.map(|w| w.size)),
            (4, Some(0.375), Some(0.375))
        );
        assert_eq!(measured.of(Buffer { address: 64, len: 64 }), BufferErrors::default());
    }

    #[test]
    fn relative_errors() {
        let relative = |value, error| element(ScalarType::F32, value, error).relative();
        assert_eq!(
            [relative(1.0, 1.0), relative(-2.0, 1.0), relative(0.0, 3.0), relative(5.0, -5.0)],
            [0.5, 1.0, 1.0, 1.0]
        );
    }
}
