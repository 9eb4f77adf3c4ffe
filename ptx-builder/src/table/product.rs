//! Products of matrices that a warp computes together (PTX ISA 9.7.14.4 and 9.7.14.5): the positions of elements in the
//! lanes' registers, and the summation.

use super::arith::Arith;
use super::{Element, Rounding};
use crate::types::ScalarType;

/// Warp-wide matrix instructions (PTX ISA 9.7.14).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Matrix {
    /// `mma.sync` m16n8k16 with f16 or bf16 inputs and f32 or f16 results.
    FloatMma {
        /// Input type.
        input: ScalarType,
        /// Accumulator and result type.
        acc: ScalarType,
    },
    /// `mma.sync` m16n8k32 or m16n8k16 with 8-bit integer inputs and s32 results.
    IntMma {
        /// The inner dimension, 16 or 32.
        k: u8,
        /// Type of a.
        a: ScalarType,
        /// Type of b.
        b: ScalarType,
        /// Whether results saturate.
        satfinite: bool,
    },
    /// `stmatrix` of `count` 8 x 8 matrices of 16-bit elements.
    Store {
        /// 1, 2 or 4.
        count: u8,
        /// Whether they are transposed.
        trans: bool,
    },
    /// `mma.sync` and `wmma.mma` of other shapes and types.
    Product(Product),
    /// `movmatrix`: an 8 x 8 matrix of 16-bit elements, transposed.
    Transpose,
    /// `wmma.load`.
    LoadFragment(Fragment),
    /// `wmma.store`.
    StoreFragment(Fragment),
    /// Products that the interpreter rejects by name: sparse ones, and those with scales.
    Foreign,
    /// `ldmatrix` of `count` 8 x 8 matrices of 16-bit elements.
    Load {
        /// 1, 2 or 4.
        count: u8,
        /// Whether they are transposed.
        trans: bool,
    },
}

/// The positions of elements in the lanes' registers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Layout {
    /// The layout of `mma.sync`.
    Mma,
    /// The layout of `mma.sync` with shape m8n8k4 of f16: four products, each of eight lanes.
    Quads {
        /// Whether a is by columns.
        a_by_column: bool,
        /// Whether b is by columns.
        b_by_column: bool,
    },
    /// The layout of `wmma`, which PTX does not specify: here, pieces of a register in the matrix's order in memory,
    /// assigned to the lanes in turn.
    Wmma {
        /// Whether a is by columns.
        a_by_column: bool,
        /// Whether b is by columns.
        b_by_column: bool,
    },
}

/// The summation of products.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Sum {
    /// Exact products; integers wrap, floats are summed in f64 and rounded once.
    Plain,
    /// The same of integers, clamped to s32.
    Saturating,
    /// Products of f64 in order of k, each fused with its sum and rounded.
    Fused(Rounding),
    /// Bits of which one is set.
    Xor,
}

/// A matrix of d = a b + c.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)] // as in the equation
pub enum Part {
    A,
    B,
    C,
    D,
}

/// d = a b + c, an m x k matrix times a k x n matrix.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Product {
    /// m, n and k.
    pub shape: (u16, u16, u16),
    /// Elements of a.
    pub a: Element,
    /// Elements of b.
    pub b: Element,
    /// Elements of c.
    pub c: Element,
    /// Elements of d.
    pub d: Element,
    /// Their positions.
    pub layout: Layout,
    /// Their summation.
    pub sum: Sum,
}

impl Product {
    /// The product that an instruction computes, if it is one.
    pub(crate) fn of(matrix: Matrix) -> Option<Product> {
        let layout = Layout::Mma;
        match matrix {
            Matrix::FloatMma { input, acc } => {
                let (a, c) = (Element::of(input), Element::of(acc));
                Some(Product { shape: (16, 8, 16), a, b: a, c, d: c, layout, sum: Sum::Plain })
            }
            Matrix::IntMma { k, a, b, satfinite } => {
                let sum = if satfinite { Sum::Saturating } else { Sum::Plain };
                let (a, b, c) = (Element::of(a), Element::of(b), Element::S32);
                Some(Product { shape: (16, 8, k.into()), a, b, c, d: c, layout, sum })
            }
            Matrix::Product(product) => Some(product),
            _ => None,
        }
    }

