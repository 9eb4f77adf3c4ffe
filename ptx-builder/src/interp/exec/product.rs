//! Products of matrices: `mma.sync` and `wmma.mma` (PTX ISA 9.7.14.4, 9.7.14.5).

use super::Exec;
use crate::table::{Element, Matrix, Part, Product, WARP};

/// The matrices of one or more products, row by row.
struct Values<T> {
    rows: usize,
    columns: usize,
    all: Vec<T>,
}

impl<T: Copy + Default> Values<T> {
    fn new(product: &Product, part: Part) -> Self {
        let (rows, columns) = product.extent(part);
        Values { rows, columns, all: vec![T::default(); product.count() * rows * columns] }
    }

    fn at(&self, (unit, row, column): (usize, usize, usize)) -> usize {
        (unit * self.rows + row) * self.columns + column
    }

    fn row(&self, unit: usize, row: usize) -> &[T] {
        let first = self.at((unit, row, 0));
        &self.all[first..first + self.columns]
    }
}

impl Exec<'_> {
    /// Lane `lane`'s element `i` of the sources from `first` on.
    fn element(&self, first: usize, lane: usize, i: usize, element: Element) -> u64 {
        let (per, bits) = (element.per_register(), element.bits());
        let word = self.st.src[first + i / per][lane];
        if per == 1 { word } else { word >> (i % per * bits) & ((1 << bits) - 1) }
    }

    /// A matrix out of the sources from `first` on.
    fn values<T: Copy + Default>(
        &self,
        product: &Product,
        part: Part,
        first: usize,
        value: impl Fn(Element, u64) -> T,
    ) -> Values<T> {
        let mut values = Values::new(product, part);
        let element = product.element(part);
        let count = usize::from(product.registers(part)) * element.per_register();
        for lane in 0..WARP {
            for i in 0..count {
                let at = values.at(product.place(part, lane, i));
                values.all[at] = value(element, self.element(first, lane, i, element));
            }
        }
        values
    }

    pub(super) fn product(&mut self, matrix: Matrix) {
        let Some(product) = Product::of(matrix) else { return };
        self.gather();
        if product.a.is_integer() {
            self.multiply(&product, Element::integer, |p, c, pairs| u64::from(p.integers(c, pairs)));
        } else {
            self.multiply(&product, Element::number, |p, c, pairs| p.d.of_number(p.floats(c, pairs)));
        }
        self.scatter();
        self.wide_product(&product);
    }

    /// Puts the results into the scratch area.
    fn multiply<T: Copy + Default>(
        &mut self,
        product: &Product,
        value: impl Fn(Element, u64) -> T + Copy,
        sum: impl Fn(&Product, T, &mut dyn Iterator<Item = (T, T)>) -> u64,
    ) {
        let [a_regs, b_regs] = [Part::A, Part::B].map(|part| usize::from(product.registers(part)));
        let a = self.values(product, Part::A, 0, value);
        let b = self.values(product, Part::B, a_regs, value);
        let c = self.values(product, Part::C, a_regs + b_regs, value);
        let (per, bits) = (product.d.per_register(), product.d.bits());
        for lane in 0..WARP {
            for i in 0..usize::from(product.registers(Part::D)) * per {
                let place @ (unit, row, column) = product.place(Part::D, lane, i);
                let row = a.row(unit, row);
                let mut pairs = row.iter().enumerate().map(|(k, a)| (*a, b.all[b.at((unit, k, column))]));
                let made = sum(product, c.all[c.at(place)], &mut pairs);
                let old = if i % per == 0 { 0 } else { self.st.dst[i / per][lane] };
                self.st.dst[i / per][lane] = old | made << (i % per * bits);
            }
        }
    }
}
