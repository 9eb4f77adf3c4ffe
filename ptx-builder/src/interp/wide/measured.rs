//! The report on the precision of a launch's outputs.

use std::collections::BTreeMap;
use std::fmt;

use super::notes::Notes;
use super::pages::Entry;
use crate::interp::context::Context;
use crate::interp::memory::Buffer;
use crate::interp::site::Site;
use crate::types::ScalarType;

/// An element of a buffer that is not what it would be without rounding.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct ElementError {
    /// The buffer.
    pub buffer: Buffer,
    /// Its first byte in the buffer.
    pub at: u64,
    /// Its type.
    pub ty: ScalarType,
    /// What the kernel wrote.
    pub value: f64,
    /// The real number less the value.
    pub error: f64,
    /// The instruction that introduced most of it, by its number in [`Measured::sites`].
    pub introduced: Option<u32>,
    /// The instruction that amplified it most, if any did by a factor of 4 or more, and that factor.
    pub amplified: Option<(u32, f32)>,
}

/// A line that rounded numbers to integers.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct IntegerRounding {
    /// Its first instruction that did.
    pub site: Site,
    /// How far a number was from its integer at most.
    pub most: f64,
    /// How many numbers were no integers.
    pub count: u64,
}

/// A line with comparisons that the real numbers would have decided otherwise. The run, and the shadows with it, went on as the
/// values said.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Decision {
    /// Its first instruction that did.
    pub site: Site,
    /// How many comparisons.
    pub count: u64,
}

/// A line whose results have no shadow and count as exact: what its instructions do to real numbers is not followed.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct ShadowEnd {
    /// Its first instruction that had inexact sources.
    pub site: Site,
    /// How many inexact sources there were.
    pub count: u64,
}

/// What shadow precision found out about a launch.
#[derive(Clone, PartialEq, Debug, Default)]
#[non_exhaustive]
pub struct Measured {
    /// Elements of global memory that the launch wrote and that are inexact, by address.
    pub elements: Vec<ElementError>,
    /// The instructions that they name.
    pub sites: BTreeMap<u32, Site>,
    /// Lines that rounded floats to integers, in writing order.
    pub integers: Vec<IntegerRounding>,
    /// Lines that decided what the real numbers would have decided otherwise, in writing order.
    pub decisions: Vec<Decision>,
    /// Lines where shadows end, in writing order: where there are any, errors may be larger than is told.
    pub ends: Vec<ShadowEnd>,
}

impl Measured {
    /// When the launch is over.
    pub(in crate::interp) fn new(cx: &Context, notes: &Notes) -> Measured {
        let mut measured = Measured::default();
        let Some(wide) = &cx.wide else { return measured };
        for (address, entry) in wide.global.entries() {
            measured.elements.extend(element(cx, address, &entry));
        }
        let named = |e: &ElementError| e.introduced.into_iter().chain(e.amplified.map(|(pc, _)| pc));
        measured.sites = measured.elements.iter().flat_map(named).map(|pc| (pc, cx.site(pc))).collect();
        measured.integers = by_line(cx, &notes.integral, |a: &mut (f64, u64), b| *a = (a.0.max(b.0), a.1 + b.1))
            .map(|(site, (most, count))| IntegerRounding { site, most, count })
            .collect();
        measured.decisions = by_line(cx, &notes.decided, |a: &mut u64, b| *a += b)
            .map(|(site, count)| Decision { site, count })
            .collect();
        measured.ends =
            by_line(cx, &notes.ends, |a: &mut u64, b| *a += b).map(|(site, count)| ShadowEnd { site, count }).collect();
        measured
    }
}

fn element(cx: &Context, address: u64, entry: &Entry) -> Option<ElementError> {
    let ty = entry.format.ty().filter(|ty| ty.bytes() == u32::from(entry.size))?;
    let alloc = cx.memory.near(address).filter(|a| a.holds(address, ty.bytes()))?;
    let bits = alloc.load(address, ty.bytes()) as u64;
    if bits != entry.held {
        return None;
    }
    let value = super::convert::floats(ty, &[bits; 32], 0)[0];
    Some(ElementError {
        buffer: alloc.buffer,
        at: address - alloc.buffer.address,
        ty,
        value,
        error: entry.err,
        introduced: entry.who.introducer(),
        amplified: entry.who.amplifier(),
    })
}

impl fmt::Display for IntegerRounding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} numbers rounded to integers, by {:.3} at most: {}", self.count, self.most, self.site)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} comparisons would go otherwise without rounding: {}", self.count, self.site)
    }
}

impl fmt::Display for ShadowEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShadowEnd { site, count } = self;
        write!(f, "{count} inexact numbers are not followed further, and errors may be larger than told: {site}")
    }
}

/// Notes of the instructions of a line put together, in the order of the first of them.
fn by_line<T: Copy>(
    cx: &Context,
    notes: &BTreeMap<u32, T>,
    add: impl Fn(&mut T, T),
) -> impl Iterator<Item = (Site, T)> {
    let mut lines: Vec<(Site, T)> = Vec::new();
    for (&pc, &note) in notes {
        let site = cx.site(pc);
        match lines.iter_mut().find(|(s, _)| s.line() == site.line()) {
            Some((_, all)) => add(all, note),
            None => lines.push((site, note)),
        }
    }
    lines.into_iter()
}
