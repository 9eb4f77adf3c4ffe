//! What memory holds of computed floats.
//!
//! An access is aligned to its size (PTX ISA 6.4.1), so that in an array whose floats have one
//! size, and to which nothing smaller is written, an access of that size or a multiple meets whole
//! floats whatever its address.

use super::Loss;
use super::content::Float;
use crate::analysis::precision::flow::Flow;
use crate::analysis::precision::place::Place;
use crate::table::Precision;

/// What an instruction writes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Stored {
    /// Computed floats, whole.
    pub float: Option<Float>,
    /// Less than floats.
    pub lost: bool,
    /// Floats of several types.
    pub mixed: bool,
    /// The sizes, as a sum of powers of two, in which everything else is written.
    pub grains: u32,
    /// Whether integers that were made of floats are written.
    pub quants: bool,
    /// Whether memory is changed in place.
    pub updated: bool,
}

impl Stored {
    pub(super) fn lost() -> Stored {
        Stored { lost: true, ..Stored::default() }
    }

    pub(super) fn and(self, o: Stored) -> Stored {
        let (float, mixed) = match (self.float, o.float) {
            (Some(a), Some(b)) => (Some(Float { narrowed: a.narrowed || b.narrowed, ..a }), a.ty != b.ty),
            (a, b) => (a.or(b), false),
        };
        Stored {
            float,
            lost: self.lost || o.lost,
            mixed: self.mixed || o.mixed || mixed,
            grains: self.grains | o.grains,
            quants: self.quants || o.quants,
            updated: self.updated || o.updated,
        }
    }

    /// Why floats there may not be whole.
    pub(super) fn torn(&self) -> Option<Loss> {
        let float = self.float?;
        if self.mixed {
            Some(Loss::Types)
        } else if self.grains & (float.ty.bytes() - 1) != 0 {
            Some(Loss::Sizes)
        } else if self.updated {
            Some(Loss::Shared)
        } else {
            None
        }
    }

    pub(super) fn is_computed(&self) -> bool {
        self.float.is_some() || self.lost
    }
}

/// Every place that is written, with what it holds.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Arrays(Vec<(Place, Stored)>);

impl Arrays {
    /// After these stores, and after copies of what was there before.
    pub(super) fn new(flow: &Flow<'_>, stored: &[Option<Stored>], before: &Arrays) -> Arrays {
        let mut arrays = Arrays::default();
        for (id, node) in flow.numbered() {
            let copies = node.inst.form().precision == Precision::Copies;
            for &place in &node.touched.writes {
                let copied = || node.touched.reads.iter().fold(Stored::default(), |all, p| all.and(before.at(*p)));
                let now = match stored[id.0 as usize] {
                    Some(stored) if copies => stored.and(copied()),
                    Some(stored) => stored,
                    None => continue,
                };
                match arrays.0.iter_mut().find(|(p, _)| *p == place) {
                    Some((_, held)) => *held = held.and(now),
                    None => arrays.0.push((place, now)),
                }
            }
        }
        arrays
    }

    pub(super) fn at(&self, place: Place) -> Stored {
        self.0.iter().filter(|(p, _)| p.meets(place)).fold(Stored::default(), |all, (_, held)| all.and(*held))
    }
}
