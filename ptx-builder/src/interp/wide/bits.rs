//! Values that are moved as bits: packed, unpacked, shifted, permuted.
//!
//! What is moved whole, or in pieces that come together again, keeps its shadow. Bits that are changed are a new value, which
//! is exact.

use super::regs::Held;
use super::shape::{Granule, Shape};
use super::{Plane, Who};
use crate::interp::mask::lanes;
use crate::table::{Lanes, Parts, WARP};

/// A source: its bits, and its shadow if it has one.
pub(in crate::interp) type Source<'a> = (&'a Lanes, Option<&'a Held>);

/// A register under construction.
#[derive(Default)]
pub(in crate::interp) struct Made {
    pub shape: Shape,
    pub planes: Vec<Plane>,
    /// Of each plane, which source and plane it is.
    origins: [Option<(usize, u8)>; 4],
}

impl Made {
    /// Puts granule `from` of a source at `to`.
    fn take(&mut self, to: usize, source: usize, held: &Held, from: usize) {
        let Some(g) = held.shape.get(from) else { return };
        let origin = Some((source, g.plane));
        let plane = self.origins.iter().position(|o| *o == origin).unwrap_or(to);
        if self.planes.len() <= plane {
            self.planes.resize(plane + 1, Plane::EXACT);
        }
        if self.origins[plane].is_none() {
            self.origins[plane] = origin;
            self.planes[plane] = held.planes[usize::from(g.plane)].clone();
        }
        self.shape.set(to, Some(Granule { plane: plane as u8, ..g }));
    }

    /// Joins pieces of one value that came by different ways. In lanes where they are not of one value, it is exact.
    pub fn join(mut self) -> Made {
        for first in 0..4 {
            let Some(g) = self.shape.get(first).filter(|g| g.at == 0) else { continue };
            for i in 1..g.format.granules() {
                let Some(next) = self.shape.get(first + i) else { break };
                if next.format != g.format || usize::from(next.at) != i {
                    break;
                }
                if next.plane != g.plane {
                    let (a, b) = (usize::from(g.plane), usize::from(next.plane));
                    for lane in 0..WARP {
                        if self.planes[a].err[lane].to_bits() != self.planes[b].err[lane].to_bits() {
                            (self.planes[a].err[lane], self.planes[a].who[lane]) = (0.0, Who::NONE);
                        }
                    }
                    self.shape.set(first + i, Some(Granule { plane: g.plane, ..next }));
                }
            }
        }
        self
    }
}

fn granule(bits: u64, i: usize) -> u16 {
    (bits >> (16 * i)) as u16
}

/// Result `index` of an instruction that moves bits, of `width` bits and `count` results in all.
pub(in crate::interp) fn moved(
    parts: Parts,
    sources: &[Source],
    (index, width): (usize, u32),
    result: &Lanes,
    mask: u32,
) -> Made {
    let size = (width as usize / 16).clamp(1, 4);
    let mut made = Made::default();
    match parts {
        Parts::Pack => {
            let each = size / sources.len().max(1);
            for (s, (_, held)) in sources.iter().enumerate() {
                for j in 0..each {
                    held.iter().for_each(|held| made.take(s * each + j, s, held, j));
                }
            }
        }
        Parts::Unpack => {
            if let Some((_, Some(held))) = sources.first() {
                (0..size).for_each(|j| made.take(j, 0, held, (index * size + j).min(3)));
            }
        }
        // Where bits go may depend on other sources, so where they went is seen from the bits.
        Parts::Cut | Parts::Merge | Parts::Mix => {
            for to in 0..size {
                let same = |bits: &Lanes, from: usize| {
                    lanes(mask).all(|lane| granule(bits[lane], from) == granule(result[lane], to))
                };
                let all =
                    || sources.iter().enumerate().flat_map(|(s, (bits, held))| (0..4).map(move |j| (s, j, bits, held)));
                let known = |&(_, j, bits, held): &(usize, usize, &&Lanes, &Option<&Held>)| {
                    held.is_some_and(|held| held.shape.get(j).is_some()) && same(bits, j)
                };
                // Bits that stay where they were, before others that are alike.
                let found = all().filter(|(_, j, ..)| *j == to).find(known).or_else(|| all().find(known));
                if let Some((s, j, _, Some(held))) = found {
                    made.take(to, s, held, j);
                }
            }
        }
    }
    made.join()
}

/// The sources of each lane's shadow.
pub(in crate::interp) fn permuted(held: &Held, from: &[u32; WARP]) -> Vec<Plane> {
    let lane = |plane: &Plane| Plane {
        err: std::array::from_fn(|i| plane.err[from[i] as usize & 31]),
        who: std::array::from_fn(|i| plane.who[from[i] as usize & 31]),
    };
    held.planes.iter().map(lane).collect()
}