    /// How many products an instruction computes.
    pub fn count(&self) -> usize {
        if matches!(self.layout, Layout::Quads { .. }) { 4 } else { 1 }
    }

    /// m, n and k.
    pub(crate) fn sizes(&self) -> (usize, usize, usize) {
        let (m, n, k) = self.shape;
        (m.into(), n.into(), k.into())
    }

    /// Elements of a matrix.
    pub fn element(&self, part: Part) -> Element {
        match part {
            Part::A => self.a,
            Part::B => self.b,
            Part::C => self.c,
            Part::D => self.d,
        }
    }

    /// Rows and columns of a matrix.
    pub(crate) fn extent(&self, part: Part) -> (usize, usize) {
        let (m, n, k) = self.sizes();
        match part {
            Part::A => (m, k),
            Part::B => (k, n),
            Part::C | Part::D => (m, n),
        }
    }

    /// The number of a lane's registers for a matrix.
    pub fn registers(&self, part: Part) -> u8 {
        let (rows, columns) = self.extent(part);
        // Fragments of f16 for `wmma` have the same number of registers in every shape, so elements may occur twice.
        if matches!((self.layout, part), (Layout::Wmma { .. }, Part::A | Part::B)) && self.a == Element::F16 {
            return 8;
        }
        (self.count() * rows * columns / (super::WARP * self.element(part).per_register())) as u8
    }

    /// The product, row and column of a lane's element.
    pub(crate) fn place(&self, part: Part, lane: usize, i: usize) -> (usize, usize, usize) {
        let per = self.element(part).per_register();
        let (register, piece) = (i / per, i % per);
        match self.layout {
            Layout::Mma => {
                let (group, member) = (lane / 4, lane % 4);
                let tall = self.shape.0 == 16;
                let (row, column) = match part {
                    Part::A if tall => (group + register % 2 * 8, (register / 2 * 4 + member) * per + piece),
                    Part::A => (group, (register * 4 + member) * per + piece),
                    Part::B => ((register * 4 + member) * per + piece, group),
                    Part::C | Part::D => (group + i / 2 * 8, member * 2 + i % 2),
                };
                (0, row, column)
            }
            Layout::Quads { a_by_column, b_by_column } => {
                let (unit, member, upper) = (lane % 16 / 4, lane % 4, lane / 16 * 4);
                let (row, column) = match part {
                    Part::A if a_by_column => (i + upper, member),
                    Part::A => (member + upper, i),
                    Part::B if b_by_column => (i, member + upper),
                    Part::B => (member, i + upper),
                    Part::C | Part::D if self.element(part) == Element::F16 => (member + upper, i),
                    Part::C | Part::D => (member % 2 + (i & 2) + upper, (i & 4) + (member & 2) + i % 2),
                };
                (unit, row, column)
            }
            Layout::Wmma { a_by_column, b_by_column } => {
                let by_column = match part {
                    Part::A => a_by_column,
                    Part::B => b_by_column,
                    Part::C | Part::D => false,
                };
                let (row, column) = in_turn(self.extent(part), per, by_column, lane, register, piece);
                (0, row, column)
            }
        }
    }

    /// c plus the products of a row of a and a column of b, of floats.
    pub(crate) fn floats(&self, c: f64, pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
        match self.sum {
            Sum::Fused(mode) => pairs.fold(c, |sum, (a, b)| a.fma_in(b, sum, mode)),
            _ => pairs.fold(c, |sum, (a, b)| sum + a * b),
        }
    }

    /// c plus the products of a row of a and a column of b, of integers: the low 32 bits.
    pub(crate) fn integers(&self, c: i64, pairs: impl Iterator<Item = (i64, i64)>) -> u32 {
        let sum = match self.sum {
            Sum::Xor => pairs.fold(c, |sum, (a, b)| sum + (a ^ b)),
            _ => pairs.fold(c, |sum, (a, b)| sum + a * b),
        };
        let saturates = self.sum == Sum::Saturating;
        (if saturates { sum.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) } else { sum }) as u32
    }
}

