//! The shadows of a warp's registers.

use super::pages::Found;
use super::shape::{Format, Granule, Shape};
use super::{Plane, Who};
use crate::interp::mask::lanes;
use crate::interp::program::{Dst, Src};

/// A register's shadow. Planes that its shape does not use hold anything.
#[derive(Clone, Default)]
pub(in crate::interp) struct Held {
    pub shape: Shape,
    pub planes: Vec<Plane>,
}

impl Held {
    /// The errors of the whole value of a format at granule `first`, if it is inexact.
    pub fn value(&self, format: Format, first: usize, granules: usize) -> Option<&Plane> {
        self.planes.get(self.shape.plane_of(format, first, granules)?)
    }
}

/// The shadows of a warp's registers.
pub(in crate::interp) struct Regs(Vec<Held>);

impl Regs {
    pub fn new(registers: usize) -> Regs {
        Regs(vec![Held::default(); registers])
    }

    /// All registers are exact, as in a new warp. What they held is kept to be filled again.
    pub fn reset(&mut self) {
        self.0.iter_mut().for_each(|held| held.shape = Shape::NONE);
    }

    /// The shadow of a source; none where it is exact in all lanes.
    pub fn source(&self, src: Option<&Src>) -> Option<&Held> {
        match src {
            Some(Src::Reg(r)) => self.0.get(*r as usize).filter(|held| !held.shape.is_none()),
            Some(Src::Not(_) | Src::Imm(_) | Src::Shared(_) | Src::Special(_) | Src::LowSpecial(_) | Src::Absent)
            | None => None,
        }
    }

    /// Takes a source's shadow out, to be [returned](Self::give_back); `None` if it is exact in all lanes.
    pub fn take(&mut self, src: Option<&Src>) -> Option<(u32, Held)> {
        self.source(src)?;
        let Some(Src::Reg(r)) = src else { return None };
        Some((*r, std::mem::take(self.0.get_mut(*r as usize)?)))
    }

    /// Puts back what was taken.
    pub fn give_back(&mut self, register: u32, held: Held) {
        if let Some(place) = self.0.get_mut(register as usize) {
            *place = held;
        }
    }

    /// A register is exact in these lanes.
    #[inline]
    pub fn clear(&mut self, dst: &Dst, mask: u32) {
        let Some(held) = self.0.get_mut(dst.reg as usize) else { return };
        if held.shape.is_none() {
            return;
        }
        if mask == u32::MAX {
            held.shape = Shape::NONE;
            return;
        }
        for plane in &mut held.planes {
            for lane in lanes(mask) {
                (plane.err[lane], plane.who[lane]) = (0.0, Who::NONE);
            }
        }
    }

    /// A register has these shadows in these lanes. Other lanes keep theirs, if they are of the same shape.
    pub fn put(&mut self, dst: &Dst, mask: u32, shape: Shape, planes: &[Plane]) {
        let n = shape.planes().min(planes.len());
        if planes[..n].iter().all(|plane| plane.is_exact(mask)) {
            return self.clear(dst, mask);
        }
        let Some(held) = self.0.get_mut(dst.reg as usize) else { return };
        if held.planes.len() < n {
            held.planes.resize(n, Plane::EXACT);
        }
        if mask == u32::MAX {
            held.planes[..n].clone_from_slice(&planes[..n]);
            held.shape = shape;
            return;
        }
        let both = held.shape.and(shape);
        for (i, to) in held.planes.iter_mut().enumerate() {
            let used = (0..4).filter_map(|g| held.shape.get(g)).any(|g| usize::from(g.plane) == i);
            if both.is_none() || !used {
                *to = Plane::EXACT;
            }
            for lane in lanes(mask) {
                let (err, who) = planes.get(i).map_or((0.0, Who::NONE), |from| (from.err[lane], from.who[lane]));
                (to.err[lane], to.who[lane]) = (err, who);
            }
        }
        held.shape = both.unwrap_or(shape);
    }
}

/// A register's shadow, gathered lane by lane.
#[derive(Clone, Default)]
pub(in crate::interp) struct Gathered {
    pub shape: Shape,
    pub planes: Vec<Plane>,
}

impl Gathered {
    /// A lane has this shadow, from granule `first` on, if it fits to those of the lanes before.
    pub fn add(&mut self, lane: usize, first: usize, found: &Found) {
        if first == 0
            && self.shape == found.shape
            && let [plane] = &mut self.planes[..]
        {
            (plane.err[lane], plane.who[lane]) = (found.err[0], found.who[0]);
            return;
        }
        let mut shape = Shape::NONE;
        for i in first..4 {
            let granule = found.shape.get(i - first);
            shape.set(i, granule.map(|g| Granule { plane: g.plane + first as u8, ..g }));
        }
        let Some(both) = self.shape.and(shape) else { return };
        self.shape = both;
        if self.planes.len() < both.planes() {
            self.planes.resize(both.planes(), Plane::EXACT);
        }
        for i in 0..4 - first {
            if let Some(plane) = self.planes.get_mut(first + i).filter(|_| found.err[i] != 0.0) {
                (plane.err[lane], plane.who[lane]) = (found.err[i], found.who[i]);
            }
        }
    }
}
