//! Errors of matrix products.

use super::Exec;
use crate::interp::wide::convert::float;
use crate::interp::wide::real::two_sum;
use crate::interp::wide::regs::Regs;
use crate::interp::wide::shape::{Format, Shape};
use crate::interp::wide::{Plane, Who};
use crate::table::{Part, Product, WARP};
use crate::types::ScalarType;

/// An element: its value, its error, and whose that is.
type Element = (f64, f64, Who);

const NOTHING: Element = (0.0, 0.0, Who::NONE);

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
    fn wide_element(&self, regs: &Regs, ty: ScalarType, first: usize, lane: usize, i: usize) -> Element {
        let (format, _) = Format::of(ty);
        let per = 2 / format.granules();
        let (register, piece) = (first + i / per, i % per);
        let value = float(ty, self.st.src[register][lane], piece);
        let held = regs.source(self.cx.program.srcs(self.code).get(register));
        match held.and_then(|held| held.value(format, piece, format.granules())) {
            Some(plane) => (value, plane.err[lane], plane.who[lane]),
            None => (value, 0.0, Who::NONE),
        }
    }

    /// The results of a product of floats: its sources and results lie in the scratch area. The shadow is the sum of the
    /// products of the elements' real numbers.
    pub(in crate::interp::exec) fn wide_mma(&mut self, product: &Product, input: ScalarType, acc: ScalarType) {
        self.with_regs(|this, regs| {
            let mut a = [[NOTHING; 16]; 16];
            let mut b = [[NOTHING; 8]; 16];
            for lane in 0..WARP {
                for i in 0..8 {
                    let (_, row, col) = product.place(Part::A, lane, i);
                    a[row][col] = this.wide_element(regs, input, 0, lane, i);
                }
                for i in 0..4 {
                    let (_, row, col) = product.place(Part::B, lane, i);
                    b[row][col] = this.wide_element(regs, input, 4, lane, i);
                }
            }
            let (format, _) = Format::of(acc);
            let per = 2 / format.granules();
            let mut made = vec![Plane::EXACT; 4];
            for lane in 0..WARP {
                for (i, plane) in made.iter_mut().enumerate() {
                    let (_, row, col) = product.place(Part::D, lane, i);
                    let c = this.wide_element(regs, acc, 6, lane, i);
                    let r = float(acc, this.st.dst[i / per][lane], i % per);
                    let column: [Element; 16] = std::array::from_fn(|k| b[k][col]);
                    (plane.err[lane], plane.who[lane]) = this.wide_dot(&a[row], &column, c, r);
                }
            }
            let dsts = this.cx.program.dsts(this.code);
            for (dst, planes) in dsts.iter().zip(made.chunks(per)) {
                regs.put(dst, this.mask, Shape::of(format, per), planes);
            }
        });
    }

    fn wide_dot(&self, a: &[Element; 16], b: &[Element; 16], c: Element, r: f64) -> (f64, Who) {
        let (mut sum, mut rest, mut passed) = (c.0, 0.0, c.1);
        let mut largest = Largest { part: 0.0, who: Who::NONE, before: 0.0 };
        largest.add(c.0, c.1, c.2);
        for ((va, ea, wa), (vb, eb, wb)) in a.iter().zip(b) {
            let product = va * vb;
            let (s, t) = two_sum(sum, product);
            (sum, rest) = (s, rest + t);
            let parts = (ea * (vb + eb), va * eb);
            passed += parts.0 + parts.1;
            largest.add(product, parts.0, *wa);
            largest.add(product, parts.1, *wb);
        }
        let local = (sum - r) + rest;
        let err = local + passed;
        if !err.is_finite() || !r.is_finite() {
            return (0.0, Who::NONE);
        }
        if local.abs() >= largest.part {
            return (err, Who::introduced(self.pc));
        }
        let factor = passed.abs() / r.abs().max((r + err).abs()) / largest.before;
        (err, if factor >= 4.0 { largest.who.amplified(self.pc, factor) } else { largest.who })
    }
}