/// Row and column of a piece of a register where registers are filled in the matrix's order, one lane after the other.
fn in_turn(
    (rows, columns): (usize, usize),
    per: usize,
    by_column: bool,
    lane: usize,
    register: usize,
    piece: usize,
) -> (usize, usize) {
    let at = (register * super::WARP + lane) * per % (rows * columns) + piece;
    if by_column { (at % rows, at / rows) } else { (at / columns, at % columns) }
}

/// A matrix of `wmma` in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Fragment {
    /// Rows and columns.
    pub extent: (u16, u16),
    /// Elements.
    pub element: Element,
    /// Whether it is column-major in memory.
    pub by_column: bool,
    /// Whether it is also column-major in registers: for a and b.
    pub held_by_column: bool,
    /// Registers of a lane.
    pub registers: u8,
}

impl Fragment {
    /// Bytes that a lane accesses at once.
    pub(crate) fn first_bytes(&self) -> u32 {
        (self.together() * self.element.bits() / 8) as u32
    }

    /// Elements that are adjacent in memory and in a register.
    pub(crate) fn together(&self) -> usize {
        if self.held_by_column == self.by_column { self.element.per_register() } else { 1 }
    }

    /// Distance between rows in memory, in elements, if the instruction does not say it.
    pub(crate) fn stride(&self) -> u64 {
        u64::from(if self.by_column { self.extent.0 } else { self.extent.1 })
    }

    /// The element of memory for a lane's element, with this distance between rows.
    pub(crate) fn place(&self, lane: usize, i: usize, stride: u64) -> u64 {
        let per = self.element.per_register();
        let extent = (usize::from(self.extent.0), usize::from(self.extent.1));
        let (row, column) = in_turn(extent, per, self.held_by_column, lane, i / per, i % per);
        let (line, at) = if self.by_column { (column, row) } else { (row, column) };
        (line as u64).wrapping_mul(stride).wrapping_add(at as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Element, Layout, Part, Product, Sum};
    use crate::table::{Meaning, WARP, table};

    /// Every element of every matrix is in some lane, and if elements occur twice, all occur equally often.
    #[test]
    fn fragments_have_every_element() {
        let mut seen = 0;
        for form in table().forms() {
            let Meaning::Matrix(matrix) = form.meaning else { continue };
            let Some(product) = Product::of(matrix) else { continue };
            for part in [Part::A, Part::B, Part::C, Part::D] {
                let (rows, columns) = product.extent(part);
                let per = product.element(part).per_register();
                let mut times: HashMap<_, usize> = HashMap::new();
                for lane in 0..WARP {
                    for i in 0..usize::from(product.registers(part)) * per {
                        *times.entry(product.place(part, lane, i)).or_default() += 1;
                    }
                }
                let all = product.count() * rows * columns;
                assert_eq!(times.len(), all, "{} {part:?}", form.name);
                let often = WARP * usize::from(product.registers(part)) * per / all;
                assert!(times.iter().all(|((unit, row, column), n)| {
                    *n == often && *unit < product.count() && *row < rows && *column < columns
                }));
                seen += 1;
            }
        }
        assert!(seen > 0);
    }

    /// PTX ISA 9.7.14.5.1, of lanes by hand.
    #[test]
    fn quads_lie_as_documented() {
        let quads = |a_by_column, c| Product {
            shape: (8, 8, 4),
            a: Element::F16,
            b: Element::F16,
            c,
            d: c,
            layout: Layout::Quads { a_by_column, b_by_column: true },
            sum: Sum::Plain,
        };
        let product = quads(false, Element::F32);
        assert_eq!(product.place(Part::A, 21, 3), (1, 5, 3));
        assert_eq!(product.place(Part::B, 21, 3), (1, 3, 5));
        assert_eq!(product.place(Part::D, 21, 6), (1, 7, 4));
        assert_eq!(product.place(Part::D, 2, 1), (0, 0, 3));
        assert_eq!(quads(true, Element::F16).place(Part::A, 31, 2), (3, 6, 3));
        assert_eq!(quads(true, Element::F16).place(Part::C, 13, 7), (3, 1, 7));
    }
}
