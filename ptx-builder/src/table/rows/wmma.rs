//! Matrix instructions whose fragments PTX leaves to the machine (PTX ISA 9.7.14.4).

use super::load_store::space;
use super::precision::{always, integer_product};
use super::product::{element, shape, slots};
use super::{Alternatives, Builder, any, one, opt, spec, ty, types};
use crate::table::slot::{address, src, vector};
use crate::table::{Access, Matrix, Meaning, Mod, Op, Precision, Rounding};
use crate::table::{Element, Fragment, Layout, Part, Product, Sum};
use crate::types::ScalarType::{Bf16, F16, F32, F64, S8, S32, Tf32, U8, U32};

const CUBES: [Mod; 3] = [Mod::M16n16k16, Mod::M32n8k16, Mod::M8n32k16];

/// The first PTX version and `sm_` of a shape with elements like these.
fn since(shape: Mod, element: Element) -> (u16, u16) {
    match (element, shape) {
        (Element::S8 | Element::U8, _) => (63, 72),
        (Element::S4 | Element::U4 | Element::B1, _) | (_, Mod::M8n8k32 | Mod::M8n8k128) => (63, 75),
        (Element::Bf16 | Element::Tf32 | Element::F64, _) | (_, Mod::M16n16k8 | Mod::M8n8k4) => (70, 80),
        (Element::S32, _) => (63, 72),
        (_, _) => (63, 70),
    }
}

/// Registers of a lane for a matrix with these elements.
fn registers(at: Mod, part: Part, element: Element) -> u8 {
    let layout = Layout::Wmma { a_by_column: false, b_by_column: false };
    let (a, sum) = (element, Sum::Plain);
    Product { shape: shape(at), a, b: a, c: element, d: element, layout, sum }.registers(part)
}

pub(super) fn rows(t: &mut Builder) {
    let small = [types(&[F16, Bf16, U8, S8, Tf32, F64]), any(&[Mod::U4, Mod::S4, Mod::B1])].concat();
    fragments(t, Op::WmmaLoadA, Part::A, "Loads a for products of a warp.", &small);
    fragments(t, Op::WmmaLoadB, Part::B, "Loads b for products of a warp.", &small);
    let sums = types(&[F16, F32, S32, F64]);
    fragments(t, Op::WmmaLoadC, Part::C, "Loads c for products of a warp.", &sums);
    fragments(t, Op::WmmaStoreD, Part::D, "Stores d of products of a warp.", &sums);
    products(t);
}

/// Whether a shape has these elements, in rows or columns.
fn exists(part: Part, at: Mod, element: Element, by_column: bool) -> bool {
    let is_cube = CUBES.contains(&at);
    let small = match part {
        Part::A => !by_column,
        _ => by_column,
    };
    match (part, element) {
        (_, Element::F64) => at == Mod::M8n8k4,
        (_, Element::Tf32) => at == Mod::M16n16k8,
        (_, Element::S4 | Element::U4) => at == Mod::M8n8k32 && small,
        (_, Element::B1) => at == Mod::M8n8k128 && small,
        (Part::A | Part::B, _) | (_, Element::F16) => is_cube,
        (_, Element::S32) => is_cube || matches!(at, Mod::M8n8k32 | Mod::M8n8k128),
        _ => is_cube || at == Mod::M16n16k8,
    }
}

fn fragments(t: &mut Builder, op: Op, part: Part, doc: &'static str, elements: &Alternatives) {
    let shapes = [&CUBES[..], &[Mod::M16n16k8, Mod::M8n8k4, Mod::M8n8k32, Mod::M8n8k128]].concat();
    let places = [
        one(Mod::Aligned),
        any(&[Mod::Row, Mod::Col]),
        any(&shapes),
        opt(&[Mod::Global, Mod::Shared]),
        elements.clone(),
    ];
    t.row(op, "9.7.14.4", doc, always(Precision::Opaque), &places, |m| {
        let (by_column, at) = (m[1] == Mod::Col, m[2]);
        let element = element(m[m.len() - 1]);
        if !exists(part, at, element, by_column) {
            return None;
        }
        let (rows, columns, k) = shape(at);
        let extent = match part {
            Part::A => (rows, k),
            Part::B => (k, columns),
            Part::C | Part::D => (rows, columns),
        };
        let held_by_column = matches!(part, Part::A | Part::B) && by_column;
        let registers = registers(at, part, element);
        let fragment = Fragment { extent, element, by_column, held_by_column, registers };
        let place = address("p", space(m));
        let stride = src("stride", U32).optional();
        let held = |name, access| vector(name, access, element.register(), registers, false);
        let (ptx, sm) = since(at, element);
        Some(match part {
            Part::D => {
                let slots = [place, held("r", Access::Read), stride];
                spec(slots, Meaning::Matrix(Matrix::StoreFragment(fragment))).since(ptx, sm)
            }
            _ => {
                let slots = [held("r", Access::Write), place, stride];
                spec(slots, Meaning::Matrix(Matrix::LoadFragment(fragment))).since(ptx, sm)
            }
        })
    });
}

