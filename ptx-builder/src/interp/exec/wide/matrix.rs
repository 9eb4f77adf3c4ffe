//! Errors through matrix instructions: products, and halves that change lanes.

#[cfg(test)]
mod sums;
#[cfg(test)]
mod tests;

use super::Exec;
use crate::interp::wide::pages::Found;
use crate::interp::wide::real::{two_product, two_sum};
use crate::interp::wide::regs::{Gathered, Regs};
use crate::interp::wide::shape::{Format, Shape};
use crate::interp::wide::{Plane, Who};
use crate::table::{Element, Part, Product, WARP};
use crate::types::Space;

/// An element: its value, its error, and whose that is.
type Number = (f64, f64, Who);

/// The elements of a matrix, row by row; of several products one after the other.
struct Numbers {
    rows: usize,
    columns: usize,
    all: Vec<Number>,
}

impl Numbers {
    fn at(&self, (unit, row, column): (usize, usize, usize)) -> usize {
        (unit * self.rows + row) * self.columns + column
    }
}

/// How an element lies in a register, if it is a float that has a shadow.
fn format(element: Element) -> Option<Format> {
    match element {
        Element::F16 => Some(Format::F16),
        Element::Bf16 => Some(Format::Bf16),
        Element::F32 | Element::Tf32 => Some(Format::F32),
        Element::F64 => Some(Format::F64),
        // 8-bit floats are taken as exact, integers are.
        Element::E4m3 | Element::E5m2 => None,
        Element::S8 | Element::U8 | Element::S4 | Element::U4 | Element::B1 | Element::S32 => None,
    }
}

/// The largest part of an error so far, and how much its term's relative error was.
struct Largest {
    part: f64,
    who: Who,
    before: f64,
}

impl Largest {
    fn add(&mut self, term: f64, part: f64, who: Who) {
        if part.abs() > self.part {
            (self.part, self.who) = (part.abs(), who);
        }
        if part != 0.0 && term != 0.0 {
            self.before = self.before.max((part / term).abs());
        }
    }
}