fn products(t: &mut Builder) {
    let layouts = || any(&[Mod::Row, Mod::Col]);
    let head = |shapes: &[Mod]| vec![one(Mod::Aligned), layouts(), layouts(), any(shapes)];
    let product = |m: &[Mod], [d, a, b, c]: [Element; 4], sum: Sum| {
        let layout = Layout::Wmma { a_by_column: m[1] == Mod::Col, b_by_column: m[2] == Mod::Col };
        let product = Product { shape: shape(m[3]), a, b, c, d, layout, sum };
        let (ptx, sm) = since(m[3], a);
        spec(slots(&product), Meaning::Matrix(Matrix::Product(product))).since(ptx, sm)
    };
    let four = |m: &[Mod]| [0, 1, 2, 3].map(|i| Element::of(ty(m, i)));
    let floats = |m: &[Mod]| Precision::MatrixProduct { input: ty(m, 1), acc: ty(m, 0) };

    let doc = "Multiplies matrices of f16 and adds.";
    let mut places = head(&CUBES);
    places.extend([types(&[F16, F32]), types(&[F16, F32])]);
    let halves = |m: &[Mod]| Precision::MatrixProduct { input: F16, acc: ty(m, 0) };
    t.row(Op::WmmaMma, "9.7.14.4.5", doc, halves, &places, |m| {
        let (d, c) = (Element::of(ty(m, 0)), Element::of(ty(m, 1)));
        Some(product(m, [d, Element::F16, Element::F16, c], Sum::Plain))
    });
    let doc = "Multiplies matrices of bf16 or tf32 and adds.";
    for (shapes, input) in [(&CUBES[..], Bf16), (&[Mod::M16n16k8], Tf32)] {
        let mut places = head(shapes);
        places.extend([types(&[F32]), types(&[input]), types(&[input]), types(&[F32])]);
        t.row(Op::WmmaMma, "9.7.14.4.5", doc, floats, &places, |m| Some(product(m, four(m), Sum::Plain)));
    }
    let doc = "Multiplies matrices of f64 and adds, each product fused with its sum.";
    let mut places = head(&[Mod::M8n8k4]);
    places.push(opt(&[Mod::Rn, Mod::Rz, Mod::Rm, Mod::Rp]));
    places.extend([types(&[F64]), types(&[F64]), types(&[F64]), types(&[F64])]);
    t.row(Op::WmmaMma, "9.7.14.4.5", doc, floats, &places, |m| {
        let mode = m.iter().find_map(|m| Rounding::of(*m)).unwrap_or(Rounding::NearestEven);
        Some(product(m, four(m), Sum::Fused(mode)))
    });
    let sum = |m: &[Mod]| if m.contains(&Mod::Satfinite) { Sum::Saturating } else { Sum::Plain };
    let doc = "Multiplies matrices of bytes and adds.";
    let mut places = head(&CUBES);
    places.extend([types(&[S32]), types(&[U8, S8]), types(&[U8, S8]), types(&[S32]), opt(&[Mod::Satfinite])]);
    t.row(Op::WmmaMma, "9.7.14.4.5", doc, integer_product, &places, |m| {
        (ty(m, 1) == ty(m, 2)).then(|| product(m, four(m), sum(m)))
    });
    let small = |at: Mod, elements: &[Mod], last: Alternatives| {
        let element = || any(elements);
        vec![
            one(Mod::Aligned),
            one(Mod::Row),
            one(Mod::Col),
            one(at),
            types(&[S32]),
            element(),
            element(),
            types(&[S32]),
            last,
        ]
    };
    let doc = "Multiplies matrices of 4-bit integers and adds.";
    let places = small(Mod::M8n8k32, &[Mod::U4, Mod::S4], opt(&[Mod::Satfinite]));
    t.row(Op::WmmaMma, "9.7.14.4.5", doc, integer_product, &places, |m| {
        let elements = [Element::S32, element(m[5]), element(m[6]), Element::S32];
        (m[5] == m[6]).then(|| product(m, elements, sum(m)))
    });
    let doc = "Counts the bits that differ, or are set in both, of rows of a and columns of b, and adds.";
    for (op, sum, ptx, sm) in [(Op::WmmaMmaXor, Sum::Xor, 63, 75), (Op::WmmaMmaAnd, Sum::Plain, 71, 80)] {
        let mut places = small(Mod::M8n8k128, &[Mod::B1], Vec::new());
        places.pop();
        t.row(op, "9.7.14.4.5", doc, integer_product, &places, |m| {
            Some(product(m, [Element::S32, Element::B1, Element::B1, Element::S32], sum).since(ptx, sm))
        });
    }
}