impl Exec<'_> {
    /// Element `i` of a lane's registers from source `first` on.
    fn wide_element(&self, regs: &Regs, element: Element, first: usize, lane: usize, i: usize) -> Number {
        let (per, bits) = (element.per_register(), element.bits());
        let (register, piece) = (first + i / per, i % per);
        let word = self.st.src[register][lane] >> (piece * bits);
        let value = element.number(word & (u64::MAX >> (64 - bits)));
        let held = regs.source(self.cx.program.srcs(self.code).get(register));
        let plane = format(element).and_then(|format| {
            let granules = format.granules();
            held?.value(format, piece * granules, granules)
        });
        let (err, who) = plane.map_or((0.0, Who::NONE), |plane| (plane.err[lane], plane.who[lane]));
        // The bits that a product does not look at are lost in it.
        let whole = if element == Element::Tf32 { Element::F32.number(word) } else { value };
        let cut = if whole.is_finite() { whole - value } else { 0.0 };
        let who = if cut.abs() > err.abs() { Who::introduced(self.pc) } else { who };
        (value, err + cut, who)
    }

    fn wide_matrix(&self, regs: &Regs, product: &Product, part: Part, first: usize) -> Numbers {
        let (rows, columns) = product.extent(part);
        let element = product.element(part);
        let mut numbers = Numbers { rows, columns, all: vec![(0.0, 0.0, Who::NONE); product.count() * rows * columns] };
        for lane in 0..WARP {
            for i in 0..usize::from(product.registers(part)) * element.per_register() {
                let at = numbers.at(product.place(part, lane, i));
                numbers.all[at] = self.wide_element(regs, element, first, lane, i);
            }
        }
        numbers
    }

    /// The results of a product of floats: its sources and results lie in the scratch area. The shadow is the sum of the
    /// products of the elements' real numbers.
    pub(in crate::interp::exec) fn wide_product(&mut self, product: &Product) {
        let Some(format) = format(product.d) else {
            return (0..usize::from(product.registers(Part::D))).for_each(|i| self.wide_clear(i));
        };
        self.with_regs(|this, regs| {
            let [a_regs, b_regs] = [Part::A, Part::B].map(|part| usize::from(product.registers(part)));
            let a = this.wide_matrix(regs, product, Part::A, 0);
            let b = this.wide_matrix(regs, product, Part::B, a_regs);
            let c = this.wide_matrix(regs, product, Part::C, a_regs + b_regs);
            let (per, size) = (product.d.per_register(), format.granules());
            for (register, dst) in this.cx.program.dsts(this.code).iter().enumerate() {
                let mut planes = vec![Plane::EXACT; (per - 1) * size + 1];
                for lane in 0..WARP {
                    for piece in 0..per {
                        let place @ (unit, row, column) = product.place(Part::D, lane, register * per + piece);
                        let bits = this.st.dst[register][lane] >> (piece * product.d.bits());
                        let r = product.d.number(bits & (u64::MAX >> (64 - product.d.bits())));
                        let pairs =
                            (0..a.columns).map(|k| (a.all[a.at((unit, row, k))], b.all[b.at((unit, k, column))]));
                        let (err, who) = dot(this.pc, pairs, c.all[c.at(place)], r);
                        let plane = &mut planes[piece * size];
                        (plane.err[lane], plane.who[lane]) = (err, who);
                    }
                }
                regs.put(dst, this.mask, Shape::of(format, per), &planes);
            }
        });
    }

    /// What a lane holds in `count` times 16 bits of a source, from granule `first` on.
    fn wide_part(&self, source: usize, lane: usize, (first, count): (usize, usize)) -> Option<Found> {
        let held = self.warp.wide.as_ref()?.source(self.cx.program.srcs(self.code).get(source))?;
        Some(Found::of(held.shape, &held.planes, lane).part(first, count))
    }

    /// The shadow of `movmatrix`'s result: half `i` of a lane is the half of the lane that `from` tells.
    pub(in crate::interp::exec) fn wide_transposed(&self, from: impl Fn(usize, usize) -> (usize, usize)) -> Gathered {
        let mut gathered = Gathered::default();
        for lane in 0..WARP {
            for i in 0..2 {
                let (other, half) = from(lane, i);
                if let Some(found) = self.wide_part(0, other, (half, 1)) {
                    gathered.add(lane, i, &found);
                }
            }
        }
        gathered
    }

    /// Results of `ldmatrix`: two neighbours of a row, or under `.trans` of a column, for each lane.
    pub(in crate::interp::exec) fn wide_load_matrices(
        &mut self,
        space: Space,
        rows: &[u64; WARP],
        values: &[u128; WARP],
        (count, trans): (usize, bool),
    ) {
        if self.cx.wide.is_none() {
            return;
        }
        for m in 0..count {
            let mut gathered = Gathered::default();
            for lane in 0..WARP {
                for piece in pieces(lane, trans) {
                    let row = m * 8 + piece.row;
                    let place = self.wide_place(space, row, rows[row].wrapping_add(2 * piece.column as u64));
                    let value = (values[row] >> (16 * piece.column)) as u64;
                    if let Some(found) = self.wide_found(place, 2 * piece.count as u32, value) {
                        gathered.add(lane, piece.first, &found);
                    }
                }
            }
            self.wide_put(m, &gathered);
        }
    }

    /// Memory has the shadows of what `stmatrix` stores.
    pub(in crate::interp::exec) fn wide_store_matrices(
        &mut self,
        space: Space,
        rows: &[u64; WARP],
        values: &[u128; WARP],
        (count, trans): (usize, bool),
    ) {
        if self.cx.wide.is_none() {
            return;
        }
        for (m, lane) in (0..count).flat_map(|m| (0..WARP).map(move |lane| (m, lane))) {
            for piece in pieces(lane, trans) {
                let row = m * 8 + piece.row;
                let place = self.wide_place(space, row, rows[row].wrapping_add(2 * piece.column as u64));
                let value = (values[row] >> (16 * piece.column)) as u64;
                let found = self.wide_part(m, lane, (piece.first, piece.count));
                self.wide_remember(place, 2 * piece.count as u32, value, found.as_ref());
            }
        }
    }
}

/// What of an 8 x 8 matrix of 16-bit elements lies side by side in memory and in a lane's register.
struct Piece {
    row: usize,
    column: usize,
    /// Of the register's two halves, the first.
    first: usize,
    count: usize,
}

/// Neighbours in a row are together, and may be one value.
fn pieces(lane: usize, trans: bool) -> Vec<Piece> {
    let (row, column) = (lane / 4, lane % 4 * 2);
    match trans {
        false => vec![Piece { row, column, first: 0, count: 2 }],
        true => (0..2).map(|i| Piece { row: column + i, column: row, first: i, count: 1 }).collect(),
    }
}

/// The error of a sum of products `r`, and whose that is: of the instruction, `pc`, or of an element.
fn dot(pc: u32, pairs: impl Iterator<Item = (Number, Number)>, c: Number, r: f64) -> (f64, Who) {
    let (mut sum, mut rest, mut passed) = (c.0, 0.0, c.1);
    let mut largest = Largest { part: 0.0, who: Who::NONE, before: 0.0 };
    largest.add(c.0, c.1, c.2);
    for ((va, ea, wa), (vb, eb, wb)) in pairs {
        let (product, tail) = two_product::<true>(va, vb);
        let (s, t) = two_sum(sum, product);
        (sum, rest) = (s, rest + (t + tail));
        let parts = (ea * (vb + eb), va * eb);
        passed += parts.0 + parts.1;
        largest.add(product, parts.0, wa);
        largest.add(product, parts.1, wb);
    }
    let local = (sum - r) + rest;
    let err = local + passed;
    if !err.is_finite() || !r.is_finite() {
        return (0.0, Who::NONE);
    }
    if local.abs() >= largest.part {
        return (err, Who::introduced(pc));
    }
    let factor = passed.abs() / r.abs().max((r + err).abs()) / largest.before;
    (err, if factor >= 4.0 { largest.who.amplified(pc, factor) } else { largest.who })
}
